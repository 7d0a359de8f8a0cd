//! What is recorded at present, and what becomes of it afterwards, up to files that are there.
//!
//! Two tasks change anything but beginnings, and go by what is wanted at the time they look: they
//! miss nothing by being late. [`Recordings::keep`] has what goes on and waits for no store, so
//! that a call whose recording is stopped isn't recorded any more; [`Recordings::finish`] has what
//! ended. `changes` is held by whoever begins or ends a recording of a channel; `told` by whoever
//! tells other servers how a recording stands, or ends one, and inside of nothing else; `calls`,
//! `speakers` and `next_ones` for a moment, each alone and never across an await.

mod afterwards;
mod calls;
mod channels;
mod clock;
mod others;
mod shared;
#[cfg(test)]
mod tests;
mod told;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tracing::{error, info, warn};

pub use afterwards::DeleteError;
pub use calls::CallWanted;
pub use clock::{Clock, now_ms};

use super::catalogue::{Catalogue, Entry, NewRecording, State};
use super::ids::RecordingId;
use super::papers::Subject;
use super::spool::Spool;
use crate::accounts::DatabaseError;
use crate::calls::ids::CallId;
use crate::channels::{Channels, Record, RecordError};
use crate::config::Form;
use crate::depot::{Depot, DepotError};
use crate::events::Events;
use crate::telemetry::recording::RecordingMetrics;

use calls::{LiveCall, Spoken};
use channels::NextOne;
use others::Told;

/// What the configuration says.
#[derive(Debug, Clone)]
pub struct Rules {
    pub forms: Vec<Form>,
    pub chunk: Duration,
    /// A channel's recording is ended after so long, and another begun.
    pub channel_length: Duration,
    /// None: for good.
    pub keep: Option<Duration>,
    /// Whether whoever takes part is told by these ways.
    pub has_webhook: bool,
    pub has_mail: bool,
    /// Other servers have the same store of files, and show what is in it.
    pub is_shared: bool,
}

/// Cheap to clone; clones are the same recordings.
#[derive(Clone)]
pub struct Recordings {
    inner: Arc<Inner>,
}

struct Inner {
    rules: Rules,
    catalogue: Catalogue,
    spool: Arc<Spool>,
    chunks: Depot,
    files: Depot,
    metrics: RecordingMetrics,
    events: Events,
    clock: Clock,
    /// Set once, before anything is recorded: they know the spool themselves.
    channels: OnceLock<Channels>,
    /// This server, as events name it.
    node: String,
    changes: tokio::sync::Mutex<()>,
    told: tokio::sync::Mutex<Told>,
    calls: Mutex<BTreeMap<CallId, CallWanted>>,
    speakers: Mutex<Vec<Spoken>>,
    /// By channel.
    next_ones: Mutex<BTreeMap<String, NextOne>>,
    signals: Signals,
}

/// Who wakes whom.
#[derive(Clone, Default)]
pub struct Signals {
    /// What goes on is to be looked at.
    pub keeper: Arc<Notify>,
    /// And what ended.
    pub finisher: Arc<Notify>,
    /// A file creator dealt with an order.
    pub made: Arc<Notify>,
    /// There is an order for file creators.
    pub ordered: Arc<Notify>,
    /// There is somebody to be told.
    pub notices: Arc<Notify>,
}

/// What all of it stands on.
pub struct Parts {
    pub rules: Rules,
    pub catalogue: Catalogue,
    pub spool: Arc<Spool>,
    pub chunks: Depot,
    pub files: Depot,
    pub metrics: RecordingMetrics,
    pub events: Events,
    pub node: String,
    pub signals: Signals,
}

