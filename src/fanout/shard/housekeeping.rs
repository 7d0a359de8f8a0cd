//! What comes with time: sender reports, choices, the end of the dead, metrics.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::super::{EndReason, RenditionChoice, SessionState};
use super::Shard;
use super::choose::INTERVAL;
use super::session::REPORT_INTERVAL;
use super::sessions::Slot;
use super::video::Video;

/// Metrics are handed over this often.
const HOUSEKEEPING: Duration = Duration::from_millis(500);
/// Timers served per turn.
const MAX_TIMERS: usize = 512;

// === impl Shard ===

impl Shard {
    pub(super) fn handle_timers(&mut self) {
        for _ in 0..MAX_TIMERS {
            let Some((at, slot, id)) = self.timers.pop_due(self.now) else { return };
            let current = self.sessions.slot_of(id) == Some(slot);
            let meant = self.sessions.get(slot).is_some_and(|session| session.wake_at == at);
            if current && meant {
                self.look_at(slot);
            }
        }
    }

    fn look_at(&mut self, slot: Slot) {
        let now = self.now;
        let dead_after = self.shared.dead_after;
        let Some(session) = self.sessions.get(slot) else { return };
        let connected = session.state == SessionState::Connected;
        if now.saturating_duration_since(session.transport.last_heard()) >= dead_after {
            let reason = if connected { EndReason::Dead } else { EndReason::NeverConnected };
            self.end(slot, reason);
            return;
        }
        if !connected {
            self.look_at_handshake(slot);
            return;
        }
        if now >= session.next_report {
            self.report(slot);
        }
        let Some(session) = self.sessions.get(slot) else { return };
        let target_due =
            session.video.as_ref().and_then(|v| v.target.as_ref()).is_some_and(|t| now >= t.until);
        if target_due {
            self.plan_target(slot);
        }
        let Some(session) = self.sessions.get(slot) else { return };
        if now >= session.next_choice {
            self.choose(slot);
        }
        let Some(session) = self.sessions.get(slot) else { return };
        // Only a choice among several has to be looked at often.
        let several = session.choice == RenditionChoice::Auto && session.offered().len() > 1;
        session.next_choice = now + if several { INTERVAL } else { REPORT_INTERVAL };
        let until = session.video.as_ref().and_then(|v| v.target.as_ref()).map(|t| t.until);
        let times = [Some(session.next_report), Some(session.next_choice), until];
        let next = times.into_iter().flatten().min().unwrap_or(session.next_report).max(now);
        self.wake(slot, next);
    }

    fn look_at_handshake(&mut self, slot: Slot) {
        let (now, dead_after) = (self.now, self.shared.dead_after);
        let Some(session) = self.sessions.get(slot) else { return };
        if session.transport.next_timeout().is_some_and(|at| now >= at)
            && let Err(error) = session.transport.handle_timeout(now, &mut self.outbox)
        {
            self.fail(slot, &error);
            return;
        }
        let Some(session) = self.sessions.get(slot) else { return };
        let dead_at = session.transport.last_heard() + dead_after;
        let next = session.transport.next_timeout().map_or(dead_at, |at| at.min(dead_at));
        // A timer that is already due would turn the loop without end.
        self.wake(slot, next.max(now + Duration::from_millis(1)));
    }

    fn report(&mut self, slot: Slot) {
        let (mut tools, sessions) = self.tools();
        let now = tools.now;
        let Some(session) = sessions.get(slot) else { return };
        session.next_report = now + REPORT_INTERVAL;
        session.send_reports(&mut tools);
        session.measure(now);
        session.publish_report(now);
        let loss = f64::from(session.loss);
        let rtt = session.estimator.rtt();
        let estimate = session.estimator.estimate(now);
        // A joiner that catches up is sent the past on purpose.
        let current = |video: &&Video| video.current.as_ref().is_some_and(|c| c.catch_up.is_none());
        let latency = session.video.as_ref().filter(current).and_then(|v| v.stream.latency);
        let left_out =
            session.video.as_mut().map_or(0, |video| std::mem::take(&mut video.left_out));
        self.counters.dropped_thinned += left_out;
        let metrics = &self.shared.metrics;
        metrics.loss.observe(loss);
        if let Some(rtt) = rtt {
            metrics.round_trip.observe(rtt.as_secs_f64());
            if let Some(latency) = latency {
                metrics.latency.observe((latency + rtt / 2).as_secs_f64());
            }
        }
        if let Some(estimate) = estimate {
            metrics.estimate.observe(estimate.0 as f64 / 8.0);
        }
    }

