//! What the database knows when a process starts.

use std::collections::HashMap;

use super::{Store, StoreError};
use crate::analytics::measure::Dimension;
use crate::analytics::seen::{Seen, Stream, StreamKey};
use crate::analytics::words::Words;

/// Where each source goes on.
pub type Positions = HashMap<String, String>;

/// What is held in memory beside the database.
pub struct Known {
    pub words: Words,
    pub seen: Seen,
    pub positions: Positions,
}

/// A stream's batches by number.
type Batches = HashMap<StreamKey, Vec<(u64, Vec<u128>)>>;

// === impl Store ===

impl Store {
    pub fn known(&self) -> Result<Known, StoreError> {
        Ok(Known { words: self.words()?, seen: self.seen()?, positions: self.positions()? })
    }

    fn words(&self) -> Result<Words, StoreError> {
        let mut statement = self.connection.prepare("SELECT id, dimension, word FROM words")?;
        let rows = statement.query_map((), |row| {
            let dimension: u8 = row.get(1)?;
            let dimension = Dimension::ALL.into_iter().find(|d| *d as u8 == dimension);
            Ok(dimension.map(|dimension| (row.get(0), dimension, row.get(2))))
        })?;
        let mut known = Vec::new();
        for row in rows {
            let Some((id, dimension, word)) = row? else { continue };
            known.push((id?, dimension, word?));
        }
        Ok(Words::known(known))
    }

    fn seen(&self) -> Result<Seen, StoreError> {
        let mut batches = self.batches()?;
        let sql = "SELECT place, node, floor, newest, last_ms FROM streams";
        let mut statement = self.connection.prepare(sql)?;
        let rows = statement.query_map((), |row| {
            let key = StreamKey { place: row.get(0)?, node: row.get(1)? };
            let id = |at| row.get(at).map(u128::from_be_bytes);
            Ok((key, id(2)?, id(3)?, row.get::<_, i64>(4)? as u64))
        })?;
        let mut streams = Vec::new();
        for row in rows {
            let (key, floor, newest, last_ms) = row?;
            let batches = batches.remove(&key).unwrap_or_default();
            streams.push((key, Stream::known(floor, newest, last_ms, batches)));
        }
        Ok(Seen::known(streams))
    }

    fn batches(&self) -> Result<Batches, StoreError> {
        let sql = "SELECT place, node, batch, ids FROM batches ORDER BY batch";
        let mut statement = self.connection.prepare(sql)?;
        let mut rows = statement.query(())?;
        let mut batches = Batches::new();
        while let Some(row) = rows.next()? {
            let key = StreamKey { place: row.get(0)?, node: row.get(1)? };
            let bytes: Vec<u8> = row.get(3)?;
            let ids = bytes.chunks_exact(16).filter_map(|id| id.try_into().ok());
            let ids = ids.map(u128::from_be_bytes).collect();
            batches.entry(key).or_default().push((row.get::<_, i64>(2)? as u64, ids));
        }
        Ok(batches)
    }

    fn positions(&self) -> Result<Positions, StoreError> {
        let mut statement = self.connection.prepare("SELECT source, position FROM positions")?;
        let rows = statement.query_map((), |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
