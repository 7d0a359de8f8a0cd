//! Metrics of the log of events and of whoever ships it.

use prometheus::{IntCounter, IntCounterVec, IntGauge, Registry};

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

/// Handles to the metrics of events on their way to Kafka. Clones share the values.
#[derive(Clone)]
pub struct ShipMetrics {
    pub up: IntGauge,
    pub shipped: IntCounter,
    pub lost: IntCounter,
    pub unreadable: IntCounter,
    pub failures: IntCounter,
    pub waiting: IntGauge,
    pub behind: IntGauge,
}

// === impl ShipMetrics ===

impl ShipMetrics {
    /// Makes the metrics and registers them. Fails when they are registered already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let r = Registrar(registry);
        Ok(Self {
            up: r.gauge("stentor_events_kafka_up", "1 while Kafka takes what it is sent")?,
            shipped: r.counter(
                "stentor_events_shipped_total",
                "Events that Kafka acknowledged, again where they were sent again",
            )?,
            lost: r.counter(
                "stentor_events_unshipped_lost_total",
                "Events that the log's bound threw away before Kafka had them",
            )?,
            unreadable: r.counter(
                "stentor_events_unshipped_unreadable_total",
                "Lines of the log that are damaged, and were not sent to Kafka",
            )?,
            failures: r.counter(
                "stentor_events_kafka_failures_total",
                "Times that Kafka refused an event, and the producer was made anew",
            )?,
            waiting: r.gauge(
                "stentor_events_unacknowledged",
                "Events that were sent to Kafka and not acknowledged yet",
            )?,
            behind: r.gauge(
                "stentor_events_behind_bytes",
                "Bytes of the log that Kafka hasn't acknowledged",
            )?,
        })
    }
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
