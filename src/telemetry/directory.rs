//! Metrics of the directory: whether other nodes can be reached, and what goes between them.

use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge, Registry};

use super::registrar::Registrar;

/// Handles to the directory's metrics. Clones share the values.
#[derive(Clone)]
pub struct DirectoryMetrics {
    pub up: IntGauge,
    pub nodes: IntGauge,
    pub sent: IntCounter,
    pub received: IntCounter,
    pub dropped: IntCounterVec,
    pub failed: IntCounterVec,
    pub refused: IntCounterVec,
    pub round_trip: Histogram,
}

const ROUND_TRIP_SECONDS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0];

// === impl DirectoryMetrics ===

impl DirectoryMetrics {
    /// Makes the metrics and registers them. Fails when they are registered already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let r = Registrar(registry);
        Ok(Self {
            up: r.gauge(
                "stentor_directory_up",
                "Whether other nodes can be reached: 1 or 0; always 1 where there is no Redis",
            )?,
            nodes: r.gauge("stentor_directory_nodes", "Nodes that live, this one among them")?,
            sent: r.counter(
                "stentor_directory_sent_total",
                "Frames put into other nodes' inboxes, acknowledgements and repetitions included",
            )?,
            received: r
                .counter("stentor_directory_received_total", "Messages taken from other nodes")?,
            dropped: r.counters(
                "stentor_directory_dropped_total",
                "Frames not taken, by reason: `repeated` was taken before, `early` comes again, \
                 `unreadable` is damaged",
                &["reason"],
            )?,
            failed: r.counters(
                "stentor_directory_failed_total",
                "Messages to other nodes that aren't known to have arrived, by reason",
                &["reason"],
            )?,
            refused: r.counters(
                "stentor_directory_refused_total",
                "Messages taken from other nodes and not followed, by reason: `unreadable`, \
                 `not_owner` is about a call that isn't its node's, `not_yours` about a device \
                 that isn't there",
                &["reason"],
            )?,
            round_trip: r.histogram(
                "stentor_directory_round_trip_seconds",
                "From a message's sending to another node to the node's acknowledgement",
                ROUND_TRIP_SECONDS,
            )?,
        })
    }
}
