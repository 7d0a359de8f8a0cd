//! Chunks that are in the chunk store.

use rusqlite::params;

use super::{Catalogue, Done};
use crate::depot::Checked;
use crate::recording::ids::RecordingId;
use crate::recording::papers::ChunkEntry;

// === impl Catalogue ===

impl Catalogue {
    /// A chunk is in the store. False: nobody knows the recording, and the chunk is nobody's.
    pub async fn add_chunk(&self, id: &RecordingId, name: &str, is: Checked) -> Done<bool> {
        let (id, name) = (id.clone(), name.to_owned());
        let sql = "INSERT INTO chunks (recording, name, bytes, sha256)
                   SELECT id, ?2, ?3, ?4 FROM recordings WHERE id = ?1
                   ON CONFLICT DO UPDATE SET bytes = excluded.bytes, sha256 = excluded.sha256";
        self.database
            .write(move |c| {
                let bytes = i64::try_from(is.bytes).unwrap_or(i64::MAX);
                let values = params![id.as_str(), name, bytes, is.sha256];
                Ok(c.prepare_cached(sql)?.execute(values)? == 1)
            })
            .await
    }

    /// By name: those of a source in the order in which they were written.
    pub async fn chunks(&self, id: &RecordingId) -> Done<Vec<ChunkEntry>> {
        let id = id.clone();
        let sql = "SELECT name, bytes, sha256 FROM chunks WHERE recording = ?1 ORDER BY name";
        self.database
            .read(move |c| {
                let mut statement = c.prepare_cached(sql)?;
                let found = statement.query_map([id.as_str()], |row| {
                    let bytes = u64::try_from(row.get::<_, i64>(1)?).unwrap_or_default();
                    Ok(ChunkEntry { name: row.get(0)?, bytes, sha256: row.get(2)? })
                })?;
                Ok(found.collect::<Result<_, _>>()?)
            })
            .await
    }
}
