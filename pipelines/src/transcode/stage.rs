//! A thread that may hang, panic or fail, without taking the channel along.
//!
//! Its body runs behind a wall that panics don't cross, and its end is a message to the program.
//! A thread that hangs can't be ended: it is left to itself, and what it may still do is refused
//! (see `output`).

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use stentor_hardware::{EncodeError, OpenError};
use stentor_protocol::TrackId;

use crate::program::Message;
use crate::queue::Queue;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Decoder,
    Rung(TrackId),
}

/// A stage's thread came to an end that nobody asked for.
#[derive(Debug)]
pub struct StageEnd {
    pub stage: Stage,
    /// Which incarnation of the stage.
    pub incarnation: u64,
    pub fault: StageFault,
}

#[derive(Debug, thiserror::Error)]
pub enum StageFault {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Encode(#[from] EncodeError),
    #[error("{count} access units in a row could not be decoded, the last because {reason}")]
    Decode { count: u32, reason: String },
    #[error("nothing came out for 2 s")]
    Stalled,
    #[error("the thread can't be started: {0}")]
    Thread(#[from] std::io::Error),
    #[error("panicked: {0}")]
    Panicked(String),
}

/// Where threads of the transcode tell their end.
pub type Reports = Arc<Queue<Message>>;

// === impl StageFault ===

impl StageFault {
    /// There was never a session to begin with.
    pub fn is_open(&self) -> bool {
        matches!(self, Self::Open(_))
    }
}

/// Runs the body on a thread of its own.
pub fn spawn(
    stage: Stage,
    incarnation: u64,
    reports: &Reports,
    body: impl FnOnce() -> Result<(), StageFault> + Send + 'static,
) -> Result<(), StageFault> {
    let name = match stage {
        Stage::Decoder => "decoder".to_owned(),
        Stage::Rung(track) => format!("rung {track}"),
    };
    let reports = Arc::clone(reports);
    thread::Builder::new().name(name).spawn(move || {
        let result = catch_unwind(AssertUnwindSafe(body))
            .unwrap_or_else(|panic| Err(StageFault::Panicked(text_of(panic.as_ref()))));
        if let Err(fault) = result {
            let end = StageEnd { stage, incarnation, fault };
            reports.push_evicting(Message::StageEnded(end), Message::is_media);
        }
    })?;
    Ok(())
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no reason".into())
}
