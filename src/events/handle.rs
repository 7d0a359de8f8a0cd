//! Where events are handed in: a bounded queue, which nobody waits for.
//!
//! Lock order: `queue` alone, and nothing is called while it is held.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use super::event::Event;
use crate::rfc3339::Millis;
use crate::telemetry::events::EventMetrics;

/// Takes events. Clones are the same log's.
#[derive(Clone, Default)]
pub struct Events(Option<Arc<Shared>>);

pub(super) struct Shared {
    queue: Mutex<Queue>,
    /// There is something, or it is about to end.
    wake: Condvar,
    metrics: EventMetrics,
    dropped: AtomicU64,
}

#[derive(Default)]
struct Queue {
    events: Vec<(Millis, Event)>,
    closing: bool,
}

/// Events that wait to be written. About half a kilobyte each.
const MOST: usize = 65_536;
/// The writer is woken early past so many.
const MANY: usize = 8192;

// === impl Events ===

impl Events {
    /// Takes events and does nothing with them.
    pub fn off() -> Self {
        Self(None)
    }

    pub(super) fn on(shared: Arc<Shared>) -> Self {
        Self(Some(shared))
    }

    /// Never waits and never fails. What there is no room for is counted, and the log says so.
    pub fn emit(&self, event: Event) {
        let Some(shared) = &self.0 else { return };
        let count = {
            let mut queue = shared.lock();
            if queue.events.len() >= MOST || queue.closing {
                drop(queue);
                shared.drop_some(1, "queue_full");
                return;
            }
            // Under the lock, so that the log is in the order of time.
            queue.events.push((Millis::of(SystemTime::now()), event));
            queue.events.len()
        };
        if count == 1 || count == MANY {
            shared.wake.notify_one();
        }
    }
}

// === impl Shared ===

impl Shared {
    pub fn new(metrics: EventMetrics) -> Self {
        Self { queue: Mutex::default(), wake: Condvar::new(), metrics, dropped: AtomicU64::new(0) }
    }

    /// Waits until there is something, but not longer than `at_most`; then `linger` for more of it.
    /// The flag says that these are the last ones.
    pub fn take(&self, at_most: Duration, linger: Duration) -> (Vec<(Millis, Event)>, bool) {
        let queue = self.lock();
        let idle = |queue: &mut Queue| queue.events.is_empty() && !queue.closing;
        let waited = self.wake.wait_timeout_while(queue, at_most, idle);
        let (queue, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let few = |queue: &mut Queue| {
            !queue.events.is_empty() && queue.events.len() < MANY && !queue.closing
        };
        let waited = self.wake.wait_timeout_while(queue, linger, few);
        let (mut queue, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let (events, closing) = (std::mem::take(&mut queue.events), queue.closing);
        self.metrics.waiting.set(events.len() as i64);
        (events, closing)
    }

    /// No more events are taken.
    pub fn close(&self) {
        self.lock().closing = true;
        self.wake.notify_one();
    }

    pub fn is_closing(&self) -> bool {
        self.lock().closing
    }

    /// Counts what is not logged, for [`Self::take_dropped`] and for the operator.
    pub fn drop_some(&self, events: u64, reason: &str) {
        self.dropped.fetch_add(events, Ordering::Relaxed);
        self.metrics.dropped.with_label_values(&[reason]).inc_by(events);
    }

    pub fn take_dropped(&self) -> u64 {
        self.dropped.swap(0, Ordering::Relaxed)
    }

    pub fn metrics(&self) -> &EventMetrics {
        &self.metrics
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