    pub(super) fn keep_house(&mut self) {
        if self.now < self.next_housekeeping {
            return;
        }
        self.next_housekeeping = self.now + HOUSEKEEPING;
        let metrics = &self.shared.metrics;
        let busy = self.counters.hand_over(metrics, self.now);
        self.shared.loads[self.index].busy_ppm.store(busy, Ordering::Relaxed);
        for socket in &mut self.sockets {
            let counters = socket.take_counters();
            metrics.sent_messages.inc_by(counters.messages);
            let dropped = &metrics.dropped;
            dropped.with_label_values(&["socket"]).inc_by(counters.dropped_backlog);
            dropped.with_label_values(&["refused"]).inc_by(counters.dropped_refused);
        }
        metrics.dropped.with_label_values(&["inbox"]).inc_by(self.inbox.take_dropped());
        self.count_viewers();
        if self.index == 0 {
            self.hand_over_shared();
        }
    }

    /// Gauges are shared by all shards: each adds its own change.
    fn count_viewers(&mut self) {
        let mut counts: BTreeMap<&'static str, i64> = BTreeMap::new();
        let mut connecting = 0;
        for session in self.sessions.iter() {
            if session.state != SessionState::Connected {
                connecting += 1;
                continue;
            }
            let current = session.video.as_ref().and_then(|video| video.current.as_ref());
            let codec = current.map_or("none", |current| current.track.codec.as_str());
            *counts.entry(codec).or_default() += 1;
        }
        let metrics = &self.shared.metrics;
        for (codec, count) in &counts {
            let before = self.counted.insert(codec, *count).unwrap_or_default();
            metrics.viewers.with_label_values(&[codec]).add(count - before);
        }
        for (codec, before) in &mut self.counted {
            if !counts.contains_key(codec) {
                metrics.viewers.with_label_values(&[codec]).sub(std::mem::take(before));
            }
        }
        metrics.connecting.add(connecting - self.counted_connecting);
        self.counted_connecting = connecting;
    }

    /// What belongs to no shard is the first one's to tell.
    fn hand_over_shared(&self) {
        let metrics = &self.shared.metrics;
        let readers = &self.shared.readers;
        metrics.media_packets.inc_by(readers.packets.swap(0, Ordering::Relaxed));
        metrics.media_bytes.inc_by(readers.bytes.swap(0, Ordering::Relaxed));
        metrics.media_gaps.inc_by(readers.gaps.swap(0, Ordering::Relaxed));
        let dropped = &metrics.dropped;
        let unknown = readers.unknown_track.swap(0, Ordering::Relaxed);
        dropped.with_label_values(&["unknown_track"]).inc_by(unknown);
        let malformed = readers.malformed.swap(0, Ordering::Relaxed);
        dropped.with_label_values(&["malformed_media"]).inc_by(malformed);
        dropped.with_label_values(&["events"]).inc_by(self.shared.events.take_dropped());
        let bytes: usize = self.shared.all_channels().iter().map(|c| c.history_bytes()).sum();
        metrics.history_bytes.set(bytes as i64);
        let busiest = self.shared.loads.iter().map(|load| load.busy_ppm.load(Ordering::Relaxed));
        metrics.busiest_shard.set(busiest.max().unwrap_or_default() as f64 / 1e6);
    }
}
