//! Metrics of calls and their web sockets.

use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry};

use super::registrar::Registrar;
use crate::calls::hub::MediaCounts;

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
    directions: IntGaugeVec,
    legs: IntGaugeVec,
    pub moves: IntCounterVec,
    pub arranged: IntCounterVec,
    pub endings_dropped: IntCounter,
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
            directions: r.gauges(
                "stentor_calls_directions",
                "Directions from one participant who sends to another, by the way they take",
                &["path"],
            )?,
            legs: r.gauges(
                "stentor_calls_legs",
                "Ways of participants to the server (publish) and from it (watch) that are wanted",
                &["kind"],
            )?,
            moves: r.counters(
                "stentor_calls_moves_total",
                "Directions that took another way, by where they went and why",
                &["to", "cause"],
            )?,
            arranged: r.counters(
                "stentor_calls_topology_changes_total",
                "Calls moved from mesh to server and back",
                &["to"],
            )?,
            endings_dropped: r.counter(
                "stentor_calls_endings_dropped_total",
                "Calls whose end wasn't told to their chat, because too many ended at once",
            )?,
        })
    }

    pub fn set_media(&self, counts: MediaCounts) {
        self.directions.with_label_values(&["direct"]).set(counts.direct);
        self.directions.with_label_values(&["server"]).set(counts.served);
        self.legs.with_label_values(&["publish"]).set(counts.publishers);
        self.legs.with_label_values(&["watch"]).set(counts.watchers);
    }
}
