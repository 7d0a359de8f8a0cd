//! A thread of viewers: sockets, timers, and joins as they fall due.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, Event, EventData, EventFlags};
use rustix::event::{EventfdFlags, eventfd};
use tokio::sync::mpsc;

use super::socket::BURST_BYTES;
use super::summary::Tally;
use super::viewer::{Kit, Stage, Viewer};
use super::whep::{Ask, Joined, Reply};

/// Bursts taken from one viewer before the next one's turn.
const BURSTS_A_TURN: usize = 8;
const LONGEST_WAIT: Duration = Duration::from_millis(100);
/// Event data of the wake-up descriptor; viewers have their index.
const WAKE: u64 = u64::MAX;
const EVENTS: usize = 256;

/// Seen by whoever shows the progress.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub joined: AtomicU64,
    pub connected: AtomicU64,
    pub playing: AtomicU64,
    pub failed: AtomicU64,
    pub packets: AtomicU64,
    pub lost: AtomicU64,
    pub freezes: AtomicU64,
    pub bytes: AtomicU64,
}

/// Which viewers a thread has: every `stride`-th from `first` on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Share {
    pub first: usize,
    pub stride: usize,
    pub viewers: usize,
    pub start: Instant,
    pub end: Instant,
    /// Between two joins of the whole run.
    pub join_interval: Duration,
    pub join_timeout: Duration,
    pub read_interval: Duration,
}

pub(super) struct Thread {
    share: Share,
    kit: Kit,
    epoll: OwnedFd,
    asks: mpsc::Sender<Ask>,
    reply: Reply,
    replies: Receiver<Joined>,
    viewers: Vec<Option<Viewer>>,
    /// When each viewer is due; one entry each, at or before its wish.
    timers: BinaryHeap<Reverse<(Instant, usize)>>,
    scheduled: Vec<Option<Instant>>,
    next_join: usize,
    tally: Tally,
    counters: Arc<Counters>,
    buffer: Box<[u8]>,
}

// === impl Thread ===

