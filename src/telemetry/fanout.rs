//! The fan-out's metrics. Shards count in plain integers and add them here a few times a
//! second, so that a packet costs no atomic operation.

use prometheus::{
    Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry,
};

use super::registrar::forget;
use crate::channels::settings::is_call_channel;

/// Handles to the fan-out's metrics. Clones share the values.
#[derive(Clone)]
pub struct FanoutMetrics {
    /// Connected viewers by video codec.
    pub viewers: IntGaugeVec,
    /// Sessions whose ICE and DTLS are under way.
    pub connecting: IntGauge,
    pub joins: IntCounter,
    pub join_failures: IntCounterVec,
    pub ended: IntCounterVec,
    pub first_frame: Histogram,
    pub handshake: Histogram,
    /// By channel, rendition and codec.
    pub rendition_latency: HistogramVec,
    pub sent_bytes: IntCounter,
    pub sent_packets: IntCounter,
    /// Datagram messages given to the kernel; one GSO message is one.
    pub sent_messages: IntCounter,
    pub received_datagrams: IntCounterVec,
    pub refused_datagrams: IntCounterVec,
    pub dropped: IntCounterVec,
    pub nacked_packets: IntCounter,
    pub retransmitted_packets: IntCounter,
    pub keyframe_requests: IntCounterVec,
    pub switches: IntCounterVec,
    pub padding_bytes: IntCounter,
    pub estimate: Histogram,
    pub loss: Histogram,
    pub round_trip: Histogram,
    /// From capture to arrival, as far as a server can tell.
    pub latency: Histogram,
    /// Fraction of the last interval that the busiest shard spent working, 0 to 1.
    pub busiest_shard: Gauge,
    pub media_packets: IntCounter,
    pub media_bytes: IntCounter,
    pub media_gaps: IntCounter,
    pub history_bytes: IntGauge,
}

/// From 100 kb/s to 20 Mb/s.
const BYTE_RATES: &[f64] =
    &[12_500.0, 31_250.0, 62_500.0, 125e3, 187_500.0, 312_500.0, 500e3, 750e3, 1.25e6, 2.5e6];
const SECONDS: &[f64] = &[0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0];
const LATENCIES: &[f64] =
    &[0.005, 0.01, 0.02, 0.03, 0.04, 0.06, 0.08, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0];
const FRACTIONS: &[f64] = &[0.0, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5];

// === impl FanoutMetrics ===

