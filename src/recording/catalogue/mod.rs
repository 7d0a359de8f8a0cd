//! Which recordings there are, who was in them, and what became of them: one SQLite file.

mod adopt;
mod chunks;
mod list;
mod notices;
mod rows;
mod schema;
mod speakers;

use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _, params};

pub use adopt::Theirs;
pub use list::{Page, Viewer};
pub use notices::{Notice, Telling, Way};
pub use rows::{Entry, Participant, State};

use super::ids::RecordingId;
use super::papers::{FileEntry, Manifest, Subject};
use crate::accounts::{Database, DatabaseError};

/// Cheap to clone; clones are the same file.
#[derive(Clone)]
pub struct Catalogue {
    database: Database,
}

/// A recording that begins.
#[derive(Debug, Clone)]
pub struct NewRecording {
    pub id: RecordingId,
    pub subject: Subject,
    pub started_by: Option<String>,
    pub is_fixed: bool,
    pub started_ms: i64,
    pub boot: String,
    pub epoch_us: i64,
    /// This server.
    pub node: String,
}

type Done<T = ()> = Result<T, DatabaseError>;

// === impl NewRecording ===

#[cfg(test)]
impl NewRecording {
    /// One of a server without a start, which nobody is named to have begun.
    pub fn of(id: RecordingId, subject: Subject, started_ms: i64) -> Self {
        Self {
            id,
            subject,
            started_by: None,
            is_fixed: false,
            started_ms,
            boot: String::new(),
            epoch_us: 0,
            node: "n1".to_owned(),
        }
    }
}

// === impl Catalogue ===

impl Catalogue {
    pub fn open(path: &Path) -> Done<Self> {
        Ok(Self { database: Database::open_with(path, "recordings", schema::STEPS)? })
    }

    /// False where one of the same is going on.
    pub async fn begin(&self, new: NewRecording) -> Done<bool> {
        self.database.write(move |c| begin(c, &new)).await
    }

    /// What isn't finished is `node`'s from now on.
    pub async fn take_over(&self, node: &str) -> Done {
        let node = node.to_owned();
        let sql = "UPDATE recordings SET node = ?1
                   WHERE elsewhere = 0 AND state NOT IN ('ready', 'failed')";
        self.write(move |c| c.prepare_cached(sql)?.execute([node])).await
    }

    /// Someone is in it: from now on, or again.
    pub async fn join(&self, id: &RecordingId, participant: Participant) -> Done {
        let id = id.clone();
        let sql = "INSERT INTO participants (recording, source, user, name, joined_ms, left_ms)
                   VALUES (?1, ?2, ?3, ?4, ?5, NULL)
                   ON CONFLICT DO UPDATE SET left_ms = NULL, name = excluded.name";
        self.write(move |c| {
            let Participant { source, user, name, joined_ms, .. } = &participant;
            let values = params![id.as_str(), source, user, name, joined_ms];
            c.prepare_cached(sql)?.execute(values)
        })
        .await
    }

    /// Someone is out.
    pub async fn leave(&self, id: &RecordingId, source: &str, at_ms: i64) -> Done {
        let (id, source) = (id.clone(), source.to_owned());
        let sql = "UPDATE participants SET left_ms = ?3
                   WHERE recording = ?1 AND source = ?2 AND left_ms IS NULL";
        self.write(move |c| c.prepare_cached(sql)?.execute(params![id.as_str(), source, at_ms]))
            .await
    }

    /// Nothing more is recorded; what there is is still shipped.
    pub async fn end(&self, id: &RecordingId, at_ms: i64) -> Done {
        let id = id.clone();
        self.database
            .write(move |c| {
                let sql = "UPDATE recordings SET state = 'ending', ended_ms = ?2
                           WHERE id = ?1 AND state = 'recording'";
                c.prepare_cached(sql)?.execute(params![id.as_str(), at_ms])?;
                let sql = "UPDATE participants SET left_ms = ?2
                           WHERE recording = ?1 AND left_ms IS NULL";
                c.prepare_cached(sql)?.execute(params![id.as_str(), at_ms])?;
                Ok(())
            })
            .await
    }

    /// Files can be made of it.
    pub async fn set_ordered(&self, id: &RecordingId) -> Done {
        let id = id.clone();
        let sql = "UPDATE recordings SET state = 'ended' WHERE id = ?1 AND state = 'ending'";
        self.write(move |c| c.prepare_cached(sql)?.execute([id.as_str()])).await
    }

    /// Files are there, and somebody is to be told: both at once. False where that was known.
    pub async fn set_ready(
        &self,
        id: &RecordingId,
        manifest: Manifest,
        telling: Telling,
    ) -> Done<bool> {
        let id = id.clone();
        self.database
            .write(move |c| {
                let is_new = set_ready(c, &id, &manifest)?;
                if is_new {
                    notices::add(c, &id, &telling)?;
                }
                Ok(is_new)
            })
            .await
    }

