//! Metrics of the analytics engine.

use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge, Registry};

use super::registrar::Registrar;

/// Handles to the analytics engine's metrics. Clones share the values.
#[derive(Clone)]
pub struct AnalyticsMetrics {
    pub events: IntCounter,
    pub passed_over: IntCounterVec,
    pub lost: IntCounter,
    pub waiting: IntGauge,
    pub kafka_up: IntGauge,
    pub lag: IntGauge,
    pub failures: IntCounterVec,
    pub write: Histogram,
    pub settled: IntCounter,
    pub dumps: IntCounter,
    pub dumped_events: IntCounter,
}

const WRITE_SECONDS: &[f64] = &[0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];

// === impl AnalyticsMetrics ===

impl AnalyticsMetrics {
    /// Makes the metrics and registers them. Fails when they are registered already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let r = Registrar(registry);
        Ok(Self {
            events: r.counter("stentor_analytics_events_total", "Events in the roll-ups")?,
            passed_over: r.counters(
                "stentor_analytics_passed_over_total",
                "Events that aren't in the roll-ups, by reason: `repeated` was had before, \
                 `unreadable` is damaged",
                &["reason"],
            )?,
            lost: r.counter(
                "stentor_analytics_lost_total",
                "Events that the log threw away before they were read, at most",
            )?,
            waiting: r.gauge(
                "stentor_analytics_waiting",
                "What of the source was not read yet: bytes of the log, or events of the broker",
            )?,
            kafka_up: r.gauge(
                "stentor_analytics_kafka_up",
                "Whether a broker answers, where events are read from Kafka",
            )?,
            lag: r.gauge(
                "stentor_analytics_lag_seconds",
                "How old the last event was when it was taken into the roll-ups",
            )?,
            failures: r.counters(
                "stentor_analytics_failures_total",
                "What failed and is tried again: `read`, `write`, `dump`",
                &["what"],
            )?,
            write: r.histogram(
                "stentor_analytics_write_seconds",
                "How long a batch's transaction took",
                WRITE_SECONDS,
            )?,
            settled: r.counter(
                "stentor_analytics_settled_total",
                "Calls and viewers that ended because their node is gone",
            )?,
            dumps: r.counter("stentor_analytics_dumps_total", "Parts of hours that were dumped")?,
            dumped_events: r
                .counter("stentor_analytics_dumped_events_total", "Events in those parts")?,
        })
    }
}
