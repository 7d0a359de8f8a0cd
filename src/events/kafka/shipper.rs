//! The thread that brings the log to Kafka: reads by a cursor, sends, and moves the cursor past
//! what is acknowledged. What Kafka doesn't take waits in the log.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tracing::{info, warn};

use super::producer::{NotTaken, Producer, Report};
use super::progress::Progress;
use super::window::Window;
use super::{KafkaConfig, KafkaFault};
use crate::ending;
use crate::events::event::{Event, Logged};
use crate::events::handle::Events;
use crate::events::kinds::EventsLost;
use crate::events::log::{Cursor, Item, Reader, cursor};
use crate::telemetry::events::ShipMetrics;

/// Brings events to Kafka until it is dropped.
pub struct Shipper {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum ShipError {
    #[error(transparent)]
    Kafka(#[from] KafkaFault),
    #[error("the thread that ships events can't be started: {0}")]
    Thread(io::Error),
    #[error("{}: {error}", path.display())]
    Cursor { path: PathBuf, error: io::Error },
}

struct Work {
    config: KafkaConfig,
    folder: PathBuf,
    file: PathBuf,
    events: Events,
    metrics: ShipMetrics,
    stop: Arc<AtomicBool>,
    producer: Producer,
    reader: Reader,
    window: Window,
    /// Read, and not taken yet.
    held: Option<Box<Logged>>,
    saved: Cursor,
    saved_at: Instant,
    /// The last attempt to keep it failed.
    unsaved: bool,
    /// Lines that the reader passed over, as far as the operator was told.
    unreadable: u64,
    progress: Progress,
    stuck: bool,
}

/// Records that are under way at most. Few in tests, which fill it.
pub(super) const MOST: usize = if cfg!(test) { 2000 } else { 20_000 };
/// What is new in the log is sent together, at the latest after this.
const TURN: Duration = Duration::from_millis(50);
const SAVE_EVERY: Duration = Duration::from_millis(500);
/// Until a producer that failed is made anew.
const PAUSE: Duration = Duration::from_secs(1);
/// For what is under way when the daemon ends.
const FAREWELL: Duration = Duration::from_secs(2);
/// How long the end is waited for in all. What isn't known to be in Kafka is sent again.
const GOOD_BYE: Duration = Duration::from_secs(4);

// === impl Shipper ===

impl Shipper {
    /// Ships the log in `folder`, from where it was when a shipper ended there before.
    pub fn start(
        config: KafkaConfig,
        folder: &Path,
        events: Events,
        metrics: ShipMetrics,
    ) -> Result<Self, ShipError> {
        let file = folder.join("kafka.cursor");
        let begin =
            cursor::load(&file).map_err(|error| ShipError::Cursor { path: file.clone(), error })?;
        let stop = Arc::new(AtomicBool::new(false));
        let now = Instant::now();
        let work = Work {
            producer: Producer::new(&config)?,
            reader: Reader::open(folder, begin),
            window: Window::new(begin),
            folder: folder.to_owned(),
            held: None,
            saved: begin,
            saved_at: now,
            unsaved: false,
            unreadable: 0,
            progress: Progress::new(now),
            stuck: false,
            stop: stop.clone(),
            config,
            file,
            events,
            metrics,
        };
        let thread = std::thread::Builder::new()
            .name("events-kafka".to_owned())
            .spawn(move || work.run())
            .map_err(ShipError::Thread)?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Shipper {
    /// Waits a little for what is under way.
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().into_iter().for_each(|thread| ending::wait(thread, GOOD_BYE));
    }
}

// === impl Work ===

impl Work {
    fn run(mut self) {
        while !self.stop.load(Ordering::Relaxed) {
            self.send_some();
            let reports = self.producer.poll(TURN);
            self.take(reports);
            self.look_after();
        }
        self.send_some();
        // Where nothing is taken, nothing would be.
        let patience = if self.stuck { Duration::ZERO } else { FAREWELL };
        let reports = self.producer.flush(patience);
        self.take(reports);
        self.save();
    }

