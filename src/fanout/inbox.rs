//! What a shard is told by other threads: bounded, and one wake-up for many notices.
//!
//! Lock order: `queue` alone, held for a push or a swap.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::event::{EventfdFlags, eventfd};
use tokio::sync::oneshot;

use super::burst::Burst;
use super::channel::{ChannelKey, TrackKey};
use super::join::NewSession;
use super::{RenditionChoice, SessionError, SessionId, SessionReport};
use crate::fanout::transport::IceCreds;

/// One shard's inbox, shared by those who write to it.
pub struct Inbox {
    queue: Mutex<Queue>,
    wake: OwnedFd,
    /// Bursts that found the inbox full.
    dropped: AtomicU64,
}

#[derive(Default)]
pub struct Queue {
    pub bursts: VecDeque<(TrackKey, Arc<Burst>)>,
    pub commands: VecDeque<Command>,
}

/// What a shard is asked to do.
pub enum Command {
    Join(Box<NewSession>),
    RestartIce {
        session: SessionId,
        local: IceCreds,
        remote: IceCreds,
    },
    Select {
        session: SessionId,
        choice: RenditionChoice,
        reply: oneshot::Sender<Result<(), SessionError>>,
    },
    Leave {
        session: SessionId,
        reply: oneshot::Sender<bool>,
    },
    Reports {
        channel: Option<ChannelKey>,
        reply: oneshot::Sender<Vec<SessionReport>>,
    },
    /// Bring the session's watched report up to date.
    Refresh(SessionId),
    RenditionsChanged(ChannelKey),
    ChannelClosed(ChannelKey),
    /// End all sessions.
    Drain(oneshot::Sender<()>),
    Stop,
}

/// The inbox was full.
#[derive(Debug, PartialEq, Eq)]
pub struct Full;

/// Bursts waiting at most: a second of twenty renditions.
const MAX_BURSTS: usize = 2048;
/// Commands waiting at most.
const MAX_COMMANDS: usize = 4096;

// === impl Inbox ===

impl Inbox {
    pub fn new() -> io::Result<Self> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { queue: Mutex::default(), wake, dropped: AtomicU64::new(0) })
    }

    /// A full inbox drops the burst, and counts it. The shard finds it in the history, if it is
    /// not too late by then.
    pub fn push_burst(&self, track: TrackKey, burst: Arc<Burst>) {
        let first = {
            let mut queue = self.lock();
            if queue.bursts.len() >= MAX_BURSTS {
                self.dropped.fetch_add(1, Ordering::Relaxed);
                return;
            }
            let first = queue.is_empty();
            queue.bursts.push_back((track, burst));
            first
        };
        if first {
            self.wake();
        }
    }

    pub fn push_command(&self, command: Command) -> Result<(), Full> {
        let bounded = matches!(
            command,
            Command::Join(_)
                | Command::Select { .. }
                | Command::Refresh(_)
                | Command::Reports { .. }
        );
        let first = {
            let mut queue = self.lock();
            if bounded && queue.commands.len() >= MAX_COMMANDS {
                return Err(Full);
            }
            let first = queue.is_empty();
            queue.commands.push_back(command);
            first
        };
        if first {
            self.wake();
        }
        Ok(())
    }

    /// Swaps the content for `empty`.
    pub fn take(&self, empty: &mut Queue) {
        let mut queue = self.lock();
        std::mem::swap(&mut *queue, empty);
    }

    /// Takes back the wake-up. Call before [`Self::take`].
    pub fn acknowledge(&self) {
        let mut count = [0; 8];
        // Nothing to read is as good as something: the queue tells what there is.
        let _ = rustix::io::read(&self.wake, &mut count);
    }

    pub fn wake_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }

    pub fn take_dropped(&self) -> u64 {
        self.dropped.swap(0, Ordering::Relaxed)
    }

    fn wake(&self) {
        // It fails only where 2^64 wake-ups are waiting.
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Queue ===

impl Queue {
    fn is_empty(&self) -> bool {
        self.bursts.is_empty() && self.commands.is_empty()
    }
}
