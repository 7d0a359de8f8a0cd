//! A batch into the database.

use std::collections::{BTreeMap, HashMap};

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};

use super::{Store, StoreError, Tier};
use crate::analytics::measure::{Crowd, Dimension};
use crate::analytics::rollup::{Cell, CellKey, Increments, MoveKey, SLOT_MS};
use crate::analytics::seen::{Closed, Seen};
use crate::analytics::sketch::Sketch;
use crate::analytics::words::WordId;

/// What goes into one transaction.
pub struct Batch<'a> {
    pub increments: Increments,
    pub words: Vec<(WordId, Dimension, String)>,
    pub closed: Closed,
    pub seen: &'a Seen,
    /// By hour since 1970.
    pub pending: BTreeMap<u32, Pending>,
    pub taken_ms: u64,
    /// Where each source goes on.
    pub positions: Vec<(String, String)>,
}

/// Events that are to be dumped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pending {
    pub events: u64,
    /// A line each.
    pub lines: Vec<u8>,
}

// === impl Store ===

impl Store {
    /// All of it, or nothing where it fails.
    pub fn write(&mut self, mut batch: Batch<'_>) -> Result<(), StoreError> {
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        words(&transaction, &batch.words)?;
        stays(&transaction, &mut batch.increments)?;
        increments(&transaction, &batch.increments)?;
        seen(&transaction, &batch.closed, batch.seen)?;
        pending(&transaction, &batch.pending, batch.taken_ms)?;
        let sql = "INSERT OR REPLACE INTO positions (source, position) VALUES (?1, ?2)";
        let mut statement = transaction.prepare_cached(sql)?;
        for (source, position) in &batch.positions {
            statement.execute([source, position])?;
        }
        drop(statement);
        Ok(transaction.commit()?)
    }
}

fn pending(
    connection: &Connection,
    pending: &BTreeMap<u32, Pending>,
    taken_ms: u64,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO pending (hour, events, taken_ms, lines) VALUES (?1, ?2, ?3, ?4)";
    let mut statement = connection.prepare_cached(sql)?;
    for (hour, Pending { events, lines }) in pending {
        statement.execute(params![hour, *events as i64, taken_ms as i64, lines])?;
    }
    Ok(())
}

/// Adds cells, moves and crowds, in both tiers.
pub fn increments(connection: &Connection, increments: &Increments) -> Result<(), StoreError> {
    cells(connection, Tier::Minutes, &increments.cells)?;
    let mut hours: HashMap<CellKey, Cell> = HashMap::new();
    for (key, cell) in &increments.cells {
        let minute = key.minute - key.minute % Tier::Hours.minutes();
        let hour = hours.entry(CellKey { minute, ..*key }).or_default();
        hour.n += cell.n;
        hour.sum = hour.sum.saturating_add(cell.sum);
    }
    cells(connection, Tier::Hours, &hours)?;
    moves(connection, &increments.moves)?;
    crowds(connection, &increments.crowds)
}

fn words(connection: &Connection, words: &[(WordId, Dimension, String)]) -> Result<(), StoreError> {
    let sql = "INSERT INTO words (id, dimension, word) VALUES (?1, ?2, ?3)";
    let mut statement = connection.prepare_cached(sql)?;
    for (id, dimension, word) in words {
        statement.execute(params![id, *dimension as u8, word])?;
    }
    Ok(())
}

fn cells(
    connection: &Connection,
    tier: Tier,
    cells: &HashMap<CellKey, Cell>,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO cells (tier, measure, start, a, b, n, sum)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
               ON CONFLICT DO UPDATE SET n = n + excluded.n, sum = sum + excluded.sum";
    let mut statement = connection.prepare_cached(sql)?;
    let mut sorted: Vec<_> = cells.iter().collect();
    sorted.sort_unstable_by_key(|(key, _)| (key.measure, key.minute, key.a, key.b));
    for (key, cell) in sorted {
        let CellKey { minute, measure, a, b } = *key;
        statement.execute(params![tier as u8, measure as u8, minute, a, b, cell.n, cell.sum])?;
    }
    Ok(())
}

fn moves(connection: &Connection, moves: &HashMap<MoveKey, i64>) -> Result<(), StoreError> {
    let sql = "INSERT INTO moves (tier, gauge, slot, a, b, n) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
               ON CONFLICT DO UPDATE SET n = n + excluded.n";
    let mut statement = connection.prepare_cached(sql)?;
    for tier in Tier::ALL {
        for (key, n) in moves {
            let slot = key.slot * SLOT_MS / tier.slot_ms();
            statement.execute(params![
                tier as u8,
                key.gauge as u8,
                slot as i64,
                key.a,
                key.b,
                n
            ])?;
        }
    }
    Ok(())
}

