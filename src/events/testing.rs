//! Logs of events for tests.

use std::path::Path;
use std::time::Duration;

use prometheus::Registry;

use super::{Bounds, EventLog, Events, LogConfig, StartError};
use crate::identity::NodeId;
use crate::telemetry::events::EventMetrics;

/// Keeps an hour of events, up to so many bytes.
pub const fn an_hour(bytes: u64) -> Bounds {
    Bounds { bytes, age: Duration::from_secs(3600) }
}

/// The log of a node that nobody else is, with what counts its events.
pub fn start_log(
    folder: &Path,
    bounds: Bounds,
) -> Result<(Events, EventLog, EventMetrics), StartError> {
    let config = LogConfig {
        folder: folder.to_owned(),
        bounds,
        flush: Duration::from_millis(1),
        sync: Duration::from_secs(1),
    };
    let metrics = EventMetrics::register(&Registry::new()).unwrap();
    let node = NodeId::random().unwrap();
    let (events, log) = EventLog::start(config, node, metrics.clone())?;
    Ok((events, log, metrics))
}
