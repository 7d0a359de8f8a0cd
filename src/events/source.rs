//! What tells a process that something happened: the log of this machine from now on, or Kafka, to
//! one of a group. Both give the same items.

use std::path::Path;
use std::time::{Duration, Instant};

use super::kafka::{Consumer, KafkaConfig, KafkaFault};
use super::log::{Item, ReadError, Reader};

/// Gives events in order, of a call at least; each once or more, to be told by its id.
pub enum Source {
    Log(Reader),
    Kafka(Consumer),
}

/// Why there is nothing to be had at present. Ask again later.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error(transparent)]
    Log(#[from] ReadError),
    #[error(transparent)]
    Kafka(#[from] KafkaFault),
}

/// A log that has nothing is looked at again after this.
const LOOK: Duration = Duration::from_millis(50);

// === impl Source ===

impl Source {
    /// The log in `folder`, from its end on: nobody keeps how far it was read.
    pub fn log(folder: &Path) -> Result<Self, SourceError> {
        Ok(Self::Log(Reader::at_end(folder)?))
    }

    /// One of the group, from where that was; from the beginning, where it is new.
    pub fn kafka(config: &KafkaConfig, group: &str) -> Result<Self, SourceError> {
        Ok(Self::Kafka(Consumer::new(config, group)?))
    }

    /// Waits for one, but not longer than `at_most`: for a thread that may wait.
    pub fn next(&mut self, at_most: Duration) -> Result<Option<Item>, SourceError> {
        match self {
            Self::Kafka(consumer) => {
                Ok(consumer.next(at_most)?.map(|logged| Item::Event(Box::new(logged))))
            }
            Self::Log(reader) => {
                let deadline = Instant::now() + at_most;
                loop {
                    if let Some(item) = reader.next()? {
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

    /// Everything that was given out is done, and doesn't come again to the group.
    pub fn commit(&mut self) -> Result<(), SourceError> {
        match self {
            Self::Kafka(consumer) => Ok(consumer.commit()?),
            Self::Log(_) => Ok(()),
        }
    }
}
