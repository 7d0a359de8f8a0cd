//! What a run came to.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::histogram::Histogram;
use super::viewer::{Stage, Viewer};

/// A run's result. Times in ms, rates in bits per second.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    pub viewers: u64,
    /// ICE and DTLS came about.
    pub connected: u64,
    /// The first keyframe was complete.
    pub played: u64,
    /// Viewers that didn't play, or not to the end, by reason.
    pub failed: BTreeMap<String, u64>,
    /// From the offer's departure to the end of the DTLS handshake.
    pub time_to_connect_ms: Quantiles,
    /// From the offer's departure to the last packet of the first keyframe with its parameters.
    /// Nothing is decoded here.
    pub time_to_first_complete_keyframe_ms: Quantiles,
    /// Pictures that could be decoded.
    pub pictures: u64,
    pub packets_received: u64,
    /// Of these, those that were repaired by retransmission or came late.
    pub packets_recovered: u64,
    /// Packets that never came, among those up to the last one that did.
    pub packets_lost: u64,
    /// Packets that the run itself dropped on arrival, as asked.
    pub packets_dropped_on_purpose: u64,
    pub keyframe_requests: u64,
    /// Intervals between pictures above max(3 × mean, mean + 150 ms), as in webrtc-stats.
    pub freezes: u64,
    pub frozen_ms: f64,
    pub longest_freeze_ms: f64,
    /// Mean of media per playing viewer, retransmissions included.
    pub bitrate_bps_per_viewer: f64,
    /// Capture to complete picture, by abs-capture-time or sender reports, without the first 2 s
    /// of each viewer. Both clocks must agree, as they do on one machine.
    pub latency_ms: Option<Latency>,
    pub elapsed_s: f64,
    /// User and system time of this process.
    pub cpu_s: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Quantiles {
    pub p50: Option<f64>,
    pub p95: Option<f64>,
    pub max: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Latency {
    pub pictures: u64,
    #[serde(flatten)]
    pub quantiles: Quantiles,
}

/// Sums up viewers, thread by thread.
#[derive(Default)]
pub(super) struct Tally {
    viewers: u64,
    connected: u64,
    played: u64,
    failed: BTreeMap<String, u64>,
    to_connect: Histogram,
    to_keyframe: Histogram,
    pub latency: Histogram,
    pictures: u64,
    received: u64,
    recovered: u64,
    lost: u64,
    dropped: u64,
    requests: u64,
    freezes: u64,
    frozen: Duration,
    longest: Duration,
    bytes: u64,
    playing: Duration,
}

// === impl Tally ===

impl Tally {
    /// A viewer that could not even be made.
    pub fn add_stillborn(&mut self, reason: String) {
        self.viewers += 1;
        *self.failed.entry(reason).or_default() += 1;
    }

    pub fn add(&mut self, viewer: &Viewer, now: Instant) {
        self.viewers += 1;
        let seen = &viewer.seen;
        if let Some(at) = seen.connected_at {
            self.connected += 1;
            self.to_connect.add(at.duration_since(viewer.began));
        }
        if let Some(at) = seen.playing_at {
            self.played += 1;
            self.to_keyframe.add(at.duration_since(viewer.began));
            self.playing += now.duration_since(at);
            self.bytes += seen.bytes;
        }
        let reason = match &viewer.stage {
            Stage::Playing => None,
            Stage::Failed(reason) => Some(reason.as_str()),
            Stage::Joining => Some("no response before the end"),
            Stage::Connecting => Some("not connected before the end"),
            Stage::Connected => Some("no keyframe before the end"),
        };
        if let Some(reason) = reason {
            *self.failed.entry(reason.to_owned()).or_default() += 1;
        }
        self.pictures += seen.smoothness.pictures;
        for loss in [&seen.video, &seen.audio] {
            self.received += loss.received;
            self.recovered += loss.recovered;
            self.lost += loss.lost();
        }
        self.dropped += seen.dropped;
        self.requests += seen.keyframe_requests;
        self.freezes += u64::from(seen.smoothness.freezes);
        self.frozen += seen.smoothness.frozen;
        self.longest = self.longest.max(seen.smoothness.longest);
    }

    pub fn merge(&mut self, other: Self) {
        self.viewers += other.viewers;
        self.connected += other.connected;
        self.played += other.played;
        for (reason, count) in other.failed {
            *self.failed.entry(reason).or_default() += count;
        }
        self.to_connect.merge(&other.to_connect);
        self.to_keyframe.merge(&other.to_keyframe);
        self.latency.merge(&other.latency);
        self.pictures += other.pictures;
        self.received += other.received;
        self.recovered += other.recovered;
        self.lost += other.lost;
        self.dropped += other.dropped;
        self.requests += other.requests;
        self.freezes += other.freezes;
        self.frozen += other.frozen;
        self.longest = self.longest.max(other.longest);
        self.bytes += other.bytes;
        self.playing += other.playing;
    }

    pub fn summary(self, elapsed: Duration, cpu: Duration) -> Summary {
        let playing_s = self.playing.as_secs_f64();
        let latency =
            Latency { pictures: self.latency.count(), quantiles: Quantiles::of(&self.latency) };
        Summary {
            viewers: self.viewers,
            connected: self.connected,
            played: self.played,
            failed: self.failed,
            time_to_connect_ms: Quantiles::of(&self.to_connect),
            time_to_first_complete_keyframe_ms: Quantiles::of(&self.to_keyframe),
            pictures: self.pictures,
            packets_received: self.received,
            packets_recovered: self.recovered,
            packets_lost: self.lost,
            packets_dropped_on_purpose: self.dropped,
            keyframe_requests: self.requests,
            freezes: self.freezes,
            frozen_ms: self.frozen.as_secs_f64() * 1000.0,
            longest_freeze_ms: self.longest.as_secs_f64() * 1000.0,
            bitrate_bps_per_viewer: if playing_s > 0.0 {
                self.bytes as f64 * 8.0 / playing_s
            } else {
                0.0
            },
            latency_ms: (latency.pictures > 0).then_some(latency),
            elapsed_s: elapsed.as_secs_f64(),
            cpu_s: cpu.as_secs_f64(),
        }
    }
}

// === impl Quantiles ===

impl Quantiles {
    pub(super) fn of(histogram: &Histogram) -> Self {
        Self {
            p50: histogram.quantile_ms(0.5),
            p95: histogram.quantile_ms(0.95),
            max: histogram.quantile_ms(1.0),
        }
    }
}

impl fmt::Display for Quantiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.p50, self.p95, self.max) {
            (Some(p50), Some(p95), Some(max)) => {
                write!(f, "p50 {p50:.0} ms, p95 {p95:.0} ms, max {max:.0} ms")
            }
            _ => f.write_str("none"),
        }
    }
}

