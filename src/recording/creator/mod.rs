//! Makes files of chunks: one task, in a daemon or in a process of its own, among as many as
//! wanted. What they know is in the stores: an order for each recording that ended, and what came
//! of it.
//!
//! Whoever works on an order holds its lease, so that others don't do the same work; that the
//! result is one and right doesn't depend on it. Files have names of their own, and a recording is
//! there when its manifest is, which is written last and once. Who finds a manifest cleans up.
//!
//! [`Word`] wakes a creator: within the daemon, or from what a [`Hearing`] hears. What it was not
//! told of it finds by looking now and then.

mod compile;
mod found;
mod hearing;
mod lease;
mod scratch;
#[cfg(test)]
mod tests;
mod word;
mod work;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tracing::{info, warn};

pub use hearing::{Hearing, Opener};
pub use word::Word;

use super::desk::now_ms;
use super::ids::RecordingId;
use super::papers::{self, Failure, Order};
use super::pauses::{Pauses, chance};
use crate::channels::Groups;
use crate::depot::{Depot, DepotError};
use crate::telemetry::recording::RecordingMetrics;

use found::{Found, Left};
use lease::{Held, Taken};
use scratch::Scratch;

pub struct Creator {
    pub chunks: Depot,
    pub files: Depot,
    /// The worker, which knows about media.
    pub program: PathBuf,
    /// Where it has limits of its own.
    pub groups: Option<Groups>,
    /// Files on their way.
    pub scratch: PathBuf,
    pub rules: CreatorRules,
    pub metrics: RecordingMetrics,
    /// There is an order.
    pub word: Word,
    /// Orders are looked for at least so often.
    pub look: Duration,
    /// An order was dealt with.
    pub done: Arc<Notify>,
}

#[derive(Debug, Clone, Copy)]
pub struct CreatorRules {
    /// Nobody waits longer for a file.
    pub timeout: Duration,
    /// How often one is tried.
    pub attempts: u32,
    /// Whoever isn't heard of for so long is given up.
    pub lease: Duration,
}

