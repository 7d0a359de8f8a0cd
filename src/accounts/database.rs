//! The database file: one connection that writes, on a thread of its own, and some that read.
//!
//! A write is durable when it is answered. Those that wait are committed together, each in its
//! savepoint, so that they share one flush. Several processes of one machine may have the file
//! open: every write takes SQLite's lock before it reads anything.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::schema;

/// An open database. Its writer ends when the last clone is dropped.
#[derive(Clone)]
pub struct Database {
    writes: mpsc::Sender<Job>,
    readers: Arc<Readers>,
}

/// Why the database did not do what it was asked. This server's fault, or that of its disk.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DatabaseError {
    #[error("{}: {error}", path.display())]
    File { path: PathBuf, error: Arc<io::Error> },
    #[error("the database was made by a newer version ({version}), expected {known} at most")]
    Newer { version: u32, known: u32 },
    #[error("the database: {0}")]
    Sqlite(Arc<rusqlite::Error>),
    /// To be tried again later.
    #[error("the database is busy")]
    Busy,
    #[error("the database is closed")]
    Closed,
    #[error("no random numbers: {0}")]
    Random(getrandom::Error),
}

/// What the writer is handed: it runs inside the transaction, or learns why there is none, and
/// answers when told how the commit went.
type Job = Box<dyn FnOnce(Result<&mut Transaction<'_>, DatabaseError>) -> Answer + Send>;
type Answer = Box<dyn FnOnce(Result<(), DatabaseError>)>;

struct Readers {
    path: PathBuf,
    /// As many as may read at once.
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Connection>>,
}

/// Writes that wait.
const QUEUE: usize = 256;
/// Writes that share a commit.
const GROUP: usize = 64;
const READERS: usize = 4;
/// How long one waits for a turn.
const PATIENCE: Duration = Duration::from_secs(5);
/// Statements kept ready by each connection.
const STATEMENTS: usize = 64;

// === impl Database ===

impl Database {
    /// Opens the file, or makes it, readable by its owner alone, and brings its tables up to date.
    pub fn open(path: &Path) -> Result<Self, DatabaseError> {
        Self::open_with(path, "accounts", schema::STEPS)
    }

    /// The same with tables of another kind. `name` is the writer's thread.
    pub fn open_with(
        path: &Path,
        name: &str,
        steps: &[schema::Step],
    ) -> Result<Self, DatabaseError> {
        let failed = |error| DatabaseError::File { path: path.to_owned(), error: Arc::new(error) };
        let mut options = OpenOptions::new();
        options.create(true).append(true).mode(0o600).open(path).map_err(failed)?;
        let mut connection = connect(path)?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        schema::migrate(&mut connection, steps)?;
        let (writes, jobs) = mpsc::channel(QUEUE);
        let readers = Readers {
            path: path.to_owned(),
            permits: Arc::new(Semaphore::new(READERS)),
            idle: Mutex::default(),
        };
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || write_all(connection, jobs))
            .map_err(failed)?;
        Ok(Self { writes, readers: Arc::new(readers) })
    }

    /// Runs `work` in a transaction. It takes effect as a whole, or not at all where it fails.
    pub async fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<DatabaseError> + Send + 'static,
    {
        let (done, result) = oneshot::channel();
        let job: Job = Box::new(move |transaction| {
            let outcome = transaction.map_err(E::from).and_then(|transaction| {
                let savepoint = transaction.savepoint().map_err(DatabaseError::from)?;
                let value = work(&savepoint)?;
                savepoint.commit().map_err(DatabaseError::from)?;
                Ok(value)
            });
            Box::new(move |committed| {
                let outcome = outcome.and_then(|value| Ok(committed.map(|()| value)?));
                // Who asked may have gone.
                let _ = done.send(outcome);
            })
        });
        match self.writes.send_timeout(job, PATIENCE).await {
            Ok(()) => result.await.unwrap_or_else(|_| Err(DatabaseError::Closed.into())),
            Err(mpsc::error::SendTimeoutError::Timeout(_)) => Err(DatabaseError::Busy.into()),
            Err(mpsc::error::SendTimeoutError::Closed(_)) => Err(DatabaseError::Closed.into()),
        }
    }

    /// Runs `work` on one state of the database, beside writes.
    pub async fn read<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<DatabaseError> + Send + 'static,
    {
        let readers = self.readers.clone();
        let permit = tokio::time::timeout(PATIENCE, readers.permits.clone().acquire_owned()).await;
        let Ok(Ok(permit)) = permit else { return Err(DatabaseError::Busy.into()) };
        let outcome = tokio::task::spawn_blocking(move || {
            // Held by the work, and not by who waits for it and may be gone.
            let _permit = permit;
            let connection = readers.take()?;
            let snapshot = connection.unchecked_transaction().map_err(DatabaseError::from)?;
            let value = work(&snapshot);
            drop(snapshot);
            readers.put(connection);
            value
        });
        outcome.await.unwrap_or_else(|_| Err(DatabaseError::Closed.into()))
    }
}

