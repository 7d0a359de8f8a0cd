//! What viewers want of a channel. Wishes of one kind merge, so nothing piles up and the fan-out
//! never waits for a channel.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use stentor_protocol::units::TrackId;
use tokio::sync::Notify;

#[derive(Debug, Default)]
pub struct Inbox {
    wishes: Mutex<Wishes>,
    changed: Notify,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// How many viewers a track has; the last word counts.
    pub demand: BTreeMap<TrackId, u32>,
    pub keyframes: BTreeSet<TrackId>,
}

// === impl Inbox ===

impl Inbox {
    pub fn demand(&self, track: TrackId, viewers: u32) {
        self.change(|wishes| {
            wishes.demand.insert(track, viewers);
        });
    }

    pub fn keyframe(&self, track: TrackId) {
        self.change(|wishes| {
            wishes.keyframes.insert(track);
        });
    }

    /// Waits for wishes and takes them all.
    pub async fn take(&self) -> Wishes {
        self.changed.notified().await;
        std::mem::take(&mut *self.wishes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn change(&self, change: impl FnOnce(&mut Wishes)) {
        change(&mut self.wishes.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_word_of_a_track_counts() {
        let inbox = Inbox::default();
        inbox.demand(TrackId(1), 1);
        inbox.demand(TrackId(1), 0);
        inbox.keyframe(TrackId(2));
        inbox.keyframe(TrackId(2));
        let wishes = inbox.take().await;
        assert_eq!(wishes.demand, BTreeMap::from([(TrackId(1), 0)]));
        assert_eq!(wishes.keyframes, BTreeSet::from([TrackId(2)]));
    }
}
