//! Who talks, and when: a picture of all marks them.

use rusqlite::params;

use super::{Catalogue, Done};
use crate::recording::ids::RecordingId;
use crate::recording::papers::Turn;

// === impl Catalogue ===

impl Catalogue {
    pub async fn add_speaker(&self, id: &RecordingId, turn: Turn) -> Done {
        let id = id.clone();
        let sql = "INSERT INTO speakers (recording, at_us, source) VALUES (?1, ?2, ?3)
                   ON CONFLICT DO UPDATE SET source = excluded.source";
        self.write(move |c| {
            c.prepare_cached(sql)?.execute(params![id.as_str(), turn.at_us, turn.source])
        })
        .await
    }

    pub async fn speakers(&self, id: &RecordingId) -> Done<Vec<Turn>> {
        let id = id.clone();
        let sql = "SELECT at_us, source FROM speakers WHERE recording = ?1 ORDER BY at_us";
        self.database
            .read(move |c| {
                let mut statement = c.prepare_cached(sql)?;
                let found = statement.query_map([id.as_str()], |row| {
                    Ok(Turn { at_us: row.get(0)?, source: row.get(1)? })
                })?;
                Ok(found.collect::<Result<_, _>>()?)
            })
            .await
    }
}
