//! Rows as values.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::Done;
use crate::recording::ids::RecordingId;
use crate::recording::papers::{FileEntry, Subject};

/// A recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub id: RecordingId,
    pub subject: Subject,
    pub started_by: Option<String>,
    pub is_fixed: bool,
    pub started_ms: i64,
    pub ended_ms: Option<i64>,
    pub state: State,
    pub reason: Option<String>,
    pub troubles: i64,
    pub boot: String,
    pub epoch_us: i64,
    /// The server that has it, or had it last.
    pub node: Option<String>,
    /// Another server made it.
    pub is_elsewhere: bool,
    /// When that one said so. None: it is ready, or this server's.
    pub told_ms: Option<i64>,
}

/// They only move forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Recording,
    /// Chunks are still shipped.
    Ending,
    /// Files are made.
    Ended,
    Ready,
    Failed,
}

/// Someone who was in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Participant {
    pub source: String,
    pub user: Option<String>,
    pub name: String,
    pub joined_ms: i64,
    pub left_ms: Option<i64>,
}

pub const COLUMNS: &str = "id, kind, subject, started_by, is_fixed, started_ms, ended_ms, state, \
                           reason, troubles, boot, epoch_us, node, elsewhere, told_ms";

/// A row of [`COLUMNS`].
pub fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let (kind, of): (String, String) = (row.get(1)?, row.get(2)?);
    let subject = if kind == "call" { Subject::Call(of) } else { Subject::Channel(of) };
    Ok(Entry {
        id: parsed(row, 0)?,
        subject,
        started_by: row.get(3)?,
        is_fixed: row.get(4)?,
        started_ms: row.get(5)?,
        ended_ms: row.get(6)?,
        state: State::of(row.get_ref(7)?.as_str()?),
        reason: row.get(8)?,
        troubles: row.get(9)?,
        boot: row.get(10)?,
        epoch_us: row.get(11)?,
        node: row.get(12)?,
        is_elsewhere: row.get(13)?,
        told_ms: row.get(14)?,
    })
}

pub fn get(c: &Connection, id: &RecordingId) -> Done<Option<Entry>> {
    let sql = format!("SELECT {COLUMNS} FROM recordings WHERE id = ?1");
    Ok(c.prepare_cached(&sql)?.query_row([id.as_str()], entry).optional()?)
}

pub fn in_state(c: &Connection, state: State) -> Done<Vec<Entry>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM recordings WHERE state = ?1 AND elsewhere = 0 ORDER BY started_ms, id"
    );
    let mut statement = c.prepare_cached(&sql)?;
    let found = statement.query_map([state.name()], entry)?;
    Ok(found.collect::<Result<_, _>>()?)
}

pub fn older_than(c: &Connection, ended_ms: i64) -> Done<Vec<Entry>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM recordings
         WHERE state IN ('ready', 'failed') AND elsewhere = 0 AND ended_ms < ?1
         ORDER BY ended_ms LIMIT 100"
    );
    let mut statement = c.prepare_cached(&sql)?;
    let found = statement.query_map([ended_ms], entry)?;
    Ok(found.collect::<Result<_, _>>()?)
}

pub fn participants(c: &Connection, id: &RecordingId) -> Done<Vec<Participant>> {
    let sql = "SELECT source, user, name, joined_ms, left_ms FROM participants
               WHERE recording = ?1 ORDER BY joined_ms, source";
    let mut statement = c.prepare_cached(sql)?;
    let found = statement.query_map([id.as_str()], |row| {
        Ok(Participant {
            source: row.get(0)?,
            user: row.get(1)?,
            name: row.get(2)?,
            joined_ms: row.get(3)?,
            left_ms: row.get(4)?,
        })
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}

pub fn files(c: &Connection, id: &RecordingId) -> Done<Vec<FileEntry>> {
    let sql = "SELECT entry FROM files WHERE recording = ?1 ORDER BY name";
    let mut statement = c.prepare_cached(sql)?;
    let texts = statement.query_map(params![id.as_str()], |row| row.get::<_, String>(0))?;
    let texts = texts.collect::<Result<Vec<_>, _>>()?;
    // What can't be read was written by another version.
    Ok(texts.iter().filter_map(|text| serde_json::from_str(text).ok()).collect())
}

/// An id out of a column.
pub fn parsed(row: &Row<'_>, column: usize) -> rusqlite::Result<RecordingId> {
    let text = row.get_ref(column)?.as_str()?;
    text.parse().map_err(|error: crate::recording::ids::NotARecording| {
        let kind = rusqlite::types::Type::Text;
        rusqlite::Error::FromSqlConversionFailure(column, kind, Box::new(error))
    })
}

// === impl State ===

impl State {
    /// Nothing more becomes of it.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Ready | Self::Failed)
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Recording => "recording",
            Self::Ending => "ending",
            Self::Ended => "ended",
            Self::Ready => "ready",
            Self::Failed => "failed",
        }
    }

    fn of(text: &str) -> Self {
        match text {
            "recording" => Self::Recording,
            "ending" => Self::Ending,
            "ended" => Self::Ended,
            "ready" => Self::Ready,
            _ => Self::Failed,
        }
    }
}
