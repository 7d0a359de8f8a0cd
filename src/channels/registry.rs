//! All channels by name: made, changed, deleted, looked up.
//!
//! Lock order: `changes`, then `channels`, then one `settings`. The latter two are never held
//! across an await.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use stentor_protocol::capacity::AdmissionError;
use stentor_protocol::spec::SourceSpec;
use stentor_protocol::units::TrackId;
use tokio::sync::{Mutex, oneshot};
use tracing::info;

use super::admission;
use super::channel::{Channel, Context, Handle, Request, Thumbnail};
use super::outlet::Outlet;
use super::settings::{ChannelSettings, Invalid, is_call_channel};
use super::status::ChannelStatus;
use super::store::{Store, StoreError};

mod calls;
mod publish;
mod record;

pub use self::publish::WhipRequestError;
pub use self::record::RecordError;

/// Cheap to clone; clones are the same channels.
#[derive(Clone)]
pub struct Channels {
    inner: Arc<Inner>,
}

struct Inner {
    context: Arc<Context>,
    outlet: Arc<dyn Outlet>,
    limits: Limits,
    store: Option<Store>,
    /// Held by whoever changes the set of channels.
    changes: Mutex<()>,
    channels: RwLock<BTreeMap<String, Arc<Entry>>>,
}

#[derive(Debug, Clone)]
pub struct Limits {
    pub max_channels: usize,
    /// Of calls, beside those: a process each.
    pub max_call_channels: usize,
    /// Folders from which channels made over the API may play files.
    pub file_folders: Vec<PathBuf>,
}

struct Entry {
    is_static: bool,
    settings: RwLock<ChannelSettings>,
    handle: Handle,
}

/// Why a channel was not made, changed or deleted.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    #[error("there is no channel {0}")]
    NoChannel(String),
    #[error("a channel {0} exists already")]
    Exists(String),
    #[error("channel {0} comes from the configuration file: change it there")]
    Static(String),
    #[error("there are {0} channels already, as many as there may be")]
    TooMany(usize),
    #[error("the channel's settings are not valid")]
    Invalid(Vec<Invalid>),
    /// This server's limit; nothing was changed.
    #[error("the hardware can't carry it: {0}")]
    OverBudget(#[from] AdmissionError),
    /// This server's fault; nothing was changed.
    #[error("the change can't be kept: {0}")]
    Store(#[from] StoreError),
    /// The channel's task is gone: this server's fault.
    #[error("channel {0} does not answer")]
    Gone(String),
}

/// What [`Channels::put`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    Made,
    Replaced,
}

// === impl Channels ===

