//! Events as Parquet files in an object store, hour by hour. `README.md` says how they are named,
//! when they are written, and why each event is in exactly one.

mod parts;
mod rows;

use std::path::PathBuf;
use std::time::Duration;

use parquet::errors::ParquetError;
use tracing::{info, warn};

pub use parts::{HOUR_MS, Part, Parts};

use super::engine::Progress;
use super::store::StoreError;
use crate::depot::{Depot, DepotError};
use crate::rfc3339::Millis;
use crate::telemetry::analytics::AnalyticsMetrics;

/// Where a dump goes.
#[derive(Clone)]
pub struct Dump {
    pub database: PathBuf,
    pub store: Depot,
    /// How long after its end an hour is written, and after its coming a late event.
    pub delay: Duration,
    pub metrics: AnalyticsMetrics,
}

/// Why a part isn't in the store. It is tried again.
#[derive(Debug, thiserror::Error)]
pub enum DumpError {
    #[error(transparent)]
    Database(#[from] StoreError),
    #[error("a part can't be written: {0}")]
    Parquet(#[from] ParquetError),
    #[error("the store of the dump: {0}")]
    Store(#[from] DepotError),
    #[error("the work broke off")]
    Ended,
}

const PAUSE: Duration = Duration::from_secs(20);
const AFTER_FAILURE: Duration = Duration::from_secs(60);

// === impl Dump ===

impl Dump {
    /// Writes what is due, for ever. Dropping it in the middle leaves nothing half done.
    pub async fn run(self, progress: Progress) {
        let mut failing = false;
        loop {
            let pause = match self.write_due(progress.caught_up()).await {
                Ok(parts) => {
                    if parts > 0 {
                        info!(parts, "events dumped");
                    }
                    failing = false;
                    self.delay.min(PAUSE)
                }
                Err(error) => {
                    self.metrics.failures.with_label_values(&["dump"]).inc();
                    if !failing {
                        warn!(%error, "events wait to be dumped");
                    }
                    failing = true;
                    AFTER_FAILURE
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// `caught_up`: until when the source was read to its end. Gives how many parts were written.
    pub async fn write_due(&self, caught_up: Millis) -> Result<u64, DumpError> {
        let mut written = 0;
        while let Some(part) = self.next(caught_up).await? {
            self.store.put(&part.name, part.parquet.clone()).await?;
            self.metrics.dumps.inc();
            self.metrics.dumped_events.inc_by(part.events);
            self.done(part).await?;
            written += 1;
        }
        Ok(written)
    }

    async fn next(&self, caught_up: Millis) -> Result<Option<Part>, DumpError> {
        let (database, delay) = (self.database.clone(), self.delay);
        let work =
            tokio::task::spawn_blocking(move || Parts::open(&database)?.next(caught_up, delay));
        work.await.map_err(|_| DumpError::Ended)?
    }

    async fn done(&self, part: Part) -> Result<(), DumpError> {
        let database = self.database.clone();
        let work = tokio::task::spawn_blocking(move || Parts::open(&database)?.done(&part));
        work.await.map_err(|_| DumpError::Ended)?
    }
}
