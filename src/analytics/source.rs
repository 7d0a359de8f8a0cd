//! Where events come from.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::store::Positions;
use crate::events::{Cursor, Item, Logged, ReadError, Reader};

/// What a source has next.
pub enum Taken {
    /// `place`: a partition, or 0. A node's events of one place come in their order.
    Event { place: u32, logged: Box<Logged> },
    /// So many were thrown away before they were read.
    Lost(u64),
}

/// Why nothing can be read now. To be tried again.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error(transparent)]
    Log(#[from] ReadError),
    #[error("{0}")]
    Broker(String),
    /// The operator's to mend: what was had from one is not told from what another has.
    #[error(
        "the roll-ups were made of events from elsewhere: expected another `analytics.database`, \
         or the log or the topic that it was made of"
    )]
    Another,
}

/// Gives events from where it was told to go on.
pub trait Source: Send {
    /// How long whoever ends the work waits until it has ended. What was given and isn't kept by
    /// then is given again. None: as long as it takes.
    const FAREWELL: Option<Duration> = None;

    /// None: there is nothing more at present. Waits for a moment at most.
    fn next(&mut self) -> Result<Option<Taken>, SourceError>;

    /// Whether None says that everything was given; else there may be more that didn't come yet.
    fn sees_its_end(&self) -> bool {
        true
    }

    /// Where to go on after what was given last: kept in the transaction that has it.
    fn positions(&self) -> Vec<(String, String)>;

    /// What it gave is kept.
    fn kept(&mut self) {}

    /// Lines that were no events, since it was opened.
    fn unreadable(&self) -> u64;

    /// Bytes, or events, that are there and were not given, at no cost to speak of. None: it isn't
    /// known.
    fn waiting(&self) -> Option<u64>;

    /// Everything that there was at this time, in milliseconds since 1970, was given. `is_dry`:
    /// there is nothing more at present. None: it isn't known.
    fn complete_until(&mut self, now_ms: u64, is_dry: bool) -> Option<u64> {
        is_dry.then_some(now_ms)
    }
}

/// The log of a daemon of this machine.
pub struct LogSource {
    folder: PathBuf,
    reader: Reader,
}

/// The name of its place.
const LOG: &str = "log";

// === impl LogSource ===

impl LogSource {
    pub fn open(folder: &Path, positions: &Positions) -> Result<Self, SourceError> {
        if positions.keys().any(|name| name != LOG) {
            return Err(SourceError::Another);
        }
        let cursor = positions.get(LOG).and_then(|text| read_cursor(text)).unwrap_or_default();
        Ok(Self { folder: folder.to_owned(), reader: Reader::open(folder, cursor) })
    }
}

impl Source for LogSource {
    fn next(&mut self) -> Result<Option<Taken>, SourceError> {
        Ok(self.reader.next()?.map(|item| match item {
            Item::Event(logged) => Taken::Event { place: 0, logged },
            Item::Lost(events) => Taken::Lost(events),
        }))
    }

    fn positions(&self) -> Vec<(String, String)> {
        let Cursor { segment, offset } = self.reader.cursor();
        vec![(LOG.to_owned(), format!("{segment}:{offset}"))]
    }

    fn unreadable(&self) -> u64 {
        self.reader.unreadable()
    }

    /// Bytes.
    fn waiting(&self) -> Option<u64> {
        let cursor = self.reader.cursor();
        let mut bytes = 0;
        for entry in std::fs::read_dir(&self.folder).ok()?.flatten() {
            let name = entry.file_name();
            let number = name.to_str().and_then(|name| name.strip_suffix(".jsonl"));
            let Some(segment) = number.and_then(|n| n.parse::<u64>().ok()) else { continue };
            let length = entry.metadata().map_or(0, |data| data.len());
            bytes += match segment.cmp(&cursor.segment) {
                std::cmp::Ordering::Less => 0,
                std::cmp::Ordering::Equal => length.saturating_sub(cursor.offset),
                std::cmp::Ordering::Greater => length,
            };
        }
        Some(bytes)
    }
}

fn read_cursor(text: &str) -> Option<Cursor> {
    let (segment, offset) = text.split_once(':')?;
    Some(Cursor { segment: segment.parse().ok()?, offset: offset.parse().ok()? })
}