fn crowds(
    connection: &Connection,
    crowds: &HashMap<(Crowd, u32), Sketch>,
) -> Result<(), StoreError> {
    let mut read = connection.prepare_cached(
        "SELECT sketch FROM crowds WHERE tier = ?1 AND crowd = ?2 AND start = ?3",
    )?;
    let mut write = connection.prepare_cached(
        "INSERT OR REPLACE INTO crowds (tier, crowd, start, sketch) VALUES (?1, ?2, ?3, ?4)",
    )?;
    for tier in Tier::ALL {
        let mut sums: HashMap<(Crowd, u32), Sketch> = HashMap::new();
        for ((crowd, minute), sketch) in crowds {
            sums.entry((*crowd, minute - minute % tier.minutes())).or_default().merge(sketch);
        }
        for ((crowd, start), mut sketch) in sums {
            let key = params![tier as u8, crowd as u8, start];
            let held: Option<Vec<u8>> = read.query_row(key, |row| row.get(0)).optional()?;
            let before = held.map(|bytes| Sketch::from_bytes(&bytes)).unwrap_or_default();
            sketch.merge(&before);
            if sketch != before {
                write.execute(params![tier as u8, crowd as u8, start, sketch.to_bytes()])?;
            }
        }
    }
    Ok(())
}

/// What began and what ended. An end takes back what was believed when its node seemed gone.
fn stays(connection: &Connection, increments: &mut Increments) -> Result<(), StoreError> {
    let mut begin = connection.prepare_cached(
        "INSERT OR IGNORE INTO stays (gauge, name, since_ms, a, b, node)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    for ((gauge, name), began) in &increments.began {
        let since = began.since_ms as i64;
        begin.execute(params![*gauge as u8, name, since, began.a, began.b, began.node])?;
    }
    let mut find = connection.prepare_cached(
        "SELECT since_ms, settled_ms, a, b FROM stays
         WHERE gauge = ?1 AND name = ?2 AND settled_ms IS NOT NULL AND ended_ms IS NULL",
    )?;
    let mut end = connection.prepare_cached(
        "INSERT INTO stays (gauge, name, since_ms, a, b, node, ended_ms)
         VALUES (?1, ?2, ?3, 0, 0, '', ?3)
         ON CONFLICT DO UPDATE SET ended_ms = excluded.ended_ms",
    )?;
    for ((gauge, name), at) in std::mem::take(&mut increments.ended) {
        let settled = find.query_row(params![gauge as u8, name], |row| {
            let ms = |at| row.get::<_, i64>(at).map(|ms| ms as u64);
            Ok((ms(0)?..ms(1)?, (row.get(2)?, row.get(3)?)))
        });
        if let Some((ms, labels)) = settled.optional()? {
            increments.stay(gauge, labels, ms, -1);
        }
        end.execute(params![gauge as u8, name, at as i64])?;
    }
    Ok(())
}

fn seen(connection: &Connection, closed: &Closed, seen: &Seen) -> Result<(), StoreError> {
    let mut drop_batch = connection
        .prepare_cached("DELETE FROM batches WHERE place = ?1 AND node = ?2 AND batch = ?3")?;
    for (key, batch) in &closed.dropped {
        drop_batch.execute(params![key.place, key.node, *batch as i64])?;
    }
    let mut keep = connection
        .prepare_cached("INSERT INTO batches (place, node, batch, ids) VALUES (?1, ?2, ?3, ?4)")?;
    for (key, ids) in &closed.ids {
        let bytes: Vec<u8> = ids.iter().flat_map(|id| id.to_be_bytes()).collect();
        keep.execute(params![key.place, key.node, closed.batch as i64, bytes])?;
    }
    let mut update = connection.prepare_cached(
        "INSERT OR REPLACE INTO streams (place, node, floor, newest, last_ms)
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    let touched = closed.ids.iter().map(|(key, _)| key);
    for key in touched.chain(closed.dropped.iter().map(|(key, _)| key)) {
        let Some(stream) = seen.stream(key) else { continue };
        let (floor, newest) = (stream.floor.to_be_bytes(), stream.newest.to_be_bytes());
        let last_ms = stream.last_ms as i64;
        update.execute(params![key.place, key.node, floor, newest, last_ms])?;
    }
    for key in &closed.forgotten {
        for table in ["batches", "streams"] {
            let sql = format!("DELETE FROM {table} WHERE place = ?1 AND node = ?2");
            connection.execute(&sql, params![key.place, key.node])?;
        }
    }
    Ok(())
}
