//! The lease of an order: who works on it. It saves work, and nothing else depends on it.

use std::future::Future;
use std::sync::{Mutex, PoisonError};

use futures_util::future::BoxFuture;
use tracing::{info, warn};

use super::{Creator, WorkError, is_ahead};
use crate::depot::{DepotError, Notes, Unfinished};
use crate::recording::desk::now_ms;
use crate::recording::ids::RecordingId;
use crate::recording::papers::{self, Lease};

/// A lease that is ours.
pub struct Held<'a> {
    creator: &'a Creator,
    recording: RecordingId,
    owner: String,
    /// Uploads that we began. The lock is held for a moment.
    uploads: Mutex<Vec<Unfinished>>,
}

/// What came of asking for one.
pub enum Taken<'a> {
    Ours(Held<'a>),
    /// Somebody else works on it, who is given up then.
    Theirs {
        until_ms: i64,
    },
}

/// A lease is far below.
const MOST: u64 = 1 << 20;

// === impl Held ===

impl<'a> Held<'a> {
    pub async fn take(creator: &'a Creator, id: &RecordingId) -> Result<Taken<'a>, DepotError> {
        let owner = crate::identity::unique('o').unwrap_or_default();
        let (recording, uploads) = (id.clone(), Mutex::default());
        let held = Self { creator, recording, owner, uploads };
        let name = papers::lease(id);
        if creator.chunks.put_new(&name, held.paper()).await? {
            return Ok(Taken::Ours(held));
        }
        let bytes = creator.chunks.get(&name, MOST).await?;
        let before = bytes.and_then(|bytes| serde_json::from_slice::<Lease>(&bytes).ok());
        if let Some(Lease { until_ms, .. }) = before
            && is_ahead(until_ms, now_ms())
        {
            return Ok(Taken::Theirs { until_ms });
        }
        info!(recording = %id, "whoever worked on it isn't heard of any more");
        for upload in before.into_iter().flat_map(|lease| lease.uploads) {
            creator.files.abort(&upload).await?;
        }
        // Of several who do so at once, one makes it anew.
        creator.chunks.delete(&name).await?;
        let is_ours = creator.chunks.put_new(&name, held.paper()).await?;
        let until_ms = now_ms().saturating_add(held.life_ms());
        Ok(if is_ours { Taken::Ours(held) } else { Taken::Theirs { until_ms } })
    }

    /// Works, and says now and then that it does.
    pub async fn keep<T>(
        &self,
        work: impl Future<Output = Result<T, WorkError>>,
    ) -> Result<T, WorkError> {
        let mut work = std::pin::pin!(work);
        let third = self.creator.rules.lease / 3;
        loop {
            tokio::select! {
                done = &mut work => return done,
                () = tokio::time::sleep(third) => {
                    if let Err(error) = self.renew().await {
                        warn!(recording = %self.recording, %error, "a lease can't be renewed");
                    }
                }
            }
        }
    }

    /// Whether it still is ours.
    pub async fn is_ours(&self) -> Result<bool, DepotError> {
        let name = papers::lease(&self.recording);
        let bytes = self.creator.chunks.get(&name, MOST).await?;
        let lease = bytes.and_then(|bytes| serde_json::from_slice::<Lease>(&bytes).ok());
        Ok(lease.is_some_and(|lease| lease.owner == self.owner))
    }

    pub async fn release(&self) -> Result<(), DepotError> {
        if self.is_ours().await? {
            self.creator.chunks.delete(&papers::lease(&self.recording)).await?;
        }
        Ok(())
    }

    async fn renew(&self) -> Result<(), DepotError> {
        if self.is_ours().await? {
            self.creator.chunks.put(&papers::lease(&self.recording), self.paper()).await?;
        }
        Ok(())
    }

    fn life_ms(&self) -> i64 {
        i64::try_from(self.creator.rules.lease.as_millis()).unwrap_or(i64::MAX)
    }

    fn paper(&self) -> Vec<u8> {
        let uploads = self.uploads.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let until_ms = now_ms().saturating_add(self.life_ms());
        papers::written(&Lease { owner: self.owner.clone(), until_ms, uploads })
    }
}

/// An upload begins: whoever comes after us, should we die, ends it.
impl Notes for Held<'_> {
    fn note(&self, upload: Unfinished) -> BoxFuture<'_, Result<(), DepotError>> {
        self.uploads.lock().unwrap_or_else(PoisonError::into_inner).push(upload);
        Box::pin(self.renew())
    }
}
