//! Ships chunks from the spool to the chunk store: a few at a time, again and again while the store
//! doesn't take them. A chunk leaves the spool when the catalogue knows that it is in the store.
//!
//! The spool is bounded. Past the bound the newest chunks are left out: what was recorded before
//! stays good, and the call goes on.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::Notify;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::catalogue::Catalogue;
use super::line::Line;
use super::papers;
use super::pauses::{Pauses, chance};
use super::spool::{Found, Scan, Spool, Trouble};
use crate::accounts::DatabaseError;
use crate::depot::{Checked, Depot, DepotError, NoNotes};
use crate::telemetry::recording::RecordingMetrics;

pub struct Logger {
    pub spool: Arc<Spool>,
    pub chunks: Depot,
    pub catalogue: Catalogue,
    pub metrics: RecordingMetrics,
    /// Bytes that may lie in the spool.
    pub most: u64,
    /// Chunks on their way at once.
    pub at_once: usize,
    /// Chunks were shipped: a recording may be complete.
    pub shipped: Arc<Notify>,
}

#[derive(Debug, thiserror::Error)]
enum ShipError {
    #[error(transparent)]
    Depot(#[from] DepotError),
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error("{0}")]
    File(#[from] std::io::Error),
}

/// The spool is looked through at least so often.
const LOOK: Duration = Duration::from_secs(1);
/// And not more often.
const REST: Duration = Duration::from_millis(100);
/// Nor for more than a part of the time in so many.
const LOOKS_COST: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

// === impl Logger ===

impl Logger {
    /// Never ends.
    pub async fn run(self) {
        let mut pauses = Pauses::new(FIRST_PAUSE, LONGEST_PAUSE);
        let mut line = Line::default();
        let mut on_way = FuturesUnordered::new();
        let (mut looked, mut rest) = (Instant::now(), REST);
        let (mut look_at, mut resume) = (looked, looked);
        loop {
            if Instant::now() >= look_at {
                let began = Instant::now();
                let scan = self.look(line.busy()).await;
                line.look(scan.chunks);
                looked = Instant::now();
                rest = REST.max((looked - began) * LOOKS_COST);
                look_at = looked + LOOK.max(rest);
            }
            // A store that failed is tried with one chunk.
            let at_once = if pauses.failures() > 0 { 1 } else { self.at_once };
            while Instant::now() >= resume
                && on_way.len() < at_once
                && let Some(found) = line.pop()
            {
                on_way.push(self.ship(found));
            }
            let wake = if resume > Instant::now() { look_at.min(resume) } else { look_at };
            tokio::select! {
                Some((path, shipped)) = on_way.next() => {
                    let is_shipped = self.take(&path, shipped);
                    line.back(&path, is_shipped);
                    if is_shipped {
                        pauses.reset();
                        resume = Instant::now();
                    } else {
                        resume = Instant::now() + pauses.next(chance());
                    }
                }
                () = self.spool.changed() => look_at = look_at.min(looked + rest),
                () = tokio::time::sleep_until(wake) => {}
            }
        }
    }

    /// What there is, after what is too much.
    async fn look(&self, busy: &BTreeSet<PathBuf>) -> Scan {
        let (spool, most, on_way) = (self.spool.clone(), self.most, busy.clone());
        let looked = tokio::task::spawn_blocking(move || {
            let mut scan = Scan::of(spool.root(), &spool.writing())?;
            let mut excess = scan.take_excess(most, &on_way);
            excess.retain(|chunk| match std::fs::remove_file(&chunk.path) {
                Err(error) => {
                    warn!(path = %chunk.path.display(), %error, "a chunk can't be left out yet");
                    false
                }
                Ok(()) => true,
            });
            Ok::<_, std::io::Error>((scan, excess))
        });
        match looked.await {
            Ok(Ok((scan, excess))) => {
                self.metrics.spool_bytes.set(i64::try_from(scan.bytes).unwrap_or(i64::MAX));
                self.left_out(&excess);
                for (recording, error) in &scan.failed {
                    warn!(%recording, error, "its spool can't be looked through");
                }
                scan
            }
            Ok(Err(error)) => {
                warn!(%error, "the spool can't be looked through");
                Scan::default()
            }
            Err(_) => Scan::default(),
        }
    }

    fn left_out(&self, excess: &[Found]) {
        for chunk in excess {
            self.metrics.left_out.with_label_values(&["spool"]).inc();
            let reason =
                format!("the spool holds {} bytes, the most that may lie there", self.most);
            self.spool.add_trouble(chunk.recording.clone(), Trouble { full: true, reason });
        }
    }

    async fn ship(&self, found: Found) -> (PathBuf, Result<Option<u64>, ShipError>) {
        let shipped = self.put(&found).await;
        (found.path, shipped)
    }

    /// How many bytes went. None: the recording isn't known, and the chunk is nobody's.
    async fn put(&self, found: &Found) -> Result<Option<u64>, ShipError> {
        let Found { recording, name, path, .. } = found;
        let object = papers::chunk(recording, name);
        let checked: Checked = self.chunks.put_file(&object, path, &NoNotes).await?;
        let bytes = checked.bytes;
        let is_known = self.catalogue.add_chunk(recording, name, checked).await?;
        if !is_known {
            self.chunks.delete(&object).await?;
        }
        tokio::fs::remove_file(path).await?;
        Ok(is_known.then_some(bytes))
    }

    /// False: the store is to be left alone for a while.
    fn take(&self, path: &std::path::Path, shipped: Result<Option<u64>, ShipError>) -> bool {
        match shipped {
            Ok(Some(bytes)) => {
                debug!(path = %path.display(), bytes, "chunk shipped");
                self.metrics.shipped.inc();
                self.metrics.shipped_bytes.inc_by(bytes);
            }
            Ok(None) => info!(path = %path.display(), "a chunk of no recording is removed"),
            Err(error) => {
                warn!(path = %path.display(), %error, "a chunk can't be shipped yet");
                self.metrics.ship_failures.inc();
                return false;
            }
        }
        self.shipped.notify_one();
        true
    }
}