/// Why there is no file.
#[derive(Debug, thiserror::Error)]
enum WorkError {
    /// The store's fault, or the disk's: it doesn't count.
    #[error(transparent)]
    Depot(#[from] DepotError),
    #[error("the scratch folder: {0}")]
    Scratch(std::io::Error),
    /// Another one works on it, since this one was too slow.
    #[error("another file creator has the lease")]
    Lost,
    /// The machine's fault, or whoever ended it: it doesn't count either, and is tried again after
    /// a while.
    #[error("{0}")]
    Interrupted(String),
    /// It counts: after some it is given up.
    #[error("{0}")]
    Media(String),
}

/// How often to look where word comes from a source that may leave some out for a while.
pub const LOOK_SELDOM: Duration = Duration::from_secs(60);
/// And where none comes of what others ordered.
pub const LOOK_OFTEN: Duration = Duration::from_secs(5);
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Before one is tried again that was interrupted.
const INTERRUPTED: Duration = Duration::from_secs(60);
/// And one that failed, at most.
const FAILED: Duration = Duration::from_secs(3600);

/// Milliseconds that something is put off for, or a lease lasts, at most, and some for clocks that
/// differ.
const AHEAD_MS: i64 = 4_200_000;

/// Whether a time is to be waited for. One that is further ahead than any is put was written before
/// the clock was set back.
fn is_ahead(at_ms: i64, now_ms: i64) -> bool {
    at_ms > now_ms && at_ms.saturating_sub(now_ms) <= AHEAD_MS
}

/// After so many failures: 2 s, 16 s, 2 min, 17 min, an hour.
fn pause_after(failures: u32) -> Duration {
    let times = 8_u64.saturating_pow(failures.saturating_sub(1));
    Duration::from_secs(2_u64.saturating_mul(times)).min(FAILED)
}

// === impl WorkError ===

impl WorkError {
    /// Trying again at once would fetch everything again, and be as good: the disk may be full.
    const fn is_of_this_machine(&self) -> bool {
        matches!(
            self,
            Self::Interrupted(_) | Self::Scratch(_) | Self::Depot(DepotError::File { .. })
        )
    }
}

// === impl Creator ===

impl Creator {
    /// Never ends.
    pub async fn run(self) {
        self.clean_up_after_others().await;
        let mut pauses = Pauses::new(FIRST_PAUSE, LONGEST_PAUSE);
        loop {
            let count = self.word.count();
            match self.look().await {
                Ok(found) => {
                    pauses.reset();
                    if found.is_settled() {
                        self.word.settle(count);
                    }
                    tokio::select! {
                        () = self.word.wait() => {}
                        () = tokio::time::sleep(found.pause(now_ms(), self.look)) => {}
                    }
                }
                Err(error) => {
                    let pause = pauses.next(chance());
                    warn!(%error, ?pause, "files can't be made yet");
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    /// What was under way in processes that were killed.
    async fn clean_up_after_others(&self) {
        let scratch = self.scratch.clone();
        let cleaned = tokio::task::spawn_blocking(move || Scratch::clean_up(&scratch)).await;
        if let Ok(Err(error)) = cleaned {
            warn!(%error, "what dead file creators left can't be removed");
        }
    }

    /// Looks for orders, and does what there is to do: one that can't be done keeps none of the
    /// others waiting. An error of a store is told after that.
    async fn look(&self) -> Result<Found, DepotError> {
        let mut found = Found::nothing(now_ms());
        let mut failed = Ok(());
        for name in self.chunks.list(papers::ORDERS).await? {
            let id = name.rsplit('/').next().and_then(|name| name.strip_suffix(".json"));
            let Some(Ok(id)) = id.map(str::parse::<RecordingId>) else { continue };
            let error = match self.take(&id).await {
                Ok(left) => {
                    found.note(left);
                    continue;
                }
                Err(error) => error,
            };
            found.note(Left::Failed);
            warn!(recording = %id, %error, "an order is left for now");
            if let WorkError::Depot(error @ DepotError::Store(_)) = error {
                failed = Err(error);
            }
        }
        failed.map(|()| found)
    }

    async fn take(&self, id: &RecordingId) -> Result<Left, WorkError> {
        let Some(order) = self.order(id).await? else { return Ok(Left::Gone) };
        if is_ahead(order.not_before_ms, now_ms()) {
            return Ok(Left::NotBefore(order.not_before_ms));
        }
        let held = match Held::take(self, id).await? {
            Taken::Ours(held) => held,
            Taken::Theirs { until_ms } => return Ok(Left::Theirs { until_ms }),
        };
        // Whoever had it may have dealt with it.
        let worked = match self.order(id).await? {
            Some(order) => held.keep(self.deal(&order, &held)).await,
            None => Ok(()),
        };
        let released = held.release().await;
        worked?;
        released?;
        self.done.notify_one();
        Ok(Left::Done)
    }

    /// Does what an order says, or writes down that it can't be done.
    async fn deal(&self, order: &Order, held: &Held<'_>) -> Result<(), WorkError> {
        let began = Instant::now();
        let id = &order.recording;
        match self.work(order, held).await {
            Ok(files) => {
                info!(recording = %id, files, took = ?began.elapsed(), "files made");
                self.metrics.files.with_label_values(&["made"]).inc();
                self.metrics.file_seconds.observe(began.elapsed().as_secs_f64());
                self.clean_up(id).await?;
                Ok(())
            }
            Err(WorkError::Media(reason)) => {
                self.metrics.files.with_label_values(&["failed"]).inc();
                self.fail(order, held, reason).await
            }
            Err(error) if error.is_of_this_machine() => {
                warn!(recording = %id, %error, "files can't be made here yet");
                self.metrics.files.with_label_values(&["interrupted"]).inc();
                self.put_off(order, held, order.failures, INTERRUPTED).await
            }
            Err(error) => Err(error),
        }
    }

    /// It is tried again after a while, or given up.
    async fn fail(&self, order: &Order, held: &Held<'_>, reason: String) -> Result<(), WorkError> {
        let id = &order.recording;
        let failures = order.failures.saturating_add(1);
        warn!(recording = %id, failures, reason, "no file can be made");
        if failures < self.rules.attempts {
            return self.put_off(order, held, failures, pause_after(failures)).await;
        }
        // Whoever has it now may make what we couldn't.
        if !held.is_ours().await? {
            return Err(WorkError::Lost);
        }
        self.metrics.files.with_label_values(&["given_up"]).inc();
        let (recording, at_ms) = (id.clone(), now_ms());
        let failure = Failure { recording, reason, attempts: failures, at_ms };
        self.files.put(&papers::failure(id), papers::written(&failure)).await?;
        self.chunks.delete(&papers::order(id)).await?;
        Ok(())
    }

    async fn put_off(
        &self,
        order: &Order,
        held: &Held<'_>,
        failures: u32,
        pause: Duration,
    ) -> Result<(), WorkError> {
        if !held.is_ours().await? {
            return Err(WorkError::Lost);
        }
        let pause = i64::try_from(pause.as_millis()).unwrap_or(i64::MAX);
        let not_before_ms = now_ms().saturating_add(pause);
        let again = Order { failures, not_before_ms, ..order.clone() };
        self.chunks.put(&papers::order(&order.recording), papers::written(&again)).await?;
        Ok(())
    }

    async fn order(&self, id: &RecordingId) -> Result<Option<Order>, WorkError> {
        let bytes = self.chunks.get(&papers::order(id), papers::MOST).await?;
        let Some(bytes) = bytes else { return Ok(None) };
        let order = serde_json::from_slice::<Order>(&bytes);
        let order = order.map_err(|error| WorkError::Media(format!("no order: {error}")))?;
        if order.recording == *id && order.version == papers::VERSION {
            Ok(Some(order))
        } else {
            Err(WorkError::Media("the order is of another version".to_owned()))
        }
    }
}
