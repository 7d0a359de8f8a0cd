//! Wiring, and nothing else: what is made in which order, who is told what, and how it ends.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use prometheus::Registry;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tracing::info;

use crate::channels::{Admission, Channels, Context, Groups, Limits, Spawner, Store, StoreError};
use crate::config::Config;
use crate::directory::RedisError;
use crate::events::{EventLog, GeoIpError, ShipError, Shipper};
use crate::fanout::transport::{Certificate, CertificateError};
use crate::fanout::{Fanout, FanoutEvent};
use crate::http::access::{Access, KeyError};
use crate::http::{
    Board, Life, Limiter, ListenError, Listeners, MediaDriver, Origins, Passes, Places, RateLimit,
    Service, Sessions, Settings, State, Tls, TlsError,
};
use crate::identity::NodeId;
use crate::telemetry::accounts::AccountMetrics;
use crate::telemetry::channels::ChannelMetrics;
use crate::telemetry::fanout::FanoutMetrics;
use crate::telemetry::http::HttpMetrics;
use crate::telemetry::machine::Machine;
use crate::telemetry::turn::TurnMetrics;
use crate::turn::TurnError;

mod accounts;
mod analytics;
mod calls;
mod directory;
mod events;
mod outlet;
mod places;
mod probing;
mod recording;
mod settings;
mod turn;

pub use places::worker_program;
pub use recording::archive;

use accounts::AccountsError;
pub use analytics::{Alone, start_alone};

use analytics::{Analytics, AnalyticsError};
use outlet::FanoutOutlet;
use places::state_folder;
use probing::find;
use recording::RecordingError;
use settings::{
    fanout_config, fixed_channels, recorded_channels, tuning, whip_settings, worker_limits,
};
use turn::Relaying;

/// The name of the channel that `--demo` adds.
pub const DEMO: &str = "demo";

/// Levels of sound that wait to be looked at.
const UNHEARD: usize = 1024;

