//! The roll-ups' database: SQLite, one process that writes, any number of readers.
//!
//! What a batch of events adds, which events they were and up to where the source was read is one
//! transaction: a process that is killed anywhere goes on as if it had stopped between two. After
//! a power cut the last transactions may be missing as a whole, and their events are read again.

mod read;
mod schema;
mod upkeep;
mod write;

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;

pub use read::{Known, Positions};
pub use upkeep::Kept;
pub use write::{Batch, Pending};

/// The connection that writes.
pub struct Store {
    connection: Connection,
    _lock: std::fs::File,
}

/// Why the roll-ups aren't to be had. This server's fault, or that of its disk.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("{}: {error}", path.display())]
    File { path: PathBuf, error: io::Error },
    #[error("{} is in use by another process", path.display())]
    InUse { path: PathBuf },
    #[error(
        "the roll-ups were made by a newer version ({version}), expected {} at most",
        schema::VERSION
    )]
    Newer { version: u32 },
    #[error("roll-ups: {0}")]
    Sqlite(#[from] rusqlite::Error),
}

/// What is kept how fine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Tier {
    Minutes = 1,
    Hours = 2,
}

const PATIENCE: Duration = Duration::from_secs(5);
const STATEMENTS: usize = 64;

// === impl Tier ===

impl Tier {
    pub const ALL: [Self; 2] = [Self::Minutes, Self::Hours];

    /// Minutes of a row.
    pub const fn minutes(self) -> u32 {
        match self {
            Self::Minutes => 1,
            Self::Hours => 60,
        }
    }

    /// Milliseconds of a slot.
    pub const fn slot_ms(self) -> u64 {
        match self {
            Self::Minutes => super::rollup::SLOT_MS,
            Self::Hours => super::rollup::MINUTE_MS,
        }
    }
}

// === impl Store ===

impl Store {
    /// Opens the file, or makes it, readable by its owner alone, and brings its tables up to date.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let failed = |error| StoreError::File { path: path.to_owned(), error };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        let mut options = OpenOptions::new();
        options.create(true).append(true).mode(0o600);
        let lock = options.open(path.with_extension("lock")).map_err(failed)?;
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive)
            .map_err(|_| StoreError::InUse { path: path.to_owned() })?;
        options.open(path).map_err(failed)?;
        let mut connection = connect(path)?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        schema::migrate(&mut connection)?;
        Ok(Self { connection, _lock: lock })
    }
}

/// A connection that can't write. The file must be there.
pub fn reader(path: &Path) -> Result<Connection, StoreError> {
    let connection = connect(path)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

/// Another connection that writes, beside the one that has the roll-ups.
pub fn writer(path: &Path) -> Result<Connection, StoreError> {
    connect(path)
}

fn connect(path: &Path) -> Result<Connection, StoreError> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(PATIENCE)?;
    // Nothing that isn't on the disk is gone: it is read from the log again.
    connection.pragma_update(None, "synchronous", "normal")?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}
