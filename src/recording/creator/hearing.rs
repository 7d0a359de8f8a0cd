//! The thread that hears of recordings that ended and tells the file creator: from Kafka, as one of
//! a group, or from the log of this machine.
//!
//! Orders lie in the store, so what is heard says no more than that it is time to look. It counts
//! as taken once a look left nothing to be done: when this process dies before, another of the
//! group hears it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use tracing::{debug, info, warn};

use super::Word;
use crate::events::{Item, Source, SourceError};

/// Opens a source of events, again after it failed.
pub type Opener = Box<dyn Fn() -> Result<Source, SourceError> + Send>;

/// Hears until it is dropped.
pub struct Hearing {
    stop: Arc<AtomicBool>,
    ended: mpsc::Receiver<()>,
}

/// The type of event that says that there is an order.
const ENDED: &str = "recording.ended";
/// How long one waits for an event.
const PATIENCE: Duration = Duration::from_millis(200);
/// How often the group is told how far it is, at most.
const COMMIT: Duration = Duration::from_secs(1);
const AFTER_FAILURE: Duration = Duration::from_secs(5);
/// A group that isn't told good-bye in that time finds out by itself.
const GOOD_BYE: Duration = Duration::from_secs(2);

// === impl Hearing ===

impl Hearing {
    pub fn start(open: Opener, word: Word) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let told = stop.clone();
        let (ending, ended) = mpsc::channel();
        std::thread::Builder::new().name("hearing".to_owned()).spawn(move || {
            run(&open, &word, &told);
            // Nobody may be waiting.
            let _ = ending.send(());
        })?;
        Ok(Self { stop, ended })
    }
}

impl Drop for Hearing {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Brokers may be away.
        let _ = self.ended.recv_timeout(GOOD_BYE);
    }
}

fn run(open: &Opener, word: &Word, stop: &AtomicBool) {
    let mut failing = false;
    while !stop.load(Ordering::Relaxed) {
        let heard = open().and_then(|source| hear(source, word, stop, &mut failing));
        let Err(error) = heard else { return };
        if !failing {
            warn!(%error, "nobody tells of recordings that ended: orders are looked for");
        }
        failing = true;
        let until = Instant::now() + AFTER_FAILURE;
        while Instant::now() < until && !stop.load(Ordering::Relaxed) {
            std::thread::sleep(PATIENCE);
        }
    }
}

/// Until it is told to stop, or the source fails.
fn hear(
    mut source: Source,
    word: &Word,
    stop: &AtomicBool,
    failing: &mut bool,
) -> Result<(), SourceError> {
    // Since when something is heard and not committed.
    let mut heard: Option<Instant> = None;
    while !stop.load(Ordering::Relaxed) {
        let item = source.next(PATIENCE)?;
        if std::mem::take(failing) {
            info!("recordings that ended are heard of again");
        }
        if item.is_some() {
            heard.get_or_insert_with(Instant::now);
        }
        if item.is_some_and(|item| says_so(&item)) {
            word.bring();
        }
        if heard.is_some_and(|at| at.elapsed() >= COMMIT) && word.is_settled() {
            match source.commit() {
                Ok(()) => heard = None,
                // While the group is shared out anew, mostly.
                Err(error) => {
                    debug!(%error, "what was heard can't be committed yet");
                    heard = Some(Instant::now());
                }
            }
        }
    }
    Ok(())
}

fn says_so(item: &Item) -> bool {
    match item {
        Item::Event(logged) => logged.envelope.kind == ENDED,
        // It may have been among them.
        Item::Lost(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Event;
    use crate::events::kinds::{CallStarted, RecordingEnded, RecordingForm};
    use crate::events::testing::{an_hour, start_log};

    fn ended() -> Event {
        Event::new(RecordingEnded {
            form: RecordingForm::Tracks,
            lasted_ms: 1,
            users: Vec::new(),
            chunks: 1,
            chunks_lost: 0,
        })
    }

    #[tokio::test]
    async fn a_creator_is_woken_by_recordings_that_end_and_by_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let (events, _log, _) = start_log(folder.path(), an_hour(1 << 20)).unwrap();
        let (word, log) = (Word::default(), folder.path().to_owned());
        let opened = Arc::new(AtomicBool::new(false));
        let told = opened.clone();
        let open = move || {
            let source = Source::log(&log);
            told.store(true, Ordering::Relaxed);
            source
        };
        let _hearing = Hearing::start(Box::new(open), word.clone()).unwrap();
        while !opened.load(Ordering::Relaxed) {
            tokio::task::yield_now().await;
        }
        for _ in 0..3 {
            events.emit(Event::new(CallStarted {}).of_call("c"));
        }
        events.emit(ended().of_recording("r"));
        events.emit(Event::new(CallStarted {}).of_call("c"));
        events.emit(ended().of_recording("s"));
        tokio::time::timeout(Duration::from_secs(20), async {
            while word.count() < 2 {
                word.wait().await;
            }
        })
        .await
        .expect("both are heard of");
        assert_eq!(word.count(), 2);
        assert!(!word.is_settled());
        word.settle(2);
        assert!(word.is_settled());
    }
}
