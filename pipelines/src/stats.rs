//! What the worker counts, and the report it makes of it once a second.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use stentor_protocol::WorkerStats;
use stentor_protocol::control::RungStats;

use crate::media::MediaTotals;

/// Totals since the worker's start. Written from every thread, read once a second.
#[derive(Debug, Default)]
pub struct Meters {
    pub source_bytes: AtomicU64,
    pub source_video_units: AtomicU64,
    pub source_audio_units: AtomicU64,
    pub source_reconnects: AtomicU64,
    pub frames_decoded: AtomicU64,
    pub decode_ns: AtomicU64,
    pub decode_errors: AtomicU64,
    pub bus_bytes: AtomicU64,
    /// Units and frames dropped in front of a busy stage.
    pub frames_dropped: AtomicU64,
    pub slate_frames: AtomicU64,
    /// Of chunks that are whole.
    pub recorded_bytes: AtomicU64,
    /// Units that were not recorded: before a keyframe, or for want of room or speed.
    pub recording_dropped: AtomicU64,
    pub encoder_rebuilds: AtomicU64,
    /// The decoder's name; empty while none runs.
    pub decoder: Mutex<String>,
    latency: Mean,
}

/// A mean over the time between two readings.
#[derive(Debug, Default)]
struct Mean {
    sum: AtomicU64,
    count: AtomicU64,
}

// === impl Meters ===

impl Meters {
    pub fn add(counter: &AtomicU64, amount: u64) {
        counter.fetch_add(amount, Relaxed);
    }

    /// A unit was handed over this long after its capture.
    pub fn record_latency(&self, ns: u64) {
        self.latency.sum.fetch_add(ns, Relaxed);
        self.latency.count.fetch_add(1, Relaxed);
    }

    pub fn set_decoder(&self, name: &str) {
        let mut decoder = self.decoder.lock().unwrap_or_else(PoisonError::into_inner);
        name.clone_into(&mut decoder);
    }

    /// The second's report.
    pub fn report(&self, media: MediaTotals, rungs: Vec<RungStats>) -> WorkerStats {
        let read = |counter: &AtomicU64| counter.load(Relaxed);
        WorkerStats {
            source_bytes: read(&self.source_bytes),
            source_video_units: read(&self.source_video_units),
            source_audio_units: read(&self.source_audio_units),
            frames_decoded: read(&self.frames_decoded),
            decode_seconds: read(&self.decode_ns) as f64 / 1e9,
            decoder: self.decoder.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            decode_errors: read(&self.decode_errors),
            bus_bytes: read(&self.bus_bytes),
            media_packets: media.packets,
            media_bytes: media.bytes,
            media_dropped: media.dropped,
            frames_dropped: read(&self.frames_dropped),
            slate_frames: read(&self.slate_frames),
            recorded_bytes: read(&self.recorded_bytes),
            recording_dropped: read(&self.recording_dropped),
            source_reconnects: read(&self.source_reconnects),
            encoder_rebuilds: read(&self.encoder_rebuilds),
            pipeline_latency_ms: self.latency.take() / 1e6,
            rungs,
        }
    }
}

// === impl Mean ===

impl Mean {
    /// The mean since the last call; 0 where there was nothing.
    fn take(&self) -> f64 {
        let (sum, count) = (self.sum.swap(0, Relaxed), self.count.swap(0, Relaxed));
        if count == 0 { 0.0 } else { sum as f64 / count as f64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latency_is_the_mean_of_the_last_second_and_totals_stay() {
        let meters = Meters::default();
        Meters::add(&meters.slate_frames, 3);
        meters.record_latency(1_000_000);
        meters.record_latency(3_000_000);
        let first = meters.report(MediaTotals::default(), Vec::new());
        assert_eq!((first.pipeline_latency_ms, first.slate_frames), (2.0, 3));
        let second = meters.report(MediaTotals::default(), Vec::new());
        assert_eq!((second.pipeline_latency_ms, second.slate_frames), (0.0, 3));
    }
}
