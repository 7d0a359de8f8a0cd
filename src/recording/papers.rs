//! What lies in the stores beside chunks and files, as JSON: an order for a recording that ended,
//! a lease of whoever works on it, and what came of it. They are all that a file creator needs, so
//! it may be on another machine.

use serde::{Deserialize, Serialize};

use super::catalogue::State;
use super::ids::RecordingId;
use crate::config::Form;
use crate::depot::Unfinished;

/// A recording that ended, whose chunks are all in the chunk store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Order {
    pub version: u32,
    pub recording: RecordingId,
    #[serde(flatten)]
    pub subject: Subject,
    /// The server that has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Who had it recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_by: Option<String>,
    /// Milliseconds since 1970, as all times here.
    pub started_ms: i64,
    pub ended_ms: i64,
    pub forms: Vec<Form>,
    pub sources: Vec<Source>,
    /// Who talks, in order.
    #[serde(default)]
    pub speakers: Vec<Turn>,
    /// How often it was tried in vain.
    #[serde(default)]
    pub failures: u32,
    /// It isn't tried before.
    #[serde(default)]
    pub not_before_ms: i64,
}

/// What was recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "of", rename_all = "snake_case")]
pub enum Subject {
    Channel(String),
    Call(String),
}

/// Someone who sent, with what there is of it, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    pub source: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// For people.
    pub name: String,
    pub joined_ms: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_ms: Option<i64>,
    pub chunks: Vec<ChunkEntry>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkEntry {
    /// Of the object, in the recording's folder.
    pub name: String,
    pub bytes: u64,
    pub sha256: String,
}

/// From when on a source talks, in microseconds since the recording began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    pub at_us: i64,
    pub source: String,
}

/// Who works on an order, and up to when the others keep away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    pub owner: String,
    pub until_ms: i64,
    /// What it began and did not end.
    #[serde(default)]
    pub uploads: Vec<Unfinished>,
}

/// The files of a recording: it is there when this is, and not before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    pub version: u32,
    pub recording: RecordingId,
    #[serde(flatten)]
    pub subject: Subject,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_by: Option<String>,
    pub started_ms: i64,
    pub ended_ms: i64,
    pub participants: Vec<Source>,
    pub files: Vec<FileEntry>,
    #[serde(default)]
    pub left_out: Vec<LeftOut>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FileEntry {
    /// For people and links.
    pub name: String,
    /// Of the object, in the recording's folder.
    pub object: String,
    pub form: Form,
    /// Whose tracks they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    pub bytes: u64,
    pub sha256: String,
    /// Where in the recording it begins.
    #[serde(default)]
    pub begin_ms: i64,
    pub duration_ms: u64,
    pub video: Option<String>,
    pub audio: Option<String>,
    pub width: Option<u32>,
    pub height: Option<u32>,
    #[serde(default)]
    pub gaps: Vec<Gap>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    pub from_ms: u64,
    pub to_ms: u64,
}

/// A chunk that is in no file, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    pub file: String,
    pub reason: String,
}

/// No file could be made. The chunks are still there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub recording: RecordingId,
    pub reason: String,
    pub attempts: u32,
    pub at_ms: i64,
}

/// How a recording stands that has no files yet, or gets none: for servers with the same store of
/// files. The one that recorded it says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    pub version: u32,
    pub recording: RecordingId,
    #[serde(flatten)]
    pub subject: Subject,
    pub node: Option<String>,
    pub started_by: Option<String>,
    pub started_ms: i64,
    pub ended_ms: Option<i64>,
    pub state: State,
    pub reason: Option<String>,
    pub troubles: i64,
    pub participants: Vec<Source>,
    /// When that was said.
    pub told_ms: i64,
}

/// Something became of a recording, for servers with the same store of files. Its name says it all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    pub at_ms: i64,
    pub recording: RecordingId,
}

pub const VERSION: u32 = 1;
/// The longest paper that is read: an order of 16 senders for a day is below it.
pub const MOST: u64 = 128 << 20;
/// Where chunks lie: beside files, where both are in one bucket.
pub const CHUNKS: &str = "chunks";
/// Where orders lie.
pub const ORDERS: &str = "orders";
/// Where news lie.
pub const NEWS: &str = "news";

pub fn order(recording: &RecordingId) -> String {
    format!("{ORDERS}/{recording}.json")
}

pub fn lease(recording: &RecordingId) -> String {
    format!("leases/{recording}.json")
}

pub fn manifest(recording: &RecordingId) -> String {
    format!("{recording}/manifest.json")
}

pub fn failure(recording: &RecordingId) -> String {
    format!("{recording}/failed.json")
}

pub fn standing(recording: &RecordingId) -> String {
    format!("{recording}/state.json")
}

pub fn chunk(recording: &RecordingId, name: &str) -> String {
    format!("{CHUNKS}/{recording}/{name}")
}

pub fn object(recording: &RecordingId, name: &str) -> String {
    format!("{recording}/{name}")
}

/// Whether a name of a chunk leads into the folder that it is put into, and not out of it.
pub fn is_inside(name: &str) -> bool {
    let is_plain = |part: &str| !matches!(part, "" | "." | "..") && !part.contains('\0');
    name.split('/').all(is_plain)
}

/// Ours: none has a map with keys that aren't strings.
pub fn written(paper: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(paper).unwrap_or_default()
}

/// Such that names are in the order of times.
pub fn time_in_a_name(at_ms: i64) -> String {
    format!("{:013}", at_ms.max(0))
}

// === impl News ===

impl News {
    pub fn name(&self) -> String {
        format!("{NEWS}/{}-{}", time_in_a_name(self.at_ms), self.recording)
    }

    /// None: it is another's.
    pub fn named(name: &str) -> Option<Self> {
        let (at_ms, recording) = name.strip_prefix(NEWS)?.strip_prefix('/')?.split_once('-')?;
        Some(Self { at_ms: at_ms.parse().ok()?, recording: recording.parse().ok()? })
    }
}

// === impl Subject ===

impl Subject {
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Channel(_) => "channel",
            Self::Call(_) => "call",
        }
    }

    pub fn of(&self) -> &str {
        match self {
            Self::Channel(name) | Self::Call(name) => name,
        }
    }
}
