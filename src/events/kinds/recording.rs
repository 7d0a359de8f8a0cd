//! A recording's life: `recording` stands in each envelope, and `call` or `channel`.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordingForm {
    /// Each sender as sent.
    Tracks,
    /// One picture.
    Composite,
}

/// The envelope's user asked for it, where anybody did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordingStarted {
    pub form: RecordingForm,
}

/// All chunks are in the chunk store, or given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordingEnded {
    pub form: RecordingForm,
    pub lasted_ms: u64,
    /// Whoever was in it: to be notified.
    #[serde(default)]
    pub users: Vec<String>,
    pub chunks: u64,
    pub chunks_lost: u64,
}

/// A chunk is left out; the cause says why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordingChunkLost {
    /// Whose chunk.
    pub source: String,
    pub sequence: u32,
}

/// There is no more room on the spool: what comes is left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordingSpoolFull {
    pub bytes: u64,
}

/// The finished file is in the permanent store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordingFileReady {
    /// Where in the store.
    pub object: String,
    pub bytes: u64,
    pub duration_ms: u64,
}

/// The file can't be made, and it isn't tried again; the cause says why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordingFileFailed {
    pub attempts: u32,
}

/// It is gone, with its files and chunks: `expired`, or `deleted` by somebody, which the cause says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordingDeleted {
    /// That there were.
    pub files: u32,
    /// Of those.
    pub bytes: u64,
}
