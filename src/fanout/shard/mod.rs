//! A shard: one thread, one UDP port, and the viewers that live on it.
//!
//! A turn of the loop does what is most urgent first: bursts to live viewers, then what viewers
//! sent, then joiners. Work for joiners is bounded per turn, so that hundreds of them don't make
//! the others wait.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use rustix::event::{PollFd, PollFlags, Timespec, epoll};

use super::SessionId;
use super::inbox::{Inbox, Queue};
use super::shared::Shared;
use super::transport::Outbox;

mod batch;
mod catch_up;
mod choose;
mod commands;
mod counters;
mod dispatch;
mod feedback;
mod gather;
mod housekeeping;
mod interfaces;
mod loopback;
mod messages;
mod receive;
mod retransmit;
mod session;
mod sessions;
mod socket;
mod stream;
mod thin;
mod timers;
mod video;
mod views;

pub use batch::Batch;
use counters::Counters;
use gather::Gather;
pub use interfaces::interface_addresses;
use messages::ReceiveBuffers;
pub use messages::{SendArguments, read_name};
use session::Tools;
use sessions::{Sessions, Slot};
pub use socket::{Socket, SocketCounters};
use timers::Timers;
use views::Views;

pub struct Shard {
    index: usize,
    shared: Arc<Shared>,
    inbox: Arc<Inbox>,
    epoll: OwnedFd,
    sockets: Vec<Socket>,
    /// One per socket.
    batches: Vec<Batch>,
    /// Sockets that are watched for room.
    watched: Vec<bool>,
    arguments: SendArguments,
    buffers: Option<ReceiveBuffers>,
    scratch: Vec<u8>,
    outbox: Outbox,
    sessions: Sessions,
    views: Views,
    timers: Timers,
    /// Viewers who are being sent the past.
    catching_up: Vec<Slot>,
    /// Viewers whose path is being probed.
    probing: Vec<Slot>,
    handshakes: VecDeque<Deferred>,
    queue: Queue,
    counters: Counters,
    /// Viewers by codec, and joining ones, as last added to the gauges.
    counted: BTreeMap<&'static str, i64>,
    counted_connecting: i64,
    next_housekeeping: Instant,
    gather: Gather,
    now: Instant,
    wall_us: u64,
    stopped: bool,
}

/// A handshake datagram that waits for its turn.
struct Deferred {
    slot: Slot,
    session: SessionId,
    socket: usize,
    from: SocketAddr,
    bytes: Box<[u8]>,
}

/// What a wait came to.
#[derive(Default)]
struct Ready {
    inbox: bool,
    sockets: bool,
}

/// How often those who catch up or are probed get their next portion.
const PACE: Duration = Duration::from_millis(4);
const INBOX_TOKEN: u64 = u64::MAX;
const EVENTS: usize = 16;

// === impl Shard ===

impl Shard {
    pub fn new(index: usize, shared: Arc<Shared>, sockets: Vec<Socket>) -> io::Result<Self> {
        let inbox = shared.shards[index].clone();
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let token = epoll::EventData::new_u64(INBOX_TOKEN);
        epoll::add(&poll, inbox.wake_fd(), token, epoll::EventFlags::IN)?;
        for (n, socket) in sockets.iter().enumerate() {
            let token = epoll::EventData::new_u64(n as u64);
            epoll::add(&poll, socket.as_fd(), token, epoll::EventFlags::IN)?;
        }
        let now = Instant::now();
        Ok(Self {
            index,
            shared,
            inbox,
            epoll: poll,
            batches: sockets.iter().map(|_| Batch::default()).collect(),
            watched: vec![false; sockets.len()],
            sockets,
            arguments: SendArguments::default(),
            buffers: Some(ReceiveBuffers::default()),
            scratch: Vec::new(),
            outbox: Outbox::default(),
            sessions: Sessions::default(),
            views: Views::default(),
            timers: Timers::default(),
            catching_up: Vec::new(),
            probing: Vec::new(),
            handshakes: VecDeque::new(),
            queue: Queue::default(),
            counters: Counters::default(),
            counted: BTreeMap::new(),
            counted_connecting: 0,
            next_housekeeping: now,
            gather: Gather::new(now),
            now,
            wall_us: 0,
            stopped: false,
        })
    }

    /// Runs until told to stop.
    pub fn run(mut self) {
        while !self.stopped {
            if let Err(error) = self.turn() {
                tracing::error!(shard = self.index, %error, "fan-out shard can't wait for events");
                return;
            }
        }
    }

    fn turn(&mut self) -> io::Result<()> {
        let ready = match self.gather.until() {
            Some(until) => self.wait_for_inbox(self.timeout(), until)?,
            None => self.wait(self.timeout())?,
        };
        self.read_clocks();
        let began = self.now;
        if ready.inbox {
            self.inbox.acknowledge();
        }
        self.take_inbox();
        if ready.sockets {
            let mut received = 0;
            for socket in 0..self.sockets.len() {
                received += self.receive(socket);
            }
            self.gather.handle_received(received, self.now);
        }
        self.catch_up();
        self.drive_probes();
        self.handle_handshakes();
        self.handle_timers();
        self.run_commands();
        self.flush();
        self.keep_house();
        self.counters.busy += began.elapsed();
        Ok(())
    }

