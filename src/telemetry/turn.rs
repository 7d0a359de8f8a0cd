//! Metrics of STUN and TURN. Threads count in plain integers and add them here once a second, so
//! that a packet costs no atomic operation.

use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry};

use super::registrar::Registrar;

/// Handles to TURN's metrics. Clones share the values.
#[derive(Clone)]
pub struct TurnMetrics {
    /// By the client's transport.
    pub allocations: IntGaugeVec,
    pub connections: IntGauge,
    pub requests: IntCounter,
    pub refused: IntCounterVec,
    pub auth_failures: IntCounterVec,
    pub packets: IntCounterVec,
    pub bytes: IntCounterVec,
    pub dropped: IntCounterVec,
    pub closed: IntCounterVec,
}

// === impl TurnMetrics ===

impl TurnMetrics {
    /// Makes the metrics and registers them. Fails when they are registered already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let r = Registrar(registry);
        Ok(Self {
            allocations: r.gauges(
                "stentor_turn_allocations",
                "Allocations by the client's transport",
                &["transport"],
            )?,
            connections: r.gauge("stentor_turn_connections", "Open TCP and TLS connections")?,
            requests: r.counter("stentor_turn_requests_total", "STUN and TURN requests")?,
            refused: r.counters(
                "stentor_turn_refused_total",
                "Requests refused, by reason; `challenge` is every client's first",
                &["reason"],
            )?,
            auth_failures: r.counters(
                "stentor_turn_auth_failures_total",
                "Requests whose credentials were wrong or had expired",
                &["reason"],
            )?,
            packets: r.counters(
                "stentor_turn_relayed_packets_total",
                "Packets relayed",
                &["direction"],
            )?,
            bytes: r.counters(
                "stentor_turn_relayed_bytes_total",
                "Payload bytes relayed",
                &["direction"],
            )?,
            dropped: r.counters(
                "stentor_turn_dropped_total",
                "Packets not relayed, by reason",
                &["reason"],
            )?,
            closed: r.counters(
                "stentor_turn_connections_closed_total",
                "TCP and TLS connections closed by the server, by reason",
                &["reason"],
            )?,
        })
    }
}