impl FanoutMetrics {
    /// Makes the metrics and registers them. Fails when they are registered already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let made = Self {
            viewers: gauges("viewers", "Connected viewers by video codec", "codec")?,
            connecting: IntGauge::new(
                "stentor_fanout_connecting",
                "Viewers whose ICE and DTLS are under way",
            )?,
            joins: counter("joins_total", "Viewers let in")?,
            join_failures: counters("join_failures_total", "Viewers refused by reason", "reason")?,
            ended: counters("sessions_ended_total", "Viewer sessions ended by reason", "reason")?,
            first_frame: histogram(
                "first_frame_seconds",
                "Join request to the first picture sent to the viewer",
                SECONDS,
            )?,
            handshake: histogram(
                "handshake_seconds",
                "Join request to the end of ICE and DTLS",
                SECONDS,
            )?,
            rendition_latency: HistogramVec::new(
                HistogramOpts::new(
                    "stentor_rendition_latency_seconds",
                    "Absolute capture time of a picture or packet of sound to its sending to the \
                     last of its viewers; with the network it is stentor_fanout_latency_seconds",
                )
                .buckets(LATENCIES.to_vec()),
                &["channel", "rendition", "codec"],
            )?,
            sent_bytes: counter("sent_bytes_total", "UDP payload sent to viewers")?,
            sent_packets: counter("sent_packets_total", "Packets sent to viewers")?,
            sent_messages: counter(
                "sent_messages_total",
                "Messages given to the kernel; one carries up to a frame of packets",
            )?,
            received_datagrams: counters(
                "received_datagrams_total",
                "Datagrams from viewers by kind",
                "kind",
            )?,
            refused_datagrams: counters(
                "refused_datagrams_total",
                "Datagrams not taken by reason",
                "reason",
            )?,
            dropped: counters(
                "dropped_total",
                "What a full queue or path dropped, by queue",
                "queue",
            )?,
            nacked_packets: counter(
                "nacked_packets_total",
                "Packets that viewers asked for again",
            )?,
            retransmitted_packets: counter("retransmitted_packets_total", "Packets sent again")?,
            keyframe_requests: counters(
                "keyframe_requests_total",
                "Keyframe requests: from viewers, and passed on to encoders",
                "side",
            )?,
            switches: counters("switches_total", "Rendition switches by direction", "direction")?,
            padding_bytes: counter("padding_bytes_total", "Bytes sent only to probe bandwidth")?,
            estimate: histogram(
                "estimate_bytes_per_second",
                "Bandwidth estimates of viewers, sampled once a second",
                BYTE_RATES,
            )?,
            loss: histogram(
                "loss_ratio",
                "Loss reported by viewers, sampled once a second",
                FRACTIONS,
            )?,
            round_trip: histogram(
                "round_trip_seconds",
                "Round-trip times of viewers, sampled once a second",
                SECONDS,
            )?,
            latency: histogram(
                "latency_seconds",
                "From a picture's capture to its arrival at the viewer: sending time less capture \
                 time, and half of the round trip; sampled once a second",
                LATENCIES,
            )?,
            busiest_shard: Gauge::new(
                "stentor_fanout_busiest_shard_ratio",
                "Fraction of time that the busiest shard spends working",
            )?,
            media_packets: counter("media_packets_total", "Packets received from workers")?,
            media_bytes: counter("media_bytes_total", "RTP bytes received from workers")?,
            media_gaps: counter("media_gaps_total", "Gaps in the media received from workers")?,
            history_bytes: IntGauge::new(
                "stentor_fanout_history_bytes",
                "Bytes held for joiners and retransmissions",
            )?,
        };
        made.register_all(registry)?;
        Ok(made)
    }

    fn register_all(&self, registry: &Registry) -> Result<(), prometheus::Error> {
        registry.register(Box::new(self.viewers.clone()))?;
        registry.register(Box::new(self.connecting.clone()))?;
        registry.register(Box::new(self.history_bytes.clone()))?;
        registry.register(Box::new(self.busiest_shard.clone()))?;
        registry.register(Box::new(self.rendition_latency.clone()))?;
        for one in [
            &self.joins,
            &self.sent_bytes,
            &self.sent_packets,
            &self.sent_messages,
            &self.nacked_packets,
            &self.retransmitted_packets,
            &self.padding_bytes,
            &self.media_packets,
            &self.media_bytes,
            &self.media_gaps,
        ] {
            registry.register(Box::new(one.clone()))?;
        }
        for one in [
            &self.join_failures,
            &self.ended,
            &self.received_datagrams,
            &self.refused_datagrams,
            &self.dropped,
            &self.keyframe_requests,
            &self.switches,
        ] {
            registry.register(Box::new(one.clone()))?;
        }
        for one in [
            &self.first_frame,
            &self.handshake,
            &self.estimate,
            &self.loss,
            &self.round_trip,
            &self.latency,
        ] {
            registry.register(Box::new(one.clone()))?;
        }
        Ok(())
    }

    /// Calls' own channels share their series.
    pub fn latency_of(&self, channel: &str, rendition: &str, codec: &str) -> Histogram {
        let channel = if is_call_channel(channel) { "call" } else { channel };
        self.rendition_latency.with_label_values(&[channel, rendition, codec])
    }

    /// Drops every series of a channel that is no more.
    pub fn forget(&self, channel: &str) {
        forget(&self.rendition_latency, "channel", channel);
    }
}

fn counter(name: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
    IntCounter::new(format!("stentor_fanout_{name}"), help)
}

fn counters(name: &str, help: &str, label: &str) -> Result<IntCounterVec, prometheus::Error> {
    IntCounterVec::new(Opts::new(format!("stentor_fanout_{name}"), help), &[label])
}

fn gauges(name: &str, help: &str, label: &str) -> Result<IntGaugeVec, prometheus::Error> {
    IntGaugeVec::new(Opts::new(format!("stentor_fanout_{name}"), help), &[label])
}

fn histogram(name: &str, help: &str, buckets: &[f64]) -> Result<Histogram, prometheus::Error> {
    Histogram::with_opts(
        HistogramOpts::new(format!("stentor_fanout_{name}"), help).buckets(buckets.to_vec()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_registration_is_refused() {
        let registry = Registry::new();
        assert!(FanoutMetrics::register(&registry).is_ok());
        assert!(FanoutMetrics::register(&registry).is_err());
    }

    #[test]
    fn a_channel_that_is_gone_leaves_no_series() {
        let registry = Registry::new();
        let metrics = FanoutMetrics::register(&registry).unwrap();
        let count = || {
            let families = registry.gather();
            let of =
                |name| families.iter().find(|f| f.name() == name).map(|f| f.get_metric().len());
            of("stentor_rendition_latency_seconds").unwrap_or(0)
        };
        for channel in ["a", "b"] {
            metrics.rendition_latency.with_label_values(&[channel, "360p", "h264"]).observe(0.02);
        }
        assert_eq!(count(), 2);
        metrics.forget("a");
        assert_eq!(count(), 1);
    }
}
