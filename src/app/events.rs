//! Wiring of events: where their log is, and as which node's they are logged.

use std::path::Path;

use prometheus::Registry;
use tracing::{info, warn};

use super::StartError;
use crate::config::Config;
use crate::events::{
    Bounds, EventLog, Events, GeoIp, GeoIpError, KafkaConfig, LogConfig, Shipper, Source, has_log,
};
use crate::identity::NodeId;
use crate::recording::Opener;
use crate::telemetry::events::{EventMetrics, ShipMetrics};

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

/// None where no Kafka is configured.
pub fn shipper(
    config: &Config,
    folder: Option<&Path>,
    events: &Events,
    registry: &Registry,
) -> Result<Option<Shipper>, StartError> {
    let settings = config.events.kafka.settings();
    let Some((kafka, log)) = settings.zip(log_config(config, folder)) else { return Ok(None) };
    info!(brokers = kafka.brokers.join(","), topic = kafka.topic, "events go to Kafka");
    let metrics = ShipMetrics::register(registry)?;
    Ok(Some(Shipper::start(kafka, &log.folder, events.clone(), metrics)?))
}

/// What opens a source by which a consumer is told of events: its group's share of what is in Kafka,
/// where that is configured; else the log of this machine. None: nobody tells it.
pub fn opener(config: &Config, folder: &Path, consumer: &str) -> Option<Opener> {
    if let Some(kafka) = config.events.kafka.settings() {
        let group = group(&kafka, consumer);
        return Some(Box::new(move || Source::kafka(&kafka, &group)));
    }
    let log = log_config(config, Some(folder))?.folder;
    // An empty folder is made where a file creator is by itself, and told nothing there.
    has_log(&log).then(|| Box::new(move || Source::log(&log)) as Opener)
}

/// The name of a group of consumers.
pub fn group(kafka: &KafkaConfig, consumer: &str) -> String {
    format!("{}-{consumer}", kafka.client_id)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::testing::{an_hour, start_log};

    #[test]
    fn a_folder_in_which_nobody_wrote_a_log_tells_a_consumer_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("events");
        let is_told = || opener(&Config::default(), folder.path(), "archive").is_some();
        assert!(!is_told());
        std::fs::create_dir(&log).unwrap();
        assert!(!is_told());
        let _log = start_log(&log, an_hour(1 << 20)).unwrap();
        assert!(is_told());
    }
}