    /// There will be none, and somebody is to be told. False where that was known.
    pub async fn set_failed(
        &self,
        id: &RecordingId,
        reason: String,
        telling: Telling,
    ) -> Done<bool> {
        let id = id.clone();
        let sql = "UPDATE recordings SET state = 'failed', reason = ?2
                   WHERE id = ?1 AND state IN ('recording', 'ending', 'ended')";
        self.database
            .write(move |c| {
                let is_new = c.prepare_cached(sql)?.execute(params![id.as_str(), reason])? == 1;
                if is_new {
                    notices::add(c, &id, &telling)?;
                }
                Ok(is_new)
            })
            .await
    }

    /// Something of it is missing.
    pub async fn add_trouble(&self, id: &RecordingId) -> Done {
        let id = id.clone();
        let sql = "UPDATE recordings SET troubles = troubles + 1 WHERE id = ?1";
        self.write(move |c| c.prepare_cached(sql)?.execute([id.as_str()])).await
    }

    /// False where there was none.
    pub async fn delete(&self, id: &RecordingId) -> Done<bool> {
        let id = id.clone();
        let sql = "DELETE FROM recordings WHERE id = ?1";
        self.database.write(move |c| Ok(c.prepare_cached(sql)?.execute([id.as_str()])? == 1)).await
    }

    /// Another server's, if it is one.
    pub async fn delete_theirs(&self, id: &RecordingId) -> Done {
        let id = id.clone();
        let sql = "DELETE FROM recordings WHERE id = ?1 AND elsewhere = 1";
        self.write(move |c| c.prepare_cached(sql)?.execute([id.as_str()])).await
    }

    pub async fn get(&self, id: &RecordingId) -> Done<Option<Entry>> {
        let id = id.clone();
        self.database.read(move |c| rows::get(c, &id)).await
    }

    pub async fn participants(&self, id: &RecordingId) -> Done<Vec<Participant>> {
        let id = id.clone();
        self.database.read(move |c| rows::participants(c, &id)).await
    }

    pub async fn files(&self, id: &RecordingId) -> Done<Vec<FileEntry>> {
        let id = id.clone();
        self.database.read(move |c| rows::files(c, &id)).await
    }

    /// This server's.
    pub async fn in_state(&self, state: State) -> Done<Vec<Entry>> {
        self.database.read(move |c| rows::in_state(c, state)).await
    }

    /// This server's that ended before, and are to be deleted.
    pub async fn older_than(&self, ended_ms: i64) -> Done<Vec<Entry>> {
        self.database.read(move |c| rows::older_than(c, ended_ms)).await
    }

    async fn write(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<usize> + Send + 'static,
    ) -> Done {
        self.database.write(move |c| work(c).map(|_| ()).map_err(DatabaseError::from)).await
    }
}

fn begin(c: &Connection, new: &NewRecording) -> Done<bool> {
    let sql = "INSERT INTO recordings
               (id, kind, subject, started_by, is_fixed, started_ms, state, boot, epoch_us, node)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'recording', ?7, ?8, ?9)
               ON CONFLICT DO NOTHING";
    let values = params![
        new.id.as_str(),
        new.subject.kind(),
        new.subject.of(),
        new.started_by,
        new.is_fixed,
        new.started_ms,
        new.boot,
        new.epoch_us,
        new.node,
    ];
    Ok(c.prepare_cached(sql)?.execute(values)? == 1)
}

fn set_ready(c: &Connection, id: &RecordingId, manifest: &Manifest) -> Done<bool> {
    let sql = "SELECT state FROM recordings WHERE id = ?1";
    let mut statement = c.prepare_cached(sql)?;
    let state: Option<String> = statement.query_row([id.as_str()], |row| row.get(0)).optional()?;
    if state.is_none_or(|state| state == "ready") {
        return Ok(false);
    }
    let sql = "UPDATE recordings SET state = 'ready', reason = NULL, node = coalesce(?2, node)
               WHERE id = ?1";
    c.prepare_cached(sql)?.execute(params![id.as_str(), manifest.node])?;
    c.prepare_cached("DELETE FROM files WHERE recording = ?1")?.execute([id.as_str()])?;
    c.prepare_cached("DELETE FROM chunks WHERE recording = ?1")?.execute([id.as_str()])?;
    put_files(c, id, &manifest.files)?;
    Ok(true)
}

fn put_files(c: &Connection, id: &RecordingId, files: &[FileEntry]) -> Done {
    let sql = "INSERT INTO files (recording, name, object, entry, bytes)
               VALUES (?1, ?2, ?3, ?4, ?5)";
    let mut statement = c.prepare_cached(sql)?;
    for file in files {
        let entry = serde_json::to_string(file).unwrap_or_default();
        let bytes = i64::try_from(file.bytes).unwrap_or(i64::MAX);
        statement.execute(params![id.as_str(), file.name, file.object, entry, bytes])?;
    }
    Ok(())
}