impl Thread {
    pub fn new(
        share: Share,
        kit: Kit,
        asks: mpsc::Sender<Ask>,
        counters: Arc<Counters>,
    ) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let wake = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        epoll::add(&epoll, &*wake, EventData::new_u64(WAKE), EventFlags::IN)?;
        let (queue, replies) = channel();
        Ok(Self {
            next_join: share.first,
            share,
            kit,
            epoll,
            asks,
            reply: Reply { queue, wake },
            replies,
            viewers: Vec::new(),
            timers: BinaryHeap::new(),
            scheduled: Vec::new(),
            tally: Tally::default(),
            counters,
            buffer: vec![0; BURST_BYTES].into_boxed_slice(),
        })
    }

    /// Runs until the share's end.
    pub fn run(mut self) -> io::Result<Tally> {
        let mut next_check = self.share.start;
        loop {
            let now = Instant::now();
            if now >= self.share.end {
                break;
            }
            self.join_due(now);
            while let Ok(joined) = self.replies.try_recv() {
                self.handle_joined(now, joined);
            }
            self.fire_timers(now);
            if now >= next_check {
                self.check(now);
                next_check = now + LONGEST_WAIT;
            }
            self.wait(now)?;
        }
        Ok(self.finish())
    }

    fn join_due(&mut self, now: Instant) {
        while self.next_join < self.share.viewers && self.join_time() <= now {
            let index = self.viewers.len();
            self.next_join += self.share.stride;
            let viewer = match self.make(index, now) {
                Ok(viewer) => Some(viewer),
                Err(reason) => {
                    self.tally.add_stillborn(reason);
                    None
                }
            };
            self.viewers.push(viewer);
            self.scheduled.push(None);
        }
    }

    fn join_time(&self) -> Instant {
        self.share.start + self.share.join_interval.mul_f64(self.next_join as f64)
    }

    fn make(&self, index: usize, now: Instant) -> Result<Viewer, String> {
        let number = self.share.first + index * self.share.stride;
        let (viewer, offer) = Viewer::new(&self.kit, number, now)?;
        let data = EventData::new_u64(index as u64);
        epoll::add(&self.epoll, &viewer.socket, data, EventFlags::IN)
            .map_err(|error| format!("no socket: {error}"))?;
        let reply = self.reply.clone();
        self.asks
            .try_send(Ask::Join { viewer: index, offer, reply })
            .map_err(|_| "signalling ended".to_owned())?;
        Ok(viewer)
    }

    fn handle_joined(&mut self, now: Instant, joined: Joined) {
        let Some(viewer) = self.viewers.get_mut(joined.viewer).and_then(Option::as_mut) else {
            return;
        };
        match joined.result {
            Ok(accepted) => viewer.accept(now, accepted, &mut self.tally.latency),
            Err(error) => viewer.fail(&error.to_string()),
        }
        self.schedule(joined.viewer);
    }

    fn fire_timers(&mut self, now: Instant) {
        while let Some(Reverse((at, index))) = self.timers.peek().copied() {
            if at > now {
                return;
            }
            self.timers.pop();
            self.scheduled[index] = None;
            if let Some(viewer) = self.viewers[index].as_mut()
                && viewer.timeout <= now
                && !matches!(viewer.stage, Stage::Failed(_) | Stage::Joining)
            {
                viewer.handle_timeout(now, &mut self.tally.latency);
                // A stack that wants to be called at once would keep us here.
                viewer.timeout = viewer.timeout.max(now + Duration::from_millis(1));
            }
            self.schedule(index);
        }
    }

    fn schedule(&mut self, index: usize) {
        let Some(viewer) = &self.viewers[index] else {
            return;
        };
        if matches!(viewer.stage, Stage::Failed(_) | Stage::Joining) {
            return;
        }
        let at = viewer.timeout;
        if self.scheduled[index].is_none_or(|scheduled| at < scheduled) {
            self.scheduled[index] = Some(at);
            self.timers.push(Reverse((at, index)));
        }
    }

    /// Gives up joins that take too long, and updates what is shown.
    fn check(&mut self, now: Instant) {
        let mut totals = [0_u64; 8];
        for viewer in self.viewers.iter_mut().flatten() {
            if now.duration_since(viewer.began) > self.share.join_timeout {
                match viewer.stage {
                    Stage::Joining => viewer.fail("no response in time"),
                    Stage::Connecting => viewer.fail("not connected in time"),
                    Stage::Connected => viewer.fail("no keyframe in time"),
                    Stage::Playing | Stage::Failed(_) => {}
                }
            }
            let seen = &viewer.seen;
            let values = [
                1,
                u64::from(seen.connected_at.is_some()),
                u64::from(viewer.stage == Stage::Playing),
                u64::from(matches!(viewer.stage, Stage::Failed(_))),
                seen.video.received + seen.audio.received,
                seen.video.lost() + seen.audio.lost(),
                seen.smoothness.freezes.into(),
                seen.bytes,
            ];
            totals.iter_mut().zip(values).for_each(|(total, value)| *total += value);
        }
        let shown = self.counters.all();
        for (shown, total) in shown.into_iter().zip(totals) {
            shown.store(total, Ordering::Relaxed);
        }
    }

    fn wait(&mut self, now: Instant) -> io::Result<()> {
        let mut until = (now + LONGEST_WAIT).min(self.share.end);
        if let Some(Reverse((at, _))) = self.timers.peek() {
            until = until.min(*at);
        }
        if self.next_join < self.share.viewers {
            until = until.min(self.join_time());
        }
        let mut wait = until.saturating_duration_since(now);
        if !self.share.read_interval.is_zero() {
            thread::sleep(wait.min(self.share.read_interval));
            wait = Duration::ZERO;
        }
        let wait = rustix::time::Timespec {
            tv_sec: wait.as_secs() as i64,
            tv_nsec: wait.subsec_nanos().into(),
        };
        let mut events =
            [Event { flags: EventFlags::empty(), data: EventData::new_u64(0) }; EVENTS];
        let count = match epoll::wait(&self.epoll, &mut events[..], Some(&wait)) {
            Ok(count) => count,
            Err(rustix::io::Errno::INTR) => 0,
            Err(error) => return Err(error.into()),
        };
        for event in &events[..count] {
            match event.data.u64() {
                WAKE => {
                    // Only that it was written to counts.
                    let _ = rustix::io::read(&*self.reply.wake, &mut [0; 8]);
                }
                index => self.receive(index as usize)?,
            }
        }
        Ok(())
    }

    fn receive(&mut self, index: usize) -> io::Result<()> {
        let Some(viewer) = self.viewers.get_mut(index).and_then(Option::as_mut) else {
            return Ok(());
        };
        for _ in 0..BURSTS_A_TURN {
            let Some(burst) = viewer.socket.receive(&mut self.buffer)? else {
                break;
            };
            let latency = &mut self.tally.latency;
            if !matches!(viewer.stage, Stage::Failed(_)) {
                viewer.handle_burst(Instant::now(), burst, &self.buffer, latency);
            }
        }
        self.schedule(index);
        Ok(())
    }

    fn finish(mut self) -> Tally {
        let now = Instant::now();
        for viewer in self.viewers.iter_mut().flatten() {
            viewer.end(now, &mut self.tally.latency);
            self.tally.add(viewer, now);
            if let Some(location) = viewer.location.take() {
                // A full queue can't be: it has room for every viewer's two asks.
                let _ = self.asks.try_send(Ask::Leave { location });
            }
        }
        self.tally
    }
}

// === impl Counters ===

impl Counters {
    fn all(&self) -> [&AtomicU64; 8] {
        let Self { joined, connected, playing, failed, packets, lost, freezes, bytes } = self;
        [joined, connected, playing, failed, packets, lost, freezes, bytes]
    }
}
