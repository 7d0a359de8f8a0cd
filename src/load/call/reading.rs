//! How the tasks of a call's legs take what comes: at once, or all together every now and then.

use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, EventData, EventFlags};
use tokio::io::unix::AsyncFd;
use tokio::time::sleep_until;

use super::publisher::Studio;
use super::summary::Shared;
use crate::load::histogram::Histogram;
use crate::load::socket::{BURST_BYTES, Burst, Socket};
use crate::load::viewer::Kit;

/// Bursts taken at once before others' turn.
const BURSTS_A_TURN: usize = 8;

/// What legs of all devices have in common.
pub(super) struct Equipment {
    pub kit: Kit,
    pub studio: Arc<Studio>,
    /// Zero: what comes is read at once.
    pub read_interval: Duration,
    /// Where it isn't: all sockets are read together, whole intervals after this.
    pub began: Instant,
    /// Holds those sockets, and nobody waits on it: what comes costs whoever sends it the same as
    /// with viewers (`load whep`), whose thread sleeps meanwhile.
    pub asleep: OwnedFd,
    /// Asking, connecting, and waiting for a picture.
    pub patience: Duration,
    pub shared: Shared,
}

/// A viewer or a publisher, as its task sees it.
pub(super) trait Peer {
    fn socket(&self) -> &Socket;
    fn timeout(&self) -> Instant;
    fn is_over(&self) -> bool;
    fn handle_burst(&mut self, now: Instant, burst: Burst, buffer: &[u8], latency: &mut Histogram);
    fn handle_timeout(&mut self, now: Instant, latency: &mut Histogram);
    /// After each turn.
    fn tell(&self) {}
}

thread_local! {
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; BURST_BYTES].into_boxed_slice());
}

// === impl Equipment ===

impl Equipment {
    /// The task's own name of the socket; the peer goes on sending by it. None where it is read
    /// every now and then: what comes is to wake nobody, since whoever sends it, on the same
    /// machine, would do that work.
    pub fn watch(&self, peer: &impl Peer) -> io::Result<Option<AsyncFd<OwnedFd>>> {
        if !self.read_interval.is_zero() {
            epoll::add(&self.asleep, peer.socket(), EventData::new_u64(0), EventFlags::IN)?;
            return Ok(None);
        }
        let name = peer.socket().as_fd().try_clone_to_owned()?;
        // SAFETY: the descriptor is owned, and gives the same open one until it is dropped.
        Ok(Some(unsafe { AsyncFd::register(name) }?))
    }

    fn next_reading(&self, now: Instant) -> Instant {
        let every = self.read_interval.as_nanos().max(1);
        let passed = now.saturating_duration_since(self.began).as_nanos() % every;
        now + Duration::from_nanos((every - passed) as u64)
    }
}

/// Waits for what comes or runs out, and deals with it. Dropped while it waits, it did nothing.
pub(super) async fn turn(
    peer: &mut impl Peer,
    socket: Option<&AsyncFd<OwnedFd>>,
    equipment: &Equipment,
    at_latest: Instant,
) {
    let now = Instant::now();
    let mut due = peer.timeout();
    if at_latest > now {
        due = due.min(at_latest);
    }
    // A stack that wants to be called at once would keep us here.
    due = due.max(now + Duration::from_millis(1));
    match socket {
        Some(socket) => {
            tokio::select! {
                ready = socket.readable() => {
                    if let Ok(mut ready) = ready
                        && receive(peer, equipment)
                    {
                        ready.clear_ready();
                    }
                }
                () = sleep_until(due.into()) => {}
            }
        }
        None => {
            sleep_until(equipment.next_reading(now).into()).await;
            receive(peer, equipment);
        }
    }
    let now = Instant::now();
    if peer.timeout() <= now {
        peer.handle_timeout(now, &mut equipment.shared.latency());
    }
    peer.tell();
}

/// Gives whether nothing waits any more.
fn receive(peer: &mut impl Peer, equipment: &Equipment) -> bool {
    BUFFER.with_borrow_mut(|buffer| {
        for _ in 0..BURSTS_A_TURN {
            let Ok(Some(burst)) = peer.socket().receive(buffer) else { return true };
            peer.handle_burst(Instant::now(), burst, buffer, &mut equipment.shared.latency());
        }
        false
    })
}
