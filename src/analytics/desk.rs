//! Where reports are asked for: a few at a time, beside the writer.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::Semaphore;

use super::report::{Asked, NoSpan, Report, Span, Table};
use super::store::{Kept, StoreError, reader};
use crate::rfc3339::Millis;

/// Cheap to clone.
#[derive(Clone)]
pub struct Desk {
    database: PathBuf,
    kept: Kept,
    permits: Arc<Semaphore>,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// The client's fault.
    #[error(transparent)]
    Span(#[from] NoSpan),
    /// To be tried again.
    #[error("too many reports at once")]
    Busy,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the report broke off")]
    Ended,
}

/// Reports at once. Each reads a part of the database on a thread of its own.
const AT_ONCE: usize = 2;
const PATIENCE: Duration = Duration::from_secs(5);

// === impl Desk ===

impl Desk {
    pub fn new(database: PathBuf, kept: Kept) -> Self {
        Self { database, kept, permits: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    pub async fn run(&self, report: Report, asked: Asked) -> Result<Table, DeskError> {
        let span = Span::of(asked, self.kept.minutes, Millis::of(SystemTime::now()))?;
        let permit = tokio::time::timeout(PATIENCE, self.permits.clone().acquire_owned()).await;
        let Ok(Ok(permit)) = permit else { return Err(DeskError::Busy) };
        let database = self.database.clone();
        let work = tokio::task::spawn_blocking(move || {
            // Held by the work, and not by who waits for it and may be gone.
            let _permit = permit;
            report.run(&reader(&database)?, &span)
        });
        Ok(work.await.map_err(|_| DeskError::Ended)??)
    }
}
