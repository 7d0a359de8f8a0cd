//! What becomes of a recording that ended: an order for file creators once its last chunk is
//! shipped, then files, or none; and at some time nothing.

use tracing::{info, warn};

use super::{KeepError, Recordings, now_ms};
use crate::accounts::DatabaseError;
use crate::recording::catalogue::{Entry, State, Telling, Way};
use crate::recording::ids::RecordingId;
use crate::recording::papers::{self, ChunkEntry, Failure, Manifest, Order, Source};
use crate::recording::spool::is_empty;

// === impl Recordings ===

impl Recordings {
    /// One that can't be ordered keeps none of the others waiting.
    pub(super) async fn order_all(&self) -> Result<(), KeepError> {
        for entry in self.inner.catalogue.in_state(State::Ending).await? {
            self.log_of(&entry.id, "its end", self.order(&entry).await);
        }
        Ok(())
    }

    pub(super) async fn look_for_files(&self) -> Result<(), KeepError> {
        for entry in self.inner.catalogue.in_state(State::Ended).await? {
            self.log_of(&entry.id, "its files", self.look_for_files_of(&entry).await);
        }
        Ok(())
    }

    /// Orders files, if all chunks are in the store.
    async fn order(&self, entry: &Entry) -> Result<(), KeepError> {
        let inner = &self.inner;
        // In this order: where nobody writes any more, what isn't there doesn't come.
        if inner.spool.is_written(&entry.id) {
            return Ok(());
        }
        let folder = inner.spool.of(&entry.id);
        let is_shipped = tokio::task::spawn_blocking(move || is_empty(&folder)).await;
        if !matches!(is_shipped, Ok(Ok(true))) {
            return Ok(());
        }
        let chunks = inner.catalogue.chunks(&entry.id).await?;
        if chunks.is_empty() {
            return self.fail(entry, "nothing was sent while it went on", 0).await;
        }
        let order = Order {
            version: papers::VERSION,
            recording: entry.id.clone(),
            subject: entry.subject.clone(),
            node: entry.node.clone(),
            started_by: entry.started_by.clone(),
            started_ms: entry.started_ms,
            ended_ms: entry.ended_ms.unwrap_or_else(now_ms),
            forms: inner.rules.forms.clone(),
            sources: self.sources(&entry.id, chunks).await?,
            speakers: inner.catalogue.speakers(&entry.id).await?,
            failures: 0,
            not_before_ms: 0,
        };
        // One that is there already may know of failures.
        inner.chunks.put_new(&papers::order(&entry.id), papers::written(&order)).await?;
        inner.catalogue.set_ordered(&entry.id).await?;
        info!(recording = %entry.id, "all chunks are shipped");
        self.tell_ended(entry, &order);
        inner.signals.ordered.notify_one();
        Ok(())
    }

    async fn sources(
        &self,
        id: &RecordingId,
        chunks: Vec<ChunkEntry>,
    ) -> Result<Vec<Source>, DatabaseError> {
        let of = |source: &str| {
            let is_its = |chunk: &&ChunkEntry| {
                chunk.name.split_once('/').is_some_and(|(folder, _)| folder == source)
            };
            chunks.iter().filter(is_its).cloned().collect()
        };
        let participants = self.inner.catalogue.participants(id).await?;
        let sources = participants.into_iter().map(|p| Source {
            chunks: of(&p.source),
            source: p.source,
            user: p.user,
            name: p.name,
            joined_ms: p.joined_ms,
            left_ms: p.left_ms,
        });
        Ok(sources.collect())
    }

    /// Whoever makes files says so in the store alone.
    async fn look_for_files_of(&self, entry: &Entry) -> Result<(), KeepError> {
        let (files, id) = (&self.inner.files, &entry.id);
        if let Some(bytes) = files.get(&papers::manifest(id), papers::MOST).await? {
            let Ok(manifest) = serde_json::from_slice::<Manifest>(&bytes) else {
                warn!(recording = %id, "the manifest can't be read");
                return Ok(());
            };
            return self.ready(entry, manifest).await;
        }
        if let Some(bytes) = files.get(&papers::failure(id), papers::MOST).await?
            && let Ok(failure) = serde_json::from_slice::<Failure>(&bytes)
        {
            return self.fail(entry, &failure.reason, failure.attempts).await;
        }
        Ok(())
    }

