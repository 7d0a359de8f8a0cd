//! What shards, feeds and handles share.
//!
//! Lock order: `channels` alone.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::channel::Channel;
use super::events::Events;
use super::inbox::{Command, Inbox};
use super::reader::ReaderCounters;
use super::registry::Registry;
use super::transport::{Certificate, DropReason};
use super::{EndReason, JoinError};
use crate::telemetry::fanout::FanoutMetrics;

pub struct Shared {
    pub certificate: Arc<Certificate>,
    pub dead_after: Duration,
    pub registry: Arc<Registry>,
    pub events: Arc<Events>,
    pub metrics: FanoutMetrics,
    pub shards: Arc<[Arc<Inbox>]>,
    /// What answers name, per shard.
    pub candidates: Vec<Arc<[SocketAddr]>>,
    pub loads: Vec<ShardLoad>,
    pub readers: Arc<ReaderCounters>,
    pub draining: AtomicBool,
    /// Source of channel and track keys.
    pub keys: Arc<AtomicU32>,
    channels: Mutex<HashMap<String, Arc<Channel>>>,
}

/// How busy a shard is.
#[derive(Default)]
pub struct ShardLoad {
    pub sessions: AtomicUsize,
    /// Time spent working in the last interval, in millionths.
    pub busy_ppm: AtomicU64,
}

/// A rate over a counter misses the first event where its series begins with it.
fn begin_at_zero(metrics: &FanoutMetrics) {
    for reason in JoinError::REASONS {
        metrics.join_failures.with_label_values(&[reason]);
    }
    for reason in EndReason::ALL {
        metrics.ended.with_label_values(&[reason.as_str()]);
    }
    for reason in DropReason::ALL {
        metrics.refused_datagrams.with_label_values(&[reason.as_str()]);
    }
}

// === impl Shared ===

impl Shared {
    pub fn new(
        certificate: Arc<Certificate>,
        dead_after: Duration,
        max_viewers: usize,
        metrics: FanoutMetrics,
        shards: Arc<[Arc<Inbox>]>,
        candidates: Vec<Arc<[SocketAddr]>>,
    ) -> Self {
        begin_at_zero(&metrics);
        Self {
            certificate,
            dead_after,
            registry: Arc::new(Registry::new(max_viewers)),
            events: Arc::default(),
            metrics,
            loads: shards.iter().map(|_| ShardLoad::default()).collect(),
            shards,
            candidates,
            readers: Arc::default(),
            draining: AtomicBool::new(false),
            keys: Arc::new(AtomicU32::new(1)),
            channels: Mutex::default(),
        }
    }

    pub fn channel(&self, name: &str) -> Option<Arc<Channel>> {
        self.channels().get(name).cloned()
    }

    /// Gives the channel that had the name before.
    pub fn insert_channel(&self, channel: Arc<Channel>) -> Option<Arc<Channel>> {
        self.channels().insert(channel.name.to_string(), channel)
    }

    /// Removes a channel, unless its name belongs to another by now.
    pub fn remove_channel(&self, channel: &Channel) {
        let mut channels = self.channels();
        if channels.get(&*channel.name).is_some_and(|named| named.key == channel.key) {
            channels.remove(&*channel.name);
            self.metrics.forget(&channel.name);
        }
    }

    pub fn all_channels(&self) -> Vec<Arc<Channel>> {
        self.channels().values().cloned().collect()
    }

    /// Tells all shards.
    pub fn broadcast(&self, command: impl Fn() -> Command) {
        for inbox in self.shards.iter() {
            // Commands of this kind are always taken.
            let _ = inbox.push_command(command());
        }
    }

    fn channels(&self) -> MutexGuard<'_, HashMap<String, Arc<Channel>>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
