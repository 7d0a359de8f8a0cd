//! Metrics of recordings.

use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge, Registry};

use super::registrar::Registrar;

/// Handles to the metrics of recordings. Clones share the values.
#[derive(Clone)]
pub struct RecordingMetrics {
    pub current: IntGauge,
    pub started: IntCounterVec,
    pub ended: IntCounterVec,
    pub troubles: IntCounterVec,
    pub spool_bytes: IntGauge,
    pub shipped: IntCounter,
    pub shipped_bytes: IntCounter,
    pub ship_failures: IntCounter,
    pub left_out: IntCounterVec,
    pub files: IntCounterVec,
    pub file_bytes: IntCounter,
    pub file_seconds: Histogram,
    pub notices: IntCounterVec,
    pub database_errors: IntCounter,
}

// === impl RecordingMetrics ===

impl RecordingMetrics {
    /// Makes the metrics and registers them. Fails when they are registered already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let r = Registrar(registry);
        Ok(Self {
            current: r.gauge("stentor_recordings", "Recordings that go on")?,
            started: r.counters(
                "stentor_recordings_started_total",
                "Recordings that began, of calls and of channels",
                &["kind"],
            )?,
            ended: r.counters(
                "stentor_recordings_ended_total",
                "Recordings that ended, by what came of them: ready or failed",
                &["outcome"],
            )?,
            troubles: r.counters(
                "stentor_recording_troubles_total",
                "Times when something wasn't recorded: for want of room (full) or otherwise",
                &["cause"],
            )?,
            spool_bytes: r.gauge(
                "stentor_recording_spool_bytes",
                "What workers wrote and isn't in the chunk store yet",
            )?,
            shipped: r.counter(
                "stentor_recording_chunks_shipped_total",
                "Chunks that are in the chunk store",
            )?,
            shipped_bytes: r.counter(
                "stentor_recording_shipped_bytes_total",
                "Bytes that went into the chunk store",
            )?,
            ship_failures: r.counter(
                "stentor_recording_ship_failures_total",
                "Times when a chunk could not be put into the chunk store",
            )?,
            left_out: r.counters(
                "stentor_recording_chunks_left_out_total",
                "Chunks that are in no file: the spool was full (spool), or they were damaged \
                 (damaged)",
                &["cause"],
            )?,
            files: r.counters(
                "stentor_recording_files_total",
                "Attempts to make a recording's files, by what came of them: made, failed (tried \
                 again), interrupted (that too, and it doesn't count) or given_up",
                &["outcome"],
            )?,
            file_bytes: r
                .counter("stentor_recording_file_bytes_total", "Bytes of files that were made")?,
            file_seconds: r.histogram(
                "stentor_recording_file_seconds",
                "How long it took to make a recording's files",
                &[0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0],
            )?,
            notices: r.counters(
                "stentor_recording_notices_total",
                "People told of a recording, by way and by what came of it: told, failed \
                 (tried again) or given_up",
                &["way", "outcome"],
            )?,
            database_errors: r.counter(
                "stentor_recording_database_errors_total",
                "What the catalogue of recordings didn't do",
            )?,
        })
    }
}
