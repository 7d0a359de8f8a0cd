//! Metrics of the HTTP side. Routes and methods are bounded sets.

use prometheus::{HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Registry};

use super::registrar::Registrar;

/// Handles to the metrics of the HTTP side. Clones share the values.
#[derive(Clone)]
pub struct HttpMetrics {
    pub requests: IntCounterVec,
    pub seconds: HistogramVec,
    pub rate_limited: IntCounter,
    pub connections: IntGauge,
    pub connections_failed: IntCounterVec,
    pub event_streams: IntGauge,
}

const SECONDS: &[f64] = &[0.001, 0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0];

// === impl HttpMetrics ===

impl HttpMetrics {
    /// Makes the metrics and registers them. Fails when they are registered already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let r = Registrar(registry);
        let options = HistogramOpts::new(
            "stentor_http_request_duration_seconds",
            "From a request's headers to its response's",
        );
        let seconds = HistogramVec::new(options.buckets(SECONDS.to_vec()), &["route"])?;
        registry.register(Box::new(seconds.clone()))?;
        Ok(Self {
            requests: r.counters(
                "stentor_http_requests_total",
                "Requests answered",
                &["route", "method", "code"],
            )?,
            seconds,
            rate_limited: r.counter(
                "stentor_http_rate_limited_total",
                "Requests refused because their address made too many",
            )?,
            connections: r.gauge("stentor_http_connections", "Open connections")?,
            connections_failed: r.counters(
                "stentor_http_connections_failed_total",
                "Connections that came to nothing",
                &["reason"],
            )?,
            event_streams: r
                .gauge("stentor_http_event_streams", "Server-sent event streams being followed")?,
        })
    }
}
