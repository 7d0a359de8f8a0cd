//! The tables of the roll-ups. `PRAGMA user_version` says which steps a file has behind it. A step
//! that was released is never changed.

use rusqlite::{Connection, TransactionBehavior};

use super::StoreError;

/// The version that this program reads and writes.
pub const VERSION: u32 = STEPS.len() as u32;

/// Each brings the file from version `n` to `n + 1`.
const STEPS: &[&str] = &[ROLLUPS, DUMP_TAG];

/// `tier`: 1 is minutes and slots of 5 s; 2 is hours and slots of a minute, kept longer. Measures,
/// gauges, crowds and dimensions are those of `measure.rs`.
const ROLLUPS: &str = "
CREATE TABLE words (
    id INTEGER PRIMARY KEY,
    dimension INTEGER NOT NULL,
    word TEXT NOT NULL,
    UNIQUE (dimension, word)
) STRICT;

CREATE TABLE cells (
    tier INTEGER NOT NULL,
    measure INTEGER NOT NULL,
    -- Minutes since 1970.
    start INTEGER NOT NULL,
    a INTEGER NOT NULL,
    b INTEGER NOT NULL,
    n INTEGER NOT NULL,
    sum INTEGER NOT NULL,
    PRIMARY KEY (tier, measure, start, a, b)
) STRICT, WITHOUT ROWID;

-- Who came and who went, in each slot.
CREATE TABLE moves (
    tier INTEGER NOT NULL,
    gauge INTEGER NOT NULL,
    slot INTEGER NOT NULL,
    a INTEGER NOT NULL,
    b INTEGER NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (tier, gauge, slot, a, b)
) STRICT, WITHOUT ROWID;

-- What moves that are no longer kept add up to.
CREATE TABLE levels (
    tier INTEGER NOT NULL,
    gauge INTEGER NOT NULL,
    a INTEGER NOT NULL,
    b INTEGER NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (tier, gauge, a, b)
) STRICT, WITHOUT ROWID;

CREATE TABLE crowds (
    tier INTEGER NOT NULL,
    crowd INTEGER NOT NULL,
    start INTEGER NOT NULL,
    sketch BLOB NOT NULL,
    PRIMARY KEY (tier, crowd, start)
) STRICT, WITHOUT ROWID;

-- What began. The row outlives the end for a while, so that a beginning that comes after it is
-- known to be over.
CREATE TABLE stays (
    gauge INTEGER NOT NULL,
    name TEXT NOT NULL,
    since_ms INTEGER NOT NULL,
    a INTEGER NOT NULL,
    b INTEGER NOT NULL,
    node TEXT NOT NULL,
    -- Its node is gone, and was heard of until then.
    settled_ms INTEGER,
    ended_ms INTEGER,
    PRIMARY KEY (gauge, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX open_stays ON stays (gauge) WHERE ended_ms IS NULL AND settled_ms IS NULL;

-- Which events were had (seen.rs). Ids are 16 bytes each, big-endian.
CREATE TABLE streams (
    place INTEGER NOT NULL,
    node TEXT NOT NULL,
    floor BLOB NOT NULL,
    newest BLOB NOT NULL,
    last_ms INTEGER NOT NULL,
    PRIMARY KEY (place, node)
) STRICT, WITHOUT ROWID;
CREATE TABLE batches (
    place INTEGER NOT NULL,
    node TEXT NOT NULL,
    batch INTEGER NOT NULL,
    ids BLOB NOT NULL,
    PRIMARY KEY (place, node, batch)
) STRICT, WITHOUT ROWID;

-- Events that wait to be dumped: lines of an hour that one batch had.
CREATE TABLE pending (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    -- Since 1970, when they happened.
    hour INTEGER NOT NULL,
    events INTEGER NOT NULL,
    taken_ms INTEGER NOT NULL,
    lines BLOB NOT NULL
) STRICT;
CREATE INDEX pending_of_hour ON pending (hour, id);

-- Up to where each source was read.
CREATE TABLE positions (
    source TEXT PRIMARY KEY,
    position TEXT NOT NULL
) STRICT, WITHOUT ROWID;
";

/// Tells the files that are made of this database from those of others in the same store.
const DUMP_TAG: &str = "
CREATE TABLE dump (
    tag TEXT NOT NULL
) STRICT;
INSERT INTO dump (tag) VALUES (lower(hex(randomblob(8))));
";

/// Brings the tables up to date.
pub fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: u32 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version > VERSION {
        return Err(StoreError::Newer { version });
    }
    for step in &STEPS[version as usize..] {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", VERSION)?;
    Ok(transaction.commit()?)
}
