//! Wiring of analytics: events from where, which database, which reports.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Instant;

use prometheus::Registry;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{info, warn};

use super::StartError;
use super::events::{group, log_config};
use super::places::state_folder;
use crate::analytics::dump::Dump;
use crate::analytics::{
    Desk, Engine, EngineError, KafkaSource, Kept, LogSource, Maker, Positions, Progress, Running,
    Source, SourceError,
};
use crate::config::Config;
use crate::depot::{Depot, DepotError};
use crate::events::KafkaConfig;
use crate::http::access::Access;
use crate::http::{self, Life, Limiter, Listeners, Origins, Places, RateLimit};
use crate::telemetry::analytics::AnalyticsMetrics;
use crate::telemetry::http::HttpMetrics;

/// Why there are no analytics. The operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum AnalyticsError {
    #[error("analytics need `server.state_directory`, or `analytics.database`")]
    NoState,
    #[error("there is no log of events: expected `events.enabled` and a state directory")]
    NoLog,
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("a dump needs `server.state_directory`, or `analytics.dump_store`")]
    NoDump,
    #[error("the store of the dump: {0}")]
    Dump(#[from] DepotError),
    #[error("analytics can't be started: {0}")]
    Thread(#[from] io::Error),
}

/// Analytics at work. Dropping it ends it.
pub struct Analytics {
    pub desk: Desk,
    dumping: Option<JoinHandle<()>>,
    _running: Running,
}

/// Where events come from.
enum Supply {
    /// A log's folder.
    Log(PathBuf),
    Kafka(KafkaConfig),
}

/// Takes events into a database.
struct Work {
    database: PathBuf,
    kept: Kept,
    progress: Option<Progress>,
    metrics: AnalyticsMetrics,
}

struct OfLog(PathBuf, Work);

struct OfKafka {
    config: KafkaConfig,
    group: String,
    work: Work,
}

/// In the daemon: of its own log. None where it is turned off, or where nothing is kept.
pub fn start(
    config: &Config,
    state: Option<&Path>,
    registry: &Registry,
) -> Result<Option<Analytics>, StartError> {
    let metrics = AnalyticsMetrics::register(registry)?;
    let log = log_config(config, state).filter(|_| config.analytics.enabled);
    let Some(log) = log else { return Ok(None) };
    let analytics = Analytics::follow(config, Supply::Log(log.folder), state, metrics);
    // Calls and channels are worth more than what is counted of them.
    Ok(analytics.inspect_err(|error| warn!(%error, "the server runs without analytics")).ok())
}

/// Reads what the configuration points to.
pub fn check(config: &Config) -> Result<(), AnalyticsError> {
    if config.analytics.dump {
        Depot::check(&config.analytics.dump_store)?;
    }
    Ok(())
}

/// `stentor analytics`: a process of its own.
pub struct Alone {
    addresses: Vec<SocketAddr>,
    life: watch::Sender<Life>,
    serving: JoinHandle<()>,
    analytics: Analytics,
}

/// Follows a log, or Kafka where that is configured and no log is named, and serves what comes of
/// it.
pub async fn start_alone(config: Config, log: Option<&Path>) -> Result<Alone, StartError> {
    let access = Access::load(&config.access.keys, config.access.leeway.0)?;
    let listeners = Listeners::bind(&config.analytics.listen).await?;
    let addresses = listeners.addresses();
    let registry = Registry::new();
    let metrics = AnalyticsMetrics::register(&registry)?;
    let state = state_folder(&config);
    let named = log.map(|log| Supply::Log(log.to_owned()));
    let kafka = || config.events.kafka.settings().map(Supply::Kafka);
    let own = || log_config(&config, state.as_deref()).map(|log| Supply::Log(log.folder));
    let supply = named.or_else(kafka).or_else(own).ok_or(AnalyticsError::NoLog)?;
    let kafka_up = matches!(supply, Supply::Kafka(_)).then(|| metrics.kafka_up.clone());
    let analytics = Analytics::follow(&config, supply, state.as_deref(), metrics)?;
    let (life, told) = watch::channel(Life::Running);
    let http = &config.http;
    let alone = http::Alone {
        desk: analytics.desk.clone(),
        origins: Origins::new(&http.cors_origins, access.is_open()),
        access,
        limiter: Limiter::new(RateLimit::new(
            http.requests_per_second,
            http.request_burst,
            http.tracked_addresses,
            Instant::now(),
        )),
        metrics: HttpMetrics::register(&registry)?,
        registry,
        kafka_up,
        metrics_token: config.access.metrics_token,
        life: told,
        request_timeout: http.request_timeout.0,
        trusted_proxies: http.trusted_proxies.clone(),
        started: Instant::now(),
    };
    let places = Places::new(http.max_connections, &http.trusted_proxies);
    let serving = listeners.serve(alone.service(), None, places, http.header_timeout.0);
    Ok(Alone { addresses, life, serving: tokio::spawn(serving), analytics })
}

// === impl Alone ===

impl Alone {
    /// Where it listens: the ports that the system chose, too.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Ends after the batch that is being written.
    pub async fn stop(self) {
        self.life.send_replace(Life::Ended);
        // A task that panicked has ended, too.
        let _ = self.serving.await;
        drop(self.analytics);
        info!("ended");
    }
}

// === impl Work ===

impl Work {
    fn engine<S: Source>(
        &self,
        open: impl FnOnce(&Positions) -> Result<S, SourceError>,
    ) -> Result<Engine<S>, EngineError> {
        let engine = Engine::open(&self.database, open, self.kept, self.metrics.clone())?;
        Ok(match &self.progress {
            Some(progress) => engine.dumping(progress.clone()),
            None => engine,
        })
    }
}

impl Maker for OfLog {
    type Source = LogSource;

    fn make(&self) -> Result<Engine<LogSource>, EngineError> {
        self.1.engine(|positions| LogSource::open(&self.0, positions))
    }
}

impl Maker for OfKafka {
    type Source = KafkaSource;

    fn make(&self) -> Result<Engine<KafkaSource>, EngineError> {
        let metrics = self.work.metrics.clone();
        let open = |positions: &_| KafkaSource::open(&self.config, &self.group, positions, metrics);
        self.work.engine(open)
    }
}

// === impl Analytics ===

impl Analytics {
    /// Follows events from where they were left.
    fn follow(
        config: &Config,
        supply: Supply,
        state: Option<&Path>,
        metrics: AnalyticsMetrics,
    ) -> Result<Self, AnalyticsError> {
        let own = || state.map(|state| state.join("analytics/rollups.db"));
        let database = config.analytics.database.clone().or_else(own);
        let database = database.ok_or(AnalyticsError::NoState)?;
        let kept =
            Kept { minutes: config.analytics.keep_minutes.0, hours: config.analytics.keep_hours.0 };
        let desk = Desk::new(database.clone(), kept);
        let progress = config.analytics.dump.then(Progress::default);
        let dump = progress.clone().map(|progress| {
            dump(config, state, &database, &metrics).map(|dump| dump.run(progress))
        });
        let dump = dump.transpose()?;
        let work = Work { database, kept, progress, metrics: metrics.clone() };
        let running = match supply {
            Supply::Log(log) => {
                info!(log = %log.display(), "analytics follow the log");
                let maker = OfLog(log, work);
                Running::start(maker.make()?, maker, metrics)?
            }
            Supply::Kafka(config) => {
                info!(topic = config.topic, "analytics follow Kafka");
                let group = group(&config, "analytics");
                let maker = OfKafka { config, group, work };
                Running::start(maker.make()?, maker, metrics)?
            }
        };
        Ok(Self { desk, dumping: dump.map(tokio::spawn), _running: running })
    }
}

fn dump(
    config: &Config,
    state: Option<&Path>,
    database: &Path,
    metrics: &AnalyticsMetrics,
) -> Result<Dump, AnalyticsError> {
    let settings = &config.analytics.dump_store;
    let is_named = settings.folder.is_some() || settings.bucket.is_some();
    let own = state.map(|state| state.join("analytics/dump"));
    let own = own.or_else(|| is_named.then(PathBuf::new)).ok_or(AnalyticsError::NoDump)?;
    Ok(Dump {
        database: database.to_owned(),
        store: Depot::open(settings, &own)?,
        delay: config.analytics.dump_delay.0,
        metrics: metrics.clone(),
    })
}

impl Drop for Analytics {
    fn drop(&mut self) {
        self.dumping.iter().for_each(JoinHandle::abort);
    }
}