/// Why the daemon could not start. The operator's to mend, mostly.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Keys(#[from] KeyError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    #[error(transparent)]
    Fanout(#[from] crate::fanout::StartError),
    #[error(transparent)]
    Turn(#[from] TurnError),
    #[error(transparent)]
    Accounts(#[from] AccountsError),
    #[error(transparent)]
    Analytics(#[from] AnalyticsError),
    #[error(transparent)]
    Recording(#[from] RecordingError),
    #[error("recordings can't be taken up: {0}")]
    TakeUp(#[from] crate::recording::StartError),
    #[error("other nodes can't be found: {0}")]
    Directory(#[from] RedisError),
    #[error(transparent)]
    Events(#[from] crate::events::StartError),
    #[error("events can't be shipped: {0}")]
    Ship(#[from] ShipError),
    #[error("where addresses are can't be found out: {0}")]
    GeoIp(#[from] GeoIpError),
    #[error("no random numbers: {0}")]
    Random(getrandom::Error),
    #[error("channels can't be kept or restored: {0}")]
    Store(#[from] StoreError),
    #[error("the thread that starts workers can't be started: {0}")]
    Spawner(std::io::Error),
    #[error("a metric can't be registered: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// A running daemon.
pub struct Daemon {
    addresses: Vec<SocketAddr>,
    tls: Option<Arc<Tls>>,
    relaying: Option<Relaying>,
    life: watch::Sender<Life>,
    channels: Channels,
    fanout: Fanout,
    sessions: Arc<Sessions>,
    calls: Option<Arc<Board>>,
    analytics: Option<Analytics>,
    log: Option<EventLog>,
    shipper: Option<Shipper>,
    grace: Duration,
    serving: JoinHandle<()>,
    others: Vec<JoinHandle<()>>,
}

/// Starts everything. `demo` adds a channel with the synthetic camera.
pub async fn start(config: Config, demo: bool) -> Result<Daemon, StartError> {
    // What can be refused is tried first: keys, certificates, ports.
    let access = Access::load(&config.access.keys, config.access.leeway.0)?;
    let tls = load_tls(&config)?;
    let listeners = Listeners::bind(&config.http.listen).await?;
    let addresses = listeners.addresses();
    let folder = state_folder(&config);
    let store = folder.as_deref().map(Store::open).transpose()?;
    let geo = events::geo(&config)?;

    let registry = Registry::new();
    let outside = directory::start(&config, &registry)?;
    let node = match &outside {
        Some((outside, _)) => outside.node().clone(),
        None => NodeId::random().map_err(StartError::Random)?,
    };
    let (events, log) = events::start(&config, folder.as_deref(), node.clone(), &registry)?;
    let told = (&node, events.clone());
    let archive = recording::Archive::open(&config, folder.as_deref(), &registry, told)?;
    let shipper = events::shipper(&config, folder.as_deref(), &events, &registry)?;
    let account_metrics = AccountMetrics::register(&registry)?;
    let (people, access) =
        accounts::people(&config, access, folder.as_deref(), account_metrics).await?;
    let channel_metrics = ChannelMetrics::register(&registry)?;
    let http_metrics = HttpMetrics::register(&registry)?;
    let machine = Machine::register(&registry)?;
    let certificate = Arc::new(Certificate::generate()?);
    let (fanout, fanout_events) = Fanout::start(
        fanout_config(&config, certificate.clone()),
        FanoutMetrics::register(&registry)?,
    )?;

    // Before the first process is started: it then starts in the daemon's own group.
    let groups = Groups::delegated(worker_limits(&config));
    let archive = archive.map(|archive| archive.bounded(groups.as_ref()));
    let relaying = Relaying::start(&config, &fanout, TurnMetrics::register(&registry)?)?;
    let program = worker_program(config.worker.path.as_deref());
    let policy = config.hardware.policy();
    let admission = Arc::new(Admission::new(policy.clone()));
    let (findings_sender, findings) = watch::channel(None);
    let probing = tokio::spawn(find(
        program.clone(),
        config.hardware.probe_timeout.0,
        policy.clone(),
        admission.clone(),
        findings_sender,
    ));

    let (levels, heard) = mpsc::channel(UNHEARD);
    let context = Context {
        spawner: Spawner::start(groups).map_err(StartError::Spawner)?,
        program,
        tuning: tuning(&config),
        whip: whip_settings(&config, &certificate),
        hardware: policy,
        findings: findings.clone(),
        admission: admission.clone(),
        metrics: channel_metrics,
        shelf: archive.as_ref().map_or_else(recording::no_shelf, |a| a.shelf.clone()),
        events: events.clone(),
        levels,
        unnamed: ChannelMetrics::register(&Registry::new())?,
    };
    let limits = Limits {
        max_channels: config.server.max_channels,
        max_call_channels: config.calls.max_senders,
        file_folders: config.server.file_folders.clone(),
    };
    let outlet = Arc::new(FanoutOutlet(fanout.clone()));
    let channels = Channels::new(context, outlet, limits, store);
    channels.restore(fixed_channels(&config, demo)).await?;
    if let Some(archive) = &archive {
        archive.recordings.restore(channels.clone(), &recorded_channels(&config)).await?;
    }

    let sessions = Arc::new(Sessions::new(events.clone()));
    let (endings, ended) = accounts::endings(&people).unzip();
    let calls =
        calls::board(&config, &registry, outside, endings, (archive.is_some(), events.clone()))?;
    let (calls, ears) = calls.unzip();
    let passes = Arc::new(Passes::default());
    let analytics = analytics::start(&config, folder.as_deref(), &registry)?;
    let (life, life_receiver) = watch::channel(Life::Running);
    let state = Arc::new(State {
        channels: channels.clone(),
        fanout: fanout.clone(),
        sessions: sessions.clone(),
        origins: Origins::new(&config.http.cors_origins, access.is_open()),
        access,
        settings: Settings::of(&config),
        metrics: http_metrics,
        registry,
        findings,
        admission,
        machine,
        life: life_receiver,
        started: Instant::now(),
        started_unix: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
        limiter: Limiter::new(RateLimit::new(
            config.http.requests_per_second,
            config.http.request_burst,
            config.http.tracked_addresses,
            Instant::now(),
        )),
        calls: calls.clone(),
        analytics: analytics.as_ref().map(|analytics| analytics.desk.clone()),
        passes: passes.clone(),
        people,
        archive: archive.as_ref().map(|archive| archive.for_requests(&config)),
        events,
        geo,
        issue_relay: relaying.as_ref().map(Relaying::issuer),
    });
    let driver = calls.clone().map(|board| MediaDriver {
        board,
        channels: channels.clone(),
        fanout: fanout.clone(),
        sessions: sessions.clone(),
        passes,
        heard,
        recordings: archive.as_ref().map(|archive| archive.recordings.clone()),
        state: state.clone(),
    });
    let pumping = tokio::spawn(pump(fanout_events, channels.clone(), sessions.clone()));
    let bell = calls.clone().map(|board| recording::herald(board, state.clone()));
    let mut others = vec![probing, pumping];
    others.extend(archive.into_iter().flat_map(|archive| archive.start(bell.clone())));
    others.extend(ended.map(|ended| tokio::spawn(accounts::note_ends(state.clone(), ended))));
    others.extend(calls.clone().map(|b| tokio::spawn(accounts::follow(state.clone(), b))));
    others.extend(calls.clone().map(|calls| tokio::spawn(async move { calls.keep_time().await })));
    others.extend(driver.map(|driver| tokio::spawn(driver.run())));
    others.extend(
        calls
            .clone()
            .zip(ears)
            .map(|(calls, ears)| tokio::spawn(async move { calls.listen(ears).await })),
    );
    let certificates = tls.iter().chain(relaying.as_ref().and_then(Relaying::tls)).cloned();
    others.extend(certificates.map(|tls| tokio::spawn(async move { tls.follow().await })));
    let serving = tokio::spawn(listeners.serve(
        Service::of(state),
        tls.clone(),
        Places::new(config.http.max_connections, &config.http.trusted_proxies),
        config.http.header_timeout.0,
    ));
    Ok(Daemon {
        addresses,
        tls,
        relaying,
        life,
        channels,
        fanout,
        sessions,
        calls,
        analytics,
        log,
        shipper,
        grace: config.server.drain_grace.0,
        serving,
        others,
    })
}

/// Reads what a configuration points to: a file that is missing is found before the start.
pub fn check(config: Config) -> Result<(), StartError> {
    Access::load(&config.access.keys, config.access.leeway.0)?;
    load_tls(&config)?;
    turn::load_tls(&config)?;
    accounts::check(&config)?;
    recording::check(&config)?;
    analytics::check(&config)?;
    events::geo(&config)?;
    Ok(())
}

// === impl Daemon ===

impl Daemon {
    /// Where HTTP listens: the ports that the system chose, too.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The page's address.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let address = self.addresses.first().map_or_else(String::new, SocketAddr::to_string);
        format!("{scheme}://{address}/")
    }

    /// Reads certificate files again.
    pub fn reload(&self) {
        match &self.tls {
            Some(tls) => tls.reload_and_tell(),
            None => info!("there is nothing to read again"),
        }
        self.relaying.iter().for_each(Relaying::reload);
    }

    /// Drains, then ends: newcomers are refused, viewers told to leave and waited for during the
    /// grace period, as calls are, or until `at_once` comes. Calls go on meanwhile as if nothing
    /// were: devices come back to them, and their media moves.
    pub async fn stop(self, at_once: impl Future<Output = ()>) {
        info!(viewers = self.sessions.total(), grace = ?self.grace, "draining");
        self.life.send_replace(Life::Draining);
        self.fanout.set_draining(true);
        if let Some(calls) = &self.calls {
            calls.with(|hub, _| hub.drain());
        }
        tokio::select! {
            () = self.people_leave() => {}
            () = at_once => info!("ending at once"),
        }
        if let Some(calls) = &self.calls {
            calls.stop(Duration::from_secs(1)).await;
        }
        self.fanout.drain().await;
        self.channels.stop_all(Duration::from_secs(3)).await;
        self.life.send_replace(Life::Ended);
        // A task that panicked has ended, too.
        let _ = self.serving.await;
        for task in self.others {
            task.abort();
        }
        // What those before had to say is in it.
        let (log, shipper, analytics) = (self.log, self.shipper, self.analytics);
        // They wait for the disk, and a little for Kafka. A panic there ends nothing else.
        let _ = tokio::task::spawn_blocking(move || {
            drop(log);
            drop(shipper);
            drop(analytics);
        })
        .await;
        info!("ended");
    }

    async fn people_leave(&self) {
        // The last moment of the grace period is for good-byes and workers.
        let deadline = Instant::now() + self.grace.saturating_sub(Duration::from_secs(2));
        let calls = || self.calls.as_ref().map_or(0, |calls| calls.calls());
        while self.sessions.total() + calls() > 0 && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Passes the fan-out's events on. None of it waits.
async fn pump(
    mut events: mpsc::Receiver<FanoutEvent>,
    channels: Channels,
    sessions: Arc<Sessions>,
) {
    while let Some(event) = events.recv().await {
        match event {
            FanoutEvent::Demand { channel, track, viewers } => {
                channels.handle_demand(&channel, track, viewers);
            }
            FanoutEvent::KeyframeWanted { channel, track } => {
                channels.handle_keyframe_wanted(&channel, track);
            }
            FanoutEvent::Ended { session, reason, .. } => {
                sessions.remove(session, reason.as_str());
            }
        }
    }
}

fn load_tls(config: &Config) -> Result<Option<Arc<Tls>>, TlsError> {
    match (&config.http.tls_certificate, &config.http.tls_key) {
        (Some(certificate), Some(key)) => {
            Tls::load(certificate.clone(), key.clone()).map(Arc::new).map(Some)
        }
        _ => Ok(None),
    }
}