impl Channels {
    pub fn new(
        context: Context,
        outlet: Arc<dyn Outlet>,
        limits: Limits,
        store: Option<Store>,
    ) -> Self {
        let inner = Inner {
            context: Arc::new(context),
            outlet,
            limits,
            store,
            changes: Mutex::new(()),
            channels: RwLock::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Brings up the channels of the configuration file, then those that were kept.
    pub async fn restore(
        &self,
        fixed: impl IntoIterator<Item = (String, ChannelSettings)>,
    ) -> Result<(), StoreError> {
        let _changing = self.inner.changes.lock().await;
        for (name, settings) in fixed {
            self.start(&name, true, settings);
        }
        let Some(store) = self.inner.store.clone() else {
            return Ok(());
        };
        let kept = blocking(move || store.load()).await?;
        for (name, settings) in kept {
            if self.read().contains_key(&name) {
                info!(channel = name, "the configuration file's channel takes this name");
            } else {
                self.start(&name, false, settings);
            }
        }
        Ok(())
    }

    pub async fn create(&self, name: &str, settings: ChannelSettings) -> Result<(), ChangeError> {
        let _changing = self.inner.changes.lock().await;
        if self.read().contains_key(name) {
            return Err(ChangeError::Exists(name.to_owned()));
        }
        self.make(name, settings).await
    }

    /// Makes a channel or replaces its settings.
    pub async fn put(&self, name: &str, mut settings: ChannelSettings) -> Result<Put, ChangeError> {
        let _changing = self.inner.changes.lock().await;
        let Some(entry) = self.entry(name) else {
            return self.make(name, settings).await.map(|()| Put::Made);
        };
        if entry.is_static {
            return Err(ChangeError::Static(name.to_owned()));
        }
        let old = entry.settings.read().unwrap_or_else(PoisonError::into_inner).clone();
        settings.keep_secrets_of(&old);
        self.check(&settings)?;
        self.admit(name, &settings)?;
        self.save(|kept| {
            kept.insert(name.to_owned(), settings.clone());
        })
        .await?;
        *entry.settings.write().unwrap_or_else(PoisonError::into_inner) = settings.clone();
        self.ask(name, |done| Request::Replace { settings, done }).await?;
        Ok(Put::Replaced)
    }

    pub async fn delete(&self, name: &str) -> Result<(), ChangeError> {
        let _changing = self.inner.changes.lock().await;
        let no_channel = || ChangeError::NoChannel(name.to_owned());
        let entry = self.entry(name).ok_or_else(no_channel)?;
        if entry.is_static {
            return Err(ChangeError::Static(name.to_owned()));
        }
        self.save(|kept| {
            kept.remove(name);
        })
        .await?;
        // Out of sight first: who asks from here on finds no channel.
        self.write().remove(name);
        stop(&entry).await;
        info!(channel = name, "channel deleted");
        Ok(())
    }

    /// Ends all workers, then all channels. Takes about as long as the slowest.
    pub async fn stop_all(&self, at_most: Duration) {
        let _changing = self.inner.changes.lock().await;
        let entries: Vec<_> = std::mem::take(&mut *self.write()).into_values().collect();
        let stops: Vec<_> = entries
            .into_iter()
            .map(|entry| tokio::spawn(async move { stop(&entry).await }))
            .collect();
        let all = async {
            for stop in stops {
                let _ = stop.await;
            }
        };
        if tokio::time::timeout(at_most, all).await.is_err() {
            info!("some workers did not end in time and are killed");
        }
    }

    pub fn status(&self, name: &str) -> Option<Arc<ChannelStatus>> {
        self.entry(name).map(|e| e.handle.status.borrow().clone())
    }

    /// By name. Calls' own channels are nobody's to see.
    pub fn list(&self) -> Vec<Arc<ChannelStatus>> {
        let channels = self.read();
        let shown = channels.iter().filter(|(name, _)| !is_call_channel(name));
        shown.map(|(_, e)| e.handle.status.borrow().clone()).collect()
    }

    /// Without calls' own.
    pub fn count(&self) -> usize {
        self.read().keys().filter(|name| !is_call_channel(name)).count()
    }

    /// The latest picture. The outer None: no such channel.
    pub fn thumbnail(&self, name: &str) -> Option<Option<Thumbnail>> {
        self.entry(name).map(|e| e.handle.thumbnail.borrow().clone())
    }

    /// Follows a channel's status.
    pub fn watch(&self, name: &str) -> Option<tokio::sync::watch::Receiver<Arc<ChannelStatus>>> {
        self.entry(name).map(|e| e.handle.status.clone())
    }

    /// Takes the fan-out's word on how many viewers a track has. Never waits.
    pub fn handle_demand(&self, channel: &str, track: TrackId, viewers: u32) {
        if let Some(entry) = self.entry(channel) {
            entry.handle.inbox.demand(track, viewers);
        }
    }

    /// Takes the fan-out's wish for a keyframe. Never waits.
    pub fn handle_keyframe_wanted(&self, channel: &str, track: TrackId) {
        if let Some(entry) = self.entry(channel) {
            entry.handle.inbox.keyframe(track);
        }
    }

    async fn ask<T>(
        &self,
        name: &str,
        request: impl FnOnce(oneshot::Sender<T>) -> Request,
    ) -> Result<T, ChangeError> {
        let no_channel = || ChangeError::NoChannel(name.to_owned());
        let entry = self.entry(name).ok_or_else(no_channel)?;
        let gone = || ChangeError::Gone(name.to_owned());
        let (reply, answer) = oneshot::channel();
        entry.handle.requests.send(request(reply)).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())
    }

    async fn make(&self, name: &str, settings: ChannelSettings) -> Result<(), ChangeError> {
        self.check(&settings)?;
        if self.count() >= self.inner.limits.max_channels {
            return Err(ChangeError::TooMany(self.inner.limits.max_channels));
        }
        self.admit(name, &settings)?;
        let saved = self.save(|kept| {
            kept.insert(name.to_owned(), settings.clone());
        });
        if let Err(error) = saved.await {
            self.inner.context.admission.release(name);
            return Err(error.into());
        }
        self.start(name, false, settings);
        Ok(())
    }

    /// Reserves what the channel will need by all that is known of it.
    fn admit(&self, name: &str, settings: &ChannelSettings) -> Result<(), AdmissionError> {
        let context = &self.inner.context;
        let findings = context.findings.borrow();
        let Some(findings) = findings.as_ref() else {
            return Ok(());
        };
        let ladder = &context.tuning.default_ladder;
        let demand = admission::base_demand(settings, ladder, None, &findings.codecs);
        context.admission.admit(name, demand)
    }

    /// Settings that come over the API may reach less of the server than the file's.
    fn check(&self, settings: &ChannelSettings) -> Result<(), ChangeError> {
        let mut faults = settings.check();
        if let SourceSpec::File { path, .. } = &settings.source
            && faults.is_empty()
            && !self.is_allowed(path)
        {
            faults.push(Invalid {
                pointer: "/source/path".to_owned(),
                detail: "expected an existing file below one of `server.file_folders`".to_owned(),
            });
        }
        if faults.is_empty() { Ok(()) } else { Err(ChangeError::Invalid(faults)) }
    }

    fn is_allowed(&self, path: &str) -> bool {
        // Links are followed first: one inside a folder may point out of it.
        let Ok(real) = std::fs::canonicalize(path) else {
            return false;
        };
        let folders = self.inner.limits.file_folders.iter();
        folders.flat_map(std::fs::canonicalize).any(|folder| real.starts_with(folder))
    }

    fn start(&self, name: &str, is_static: bool, settings: ChannelSettings) {
        info!(channel = name, is_static, "channel");
        let feed = self.inner.outlet.open(name);
        let context = self.inner.context.clone();
        context.metrics_of(name).begin(name);
        let (channel, handle) = Channel::new(name, is_static, settings.clone(), context, feed);
        let entry = Entry { is_static, settings: RwLock::new(settings), handle };
        self.write().insert(name.to_owned(), Arc::new(entry));
        tokio::spawn(channel.run());
    }

    /// Keeps the channels made over the API, changed by `change`.
    async fn save(
        &self,
        change: impl FnOnce(&mut BTreeMap<String, ChannelSettings>),
    ) -> Result<(), StoreError> {
        let Some(store) = self.inner.store.clone() else {
            return Ok(());
        };
        let mut kept: BTreeMap<String, ChannelSettings> = self
            .read()
            .iter()
            .filter(|(name, e)| !e.is_static && !is_call_channel(name))
            .map(|(name, e)| {
                let settings = e.settings.read().unwrap_or_else(PoisonError::into_inner);
                (name.clone(), settings.clone())
            })
            .collect();
        change(&mut kept);
        blocking(move || store.save(kept)).await
    }

    fn entry(&self, name: &str) -> Option<Arc<Entry>> {
        self.read().get(name).cloned()
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<String, Arc<Entry>>> {
        self.inner.channels.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<String, Arc<Entry>>> {
        self.inner.channels.write().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn stop(entry: &Entry) {
    let (done, stopped) = oneshot::channel();
    if entry.handle.requests.send(Request::Stop { done }).await.is_ok() {
        // An error means that it has stopped already.
        let _ = stopped.await;
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => {
            Err(StoreError::File { path: PathBuf::new(), error: std::io::Error::other(error) })
        }
    }
}
