//! Metrics of channels and their workers. A channel's series go with the channel.

use prometheus::{CounterVec, GaugeVec, IntCounterVec, IntGaugeVec, Registry};

use super::registrar::{Registrar, forget};

/// Handles to the metrics of channels. Clones share the values.
#[derive(Clone)]
pub struct ChannelMetrics {
    /// 1 for the state that the source is in, 0 for the others.
    pub source_state: IntGaugeVec,
    pub source_bytes: IntCounterVec,
    pub source_reconnects: IntCounterVec,
    pub worker_restarts: IntCounterVec,
    pub worker_up: IntGaugeVec,
    pub pipeline_latency: GaugeVec,
    pub slate_frames: IntCounterVec,
    pub frames_decoded: IntCounterVec,
    pub decode_seconds: CounterVec,
    pub decode_errors: IntCounterVec,
    pub encoded_frames: IntCounterVec,
    pub encode_seconds: CounterVec,
    pub scale_seconds: CounterVec,
    pub encoder_rebuilds: IntCounterVec,
    pub rung_starts: IntCounterVec,
    pub rung_failures: IntCounterVec,
    pub rungs_running: IntGaugeVec,
    pub fallbacks: IntCounterVec,
    pub dropped: IntCounterVec,
    pub bus_bytes: IntCounterVec,
    pub media_packets: IntCounterVec,
    pub whip_sessions: IntCounterVec,
}

// === impl ChannelMetrics ===

impl ChannelMetrics {
    /// Makes the metrics and registers them. Fails when they are registered already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let r = Registrar(registry);
        let channel = &["channel"];
        let encoder = &["channel", "codec", "backend"];
        Ok(Self {
            source_state: r.gauges(
                "stentor_source_state",
                "1 for the state that a channel's source is in",
                &["channel", "state"],
            )?,
            source_bytes: r.counters(
                "stentor_source_bytes_total",
                "Bytes that the contribution delivered",
                channel,
            )?,
            source_reconnects: r.counters(
                "stentor_source_reconnects_total",
                "How often a lost source was connected again",
                channel,
            )?,
            worker_restarts: r.counters(
                "stentor_worker_restarts_total",
                "Workers that ended unbidden and were started again",
                channel,
            )?,
            worker_up: r.gauges(
                "stentor_worker_up",
                "1 while the channel's worker takes commands",
                channel,
            )?,
            pipeline_latency: r.float_gauges(
                "stentor_pipeline_latency_seconds",
                "From capture to the packets' hand-over to the fan-out",
                channel,
            )?,
            slate_frames: r.counters(
                "stentor_slate_frames_total",
                "Frames of the slate shown in place of a source",
                channel,
            )?,
            frames_decoded: r.counters(
                "stentor_decoded_frames_total",
                "Frames decoded",
                channel,
            )?,
            decode_seconds: r.float_counters(
                "stentor_decode_seconds_total",
                "Time spent decoding; by stentor_decoded_frames_total it is the time per frame",
                channel,
            )?,
            decode_errors: r.counters(
                "stentor_decode_errors_total",
                "Access units that a decoder refused",
                channel,
            )?,
            encoded_frames: r.counters(
                "stentor_encoded_frames_total",
                "Frames encoded, or passed through where the backend is none",
                encoder,
            )?,
            encode_seconds: r.float_counters(
                "stentor_encode_seconds_total",
                "Time spent encoding; by stentor_encoded_frames_total it is the time per frame",
                encoder,
            )?,
            scale_seconds: r.float_counters(
                "stentor_scale_seconds_total",
                "Time spent scaling",
                encoder,
            )?,
            encoder_rebuilds: r.counters(
                "stentor_encoder_rebuilds_total",
                "Encoders that stalled and were built anew",
                channel,
            )?,
            rung_starts: r.counters("stentor_rung_starts_total", "Renditions started", encoder)?,
            rung_failures: r.counters(
                "stentor_rung_failures_total",
                "Renditions that could not be produced",
                channel,
            )?,
            rungs_running: r.gauges(
                "stentor_rungs_running",
                "Renditions being produced",
                channel,
            )?,
            fallbacks: r.counters(
                "stentor_fallbacks_total",
                "Backends that gave way to another",
                &["channel", "from", "to"],
            )?,
            dropped: r.counters(
                "stentor_worker_dropped_total",
                "What a full queue of a worker dropped: packets in front of the media socket, \
                 frames in front of a busy stage",
                &["channel", "queue"],
            )?,
            bus_bytes: r.counters(
                "stentor_bus_bytes_total",
                "Bytes of raw pictures that crossed the bus between GPU and host memory",
                channel,
            )?,
            media_packets: r.counters(
                "stentor_worker_media_packets_total",
                "Packets that the worker gave to the media socket",
                channel,
            )?,
            whip_sessions: r.counters(
                "stentor_whip_sessions_total",
                "Publishers by what became of their offer",
                &["outcome"],
            )?,
        })
    }

    /// Begins a new channel's counts at zero: of a series that begins with 1 nobody can tell that
    /// it grew.
    pub fn begin(&self, channel: &str) {
        for counters in [&self.worker_restarts, &self.source_reconnects, &self.rung_failures] {
            counters.with_label_values(&[channel]);
        }
    }

    /// Drops every series of a channel that is no more.
    pub fn forget(&self, channel: &str) {
        for counters in [
            &self.source_bytes,
            &self.source_reconnects,
            &self.worker_restarts,
            &self.slate_frames,
            &self.frames_decoded,
            &self.decode_errors,
            &self.encoded_frames,
            &self.encoder_rebuilds,
            &self.rung_starts,
            &self.rung_failures,
            &self.fallbacks,
            &self.dropped,
            &self.bus_bytes,
            &self.media_packets,
        ] {
            forget(counters, "channel", channel);
        }
        for counters in [&self.decode_seconds, &self.encode_seconds, &self.scale_seconds] {
            forget(counters, "channel", channel);
        }
        for gauges in [&self.source_state, &self.worker_up, &self.rungs_running] {
            forget(gauges, "channel", channel);
        }
        forget(&self.pipeline_latency, "channel", channel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_that_is_gone_leaves_no_series() {
        let registry = Registry::new();
        let metrics = ChannelMetrics::register(&registry).unwrap();
        metrics.encoded_frames.with_label_values(&["a", "h264", "software"]).inc();
        metrics.encoded_frames.with_label_values(&["b", "h264", "software"]).inc();
        metrics.source_state.with_label_values(&["a", "live"]).set(1);
        metrics.begin("a");
        metrics.forget("a");
        let families = registry.gather();
        let series: Vec<_> = families.iter().flat_map(|f| f.get_metric()).collect();
        assert_eq!(series.len(), 1);
        assert!(series[0].get_label().iter().any(|l| l.value() == "b"));
    }
}
