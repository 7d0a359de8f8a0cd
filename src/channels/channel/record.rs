//! What is recorded of the channel: recordings that are wanted, each by the worker that there is.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use stentor_protocol::control::Command;
use stentor_protocol::recording::{MAX_RECORDINGS, RecordingSpec};
use tokio::sync::oneshot;
use tracing::{info, warn};

use super::Channel;
use crate::channels::tape::Tape;

/// A recording of a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub recording: String,
    /// What the channel is called there.
    pub source: String,
    /// `CLOCK_MONOTONIC` when the recording began, in µs.
    pub epoch_us: i64,
    pub chunk_ms: u32,
    /// Of one chunk.
    pub max_bytes: u64,
}

#[derive(Default)]
pub(super) struct Recorders(BTreeMap<String, Recorder>);

struct Recorder {
    record: Record,
    /// The worker writes here.
    tape: Option<Box<dyn Tape>>,
    /// When it is tried again.
    again: Instant,
    is_stopping: bool,
    /// The worker was told to stop.
    is_told: bool,
    /// Who waits for the end.
    waiting: Vec<oneshot::Sender<()>>,
}

/// How long to wait before a folder, or a worker that gave up, is tried again.
const PAUSE: Duration = Duration::from_secs(1);

// === impl Channel ===

impl Channel {
    /// False: there are as many as there may be.
    pub(super) fn record(&mut self, record: Record) -> bool {
        let Recorders(all) = &mut self.recorders;
        if let Some(recorder) = all.get_mut(&record.recording) {
            return !recorder.is_stopping;
        }
        if all.len() >= MAX_RECORDINGS {
            return false;
        }
        let (tape, again, waiting) = (None, Instant::now(), Vec::new());
        let name = record.recording.clone();
        let recorder =
            Recorder { record, tape, again, is_stopping: false, is_told: false, waiting };
        all.insert(name, recorder);
        true
    }

    pub(super) fn end_record(&mut self, recording: &str, done: oneshot::Sender<()>) {
        if let Some(recorder) = self.recorders.0.get_mut(recording) {
            recorder.is_stopping = true;
            recorder.waiting.push(done);
        } else {
            // Who asked may have gone.
            let _ = done.send(());
        }
    }

    /// Tells the worker what it is to record.
    pub(super) async fn tell_recorders(&mut self) {
        let is_ready = self.worker.as_ref().is_some_and(|worker| worker.ready);
        let mut commands = Vec::new();
        self.recorders.0.retain(|_, recorder| !recorder.is_over());
        for recorder in self.recorders.0.values_mut().filter(|_| is_ready) {
            let begins = recorder.tape.is_none() && recorder.again <= Instant::now();
            if recorder.is_stopping && !recorder.is_told {
                recorder.is_told = true;
                let recording = recorder.record.recording.clone();
                commands.push(Command::StopRecording { recording });
            } else if begins && !recorder.is_stopping {
                commands.extend(recorder.begin(&*self.context.shelf));
            }
        }
        for command in commands {
            info!(channel = self.name, ?command, "to worker");
            self.send(&command).await;
        }
    }

    /// The worker writes nothing more of it.
    pub(super) fn recording_stopped(&mut self, recording: &str) {
        info!(channel = self.name, recording, "recording stopped");
        if let Some(recorder) = self.recorders.0.get_mut(recording) {
            recorder.tape = None;
            // By itself it ended by a fault, which may still be there.
            recorder.again = Instant::now() + PAUSE;
            if recorder.is_stopping {
                self.recorders.0.remove(recording);
            }
        }
    }
}

// === impl Recorders ===

impl Recorders {
    /// There is no worker any more: whatever it wrote is there.
    pub fn handle_worker_end(&mut self) {
        for recorder in self.0.values_mut() {
            recorder.tape = None;
            recorder.again = Instant::now();
        }
        self.0.retain(|_, recorder| !recorder.is_stopping);
    }
}

// === impl Recorder ===

impl Recorder {
    /// Stopping, and no worker has anything to do with it.
    fn is_over(&self) -> bool {
        self.is_stopping && self.tape.is_none()
    }

    fn begin(&mut self, shelf: &dyn crate::channels::tape::Shelf) -> Option<Command> {
        let Record { recording, source, epoch_us, chunk_ms, max_bytes } = &self.record;
        match shelf.open(recording, source) {
            Ok(tape) => {
                let spec = RecordingSpec {
                    recording: recording.clone(),
                    folder: tape.folder().to_owned(),
                    epoch_us: *epoch_us,
                    chunk_ms: *chunk_ms,
                    max_bytes: *max_bytes,
                };
                self.tape = Some(tape);
                Some(Command::StartRecording(spec))
            }
            Err(error) => {
                warn!(recording, source, %error, "nothing can be recorded");
                let full = error.kind() == std::io::ErrorKind::StorageFull;
                shelf.trouble(recording, full, &error.to_string());
                self.again = Instant::now() + PAUSE;
                None
            }
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        // The folder first: whoever waits finds it closed.
        self.tape = None;
        for waiting in self.waiting.drain(..) {
            let _ = waiting.send(());
        }
    }
}
