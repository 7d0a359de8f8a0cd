//! What time does to the roll-ups: what is old goes, and what a node that is gone had begun ends.

use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior, params};

use super::write::increments;
use super::{Store, StoreError, Tier};
use crate::analytics::measure::Gauge;
use crate::analytics::rollup::{Increments, MINUTE_MS};

/// How long roll-ups are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    pub minutes: Duration,
    pub hours: Duration,
}

/// What an upkeep did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Upkeep {
    /// Rows that went.
    pub deleted: u64,
    /// Calls and viewers of nodes that are gone.
    pub settled: u64,
}

/// A node of which nothing was heard for so long, while others were, is gone. What it then still
/// says of a call or a viewer takes back what was believed.
const GONE_MS: i64 = 15 * 60_000;
/// How long an end is remembered, so that a beginning that comes later is known to be over.
const REMEMBERED_MS: i64 = 7 * 86_400_000;

// === impl Store ===

impl Store {
    /// To be called now and then.
    pub fn keep_up(&mut self, kept: Kept, now_ms: u64) -> Result<Upkeep, StoreError> {
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let settled = settle(&transaction, now_ms)?;
        let mut deleted = 0;
        for (tier, kept) in [(Tier::Minutes, kept.minutes), (Tier::Hours, kept.hours)] {
            let cut_ms = now_ms.saturating_sub(kept.as_millis() as u64);
            deleted += prune(&transaction, tier, cut_ms)?;
        }
        let forgotten = (now_ms as i64).saturating_sub(REMEMBERED_MS);
        let sql = "DELETE FROM stays WHERE coalesce(ended_ms, settled_ms) < ?1";
        deleted += transaction.execute(sql, [forgotten])? as u64;
        transaction.commit()?;
        Ok(Upkeep { deleted, settled })
    }
}

/// Deletes what is older; moves go on to count in their sum.
fn prune(connection: &Connection, tier: Tier, cut_ms: u64) -> Result<u64, StoreError> {
    let minute = (cut_ms / MINUTE_MS) as i64;
    let mut deleted = 0;
    // The key has the measure before the time.
    let measures = "SELECT DISTINCT measure FROM cells WHERE tier = ?1";
    let mut statement = connection.prepare_cached(measures)?;
    let measures: Vec<u8> =
        statement.query_map([tier as u8], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let sql = "DELETE FROM cells WHERE tier = ?1 AND measure = ?2 AND start < ?3";
    let mut statement = connection.prepare_cached(sql)?;
    for measure in measures {
        deleted += statement.execute(params![tier as u8, measure, minute])?;
    }
    let sql = "DELETE FROM crowds WHERE tier = ?1 AND start < ?2";
    deleted += connection.execute(sql, params![tier as u8, minute])?;
    let slot = (cut_ms / tier.slot_ms()) as i64;
    connection.execute(
        "INSERT INTO levels (tier, gauge, a, b, n)
         SELECT tier, gauge, a, b, sum(n) FROM moves WHERE tier = ?1 AND slot < ?2
         GROUP BY tier, gauge, a, b
         ON CONFLICT DO UPDATE SET n = n + excluded.n",
        params![tier as u8, slot],
    )?;
    let sql = "DELETE FROM moves WHERE tier = ?1 AND slot < ?2";
    deleted += connection.execute(sql, params![tier as u8, slot])?;
    connection.execute("DELETE FROM levels WHERE n = 0", ())?;
    Ok(deleted as u64)
}

/// A node whose clock is ahead makes no other one late.
fn settle(connection: &Connection, now_ms: u64) -> Result<u64, StoreError> {
    let mut found = connection.prepare_cached(
        "SELECT gauge, name, since_ms, a, b, heard FROM stays
         JOIN (SELECT node, max(last_ms) AS heard FROM streams GROUP BY node) USING (node)
         WHERE ended_ms IS NULL AND settled_ms IS NULL
         AND heard + ?1 < (SELECT min(max(last_ms), ?2) FROM streams)",
    )?;
    let mut rows = found.query([GONE_MS, now_ms as i64])?;
    let mut sums = Increments::default();
    let mut settled = Vec::new();
    while let Some(row) = rows.next()? {
        let gauge =
            if row.get::<_, u8>(0)? == Gauge::Calls as u8 { Gauge::Calls } else { Gauge::Viewers };
        let (since, heard): (i64, i64) = (row.get(2)?, row.get(5)?);
        let heard = heard.max(since);
        sums.stay(gauge, (row.get(3)?, row.get(4)?), since as u64..heard as u64, 1);
        settled.push((gauge, row.get::<_, String>(1)?, heard));
    }
    increments(connection, &sums)?;
    let sql = "UPDATE stays SET settled_ms = ?3 WHERE gauge = ?1 AND name = ?2";
    let mut statement = connection.prepare_cached(sql)?;
    for (gauge, name, heard) in &settled {
        statement.execute(params![*gauge as u8, name, heard])?;
    }
    Ok(settled.len() as u64)
}
