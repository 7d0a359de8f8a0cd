//! Which events are due, and what is noted once they are in the store.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, params};

use super::DumpError;
use super::rows::{Row, to_parquet};
use crate::analytics::store::writer;
use crate::rfc3339::Millis;

/// Batches of events that wait.
pub struct Parts(Connection);

/// A file of an hour.
pub struct Part {
    /// Such as `dt=2026-11-23/hr=16/part-6f0c4d2b9a1e8375-0000000012.parquet`.
    pub name: String,
    pub parquet: Vec<u8>,
    pub events: u64,
    hour: i64,
    last: i64,
}

/// Events of an hour that are written without waiting for its end, and about the most of a part.
const MANY: u64 = 100_000;
/// The same in bytes of JSON: a part takes some times as much memory while it is made. Few in
/// tests.
const MANY_BYTES: usize = if cfg!(test) { 1 << 20 } else { 48 << 20 };
pub const HOUR_MS: u64 = 3_600_000;

// === impl Parts ===

impl Parts {
    pub fn open(database: &Path) -> Result<Self, DumpError> {
        Ok(Self(writer(database)?))
    }

    /// None: nothing is due.
    pub fn next(&self, caught_up: Millis, delay: Duration) -> Result<Option<Part>, DumpError> {
        let due = caught_up.0.saturating_sub(delay.as_millis() as u64) as i64;
        // An hour that a clock which is ahead made up may never be over.
        let sql = "SELECT hour FROM pending GROUP BY hour
                   HAVING sum(events) >= ?1 OR sum(length(lines)) >= ?4
                   OR ((hour + 1) * ?2 <= ?3 AND min(taken_ms) <= ?3)
                   OR min(taken_ms) + 2 * ?2 <= ?3
                   ORDER BY hour LIMIT 1";
        let key = params![MANY as i64, HOUR_MS as i64, due, MANY_BYTES as i64];
        let hour = self.0.query_row(sql, key, |row| row.get(0)).optional();
        match hour.map_err(crate::analytics::StoreError::from)? {
            Some(hour) => self.part(hour).map(Some),
            None => Ok(None),
        }
    }

    /// They wait no longer.
    pub fn done(&self, part: &Part) -> Result<(), DumpError> {
        let sql = "DELETE FROM pending WHERE hour = ?1 AND id <= ?2";
        let deleted = self.0.execute(sql, [part.hour, part.last]);
        deleted.map_err(crate::analytics::StoreError::from)?;
        Ok(())
    }

    fn part(&self, hour: i64) -> Result<Part, DumpError> {
        let failed = crate::analytics::StoreError::from;
        let sql = "SELECT id, events, lines FROM pending WHERE hour = ?1 ORDER BY id";
        let mut statement = self.0.prepare(sql).map_err(failed)?;
        let mut batches = statement.query([hour]).map_err(failed)?;
        let (mut first, mut last, mut events, mut bytes) = (None, 0, 0, 0);
        let mut rows = Vec::new();
        while let Some(batch) = batches.next().map_err(failed)?
            && events < MANY
            && bytes < MANY_BYTES
        {
            last = batch.get(0).map_err(failed)?;
            first.get_or_insert(last);
            events += batch.get::<_, i64>(1).map_err(failed)? as u64;
            let lines: Vec<u8> = batch.get(2).map_err(failed)?;
            bytes += lines.len();
            rows.extend(String::from_utf8_lossy(&lines).lines().filter_map(Row::read));
        }
        let tag: String =
            self.0.query_row("SELECT tag FROM dump", (), |row| row.get(0)).map_err(failed)?;
        let time = Millis(hour as u64 * HOUR_MS).to_string();
        let name = format!(
            "dt={}/hr={}/part-{tag}-{:010}.parquet",
            &time[..10],
            &time[11..13],
            first.unwrap_or(0)
        );
        Ok(Part { name, parquet: to_parquet(&rows)?, events: rows.len() as u64, hour, last })
    }
}