/// The writer's life.
fn write_all(mut connection: Connection, mut jobs: mpsc::Receiver<Job>) {
    while let Some(first) = jobs.blocking_recv() {
        let mut transaction =
            match connection.transaction_with_behavior(TransactionBehavior::Immediate) {
                Ok(transaction) => transaction,
                Err(error) => {
                    let error = DatabaseError::from(error);
                    first(Err(error.clone()))(Err(error));
                    continue;
                }
            };
        let mut answers = vec![first(Ok(&mut transaction))];
        while answers.len() < GROUP
            && let Ok(job) = jobs.try_recv()
        {
            answers.push(job(Ok(&mut transaction)));
        }
        let committed = transaction.commit().map_err(DatabaseError::from);
        for answer in answers {
            answer(committed.clone());
        }
    }
}

/// What every connection has in common.
fn connect(path: &Path) -> Result<Connection, DatabaseError> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(PATIENCE)?;
    // A message that was acknowledged outlives a power cut.
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

// === impl Readers ===

impl Readers {
    fn take(&self) -> Result<Connection, DatabaseError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(connection) = idle {
            return Ok(connection);
        }
        let connection = connect(&self.path)?;
        connection.pragma_update(None, "query_only", true)?;
        Ok(connection)
    }

    fn put(&self, connection: Connection) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
    }
}

impl From<rusqlite::Error> for DatabaseError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DatabaseBusy) => Self::Busy,
            _ => Self::Sqlite(Arc::new(error)),
        }
    }
}

impl From<getrandom::Error> for DatabaseError {
    fn from(error: getrandom::Error) -> Self {
        Self::Random(error)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn count(connection: &Connection) -> Result<u32, DatabaseError> {
        Ok(connection.query_row("SELECT count(*) FROM users", (), |row| row.get(0))?)
    }

    fn insert(connection: &Connection, id: &str) -> Result<usize, DatabaseError> {
        let sql = "INSERT INTO users (id, name, display, password, created_ms)
                   VALUES (?1, ?1, '', '', 0)";
        Ok(connection.execute(sql, [id])?)
    }

    #[tokio::test]
    async fn what_was_written_is_read_and_is_there_after_opening_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("accounts.db");
        let database = Database::open(&path).unwrap();
        database.write(|c| insert(c, "a")).await.unwrap();
        assert_eq!(database.read(count).await.unwrap(), 1);
        drop(database);
        let database = Database::open(&path).unwrap();
        assert_eq!(database.read(count).await.unwrap(), 1);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_write_that_fails_leaves_nothing_and_its_neighbours_are_not_concerned() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("accounts.db")).unwrap();
        let writes = (0..200).map(|n| {
            let database = database.clone();
            tokio::spawn(async move {
                let outcome = database.write(move |c| {
                    insert(c, &format!("u{n}"))?;
                    // Every second one fails after it has written.
                    if n % 2 == 1 { Err(DatabaseError::Busy) } else { Ok(()) }
                });
                outcome.await.is_ok()
            })
        });
        let mut succeeded = 0;
        for write in writes.collect::<Vec<_>>() {
            succeeded += u32::from(write.await.unwrap());
        }
        assert_eq!(succeeded, 100);
        assert_eq!(database.read(count).await.unwrap(), 100);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn two_that_have_the_file_open_write_by_turns() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("accounts.db");
        let both = [Database::open(&path).unwrap(), Database::open(&path).unwrap()];
        let writes = (0..100).map(|n| {
            let database = both[n % 2].clone();
            tokio::spawn(async move { database.write(move |c| insert(c, &format!("u{n}"))).await })
        });
        for write in writes.collect::<Vec<_>>() {
            write.await.unwrap().unwrap();
        }
        assert_eq!(both[0].read(count).await.unwrap(), 100);
    }

    #[tokio::test]
    async fn a_reader_cannot_write() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("accounts.db")).unwrap();
        assert!(database.read(|c| insert(c, "a")).await.is_err());
        assert_eq!(database.read(count).await.unwrap(), 0);
    }

    #[test]
    fn a_file_that_is_no_database_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("accounts.db");
        let text = "not a database, and long enough to be taken for one".repeat(20);
        std::fs::write(&path, &text).unwrap();
        assert!(Database::open(&path).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }
}