    async fn ready(&self, entry: &Entry, manifest: Manifest) -> Result<(), KeepError> {
        let (inner, id) = (&self.inner, &entry.id);
        let files = manifest.files.clone();
        let damaged = u64::try_from(manifest.left_out.len()).unwrap_or_default();
        let telling = self.telling(id).await?;
        let mut told = inner.told.lock().await;
        // Others hear of it rather twice than never.
        self.tell_others_ready(&mut told, id).await?;
        if inner.catalogue.set_ready(id, manifest, telling).await? {
            info!(recording = %id, files = files.len(), "recording is ready");
            self.tell_ready(entry, &files);
            inner.metrics.ended.with_label_values(&["ready"]).inc();
            inner.metrics.left_out.with_label_values(&["damaged"]).inc_by(damaged);
        }
        inner.signals.notices.notify_one();
        Ok(())
    }

    async fn fail(&self, entry: &Entry, reason: &str, attempts: u32) -> Result<(), KeepError> {
        let (inner, id) = (&self.inner, &entry.id);
        let telling = self.telling(id).await?;
        let mut told = inner.told.lock().await;
        self.tell_others_failed(&mut told, entry, reason).await?;
        if inner.catalogue.set_failed(id, reason.to_owned(), telling).await? {
            warn!(recording = %id, reason, "a recording has no file");
            self.tell_failed(entry, reason, attempts);
            inner.metrics.ended.with_label_values(&["failed"]).inc();
        }
        inner.signals.notices.notify_one();
        Ok(())
    }

    /// Who is to be told of it.
    async fn telling(&self, id: &RecordingId) -> Result<Telling, DatabaseError> {
        let inner = &self.inner;
        let mut to = Vec::new();
        if inner.rules.has_webhook {
            to.push((Way::Webhook, String::new()));
        }
        let people = inner.catalogue.participants(id).await?;
        for user in people.into_iter().filter_map(|participant| participant.user) {
            if inner.rules.has_mail {
                to.push((Way::Mail, user.clone()));
            }
            to.push((Way::Socket, user));
        }
        Ok(Telling { to, from_ms: now_ms() })
    }

    /// Deletes what is old, and what writers that were killed left in folders.
    pub(super) async fn sweep(&self) -> Result<(), KeepError> {
        for depot in [&self.inner.chunks, &self.inner.files] {
            match depot.remove_leftovers().await {
                Ok(0) => {}
                Ok(count) => info!(count, "halves of objects that dead writers left are removed"),
                Err(error) => warn!(%error, "halves of objects can't be removed"),
            }
        }
        let Some(keep) = self.inner.rules.keep else { return Ok(()) };
        let keep = i64::try_from(keep.as_millis()).unwrap_or(i64::MAX);
        for entry in self.inner.catalogue.older_than(now_ms().saturating_sub(keep)).await? {
            info!(recording = %entry.id, "a recording is old enough to go");
            self.log_of(&entry.id, "its removal", self.remove(&entry, "expired").await);
        }
        Ok(())
    }

    /// Deletes a recording with everything that there is of it. One that goes on is not: false.
    pub async fn delete(&self, entry: &Entry) -> Result<bool, DeleteError> {
        if !entry.is_over(now_ms()) {
            return Ok(false);
        }
        self.remove(entry, "deleted").await?;
        info!(recording = %entry.id, "recording deleted");
        Ok(true)
    }

    /// The catalogue last: what is left half done is done again.
    async fn remove(&self, entry: &Entry, cause: &str) -> Result<(), KeepError> {
        let (inner, id) = (&self.inner, &entry.id);
        let files = inner.catalogue.files(id).await?;
        self.remove_objects(id).await?;
        // Of two who do it, one tells.
        if inner.catalogue.delete(id).await? {
            self.tell_deleted(entry, &files, cause);
        }
        Ok(())
    }

    /// The order and the lease first, so that no file creator makes it again; what other servers go
    /// by last: as long as it is there, none of them forgets what is left half done.
    pub(super) async fn remove_objects(&self, id: &RecordingId) -> Result<(), KeepError> {
        let inner = &self.inner;
        inner.chunks.delete(&papers::order(id)).await?;
        inner.chunks.delete(&papers::lease(id)).await?;
        inner.chunks.delete_all(&format!("{}/{id}", papers::CHUNKS)).await?;
        let last = [papers::standing(id), papers::manifest(id)];
        let there = inner.files.list(id.as_str()).await?;
        inner.files.delete_these(there.into_iter().filter(|name| !last.contains(name))).await?;
        for name in &last {
            inner.files.delete(name).await?;
        }
        self.leave_news(id).await
    }
}

/// Why a recording is still there, or half of it.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct DeleteError(#[from] KeepError);
