//! What a shard counts in plain integers between two hand-overs to the metrics.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::super::transport::DropReason;
use super::stream::SentAmount;
use crate::telemetry::fanout::FanoutMetrics;

#[derive(Default)]
pub struct Counters {
    pub sent: SentAmount,
    pub nacked: u64,
    pub retransmitted: u64,
    pub padding_bytes: u64,
    pub plis: u64,
    pub keyframes_asked: u64,
    pub switches_up: u64,
    pub switches_down: u64,
    pub stun: u64,
    pub dtls: u64,
    pub rtcp: u64,
    pub rtp: u64,
    /// Datagrams that were not taken, by reason.
    pub refused: BTreeMap<&'static str, u64>,
    /// Handshake datagrams that found their queue full.
    pub dropped_handshakes: u64,
    /// Bursts that were gone from the history before this shard came to them.
    pub dropped_late: u64,
    /// Pictures left out because a viewer's path carries less.
    pub dropped_thinned: u64,
    /// Time spent working since the last hand-over.
    pub busy: Duration,
    since: Option<Instant>,
}

// === impl Counters ===

impl Counters {
    pub fn refuse(&mut self, reason: DropReason) {
        *self.refused.entry(reason.as_str()).or_default() += 1;
    }

    /// Adds everything to the metrics and begins anew. Gives the share of time spent working,
    /// in millionths.
    pub fn hand_over(&mut self, metrics: &FanoutMetrics, now: Instant) -> u64 {
        let taken = std::mem::take(self);
        let elapsed = taken.since.map_or(Duration::ZERO, |since| now - since);
        self.since = Some(now);
        metrics.sent_bytes.inc_by(taken.sent.bytes);
        metrics.sent_packets.inc_by(taken.sent.packets);
        metrics.nacked_packets.inc_by(taken.nacked);
        metrics.retransmitted_packets.inc_by(taken.retransmitted);
        metrics.padding_bytes.inc_by(taken.padding_bytes);
        let labelled = [
            (&metrics.keyframe_requests, "viewer", taken.plis),
            (&metrics.keyframe_requests, "encoder", taken.keyframes_asked),
            (&metrics.switches, "up", taken.switches_up),
            (&metrics.switches, "down", taken.switches_down),
            (&metrics.received_datagrams, "stun", taken.stun),
            (&metrics.received_datagrams, "dtls", taken.dtls),
            (&metrics.received_datagrams, "rtcp", taken.rtcp),
            (&metrics.received_datagrams, "rtp", taken.rtp),
            (&metrics.dropped, "handshakes", taken.dropped_handshakes),
            (&metrics.dropped, "late_bursts", taken.dropped_late),
            (&metrics.dropped, "narrow_path", taken.dropped_thinned),
        ];
        for (counter, label, count) in labelled {
            counter.with_label_values(&[label]).inc_by(count);
        }
        for (reason, count) in taken.refused {
            metrics.refused_datagrams.with_label_values(&[reason]).inc_by(count);
        }
        if elapsed.is_zero() {
            return 0;
        }
        (taken.busy.as_secs_f64() / elapsed.as_secs_f64() * 1e6) as u64
    }
}
