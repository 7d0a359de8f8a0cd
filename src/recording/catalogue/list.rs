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

/// Recordings that began in one millisecond.
const MOST_AT_ONCE: usize = 1000;

// === impl Catalogue ===

impl Catalogue {
    /// What began before, or all; `limit` of them, and those that began with the last.
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
    let mut entries: Vec<Entry> = found.collect::<Result<_, _>>()?;
    if entries.len() < limit as usize {
        return Ok(Page { entries, next: None });
    }
    let last = entries.last().map(|last| (last.started_ms, last.id.clone()));
    let Some((started_ms, id)) = last else { return Ok(Page { entries, next: None }) };
    // Whoever goes on before a time misses none that began at it.
    let sql = format!(
        "SELECT {COLUMNS} FROM recordings
         WHERE started_ms = ?1 AND {condition} AND id > ?3 ORDER BY id LIMIT {MOST_AT_ONCE}"
    );
    let mut statement = c.prepare_cached(&sql)?;
    let same = statement.query_map(params![started_ms, value, id.as_str()], rows::entry)?;
    entries.extend(same.collect::<Result<Vec<_>, _>>()?);
    Ok(Page { entries, next: Some(started_ms) })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::catalogue::NewRecording;
    use crate::recording::papers::Subject;

    #[tokio::test]
    async fn page_after_page_shows_each_once_also_those_that_began_together() {
        let folder = tempfile::tempdir().unwrap();
        let catalogue = Catalogue::open(&folder.path().join("recordings.db")).unwrap();
        for (number, started_ms) in [5, 7, 7, 7, 9].into_iter().enumerate() {
            let new = NewRecording::of(
                RecordingId::random().unwrap(),
                Subject::Channel(format!("c{number}")),
                started_ms,
            );
            assert!(catalogue.begin(new).await.unwrap());
        }
        let mut pages = Vec::new();
        let mut before = None;
        loop {
            let page = catalogue.list(Viewer::All, before, 2).await.unwrap();
            pages.push(page.entries.iter().map(|entry| entry.started_ms).collect::<Vec<_>>());
            before = page.next;
            if before.is_none() {
                break;
            }
        }
        assert_eq!(pages, [vec![9, 7, 7, 7], vec![5]]);
    }
}