// === impl Summary ===

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "viewers           {} of {} played", self.played, self.viewers)?;
        writeln!(f, "connected         {}, {}", self.connected, self.time_to_connect_ms)?;
        for (reason, count) in &self.failed {
            writeln!(f, "failed            {count}: {reason}")?;
        }
        let first = self.time_to_first_complete_keyframe_ms;
        writeln!(f, "first keyframe    {first} (complete, not decoded)")?;
        writeln!(
            f,
            "packets           {} received, {} recovered, {} lost, {} dropped on purpose",
            self.packets_received,
            self.packets_recovered,
            self.packets_lost,
            self.packets_dropped_on_purpose
        )?;
        writeln!(
            f,
            "pictures          {}, {} freezes ({:.0} ms, longest {:.0} ms), {} keyframe requests",
            self.pictures,
            self.freezes,
            self.frozen_ms,
            self.longest_freeze_ms,
            self.keyframe_requests
        )?;
        writeln!(f, "bitrate           {:.0} kb/s a viewer", self.bitrate_bps_per_viewer / 1000.0)?;
        match &self.latency_ms {
            Some(latency) => writeln!(
                f,
                "latency           {} (capture to complete picture, {} pictures)",
                latency.quantiles, latency.pictures
            )?,
            None => writeln!(f, "latency           unknown: no capture times")?,
        }
        let share = 100.0 * self.cpu_s / self.elapsed_s.max(0.001);
        write!(f, "this process      {:.1} s, {share:.0} % of a core", self.elapsed_s)
    }
}
