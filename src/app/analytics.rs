//! Wiring of analytics: which log, which database, which reports.

use std::io;
use std::path::{Path, PathBuf};

use prometheus::Registry;
use tracing::info;

use super::StartError;
use crate::analytics::{Desk, Engine, Kept, LogSource, Maker, Running, StoreError};
use crate::config::Config;
use crate::telemetry::analytics::AnalyticsMetrics;

/// Why there are no analytics. The operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum AnalyticsError {
    #[error("analytics need `server.state_directory`, or `analytics.database`")]
    NoState,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the thread of analytics can't be started: {0}")]
    Thread(#[from] io::Error),
}

/// Analytics at work. Dropping it ends it.
pub struct Analytics {
    pub desk: Desk,
    _running: Running,
}

/// Takes a log's events into a database.
struct OfLog {
    log: PathBuf,
    database: PathBuf,
    kept: Kept,
    metrics: AnalyticsMetrics,
}

/// In the daemon: of its own log. None where it is turned off, or where nothing is kept.
pub fn start(
    config: &Config,
    state: Option<&Path>,
    registry: &Registry,
) -> Result<Option<Analytics>, StartError> {
    let metrics = AnalyticsMetrics::register(registry)?;
    let Some(state) = state.filter(|_| config.analytics.enabled) else { return Ok(None) };
    let log = state.join("events");
    Ok(Some(Analytics::follow(config, &log, Some(state), metrics)?))
}

// === impl OfLog ===

impl Maker for OfLog {
    type Source = LogSource;

    fn make(&self) -> Result<Engine<LogSource>, StoreError> {
        let open = |positions: &_| LogSource::open(&self.log, positions);
        Engine::open(&self.database, open, self.kept, self.metrics.clone())
    }
}

// === impl Analytics ===

impl Analytics {
    /// Follows a log from where it was left.
    pub fn follow(
        config: &Config,
        log: &Path,
        state: Option<&Path>,
        metrics: AnalyticsMetrics,
    ) -> Result<Self, AnalyticsError> {
        let own = || state.map(|state| state.join("analytics/rollups.db"));
        let database = config.analytics.database.clone().or_else(own);
        let database = database.ok_or(AnalyticsError::NoState)?;
        let kept =
            Kept { minutes: config.analytics.keep_minutes.0, hours: config.analytics.keep_hours.0 };
        info!(log = %log.display(), database = %database.display(), "analytics follow the log");
        let desk = Desk::new(database.clone(), kept);
        let maker = OfLog { log: log.to_owned(), database, kept, metrics: metrics.clone() };
        let running = Running::start(maker.make()?, maker, metrics)?;
        Ok(Self { desk, _running: running })
    }
}
