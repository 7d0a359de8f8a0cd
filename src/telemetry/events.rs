//! Metrics of the log of events and of whoever ships it.

use prometheus::{IntCounterVec, IntGauge, Registry};

use super::registrar::Registrar;

/// Handles to the events' metrics. Clones share the values.
#[derive(Clone)]
pub struct EventMetrics {
    /// By type.
    pub written: IntCounterVec,
    pub dropped: IntCounterVec,
    pub waiting: IntGauge,
    pub log_bytes: IntGauge,
}

// === impl EventMetrics ===

impl EventMetrics {
    /// Makes the metrics and registers them. Fails when they are registered already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let r = Registrar(registry);
        Ok(Self {
            written: r.counters(
                "stentor_events_written_total",
                "Events written to the log, by type",
                &["type"],
            )?,
            dropped: r.counters(
                "stentor_events_dropped_total",
                "Events that were not logged, by reason",
                &["reason"],
            )?,
            waiting: r.gauge("stentor_events_waiting", "Events that are about to be written")?,
            log_bytes: r.gauge("stentor_events_log_bytes", "Bytes in the log of events")?,
        })
    }
}
