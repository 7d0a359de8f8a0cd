//! Whose recordings one sees.

use rusqlite::{Connection, params};

use super::rows::{self, COLUMNS, Entry};
use super::{Catalogue, Done};
use crate::recording::ids::RecordingId;

/// Who looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Viewer {
    /// An administrator, or anybody on a server that asks for nothing.
    All,
    /// Whoever took part.
    User(String),
    /// Whoever has to do with one channel.
    Channel(String),
    /// Whoever has to do with all channels, and with no call.
    Channels,
}

/// A part of the list, the latest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    pub entries: Vec<Entry>,
    /// To go on with.
    pub next: Option<i64>,
}

// === impl Catalogue ===

impl Catalogue {
    /// What began before, or all; `limit` of them.
    pub async fn list(&self, viewer: Viewer, before_ms: Option<i64>, limit: u32) -> Done<Page> {
        self.database.read(move |c| list(c, &viewer, before_ms, limit)).await
    }

    /// None where there is none that the viewer may know of.
    pub async fn seen(&self, viewer: &Viewer, id: &RecordingId) -> Done<Option<Entry>> {
        let (viewer, id) = (viewer.clone(), id.clone());
        self.database
            .read(move |c| {
                let Some(entry) = rows::get(c, &id)? else { return Ok(None) };
                let (condition, value) = viewer.condition();
                let sql = format!("SELECT 1 FROM recordings WHERE id = ?1 AND {condition}");
                let sees = c.prepare_cached(&sql)?.exists(params![id.as_str(), value])?;
                Ok(Some(entry).filter(|_| sees))
            })
            .await
    }
}

fn list(c: &Connection, viewer: &Viewer, before_ms: Option<i64>, limit: u32) -> Done<Page> {
    let (condition, value) = viewer.condition();
    let sql = format!(
        "SELECT {COLUMNS} FROM recordings
         WHERE started_ms < ?1 AND {condition} ORDER BY started_ms DESC, id LIMIT ?3"
    );
    let mut statement = c.prepare_cached(&sql)?;
    let before = before_ms.unwrap_or(i64::MAX);
    let found = statement.query_map(params![before, value, limit], rows::entry)?;
    let entries: Vec<Entry> = found.collect::<Result<_, _>>()?;
    let is_full = entries.len() == limit as usize;
    let next = entries.last().map(|entry| entry.started_ms).filter(|_| is_full);
    Ok(Page { entries, next })
}

// === impl Viewer ===

impl Viewer {
    /// On `recordings`, with `?2` for the value.
    fn condition(&self) -> (&'static str, &str) {
        match self {
            Self::All => ("?2 = ''", ""),
            Self::User(user) => (
                "kind = 'call' AND EXISTS (SELECT 1 FROM participants p
                 WHERE p.recording = recordings.id AND p.user = ?2)",
                user,
            ),
            Self::Channel(name) => ("kind = 'channel' AND subject = ?2", name),
            Self::Channels => ("kind = 'channel' AND ?2 = ''", ""),
        }
    }
}
