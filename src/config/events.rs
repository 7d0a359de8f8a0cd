//! `[events]`: the log of everything that happens.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Config;
use super::check::Faults;
use super::kafka::Kafka;
use super::units::{Period, Size};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Events {
    /// Default true. Without a state directory there are none.
    pub enabled: bool,
    /// Default: `events` in the state directory.
    pub folder: Option<PathBuf>,
    /// Of the log. Default 1 GiB.
    pub max_bytes: Size,
    /// Of the log. Default 7 days.
    pub max_age: Period,
    /// An event is written at the latest after this. Default 20 ms.
    pub flush_interval: Period,
    /// What was written is on the disk at the latest after this. Default 1 s.
    pub sync_interval: Period,
    /// Reports that one web socket may send a minute on average, and at once. Default 20.
    pub reports_per_minute: u32,
    /// A MaxMind database of cities. Default: none, and nobody knows where devices are.
    pub geoip_database: Option<PathBuf>,
    pub kafka: Kafka,
}

// === impl Events ===

impl Default for Events {
    fn default() -> Self {
        Self {
            enabled: true,
            folder: None,
            max_bytes: Size::from_gib(1),
            max_age: Period::from_secs(7 * 86_400),
            flush_interval: Period::from_millis(20),
            sync_interval: Period::from_secs(1),
            reports_per_minute: 20,
            geoip_database: None,
            kafka: Kafka::default(),
        }
    }
}

pub(super) fn check(config: &Config, faults: &mut Faults) {
    let events = &config.events;
    let (ms, s) = (Duration::from_millis, Duration::from_secs);
    if let Some(folder) = &events.folder {
        faults.require(folder.is_absolute(), "events.folder", "an absolute path");
    }
    let fits = (1 << 20..=1 << 44).contains(&events.max_bytes.0);
    faults.require(fits, "events.max_bytes", "1MiB to 16TiB");
    faults.period("events.max_age", events.max_age, s(60)..=s(3650 * 86_400));
    faults.period("events.flush_interval", events.flush_interval, ms(1)..=s(10));
    faults.period("events.sync_interval", events.sync_interval, ms(10)..=s(60));
    faults.require(events.reports_per_minute > 0, "events.reports_per_minute", "1 or more");
}
