//! `[analytics]`: what events add up to.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Config;
use super::check::Faults;
use super::recording::{ObjectStore, check_store};
use super::units::Period;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Analytics {
    /// In the daemon. Default true. Without events or a state directory there are none.
    pub enabled: bool,
    /// The SQLite file. Default: analytics/rollups.db in the state directory.
    pub database: Option<PathBuf>,
    /// How long sums of minutes are kept. Default 14 d.
    pub keep_minutes: Period,
    /// How long those of hours are. Default 400 d.
    pub keep_hours: Period,
    /// Whether events are dumped as Parquet files. Default false.
    pub dump: bool,
    /// How long after its end an hour is dumped. Default 10 min.
    pub dump_delay: Period,
    /// Where `stentor analytics` serves its page and its API. Default 127.0.0.1:8090.
    pub listen: Vec<SocketAddr>,
    /// Where the dump goes.
    pub dump_store: ObjectStore,
}

// === impl Analytics ===

impl Default for Analytics {
    fn default() -> Self {
        Self {
            enabled: true,
            database: None,
            keep_minutes: Period::from_secs(14 * 86_400),
            keep_hours: Period::from_secs(400 * 86_400),
            dump: false,
            dump_delay: Period::from_secs(600),
            listen: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 8090))],
            dump_store: ObjectStore::default(),
        }
    }
}

pub(super) fn check(config: &Config, faults: &mut Faults) {
    let analytics = &config.analytics;
    let hour = Duration::from_secs(3600);
    let most = Duration::from_secs(3650 * 86_400);
    faults.period("analytics.keep_minutes", analytics.keep_minutes, hour..=most);
    faults.period("analytics.keep_hours", analytics.keep_hours, hour..=most);
    let delay = Duration::from_secs(1)..=Duration::from_secs(86_400);
    faults.period("analytics.dump_delay", analytics.dump_delay, delay);
    check_store("analytics.dump_store", &analytics.dump_store, faults);
    let listen = &analytics.listen;
    faults.require(!listen.is_empty(), "analytics.listen", "one address at least");
    for (index, address) in listen.iter().enumerate() {
        if !address.ip().is_loopback() && config.access.keys.is_empty() {
            let key = format!("analytics.listen.{index}");
            faults.require(false, &key, "a loopback address, or a public key in `access.keys`");
        }
    }
}
