//! What of the configuration channels, workers and the fan-out get.

use std::net::IpAddr;
use std::sync::Arc;

use stentor_protocol::spec::{SourceSpec, WhipSettings};
use stentor_protocol::units::{FrameRate, Resolution, Secret};

use super::DEMO;
use crate::channels::settings::ChannelSettings;
use crate::channels::{Tuning, WorkerLimits};
use crate::config::Config;
use crate::fanout::FanoutConfig;
use crate::fanout::transport::Certificate;

pub fn fixed_channels(config: &Config, demo: bool) -> Vec<(String, ChannelSettings)> {
    let mut fixed: Vec<_> =
        config.channels.iter().map(|c| (c.name.clone(), c.settings())).collect();
    if demo && !fixed.iter().any(|(name, _)| name == DEMO) {
        let source = SourceSpec::Synthetic {
            resolution: Resolution::new(1280, 720),
            frame_rate: FrameRate::new(30, 1),
        };
        fixed.push((DEMO.to_owned(), ChannelSettings { source, ladder: None }));
    }
    fixed
}

/// Those that are recorded from the start on.
pub fn recorded_channels(config: &Config) -> Vec<String> {
    config.channels.iter().filter(|channel| channel.record).map(|c| c.name.clone()).collect()
}

pub fn fanout_config(config: &Config, certificate: Arc<Certificate>) -> FanoutConfig {
    FanoutConfig {
        shards: config.fanout.shard_count(),
        bind: config.fanout.bind.clone(),
        first_port: config.fanout.first_port,
        public_addresses: config.fanout.public_addresses.clone(),
        dead_after: config.fanout.dead_after.0,
        max_viewers: config.fanout.max_viewers,
        certificate,
    }
}

pub fn tuning(config: &Config) -> Tuning {
    Tuning {
        default_ladder: config.ladder.rungs.iter().map(Into::into).collect(),
        linger: config.ladder.linger.0,
        restart_backoff_max: config.worker.restart_backoff_max.0,
        silence_timeout: config.worker.silence_timeout.0,
        stop_grace: config.worker.stop_grace.0,
        loss_timeout: config.worker.loss_timeout.0,
        thumbnail_interval: config.worker.thumbnail_interval.0,
        whip_answer_timeout: config.whip.answer_timeout.0,
    }
}

pub fn worker_limits(config: &Config) -> WorkerLimits {
    WorkerLimits { memory_bytes: config.worker.memory_max.0, tasks: config.worker.tasks_max }
}

pub fn whip_settings(config: &Config, certificate: &Certificate) -> WhipSettings {
    let mut local_addresses = config.whip.local_addresses.clone();
    if local_addresses.is_empty() && !config.fanout.bind.iter().any(IpAddr::is_unspecified) {
        local_addresses.clone_from(&config.fanout.bind);
    }
    WhipSettings {
        local_addresses,
        public_address: config.whip.public_address,
        port_range: config.whip.ports.bounds(),
        certificate_pem: Secret(certificate.to_pem()),
        max_bitrate: config.whip.max_bitrate.0,
        levels: false,
    }
}
