//! Metrics of calls and their web sockets.

use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge, Registry};

use super::registrar::Registrar;

/// Handles to the metrics of calls. Clones share the values.
#[derive(Clone)]
pub struct CallMetrics {
    pub sockets: IntGauge,
    /// Signed in, with a socket or waited for.
    pub devices: IntGauge,
    pub current: IntGauge,
    pub started: IntCounter,
    pub ended: IntCounterVec,
    pub configured: IntCounter,
    pub ring: Histogram,
    pub connect: Histogram,
    pub messages: IntCounter,
    pub refused: IntCounterVec,
    pub closed: IntCounterVec,
}

const RING_SECONDS: &[f64] = &[1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 45.0, 90.0];
const CONNECT_SECONDS: &[f64] = &[0.1, 0.2, 0.4, 0.7, 1.0, 2.0, 5.0, 10.0, 30.0];

// === impl CallMetrics ===

impl CallMetrics {
    /// Makes the metrics and registers them. Fails when they are registered already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let r = Registrar(registry);
        Ok(Self {
            sockets: r.gauge("stentor_calls_sockets", "Open web sockets")?,
            devices: r.gauge(
                "stentor_calls_devices",
                "Devices that are signed in; one whose socket dropped counts until it is given up",
            )?,
            current: r.gauge("stentor_calls_current", "Calls that ring or go on")?,
            started: r.counter("stentor_calls_started_total", "Calls started")?,
            ended: r.counters("stentor_calls_ended_total", "Calls ended", &["reason"])?,
            configured: r.counter(
                "stentor_calls_configured_total",
                "Configurations that calls were given, the first and each change",
            )?,
            ring: r.histogram(
                "stentor_calls_ring_seconds",
                "From an invitation to its answer",
                RING_SECONDS,
            )?,
            connect: r.histogram(
                "stentor_calls_connect_seconds",
                "From an answer to the first media that came directly, as the device reports it",
                CONNECT_SECONDS,
            )?,
            messages: r.counter("stentor_calls_messages_total", "Messages of devices")?,
            refused: r.counters(
                "stentor_calls_refused_total",
                "Messages and sockets refused, by reason",
                &["reason"],
            )?,
            closed: r.counters(
                "stentor_calls_closed_total",
                "Web sockets closed by the server, by reason",
                &["reason"],
            )?,
        })
    }
}
