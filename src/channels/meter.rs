//! A worker's totals, as metrics and rates. A new worker counts from zero; the metrics go on.

use std::collections::HashMap;
use std::time::Instant;

use stentor_protocol::control::{RungStats, WorkerStats};
use stentor_protocol::spec::{Backend, Codec};
use stentor_protocol::units::TrackId;

use super::status::RateMeter;
use crate::telemetry::channels::ChannelMetrics;

/// One worker's life.
#[derive(Default)]
pub struct Meter {
    last: WorkerStats,
    source: RateMeter,
    rungs: HashMap<TrackId, RungMeter>,
}

/// What a rendition comes to over the last seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RungRate {
    /// In bits per second.
    pub bitrate: Option<u64>,
    /// Encoding of one frame.
    pub encode_ms: Option<f64>,
}

#[derive(Default)]
struct RungMeter {
    bytes: RateMeter,
    encode_ms: Option<f64>,
}

// === impl Meter ===

impl Meter {
    /// Adds what has grown since the last call. `codec_of` names a track's codec.
    pub fn handle_stats(
        &mut self,
        channel: &str,
        stats: &WorkerStats,
        codec_of: impl Fn(TrackId) -> Option<Codec>,
        metrics: &ChannelMetrics,
        now: Instant,
    ) {
        let last = &self.last;
        for (counters, new, old) in [
            (&metrics.source_bytes, stats.source_bytes, last.source_bytes),
            (&metrics.source_reconnects, stats.source_reconnects, last.source_reconnects),
            (&metrics.frames_decoded, stats.frames_decoded, last.frames_decoded),
            (&metrics.decode_errors, stats.decode_errors, last.decode_errors),
            (&metrics.slate_frames, stats.slate_frames, last.slate_frames),
            (&metrics.encoder_rebuilds, stats.encoder_rebuilds, last.encoder_rebuilds),
            (&metrics.bus_bytes, stats.bus_bytes, last.bus_bytes),
            (&metrics.media_packets, stats.media_packets, last.media_packets),
        ] {
            counters.with_label_values(&[channel]).inc_by(new.saturating_sub(old));
        }
        for (queue, new, old) in [
            ("media_socket", stats.media_dropped, last.media_dropped),
            ("stage", stats.frames_dropped, last.frames_dropped),
        ] {
            metrics.dropped.with_label_values(&[channel, queue]).inc_by(new.saturating_sub(old));
        }
        let decode = (stats.decode_seconds - last.decode_seconds).max(0.0);
        metrics.decode_seconds.with_label_values(&[channel]).inc_by(decode);
        metrics
            .pipeline_latency
            .with_label_values(&[channel])
            .set(stats.pipeline_latency_ms / 1000.0);

        self.source.handle_total(stats.source_bytes, now);
        self.rungs.retain(|track, _| stats.rungs.iter().any(|r| r.track == *track));
        for rung in &stats.rungs {
            let before = self.last.rungs.iter().find(|r| r.track == rung.track);
            let meter = self.rungs.entry(rung.track).or_default();
            meter.bytes.handle_total(rung.bytes, now);
            meter.encode_ms = before.and_then(|b| encode_ms(b, rung)).or(meter.encode_ms);
            if let Some(codec) = codec_of(rung.track) {
                self.add_rung(channel, rung, codec, metrics);
            }
        }
        self.last.clone_from(stats);
    }

    /// What the source sends, in bits per second.
    pub fn source_rate(&self) -> Option<u64> {
        self.source.rate()
    }

    pub fn rung_rate(&self, track: TrackId) -> Option<RungRate> {
        let meter = self.rungs.get(&track)?;
        Some(RungRate { bitrate: meter.bytes.rate(), encode_ms: meter.encode_ms })
    }

    fn add_rung(&self, channel: &str, rung: &RungStats, codec: Codec, metrics: &ChannelMetrics) {
        // A rung that was started again counts from zero too.
        let old = self.last.rungs.iter().find(|o| o.track == rung.track && o.frames <= rung.frames);
        let since = |of: fn(&RungStats) -> f64| (of(rung) - old.map_or(0.0, of)).max(0.0);
        let labels = &[channel, codec.as_str(), backend_label(rung.backend)];
        let frames = rung.frames - old.map_or(0, |o| o.frames);
        metrics.encoded_frames.with_label_values(labels).inc_by(frames);
        metrics.encode_seconds.with_label_values(labels).inc_by(since(|r| r.encode_seconds));
        metrics.scale_seconds.with_label_values(labels).inc_by(since(|r| r.scale_seconds));
    }
}

/// Between two reports; None where no frame was encoded, or the rung was started again.
fn encode_ms(before: &RungStats, now: &RungStats) -> Option<f64> {
    let frames = now.frames.checked_sub(before.frames).filter(|&f| f > 0)?;
    let seconds = now.encode_seconds - before.encode_seconds;
    (seconds >= 0.0).then(|| seconds * 1000.0 / frames as f64)
}

/// What passes through has no backend.
pub fn backend_label(backend: Option<Backend>) -> &'static str {
    backend.map_or("none", Backend::as_str)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use prometheus::Registry;

    use super::*;

    #[test]
    fn a_new_worker_counts_from_zero_and_the_metric_goes_on() {
        let metrics = ChannelMetrics::register(&Registry::new()).unwrap();
        let frames = metrics.frames_decoded.with_label_values(&["a"]);
        let stats = |n| WorkerStats { frames_decoded: n, ..WorkerStats::default() };
        let t0 = Instant::now();
        let mut first = Meter::default();
        first.handle_stats("a", &stats(10), |_| None, &metrics, t0);
        first.handle_stats("a", &stats(30), |_| None, &metrics, t0);
        let mut second = Meter::default();
        second.handle_stats("a", &stats(5), |_| None, &metrics, t0);
        assert_eq!(frames.get(), 35);
    }

    #[test]
    fn rungs_are_counted_by_codec_and_backend_and_have_a_rate() {
        let metrics = ChannelMetrics::register(&Registry::new()).unwrap();
        let rung = |frames, bytes| WorkerStats {
            rungs: vec![RungStats {
                track: TrackId(4),
                backend: Some(Backend::Software),
                frames,
                keyframes: 1,
                bytes,
                encode_seconds: frames as f64 / 100.0,
                scale_seconds: 0.0,
            }],
            ..WorkerStats::default()
        };
        let t0 = Instant::now();
        let mut meter = Meter::default();
        let codec = |_| Some(Codec::Vp8);
        meter.handle_stats("a", &rung(30, 1000), codec, &metrics, t0);
        meter.handle_stats("a", &rung(60, 2000), codec, &metrics, t0 + Duration::from_secs(1));
        let labels = &["a", "vp8", "software"];
        assert_eq!(metrics.encoded_frames.with_label_values(labels).get(), 60);
        assert!((metrics.encode_seconds.with_label_values(labels).get() - 0.6).abs() < 1e-9);
        let rate = meter.rung_rate(TrackId(4)).unwrap();
        assert_eq!(rate.bitrate, Some(8000));
        assert!((rate.encode_ms.unwrap() - 10.0).abs() < 1e-6);
        // The rung was stopped and started again.
        meter.handle_stats("a", &rung(5, 10), codec, &metrics, t0 + Duration::from_secs(2));
        assert_eq!(metrics.encoded_frames.with_label_values(labels).get(), 65);
    }
}
