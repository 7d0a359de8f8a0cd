//! Tells the control plane what it must know, in order and without loss.
//!
//! Demand and keyframe wishes are states, not messages: they are marked here and one thread
//! turns them into events, reading the state as it sends. So nothing is lost or overtaken when
//! the control plane is slow, and no shard ever waits for it.
//!
//! Lock order: `pending` alone.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use super::FanoutEvent;
use super::channel::Track;

/// Where shards and feeds leave their marks.
#[derive(Default)]
pub struct Events {
    pending: Mutex<Pending>,
    wake: Condvar,
}

#[derive(Default)]
struct Pending {
    demand: BTreeSet<Marked>,
    keyframes: BTreeSet<Marked>,
    other: VecDeque<FanoutEvent>,
    dropped: u64,
    stopped: bool,
}

/// A track, ordered by its key.
struct Marked(Arc<Track>);

/// Ends of sessions waiting at most. The control plane counts viewers by demand, so a lost one
/// costs it a log line.
const MAX_OTHER: usize = 65_536;

// === impl Events ===

impl Events {
    pub fn mark_demand(&self, track: &Arc<Track>) {
        self.lock().demand.insert(Marked(track.clone()));
        self.wake.notify_one();
    }

    pub fn mark_keyframe(&self, track: &Arc<Track>) {
        self.lock().keyframes.insert(Marked(track.clone()));
        self.wake.notify_one();
    }

    pub fn push(&self, event: FanoutEvent) {
        {
            let mut pending = self.lock();
            if pending.other.len() >= MAX_OTHER {
                pending.dropped += 1;
                return;
            }
            pending.other.push_back(event);
        }
        self.wake.notify_one();
    }

    pub fn stop(&self) {
        self.lock().stopped = true;
        self.wake.notify_one();
    }

    pub fn take_dropped(&self) -> u64 {
        std::mem::take(&mut self.lock().dropped)
    }

    /// Sends until stopped or until nobody listens any more.
    pub fn run(&self, to: &mpsc::Sender<FanoutEvent>) {
        loop {
            let (demand, keyframes, other) = {
                let pending = self.lock();
                let mut pending = self
                    .wake
                    .wait_while(pending, |p| p.is_empty() && !p.stopped)
                    .unwrap_or_else(PoisonError::into_inner);
                if pending.stopped {
                    return;
                }
                (
                    std::mem::take(&mut pending.demand),
                    std::mem::take(&mut pending.keyframes),
                    std::mem::take(&mut pending.other),
                )
            };
            let demand = demand.iter().map(|Marked(track)| FanoutEvent::Demand {
                channel: track.channel.to_string(),
                track: track.id,
                viewers: track.demand(),
            });
            let keyframes = keyframes.iter().map(|Marked(track)| FanoutEvent::KeyframeWanted {
                channel: track.channel.to_string(),
                track: track.id,
            });
            for event in demand.chain(keyframes).chain(other) {
                if to.blocking_send(event).is_err() {
                    return;
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Pending ===

impl Pending {
    fn is_empty(&self) -> bool {
        self.demand.is_empty() && self.keyframes.is_empty() && self.other.is_empty()
    }
}

// === impl Marked ===

impl PartialEq for Marked {
    fn eq(&self, other: &Self) -> bool {
        self.0.key == other.0.key
    }
}

impl Eq for Marked {}

impl PartialOrd for Marked {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Marked {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.key.cmp(&other.0.key)
    }
}