    fn wait(&self, timeout: Duration) -> io::Result<Ready> {
        let mut events = [epoll::Event {
            flags: epoll::EventFlags::empty(),
            data: epoll::EventData::new_u64(0),
        }; EVENTS];
        let mut ready = Ready::default();
        match epoll::wait(self.epoll.as_fd(), &mut events, Some(&timespec(timeout))) {
            Ok(count) => {
                for event in &events[..count] {
                    match event.data.u64() {
                        INBOX_TOKEN => ready.inbox = true,
                        _ => ready.sockets = true,
                    }
                }
                Ok(ready)
            }
            Err(rustix::io::Errno::INTR) => Ok(ready),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits for others than viewers, whose datagrams gather until `until`.
    fn wait_for_inbox(&self, timeout: Duration, until: Instant) -> io::Result<Ready> {
        let wait = timespec(timeout.min(until.saturating_duration_since(Instant::now())));
        let mut polled = [PollFd::from_borrowed_fd(self.inbox.wake_fd(), PollFlags::IN)];
        let inbox = match rustix::event::poll(&mut polled, Some(&wait)) {
            Ok(count) => count > 0,
            Err(rustix::io::Errno::INTR) => false,
            Err(error) => return Err(error.into()),
        };
        Ok(Ready { inbox, sockets: Instant::now() >= until })
    }

    fn read_clocks(&mut self) {
        self.now = Instant::now();
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        self.wall_us = wall.unwrap_or_default().as_micros() as u64;
    }

    fn timeout(&self) -> Duration {
        let busy = !self.handshakes.is_empty() || !self.queue.commands.is_empty();
        if busy {
            return Duration::ZERO;
        }
        let paced = !self.catching_up.is_empty() || !self.probing.is_empty();
        let pace = paced.then(|| Instant::now() + PACE);
        let next = [Some(self.next_housekeeping), self.timers.next(), pace];
        let next = next.into_iter().flatten().min().unwrap_or(self.next_housekeeping);
        next.saturating_duration_since(Instant::now())
    }

    /// Sends bursts that came in; commands wait until the end of the turn.
    fn take_inbox(&mut self) {
        let mut commands = std::mem::take(&mut self.queue.commands);
        self.inbox.take(&mut self.queue);
        commands.append(&mut self.queue.commands);
        self.queue.commands = commands;
        while let Some((track, burst)) = self.queue.bursts.pop_front() {
            self.handle_burst(track, &burst);
        }
        self.flush();
    }

    /// Gives all that was written to the kernel.
    fn flush(&mut self) {
        for datagram in self.outbox.iter() {
            let from = datagram.from;
            if let Some(socket) = self.sockets.iter().position(|s| s.address() == from) {
                self.batches[socket].push(datagram.to, datagram.bytes);
                self.batches[socket].end_message();
            }
        }
        self.outbox.clear();
        for socket in 0..self.sockets.len() {
            self.flush_socket(socket);
        }
    }

    fn flush_socket(&mut self, n: usize) {
        let (socket, batch) = (&mut self.sockets[n], &mut self.batches[n]);
        if socket.is_blocked() {
            socket.flush(&mut self.arguments);
        }
        if !batch.is_empty() {
            socket.send(batch, &mut self.arguments);
        }
        let blocked = socket.is_blocked();
        if blocked != self.watched[n] {
            let mut flags = epoll::EventFlags::IN;
            flags.set(epoll::EventFlags::OUT, blocked);
            let token = epoll::EventData::new_u64(n as u64);
            match epoll::modify(&self.epoll, socket.as_fd(), token, flags) {
                Ok(()) => self.watched[n] = blocked,
                Err(error) => tracing::warn!(%error, "can't watch a socket for room"),
            }
        }
    }

    fn tools(&mut self) -> (Tools<'_>, &mut Sessions) {
        let tools = Tools {
            batches: &mut self.batches,
            scratch: &mut self.scratch,
            now: self.now,
            wall_us: self.wall_us,
        };
        (tools, &mut self.sessions)
    }

    /// Sets a session's timer, if it isn't set to an earlier time.
    fn wake(&mut self, slot: Slot, at: Instant) {
        let now = self.now;
        if let Some(session) = self.sessions.get(slot)
            && (session.wake_at > at || session.wake_at <= now)
        {
            session.wake_at = at;
            let id = session.id;
            self.timers.set(at, slot, id);
        }
    }
}

fn timespec(wait: Duration) -> Timespec {
    Timespec { tv_sec: wait.as_secs() as i64, tv_nsec: i64::from(wait.subsec_nanos()) }
}

impl Drop for Shard {
    fn drop(&mut self) {
        self.shared.loads[self.index].sessions.store(0, Ordering::Release);
    }
}
