//! Word that recordings ended: how much of it came to a file creator, and with how much it is done.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

/// Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Word {
    ordered: Arc<Notify>,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    came: AtomicU64,
    done: AtomicU64,
}

// === impl Word ===

impl Word {
    /// Without a count: `ordered` wakes the creator.
    pub fn of(ordered: Arc<Notify>) -> Self {
        Self { ordered, counts: Arc::default() }
    }

    /// There is an order, perhaps.
    pub fn bring(&self) {
        self.counts.came.fetch_add(1, Ordering::Relaxed);
        self.ordered.notify_one();
    }

    /// Until there is word that didn't wake anybody yet.
    pub async fn wait(&self) {
        self.ordered.notified().await;
    }

    /// How much came so far.
    pub fn count(&self) -> u64 {
        self.counts.came.load(Ordering::Relaxed)
    }

    /// A look that began after so much had come left nothing to be done.
    pub fn settle(&self, count: u64) {
        self.counts.done.store(count, Ordering::Relaxed);
    }

    /// For whoever brings it: nothing of it is to be brought again.
    pub fn is_settled(&self) -> bool {
        self.counts.done.load(Ordering::Relaxed) == self.count()
    }
}
