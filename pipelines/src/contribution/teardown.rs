//! Starts and ends pipelines without ever waiting for ever.
//!
//! A state change to Null joins streaming threads; from one of those, or under a driver that
//! hangs, it would block. So it runs on a plain thread of its own, and who waits for it waits for
//! a bounded time.

use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use gst::prelude::*;

use super::OpenError;
use super::elements::internal;

/// The longest that anyone waits for pipelines to end.
const PATIENCE: Duration = Duration::from_secs(4);

/// Pipelines on their way out. Dropping it waits for nothing.
#[derive(Default)]
pub struct Teardowns {
    running: Vec<Receiver<()>>,
}

/// Begins to start a pipeline and returns at once; failures are told on its bus.
pub fn start(pipeline: &gst::Pipeline) -> Result<(), OpenError> {
    let pipeline = pipeline.clone();
    let spawned = thread::Builder::new().name("startup".into()).spawn(move || {
        // Connecting may block here; what goes wrong is told on the bus.
        if pipeline.set_state(gst::State::Playing).is_err() {
            tracing::debug!(pipeline = %pipeline.name(), "a pipeline does not start");
        }
    });
    spawned.map(drop).map_err(internal)
}

// === impl Teardowns ===

impl Teardowns {
    /// Begins to end a pipeline and returns at once.
    pub fn begin(&mut self, pipeline: gst::Pipeline) {
        self.running.retain(|done| done.try_recv() == Err(mpsc::TryRecvError::Empty));
        let (done, finished) = mpsc::channel();
        let spare = pipeline.clone();
        let spawned = thread::Builder::new().name("teardown".into()).spawn(move || {
            end(&pipeline);
            drop(pipeline);
            drop(done);
        });
        match spawned {
            Ok(_) => self.running.push(finished),
            Err(error) => {
                tracing::error!(%error, "no thread to end a pipeline on");
                end(&spare);
            }
        }
    }

    /// Waits for all that were begun, [`PATIENCE`] at most. Gives how many are still running.
    pub fn wait(&mut self) -> usize {
        let deadline = Instant::now() + PATIENCE;
        self.running.retain(|done| {
            let left = deadline.saturating_duration_since(Instant::now());
            done.recv_timeout(left) == Err(mpsc::RecvTimeoutError::Timeout)
        });
        if !self.running.is_empty() {
            tracing::error!(pipelines = self.running.len(), "pipelines don't end; left behind");
        }
        self.running.len()
    }
}

fn end(pipeline: &gst::Pipeline) {
    if pipeline.set_state(gst::State::Null).is_err() {
        tracing::warn!(pipeline = %pipeline.name(), "a pipeline did not end cleanly");
    }
    if let Some(bus) = pipeline.bus() {
        // The handler holds what the pipeline's owner gave it.
        bus.unset_sync_handler();
        bus.set_flushing(true);
    }
}
