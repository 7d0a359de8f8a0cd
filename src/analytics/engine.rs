//! From a source into the roll-ups, batch after batch, on a thread of its own.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use tracing::{info, warn};

use super::dump::HOUR_MS;
use super::fold::fold;
use super::rollup::Increments;
use super::seen::{Seen, StreamKey};
use super::source::{Source, SourceError, Taken};
use super::store::{Batch, Kept, Known, Pending, Positions, Store, StoreError};
use super::words::Words;
use crate::ending;
use crate::events::Logged;
use crate::rfc3339::Millis;
use crate::telemetry::analytics::AnalyticsMetrics;

/// Events of one transaction at most: what memory they take, and how often the disk is written to.
const BATCH: usize = 16_384;
/// Bytes of those, about, at most: they are held where they are to be dumped. Few in tests.
const BATCH_BYTES: usize = if cfg!(test) { 256 << 10 } else { 16 << 20 };
/// How long what was taken waits for more: a source that waits for each event is never dry.
const LONGEST: Duration = Duration::from_secs(1);
/// How long a source that has nothing is left alone.
const PAUSE: Duration = Duration::from_millis(250);
/// How long one that fails is.
const AFTER_FAILURE: Duration = Duration::from_secs(2);
const UPKEEP: Duration = Duration::from_secs(60);
/// How often it is told what waits.
const TELL: Duration = Duration::from_secs(1);
/// An event that is further ahead of this machine's clock counts as happening now.
const AHEAD_MS: u64 = 3_600_000;

/// Takes events of a source into a database.
pub struct Engine<S> {
    store: Store,
    source: S,
    words: Words,
    seen: Seen,
    kept: Kept,
    metrics: AnalyticsMetrics,
    unreadable: u64,
    /// Whether events wait to be dumped.
    dumps: bool,
    pending: BTreeMap<u32, Pending>,
    progress: Progress,
}

/// How far an engine is. Clones are the same one's.
#[derive(Debug, Clone, Default)]
pub struct Progress(Arc<AtomicU64>);

/// An engine at work. Dropping it ends the work after the batch that is being written, and doesn't
/// wait for that longer than its source says.
pub struct Running {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    farewell: Option<Duration>,
}

/// Why a batch isn't in the roll-ups. It is tried again.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a turn did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Turn {
    pub taken: u64,
    pub repeated: u64,
    /// The source gave no more at present.
    pub dry: bool,
}

// === impl Engine ===

impl<S: Source> Engine<S> {
    /// `open` is told where the source was left off.
    pub fn open(
        database: &Path,
        open: impl FnOnce(&Positions) -> Result<S, SourceError>,
        kept: Kept,
        metrics: AnalyticsMetrics,
    ) -> Result<Self, EngineError> {
        let store = Store::open(database)?;
        let Known { words, seen, positions } = store.known()?;
        let source = open(&positions)?;
        Ok(Self {
            store,
            source,
            words,
            seen,
            kept,
            metrics,
            unreadable: 0,
            dumps: false,
            pending: BTreeMap::new(),
            progress: Progress::default(),
        })
    }

    /// Lets events wait to be dumped, by whoever follows `progress`.
    pub fn dumping(mut self, progress: Progress) -> Self {
        (self.dumps, self.progress) = (true, progress);
        self
    }

    /// Takes what there is, up to a batch.
    pub fn turn(&mut self, now: SystemTime) -> Result<Turn, EngineError> {
        let now_ms = Millis::of(now).0;
        let mut turn = Turn::default();
        let mut increments = Increments::default();
        let mut last_ms = 0;
        let (mut count, mut bytes) = (0, 0);
        let began = Instant::now();
        let is_full = |count, bytes| count >= BATCH || bytes >= BATCH_BYTES;
        while !is_full(count, bytes) && (count == 0 || began.elapsed() < LONGEST) {
            let Some(taken) = self.source.next()? else {
                turn.dry = true;
                break;
            };
            count += 1;
            match taken {
                Taken::Lost(events) => self.metrics.lost.inc_by(events),
                Taken::Event { place, logged } => {
                    last_ms = logged.envelope.time.0;
                    bytes += logged.line.len();
                    self.take(place, &logged, now_ms, &mut increments, &mut turn);
                }
            }
        }
        if count > 0 {
            self.write(increments, now_ms)?;
            self.source.kept();
            self.metrics.events.inc_by(turn.taken);
            let repeated = self.metrics.passed_over.with_label_values(&["repeated"]);
            repeated.inc_by(turn.repeated);
            self.metrics.lag.set((now_ms.saturating_sub(last_ms) / 1000) as i64);
        }
        if turn.dry && count > 0 && self.source.sees_its_end() {
            self.metrics.waiting.set(0);
        }
        if self.dumps
            && let Some(until_ms) = self.source.complete_until(now_ms, turn.dry)
        {
            self.progress.0.store(until_ms, Ordering::Relaxed);
        }
        let unreadable = self.source.unreadable();
        let new = unreadable.saturating_sub(self.unreadable);
        self.metrics.passed_over.with_label_values(&["unreadable"]).inc_by(new);
        self.unreadable = unreadable;
        Ok(turn)
    }

    #[cfg(test)]
    pub fn source(&self) -> &S {
        &self.source
    }

