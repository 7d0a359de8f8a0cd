//! Wiring of recordings: what is kept where, and the tasks that keep it going.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use prometheus::Registry;
use tracing::info;

use super::StartError;
use super::accounts::{AccountsError, secret};
use super::places::worker_program;
use super::settings::worker_limits;
use crate::accounts::DatabaseError;
use crate::accounts::hook::{Line, ServiceError};
use crate::channels::{Groups, Shelf};
use crate::config::{self, Config, Form};
use crate::depot::{Depot, DepotError};
use crate::events::Events;
use crate::http;
use crate::identity::NodeId;
use crate::recording::notify::{Arrivals, Bell, MailError, Notifier, Post};
use crate::recording::{
    Catalogue, Creator, CreatorRules, Hearing, LOOK_OFTEN, LOOK_SELDOM, LinkError, Links, Logger,
    NoShelf, Parts, Recordings, Rules, SharedSpool, Signals, Spool, Word,
};
use crate::telemetry::recording::RecordingMetrics;

/// Why nothing can be recorded. The operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    #[error("the catalogue of recordings can't be opened: {0}")]
    Database(#[from] DatabaseError),
    #[error("{}: {error}", path.display())]
    Spool { path: PathBuf, error: std::io::Error },
    #[error("the store of {what}: {error}")]
    Store { what: &'static str, error: DepotError },
    #[error("links to recordings can't be signed: {0}")]
    Links(#[from] LinkError),
    #[error("the webhook of recordings: {0}")]
    Webhook(#[from] ServiceError),
    #[error(transparent)]
    Secret(#[from] AccountsError),
    #[error("mail about recordings: {0}")]
    Mail(#[from] MailError),
    #[error("the thread that hears of recordings can't be started: {0}")]
    Thread(std::io::Error),
    #[error("expected `server.state_directory`, where chunks and files are kept")]
    NoState,
}

/// All that has to do with recordings.
pub struct Archive {
    pub recordings: Recordings,
    links: Arc<Links>,
    arrivals: Arrivals,
    pub shelf: Arc<dyn Shelf>,
    logger: Logger,
    creator: Option<Creator>,
    webhook: Option<Line>,
    mail: Option<Post>,
    is_shared: bool,
}

/// Where things are that the configuration doesn't say.
const FOLDER: &str = "recordings";

// === impl Archive ===

impl Archive {
    /// None where nothing is recorded.
    pub fn open(
        config: &Config,
        folder: Option<&Path>,
        registry: &Registry,
        (node, events): (&NodeId, Events),
    ) -> Result<Option<Self>, StartError> {
        let metrics = RecordingMetrics::register(registry)?;
        let Some(folder) = folder.filter(|_| config.recording.enabled) else { return Ok(None) };
        Ok(Some(Self::make(config, folder, metrics, (node, events))?))
    }

    fn make(
        config: &Config,
        state: &Path,
        metrics: RecordingMetrics,
        (node, events): (&NodeId, Events),
    ) -> Result<Self, RecordingError> {
        let recording = &config.recording;
        let folder = state.join(FOLDER);
        let spool_path = recording.spool.clone().unwrap_or_else(|| folder.join("spool"));
        let spool = Spool::open(&spool_path);
        let spool = spool.map_err(|error| RecordingError::Spool { path: spool_path, error })?;
        let (chunks, files) = depots(recording, &folder)?;
        std::fs::create_dir_all(&folder)
            .map_err(|error| RecordingError::Spool { path: folder.clone(), error })?;
        let catalogue = Catalogue::open(&folder.join("recordings.db"))?;
        let links = Arc::new(Links::load_or_make(&folder.join("links-key"))?);
        let (webhook, mail) = (webhook(&recording.webhook)?, Post::open(&recording.mail)?);
        let signals = Signals::default();
        let rules = rules(recording, webhook.is_some(), mail.is_some());
        let logger = Logger {
            spool: spool.clone(),
            chunks: chunks.clone(),
            catalogue: catalogue.clone(),
            metrics: metrics.clone(),
            most: recording.spool_max_bytes.0,
            at_once: recording.uploads,
            shipped: signals.finisher.clone(),
        };
        let here = recording.creator == config::Creator::Here;
        let creator = here.then(|| {
            let parts = (chunks.clone(), files.clone(), metrics.clone());
            creator(config, &folder, parts, &signals)
        });
        let arrivals = Arrivals::new(signals.notices.clone());
        let shelf: Arc<dyn Shelf> = Arc::new(SharedSpool(spool.clone()));
        let node = node.to_string();
        let parts =
            Parts { rules, catalogue, spool, chunks, files, metrics, events, node, signals };
        let recordings = Recordings::new(parts);
        let is_shared = recording.shared;
        Ok(Self { recordings, links, arrivals, shelf, logger, creator, webhook, mail, is_shared })
    }

    pub fn for_requests(&self, config: &Config) -> http::Archive {
        http::Archive {
            recordings: self.recordings.clone(),
            links: self.links.clone(),
            link_life: config.recording.link_life.0,
            arrivals: self.arrivals.clone(),
        }
    }

    /// Whoever makes files gets limits beside `groups`.
    pub fn bounded(mut self, groups: Option<&Groups>) -> Self {
        if let Some(creator) = &mut self.creator {
            creator.groups = groups.map(Groups::for_files);
        }
        self
    }

    /// Everything that goes on beside requests.
    pub fn start(self, bell: Option<Arc<dyn Bell>>) -> Vec<tokio::task::JoinHandle<()>> {
        let notifier = Notifier {
            catalogue: self.recordings.catalogue().clone(),
            bell,
            webhook: self.webhook,
            mail: self.mail,
            metrics: self.recordings.metrics().clone(),
            arrivals: self.arrivals,
        };
        let mut tasks = vec![
            tokio::spawn(self.logger.run()),
            tokio::spawn(self.recordings.clone().keep()),
            tokio::spawn(self.recordings.clone().finish()),
            tokio::spawn(notifier.run()),
        ];
        tasks.extend(self.is_shared.then(|| tokio::spawn(self.recordings.share())));
        tasks.extend(self.creator.map(|creator| tokio::spawn(creator.run())));
        tasks
    }
}

/// Tells users of their recordings.
pub fn herald(board: Arc<http::Board>, state: Arc<http::State>) -> Arc<dyn Bell> {
    Arc::new(http::Herald { board, state })
}

/// Of a daemon that records nothing.
pub fn no_shelf() -> Arc<dyn Shelf> {
    Arc::new(NoShelf)
}

/// `stentor archive`: makes files, and nothing else. Never ends.
pub async fn archive(config: Config) -> Result<(), StartError> {
    let state = super::places::state_folder(&config).ok_or(RecordingError::NoState)?;
    let folder = state.join(FOLDER);
    let (chunks, files) = depots(&config.recording, &folder)?;
    let metrics = RecordingMetrics::register(&Registry::new())?;
    let mut creator = creator(&config, &folder, (chunks, files, metrics), &Signals::default());
    creator.groups = Groups::delegated(worker_limits(&config)).as_ref().map(Groups::for_files);
    let open = super::events::opener(&config, &state, "archive");
    let hearing = open.map(|open| Hearing::start(open, creator.word.clone())).transpose();
    let hearing = hearing.map_err(RecordingError::Thread)?;
    if hearing.is_some() {
        creator.look = LOOK_SELDOM;
    }
    info!(told = hearing.is_some(), look = ?creator.look, "making files of recordings that end");
    creator.run().await;
    Ok(())
}

/// Reads what the configuration points to.
pub fn check(config: &Config) -> Result<(), RecordingError> {
    let recording = &config.recording;
    webhook(&recording.webhook)?;
    Post::open(&recording.mail)?;
    let stores = [("chunks", &recording.chunks), ("files", &recording.files)];
    for (what, store) in stores.into_iter().filter(|_| recording.enabled) {
        Depot::check(store).map_err(|error| RecordingError::Store { what, error })?;
    }
    Ok(())
}

fn depots(config: &config::Recording, folder: &Path) -> Result<(Depot, Depot), RecordingError> {
    let open = |what, store, name: &str| {
        Depot::open(store, &folder.join(name))
            .map_err(|error| RecordingError::Store { what, error })
    };
    Ok((open("chunks", &config.chunks, "chunks")?, open("files", &config.files, "files")?))
}

fn creator(
    config: &Config,
    folder: &Path,
    (chunks, files, metrics): (Depot, Depot, RecordingMetrics),
    signals: &Signals,
) -> Creator {
    let recording = &config.recording;
    Creator {
        chunks,
        files,
        program: worker_program(config.worker.path.as_deref()),
        groups: None,
        scratch: recording.scratch.clone().unwrap_or_else(|| folder.join("scratch")),
        rules: CreatorRules {
            timeout: recording.compile_timeout.0,
            attempts: recording.attempts,
            lease: recording.lease.0,
        },
        metrics,
        word: Word::of(signals.ordered.clone()),
        look: LOOK_OFTEN,
        done: signals.made.clone(),
    }
}

fn rules(config: &config::Recording, has_webhook: bool, has_mail: bool) -> Rules {
    let day = Duration::from_secs(86_400);
    Rules {
        forms: config.forms.iter().copied().collect::<Vec<Form>>(),
        chunk: config.chunk.0,
        channel_length: config.channel_length.0,
        keep: (config.keep_days > 0).then(|| day * config.keep_days),
        has_webhook,
        has_mail,
        is_shared: config.shared,
    }
}

fn webhook(config: &config::Webhook) -> Result<Option<Line>, RecordingError> {
    let (Some(url), Some(path)) = (&config.url, &config.secret_file) else { return Ok(None) };
    Ok(Some(Line::new(url, &secret(path)?, &config.ca_file, config.timeout.0)?))
}
