//! Who in this shard wants which track.

use std::collections::HashMap;
use std::sync::Arc;

use prometheus::Histogram;

use super::super::channel::{Track, TrackKey};
use super::super::events::Events;
use super::sessions::Slot;

/// The tracks that this shard's viewers have or wait for.
#[derive(Default)]
pub struct Views {
    views: HashMap<TrackKey, View>,
}

pub struct View {
    pub track: Arc<Track>,
    /// Viewers to whom each burst is sent as it comes in.
    pub live: Vec<Slot>,
    /// Viewers who join in at the next keyframe.
    pub waiting: Vec<Slot>,
    /// Index of the burst that comes next.
    pub next: Option<u64>,
    /// Where its bursts' latency is noted, once there was one.
    pub latency: Option<Histogram>,
    /// Sessions that hold it, those catching up included.
    users: u32,
}

// === impl Views ===

impl Views {
    pub fn get(&mut self, key: TrackKey) -> Option<&mut View> {
        self.views.get_mut(&key)
    }

    /// A session has or wants the track.
    pub fn hold(&mut self, track: &Arc<Track>, shard: usize, events: &Events) {
        let view = self.views.entry(track.key).or_insert_with(|| {
            track.set_interest(shard, true);
            View {
                track: track.clone(),
                live: Vec::new(),
                waiting: Vec::new(),
                next: None,
                latency: None,
                users: 0,
            }
        });
        view.users += 1;
        track.add_viewer();
        if !track.is_audio() {
            events.mark_demand(track);
        }
    }

    /// A session doesn't any more.
    pub fn release(&mut self, key: TrackKey, slot: Slot, shard: usize, events: &Events) {
        let Some(view) = self.views.get_mut(&key) else { return };
        view.live.retain(|other| *other != slot);
        view.waiting.retain(|other| *other != slot);
        view.users -= 1;
        view.track.remove_viewer();
        if !view.track.is_audio() {
            events.mark_demand(&view.track);
        }
        if view.users == 0 {
            view.track.set_interest(shard, false);
            self.views.remove(&key);
        }
    }
}
