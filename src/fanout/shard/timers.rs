//! When which session has to be looked at. A session has one timer; setting it anew leaves the
//! old entry behind, which is passed over when its time comes.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

use super::super::SessionId;
use super::sessions::Slot;

#[derive(Default)]
pub struct Timers {
    heap: BinaryHeap<Reverse<(Instant, Slot, SessionId)>>,
}

// === impl Timers ===

impl Timers {
    pub fn set(&mut self, at: Instant, slot: Slot, session: SessionId) {
        self.heap.push(Reverse((at, slot, session)));
    }

    pub fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, ..))| *at)
    }

    /// The next one that is due.
    pub fn pop_due(&mut self, now: Instant) -> Option<(Instant, Slot, SessionId)> {
        if self.next()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| entry)
    }
}
