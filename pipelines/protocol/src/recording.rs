//! What is written down of a source: chunks of its media as it was sent.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::spec::Codec;
use crate::units::Resolution;

/// Recordings of one worker at the same time.
pub const MAX_RECORDINGS: usize = 4;

/// How a file that is being written ends. Without it a chunk is whole and never changes.
pub const PART_SUFFIX: &str = ".part";

/// A recording to be made of what the source sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordingSpec {
    /// Names the recording in events.
    pub recording: String,
    /// Where chunks go. It exists.
    pub folder: PathBuf,
    /// `CLOCK_MONOTONIC` when the recording began, in µs: times in chunks count from here, so
    /// that those of several sources, and of a worker started anew, fit together.
    pub epoch_us: i64,
    /// How long a chunk is about, in ms: it is cut at the next keyframe. Default 2000.
    pub chunk_ms: u32,
    /// A chunk this large is cut where it is, in bytes. Default 64 MiB.
    pub max_bytes: u64,
}

/// A file of its own: Matroska, with the source's video and audio as they were sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// From 1 on, in order; a worker started anew goes on after the highest in the folder.
    pub sequence: u32,
    /// Name of the file in the recording's folder.
    pub file: String,
    pub bytes: u64,
    /// When its first unit is to be shown, in µs since the recording began.
    pub begin_us: i64,
    pub duration_us: u64,
    pub video: Option<Codec>,
    pub audio: Option<Codec>,
    /// Its pictures can be decoded without those of the chunk before it.
    pub starts_with_keyframe: bool,
    pub resolution: Option<Resolution>,
}
