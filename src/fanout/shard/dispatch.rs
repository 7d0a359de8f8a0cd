//! A burst on its way to all who watch: the path that everything else stays out of.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::super::burst::Burst;
use super::super::channel::TrackKey;
use super::Shard;
use super::session::Tools;
use super::sessions::Slot;

/// Bursts fetched from the history at most where the inbox lost some.
const MAX_FETCHED: u64 = 256;
/// How far ahead of now a publisher's timestamps may be.
const MOST_AHEAD: Duration = Duration::from_secs(1);

// === impl Shard ===

impl Shard {
    /// Sends a burst, and before it those that the inbox had no room for.
    pub(super) fn handle_burst(&mut self, key: TrackKey, burst: &Arc<Burst>) {
        let Some(view) = self.views.get(key) else { return };
        let next = view.next.replace(burst.index + 1);
        let missed = match next {
            Some(next) if next > burst.index => {
                view.next = Some(next);
                return;
            }
            Some(next) => next.max(burst.index.saturating_sub(MAX_FETCHED))..burst.index,
            None => 0..0,
        };
        let track = view.track.clone();
        for index in missed {
            match track.burst(index) {
                Some(burst) => self.send_burst(key, &burst),
                None => self.counters.dropped_late += 1,
            }
        }
        self.send_burst(key, burst);
    }

    fn send_burst(&mut self, key: TrackKey, burst: &Burst) {
        let Some(view) = self.views.get(key) else { return };
        if burst.keyframe && !view.waiting.is_empty() {
            let waiting = std::mem::take(&mut view.waiting);
            for slot in waiting {
                self.join_in(slot, key, burst);
            }
        }
        let Some(view) = self.views.get(key) else { return };
        let is_audio = view.track.is_audio();
        let live = std::mem::take(&mut view.live);
        for slot in &live {
            self.send_to(*slot, burst, is_audio);
        }
        if let Some(view) = self.views.get(key) {
            view.live = live;
        }
        self.note_latency(key, burst);
    }

    /// From capture to here, where its last viewer was written to. Those who catch up are sent
    /// the past, and don't count.
    fn note_latency(&mut self, key: TrackKey, burst: &Burst) {
        let Some(view) = self.views.get(key).filter(|view| !view.live.is_empty()) else { return };
        let latency = view.latency.get_or_insert_with(|| {
            let track = &view.track;
            let metrics = &self.shared.metrics;
            metrics.latency_of(&track.channel, &track.rendition, track.codec.as_str())
        });
        let captured = UNIX_EPOCH + Duration::from_micros(burst.capture_us);
        match SystemTime::now().duration_since(captured) {
            Ok(passed) => latency.observe(passed.as_secs_f64()),
            // A publisher's picture is stamped ahead of now where lip-sync holds it back.
            Err(ahead) if ahead.duration() < MOST_AHEAD => latency.observe(0.0),
            // A clock that was set back tells nothing.
            Err(_) => {}
        }
    }

    fn send_to(&mut self, slot: Slot, burst: &Burst, is_audio: bool) {
        let mut tools = Tools {
            batches: &mut self.batches,
            scratch: &mut self.scratch,
            now: self.now,
            wall_us: self.wall_us,
        };
        let Some(session) = self.sessions.get(slot) else { return };
        let sent = if is_audio {
            session.send_audio(burst, &mut tools)
        } else {
            session.send_video(burst, &mut tools)
        };
        self.counters.sent += sent;
        if burst.keyframe && sent.packets > 0 && session.first_frame.is_none() {
            session.first_frame = Some(self.now.saturating_duration_since(session.asked));
            let seconds = session.asked.elapsed().as_secs_f64();
            self.shared.metrics.first_frame.observe(seconds);
        }
        if let Some((_, socket)) = session.path
            && self.batches[socket].is_full()
        {
            self.flush_socket(socket);
        }
    }
}
