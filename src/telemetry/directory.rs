//! Metrics of the directory: whether other nodes can be reached, and what goes between them.

use prometheus::{IntCounter, IntCounterVec, IntGauge, Registry};

use super::registrar::Registrar;

/// Handles to the directory's metrics. Clones share the values.
#[derive(Clone)]
pub struct DirectoryMetrics {
    pub up: IntGauge,
    pub nodes: IntGauge,
    pub sent: IntCounter,
    pub received: IntCounter,
    pub dropped: IntCounterVec,
}

// === impl DirectoryMetrics ===

impl DirectoryMetrics {
    /// Makes the metrics and registers them. Fails when they are registered already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let r = Registrar(registry);
        Ok(Self {
            up: r.gauge("stentor_directory_up", "Whether Redis is there: 1 or 0")?,
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
        })
    }
}
