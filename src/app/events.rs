//! Wiring of events: where their log is, and as which node's they are logged.

use std::path::Path;

use prometheus::Registry;
use tracing::warn;

use super::StartError;
use crate::config::Config;
use crate::events::{Bounds, EventLog, Events, GeoIp, GeoIpError, LogConfig};
use crate::identity::NodeId;
use crate::telemetry::events::EventMetrics;

/// No log where events are off, or nothing is kept at all.
pub fn start(
    config: &Config,
    folder: Option<&Path>,
    node: NodeId,
    registry: &Registry,
) -> Result<(Events, Option<EventLog>), StartError> {
    let metrics = EventMetrics::register(registry)?;
    let Some(log) = log_config(config, folder) else {
        if config.events.enabled {
            warn!("without a state directory, events are not kept");
        }
        return Ok((Events::off(), None));
    };
    let (events, log) = EventLog::start(log, node, metrics)?;
    Ok((events, Some(log)))
}

/// None: there is none.
pub fn log_config(config: &Config, folder: Option<&Path>) -> Option<LogConfig> {
    let events = &config.events;
    let folder = events.folder.clone().or_else(|| Some(folder?.join("events")));
    Some(LogConfig {
        folder: folder.filter(|_| events.enabled)?,
        bounds: Bounds { bytes: events.max_bytes.0, age: events.max_age.0 },
        flush: events.flush_interval.0,
        sync: events.sync_interval.0,
    })
}

/// None: nobody knows where addresses are.
pub fn geo(config: &Config) -> Result<Option<GeoIp>, GeoIpError> {
    config.events.geoip_database.as_deref().map(GeoIp::open).transpose()
}