/// Why nothing is recorded.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("there is no channel {0}")]
    NoChannel(String),
    #[error(transparent)]
    Channel(#[from] RecordError),
    /// This server's fault.
    #[error("the catalogue of recordings: {0}")]
    Database(#[from] DatabaseError),
}

/// Why something did not go on. It is tried again.
#[derive(Debug, thiserror::Error)]
enum KeepError {
    #[error("the catalogue: {0}")]
    Database(#[from] DatabaseError),
    #[error("the store: {0}")]
    Depot(#[from] DepotError),
    #[error("the spool: {0}")]
    Spool(#[from] std::io::Error),
    #[error("a channel: {0}")]
    Channel(#[from] RecordError),
}

/// How often both look when nothing happens.
const LOOK: Duration = Duration::from_secs(1);
/// And what file creators elsewhere did.
const LOOK_FOR_FILES: Duration = Duration::from_secs(3);
/// A chunk that is larger is cut where it is.
const CHUNK_BYTES: u64 = 64 << 20;

// === impl Recordings ===

impl Recordings {
    pub fn new(parts: Parts) -> Self {
        let Parts { rules, catalogue, spool, chunks, files, metrics, events, node, signals } =
            parts;
        let inner = Inner {
            rules,
            catalogue,
            spool,
            chunks,
            files,
            metrics,
            events,
            clock: Clock::new(),
            channels: OnceLock::new(),
            node,
            changes: tokio::sync::Mutex::new(()),
            told: tokio::sync::Mutex::default(),
            calls: Mutex::default(),
            speakers: Mutex::default(),
            next_ones: Mutex::default(),
            signals,
        };
        Self { inner: Arc::new(inner) }
    }

    pub fn catalogue(&self) -> &Catalogue {
        &self.inner.catalogue
    }

    pub fn files(&self) -> &Depot {
        &self.inner.files
    }

    pub fn metrics(&self) -> &RecordingMetrics {
        &self.inner.metrics
    }

    pub fn signals(&self) -> &Signals {
        &self.inner.signals
    }

    /// Takes up what a former life left: channels' recordings go on, calls' have ended with it.
    /// `fixed` are the channels that the configuration wants recorded.
    pub async fn restore(&self, channels: Channels, fixed: &[String]) -> Result<(), StartError> {
        // The first are the ones.
        let _ = self.inner.channels.set(channels);
        self.inner.catalogue.take_over(&self.inner.node).await?;
        for entry in self.inner.catalogue.in_state(State::Recording).await? {
            self.take_up(&entry, fixed).await?;
        }
        for name in fixed {
            if let Err(error) = self.start_channel(name, None, true).await {
                warn!(channel = name, %error, "the channel isn't recorded");
            }
        }
        Ok(())
    }

    /// Keeps going what goes on. Never ends.
    pub async fn keep(self) {
        let mut live = BTreeMap::<CallId, LiveCall>::new();
        loop {
            self.settle_calls(&mut live).await;
            self.settle_speakers(&live).await;
            self.tell_troubles().await;
            self.log("channels", self.keep_channels().await);
            tokio::select! {
                () = self.inner.signals.keeper.notified() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// Brings what ended to its files, and deletes what is old. Never ends, and may wait for a
    /// store as long as that takes.
    pub async fn finish(self) {
        let mut swept = tokio::time::Instant::now();
        let mut looked = swept;
        loop {
            self.log("endings", self.order_all().await);
            if tokio::time::Instant::now() >= looked {
                self.log("files", self.look_for_files().await);
                looked = tokio::time::Instant::now() + LOOK_FOR_FILES;
            }
            if tokio::time::Instant::now() >= swept {
                self.log("retention", self.sweep().await);
                swept = tokio::time::Instant::now() + Duration::from_secs(600);
            }
            tokio::select! {
                () = self.inner.signals.finisher.notified() => {}
                () = self.inner.signals.made.notified() => looked = tokio::time::Instant::now(),
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    async fn begin(
        &self,
        subject: Subject,
        started_by: Option<String>,
        is_fixed: bool,
    ) -> Result<Option<Entry>, DatabaseError> {
        let clock = &self.inner.clock;
        let id = RecordingId::random()?;
        let (started_ms, epoch_us) = clock.now();
        let kind = subject.kind();
        let new = NewRecording {
            id: id.clone(),
            subject,
            started_by,
            is_fixed,
            started_ms,
            boot: clock.boot().to_owned(),
            epoch_us,
            node: self.inner.node.clone(),
        };
        info!(recording = %id, subject = ?new.subject, "recording begins");
        if !self.inner.catalogue.begin(new).await? {
            return Ok(None);
        }
        self.inner.metrics.started.with_label_values(&[kind]).inc();
        self.inner.metrics.current.inc();
        let entry = self.inner.catalogue.get(&id).await?;
        entry.iter().for_each(|entry| self.tell_started(entry));
        Ok(entry)
    }

    /// Nothing more is recorded of it.
    async fn end(&self, id: &RecordingId, at_ms: i64) -> Result<(), DatabaseError> {
        self.inner.catalogue.end(id, at_ms).await?;
        info!(recording = %id, "recording ended");
        self.inner.metrics.current.dec();
        self.inner.signals.finisher.notify_one();
        Ok(())
    }

    fn record_of(&self, entry: &Entry, source: &str) -> Record {
        Record {
            recording: entry.id.to_string(),
            source: source.to_owned(),
            epoch_us: self.inner.clock.epoch_of(entry),
            chunk_ms: u32::try_from(self.inner.rules.chunk.as_millis()).unwrap_or(u32::MAX),
            max_bytes: CHUNK_BYTES,
        }
    }

    fn channels(&self) -> Option<&Channels> {
        self.inner.channels.get()
    }

    /// Ends a channel's part. Its last chunk is waited for by whoever orders files.
    fn detach(&self, channel: &str, id: &RecordingId) {
        let Some(channels) = self.channels().cloned() else { return };
        let (channel, id) = (channel.to_owned(), id.clone());
        tokio::spawn(async move { channels.end_record(&channel, id.as_str()).await });
    }

    /// What workers and the logger could not write: told once each time.
    async fn tell_troubles(&self) {
        for (id, trouble) in self.inner.spool.take_troubles() {
            let cause = if trouble.full { "full" } else { "error" };
            error!(recording = %id, cause, reason = trouble.reason, "something isn't recorded");
            self.inner.metrics.troubles.with_label_values(&[cause]).inc();
            let noted = self.inner.catalogue.add_trouble(&id).await;
            self.log("troubles", noted.map_err(KeepError::from));
            if let Ok(Some(entry)) = self.inner.catalogue.get(&id).await {
                self.tell_trouble(&entry, &trouble);
            }
        }
    }

    fn log(&self, what: &str, done: Result<(), KeepError>) {
        if let Err(error) = done {
            self.count(&error);
            warn!(what, %error, "recordings: tried again");
        }
    }

    fn log_of(&self, id: &RecordingId, what: &str, done: Result<(), KeepError>) {
        if let Err(error) = done {
            self.count(&error);
            warn!(recording = %id, what, %error, "tried again");
        }
    }

    fn count(&self, error: &KeepError) {
        if matches!(error, KeepError::Database(_)) {
            self.inner.metrics.database_errors.inc();
        }
    }

    fn wanted_calls(&self) -> BTreeMap<CallId, CallWanted> {
        self.inner.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
