//! Where consumers have events from: the log on disk, or Kafka. Both give the same items.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::kafka::{Consumer, KafkaConfig, KafkaFault};
use super::log::{Item, ReadError, Reader, cursor};

/// Gives events in order, of a call at least; each once or more, to be told by its id.
pub enum Source {
    Log(Following),
    Kafka(Consumer),
}

/// A log, and the file that says how far it was read.
pub struct Following {
    reader: Reader,
    file: PathBuf,
}

/// Why there is nothing to be had at present. Ask again later.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error(transparent)]
    Log(#[from] ReadError),
    #[error(transparent)]
    Kafka(#[from] KafkaFault),
    #[error("{}: {error}", path.display())]
    Cursor { path: PathBuf, error: io::Error },
}

/// A log that has nothing is looked at again after this.
const LOOK: Duration = Duration::from_millis(50);

// === impl Source ===

impl Source {
    /// The log in `folder`, from where the file says that it was read to.
    pub fn log(folder: &Path, file: &Path) -> Result<Self, SourceError> {
        let begin = cursor::load(file)
            .map_err(|error| SourceError::Cursor { path: file.to_owned(), error })?;
        let reader = Reader::open(folder, begin);
        Ok(Self::Log(Following { reader, file: file.to_owned() }))
    }

    /// One of the group, from where it was.
    pub fn kafka(config: &KafkaConfig, group: &str) -> Result<Self, SourceError> {
        Ok(Self::Kafka(Consumer::new(config, group)?))
    }

    /// Waits for one, but not longer than `at_most`: for a thread that may wait.
    pub fn next(&mut self, at_most: Duration) -> Result<Option<Item>, SourceError> {
        match self {
            Self::Kafka(consumer) => {
                Ok(consumer.next(at_most)?.map(|logged| Item::Event(Box::new(logged))))
            }
            Self::Log(following) => {
                let deadline = Instant::now() + at_most;
                loop {
                    if let Some(item) = following.reader.next()? {
                        return Ok(Some(item));
                    }
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Ok(None);
                    }
                    std::thread::sleep(LOOK.min(left));
                }
            }
        }
    }

    /// Everything that was given out is done, and doesn't come again.
    pub fn commit(&mut self) -> Result<(), SourceError> {
        match self {
            Self::Kafka(consumer) => Ok(consumer.commit()?),
            Self::Log(Following { reader, file }) => cursor::save(file, reader.cursor())
                .map_err(|error| SourceError::Cursor { path: file.clone(), error }),
        }
    }
}