    /// Time passed.
    pub fn keep_up(&mut self, now: SystemTime) -> Result<(), StoreError> {
        let done = self.store.keep_up(self.kept, Millis::of(now).0)?;
        self.metrics.settled.inc_by(done.settled);
        Ok(())
    }

    /// Tells the operator what waits.
    pub fn tell(&self) {
        if let Some(waiting) = self.source.waiting() {
            self.metrics.waiting.set(waiting as i64);
        }
    }

    fn take(
        &mut self,
        place: u32,
        logged: &Logged,
        now_ms: u64,
        to: &mut Increments,
        turn: &mut Turn,
    ) {
        let time_ms = logged.envelope.time.0;
        let time_ms = if time_ms > now_ms + AHEAD_MS { now_ms } else { time_ms };
        let key = StreamKey { place, node: logged.envelope.node.clone() };
        if !self.seen.admit(&key, logged.envelope.id.0, time_ms) {
            turn.repeated += 1;
            return;
        }
        match fold(logged, time_ms, &mut self.words, to) {
            Ok(()) => turn.taken += 1,
            Err(_) => self.metrics.passed_over.with_label_values(&["unreadable"]).inc(),
        }
        // Of a newer server it may have what this one can't read, and others can.
        if self.dumps {
            self.let_wait(logged);
        }
    }

    fn let_wait(&mut self, logged: &Logged) {
        // When it says that it happened, whatever this machine's clock says of that.
        let hour = logged.envelope.time.0 / HOUR_MS;
        let pending = self.pending.entry(hour as u32).or_default();
        pending.events += 1;
        pending.lines.extend_from_slice(logged.line.as_bytes());
        pending.lines.push(b'\n');
    }

    fn write(&mut self, increments: Increments, now_ms: u64) -> Result<(), StoreError> {
        let began = Instant::now();
        let batch = Batch {
            increments,
            words: self.words.take_new(),
            closed: self.seen.close(),
            seen: &self.seen,
            pending: std::mem::take(&mut self.pending),
            taken_ms: now_ms,
            positions: self.source.positions(),
        };
        self.store.write(batch)?;
        self.metrics.write.observe(began.elapsed().as_secs_f64());
        Ok(())
    }
}

// === impl Progress ===

impl Progress {
    /// Until when the source was read; 0: nobody knows.
    pub fn caught_up(&self) -> Millis {
        Millis(self.0.load(Ordering::Relaxed))
    }
}

/// Makes engines of one database: after a failure what is in memory is ahead of what is stored,
/// and the work begins anew from that.
pub trait Maker: Send + 'static {
    type Source: Source;
    fn make(&self) -> Result<Engine<Self::Source>, EngineError>;
}

// === impl Running ===

impl Running {
    /// Starts with an engine that is open already.
    pub fn start<M: Maker>(
        engine: Engine<M::Source>,
        maker: M,
        metrics: AnalyticsMetrics,
    ) -> std::io::Result<Self>
    where
        M::Source: 'static,
    {
        let stop = Arc::new(AtomicBool::new(false));
        let told = stop.clone();
        let thread = std::thread::Builder::new()
            .name("analytics".to_owned())
            .spawn(move || run(engine, &maker, &metrics, &told))?;
        Ok(Self { stop, thread: Some(thread), farewell: M::Source::FAREWELL })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let Some(thread) = self.thread.take() else { return };
        thread.thread().unpark();
        match self.farewell {
            Some(at_most) => ending::wait(thread, at_most),
            // One that panicked has ended, too.
            None => drop(thread.join()),
        }
    }
}

fn run<M: Maker>(
    engine: Engine<M::Source>,
    maker: &M,
    metrics: &AnalyticsMetrics,
    stop: &AtomicBool,
) {
    let mut next = Some(engine);
    let mut failing = false;
    while !stop.load(Ordering::Relaxed) {
        let made = next.take().map_or_else(|| maker.make(), Ok);
        let worked = made.and_then(|engine| work(engine, stop, &mut failing));
        let Err(error) = worked else { return };
        let what = if matches!(error, EngineError::Source(_)) { "read" } else { "write" };
        metrics.failures.with_label_values(&[what]).inc();
        if !failing {
            warn!(%error, "analytics stand still, and go on from where they were");
        }
        failing = true;
        std::thread::park_timeout(AFTER_FAILURE);
    }
}

/// Until it is told to stop, or fails.
fn work<S: Source>(
    mut engine: Engine<S>,
    stop: &AtomicBool,
    failing: &mut bool,
) -> Result<(), EngineError> {
    let (mut kept_up, mut told): (Option<Instant>, Option<Instant>) = (None, None);
    while !stop.load(Ordering::Relaxed) {
        let turn = engine.turn(SystemTime::now())?;
        if std::mem::take(failing) {
            info!("analytics go on");
        }
        if kept_up.is_none_or(|at| at.elapsed() >= UPKEEP) {
            engine.keep_up(SystemTime::now())?;
            kept_up = Some(Instant::now());
        }
        if told.is_none_or(|at| at.elapsed() >= TELL) {
            engine.tell();
            told = Some(Instant::now());
        }
        if turn.dry {
            std::thread::park_timeout(PAUSE);
        }
    }
    Ok(())
}
