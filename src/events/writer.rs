//! The thread that writes what was handed in, in the order in which it was.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use tracing::{info, warn};

use super::event::Event;
use super::handle::{Events, Shared};
use super::id::Ids;
use super::kinds::EventsLost;
use super::log::{Append, Bounds, OpenError};
use crate::identity::NodeId;
use crate::rfc3339::Millis;
use crate::telemetry::events::EventMetrics;

/// Where the log is, and what it costs.
#[derive(Debug, Clone)]
pub struct LogConfig {
    pub folder: PathBuf,
    pub bounds: Bounds,
    /// An event is written at the latest after this, and survives the daemon from then on.
    pub flush: Duration,
    /// What was written is on the disk at the latest after this, and survives a power cut.
    pub sync: Duration,
}

/// A log that is being written. Dropping it writes what there is, and ends it.
pub struct EventLog {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("events can't be logged: {0}")]
    Open(#[from] OpenError),
    #[error("the thread that logs events can't be started: {0}")]
    Thread(io::Error),
    #[error("no random numbers: {0}")]
    Random(getrandom::Error),
}

struct Writer {
    shared: Arc<Shared>,
    append: Append,
    config: LogConfig,
    node: NodeId,
    ids: Ids,
    /// Since when something is written and not on the disk.
    unsynced: Option<Instant>,
    /// The last attempt to write failed.
    failing: bool,
    /// The last attempt to keep the log up failed.
    untidy: bool,
}

/// How soon a disk that fails is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// Written at once.
const BATCH: usize = 1024;

// === impl EventLog ===

impl EventLog {
    /// Opens the log and starts its thread.
    pub fn start(
        config: LogConfig,
        node: NodeId,
        metrics: EventMetrics,
    ) -> Result<(Events, Self), StartError> {
        let append = Append::open(&config.folder, config.bounds)?;
        let random = getrandom::u64().map_err(StartError::Random)?;
        metrics.log_bytes.set(append.bytes() as i64);
        let shared = Arc::new(Shared::new(metrics));
        let ids = Ids::new(random);
        let writer = Writer {
            shared: shared.clone(),
            append,
            config,
            node,
            ids,
            unsynced: None,
            failing: false,
            untidy: false,
        };
        let thread = std::thread::Builder::new()
            .name("events".to_owned())
            .spawn(move || writer.run())
            .map_err(StartError::Thread)?;
        Ok((Events::on(shared.clone()), Self { shared, thread: Some(thread) }))
    }

    /// Writes what there is. Events that come later are dropped. Waits for the disk.
    pub fn close(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.shared.close();
        if let Some(thread) = self.thread.take() {
            // One that panicked has ended, too.
            let _ = thread.join();
        }
    }
}

impl Drop for EventLog {
    fn drop(&mut self) {
        self.end();
    }
}

// === impl Writer ===

impl Writer {
    fn run(mut self) {
        loop {
            let (events, last) = self.shared.take(self.patience(), self.config.flush);
            self.write(events, last);
            self.keep_up();
            if last {
                break;
            }
        }
        if let Err(error) = self.append.sync() {
            warn!(%error, "the last events may not be on the disk");
        }
    }

    /// How long there may be nothing to do.
    fn patience(&self) -> Duration {
        match self.unsynced {
            Some(since) => self.config.sync.saturating_sub(since.elapsed()),
            None => Duration::from_secs(60),
        }
    }

    fn write(&mut self, mut events: Vec<(Millis, Event)>, last: bool) {
        let lost = self.shared.take_dropped();
        if lost > 0 {
            let event = Event::new(EventsLost { events: lost }).because("queue_full");
            events.push((Millis::of(SystemTime::now()), event));
        }
        for batch in events.chunks(BATCH) {
            let mut lines = Vec::with_capacity(batch.len() * 400);
            let mut count = 0;
            for (time, event) in batch {
                let id = self.ids.next(*time);
                match event.write(id, *time, &self.node, &mut lines) {
                    Ok(()) => count += 1,
                    Err(error) => warn!(%error, kind = event.data.kind(), "no event"),
                }
            }
            self.put(batch, &lines, count, last);
        }
        self.shared.metrics().waiting.set(0);
    }

    /// Tries until it succeeds: meanwhile the queue fills. At the end it tries once.
    fn put(&mut self, batch: &[(Millis, Event)], lines: &[u8], count: u64, last: bool) {
        while let Err(error) = self.append.append(lines, count, SystemTime::now()) {
            if !std::mem::replace(&mut self.failing, true) {
                warn!(%error, "events can't be written, and wait");
            }
            if last || self.shared.is_closing() {
                return self.shared.drop_some(count, "disk");
            }
            std::thread::sleep(RETRY);
        }
        if std::mem::replace(&mut self.failing, false) {
            info!("events are written again");
        }
        let metrics = self.shared.metrics();
        for (_, event) in batch {
            metrics.written.with_label_values(&[event.data.kind()]).inc();
        }
        self.unsynced.get_or_insert_with(Instant::now);
    }

    /// What there is to do now and then.
    fn keep_up(&mut self) {
        let mut kept = self.append.tick(SystemTime::now());
        if self.unsynced.is_some_and(|since| since.elapsed() >= self.config.sync) {
            self.unsynced = None;
            kept = kept.and(self.append.sync());
        }
        let was_untidy = std::mem::replace(&mut self.untidy, kept.is_err());
        if let Err(error) = kept
            && !was_untidy
        {
            warn!(%error, "the log of events can't be kept up");
        }
        self.shared.metrics().log_bytes.set(self.append.bytes() as i64);
    }
}