    /// As much as there is, and there is room for.
    fn send_some(&mut self) {
        while self.window.waiting() < MOST {
            let Some(logged) = self.held.take().or_else(|| self.read()) else { return };
            let (key, number) = (logged.envelope.key(), self.window.next());
            match self.producer.send(number, key, &logged.line) {
                Ok(()) => self.window.handle_sent(self.reader.cursor()),
                Err(NotTaken::Full) => {
                    self.held = Some(logged);
                    return;
                }
                Err(NotTaken::Refused(reason)) => return self.begin_again(&reason),
            }
        }
    }

    fn read(&mut self) -> Option<Box<Logged>> {
        loop {
            match self.reader.next() {
                Ok(Some(Item::Event(logged))) => return Some(logged),
                Ok(Some(Item::Lost(events))) => {
                    warn!(events, "the log was full before Kafka had these");
                    self.metrics.lost.inc_by(events);
                    self.events.emit(Event::new(EventsLost { events }).because("log_full"));
                }
                Ok(None) => return None,
                Err(error) => {
                    warn!(%error, "the log of events can't be read");
                    std::thread::sleep(PAUSE);
                    return None;
                }
            }
        }
    }

    fn take(&mut self, reports: Vec<Report>) {
        let mut shipped = 0;
        for report in reports {
            match report.delivered {
                Ok(()) => shipped += self.window.handle_acknowledged(report.number),
                // The rest are of the same producer.
                Err(reason) => return self.begin_again(&reason),
            }
        }
        if shipped > 0 {
            self.progress.handle_acknowledged(Instant::now());
            self.metrics.shipped.inc_by(shipped as u64);
        }
    }

    /// From what is acknowledged on, by a producer that knows nothing of this one.
    fn begin_again(&mut self, reason: &str) {
        warn!(reason, "Kafka refused an event: events wait, and are sent again");
        self.metrics.failures.inc();
        self.progress.handle_refused();
        std::thread::sleep(PAUSE);
        match Producer::new(&self.config) {
            Ok(producer) => self.producer = producer,
            // The old one refuses the next event: so this is tried again.
            Err(error) => warn!(%error, "no producer"),
        }
        self.reader = Reader::open(&self.folder, self.window.begin_again());
        self.unreadable = 0;
        self.held = None;
    }

    /// Tells how it is, and saves how far it is.
    fn look_after(&mut self) {
        let now = Instant::now();
        let stuck = self.progress.is_stuck(self.window.waiting(), now);
        if stuck != std::mem::replace(&mut self.stuck, stuck) {
            if stuck {
                warn!("Kafka takes nothing: events wait in the log");
            } else {
                info!("Kafka takes events again");
            }
        }
        let passed_over = self.reader.unreadable() - self.unreadable;
        if passed_over > 0 {
            warn!(lines = passed_over, "the log is damaged: these are no events, and stay there");
            self.metrics.unreadable.inc_by(passed_over);
            self.unreadable += passed_over;
        }
        self.metrics.up.set(i64::from(!stuck));
        self.metrics.waiting.set(self.window.waiting() as i64);
        if now - self.saved_at > SAVE_EVERY {
            self.saved_at = now;
            self.save();
        }
    }

    fn save(&mut self) {
        let done = self.window.done();
        if done == self.saved {
            return;
        }
        let kept = cursor::save(&self.file, done);
        let was_unsaved = std::mem::replace(&mut self.unsaved, kept.is_err());
        match kept {
            Ok(()) => self.saved = done,
            Err(error) if !was_unsaved => {
                warn!(%error, "how far Kafka is can't be kept: it may get events twice");
            }
            Err(_) => {}
        }
        if let Ok(behind) = fs_behind(&self.folder, done) {
            self.metrics.behind.set(behind as i64);
        }
    }
}

/// Bytes in the log after a cursor.
fn fs_behind(folder: &Path, done: Cursor) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let number =
            name.to_str().and_then(|name| name.strip_suffix(".jsonl")?.parse::<u64>().ok());
        if number.is_some_and(|number| number >= done.segment) {
            bytes += entry.metadata()?.len();
        }
    }
    Ok(bytes.saturating_sub(done.offset))
}
