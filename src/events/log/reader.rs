//! The reading end: follows a log from a cursor, in this process or in another.

use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::path::{Path, PathBuf};

use super::super::event::Logged;
use super::{Cursor, segment};

/// Follows a log.
///
/// ```text
/// let mut reader = Reader::open(folder, cursor);
/// loop {
///     match reader.next()? {
///         Some(Item::Event(logged)) => …            // reader.cursor() is after it
///         Some(Item::Lost(events)) => …             // thrown away before they were read
///         None => …                                 // nothing more at present: ask again later
///     }
/// }
/// ```
#[derive(Debug)]
pub struct Reader {
    folder: PathBuf,
    cursor: Cursor,
    file: Option<File>,
    /// Read and not yet given; begins at the cursor.
    buffer: Vec<u8>,
    start: usize,
    /// Number of the next event. None: the cursor's segment wasn't looked into yet.
    number: Option<u64>,
    unreadable: u64,
}

/// What there is at the cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    Event(Box<Logged>),
    /// So many events, at most, were thrown away before they were read.
    Lost(u64),
}

/// Why a log can't be read. This server's fault, or that of its disk; try again later.
#[derive(Debug, thiserror::Error)]
#[error("{}: {error}", path.display())]
pub struct ReadError {
    path: PathBuf,
    error: io::Error,
}

const READ: usize = 64 << 10;
/// Longer than any line is.
const MAX_LINE: usize = 1 << 20;

// === impl Reader ===

impl Reader {
    /// `cursor`: where it left off. The default is the log's beginning.
    pub fn open(folder: &Path, cursor: Cursor) -> Self {
        Self {
            folder: folder.to_owned(),
            cursor,
            file: None,
            buffer: Vec::new(),
            start: 0,
            number: (cursor.offset == 0).then_some(cursor.segment),
            unreadable: 0,
        }
    }

    /// Gives what comes from now on.
    pub fn at_end(folder: &Path) -> Result<Self, ReadError> {
        let failed = |error| ReadError { path: folder.to_owned(), error };
        let last = segment::list(folder).map_err(failed)?.pop();
        let end = last.map(|segment| {
            let path = segment::path(folder, segment);
            std::fs::metadata(path).map(|data| Cursor { segment, offset: data.len() })
        });
        Ok(Self::open(folder, end.transpose().map_err(failed)?.unwrap_or_default()))
    }

    /// After what was given last.
    pub fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// Lines that were no events, and were passed over.
    pub fn unreadable(&self) -> u64 {
        self.unreadable
    }

    /// None: there is nothing more at present.
    #[allow(clippy::should_implement_trait, reason = "it can fail and go on")]
    pub fn next(&mut self) -> Result<Option<Item>, ReadError> {
        loop {
            if let Some(logged) = self.buffered() {
                return Ok(Some(Item::Event(Box::new(logged))));
            }
            if self.file.is_none()
                && let Some(lost) = self.enter()?
            {
                return Ok(Some(Item::Lost(lost)));
            }
            if self.file.is_none() {
                return Ok(None);
            }
            if self.fill()? {
                continue;
            }
            // A segment that another follows gets nothing more; before that was seen it may have.
            let Some(next) = self.following()? else { return Ok(None) };
            if !self.fill()? {
                self.leave(next);
            }
        }
    }

    /// A whole line of what was read.
    fn buffered(&mut self) -> Option<Logged> {
        loop {
            let rest = &self.buffer[self.start..];
            let end = rest.iter().position(|byte| *byte == b'\n')? + 1;
            let logged = Logged::read(&rest[..end]);
            self.start += end;
            self.cursor.offset += end as u64;
            self.number = self.number.map(|number| number + 1);
            match logged {
                Ok(logged) => return Some(logged),
                Err(_) => self.unreadable += 1,
            }
        }
    }

    /// Opens the cursor's segment, or the oldest one there is after it. Gives what is lost so.
    fn enter(&mut self) -> Result<Option<u64>, ReadError> {
        let folder = self.folder.clone();
        let segments = match segment::list(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            listed => listed.map_err(|error| self.error(&folder, error))?,
        };
        let after = segments.iter().find(|number| **number >= self.cursor.segment);
        // Where all are before the cursor, the log was begun anew.
        let Some(found) = after.or(segments.first()).copied() else { return Ok(None) };
        let known = self.number.unwrap_or(self.cursor.segment);
        let path = segment::path(&folder, found);
        let offset = if found == self.cursor.segment { self.cursor.offset } else { 0 };
        let (file, offset, before) = match open(&path, offset) {
            // Thrown away this moment.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(|error| self.error(&path, error))?,
        };
        self.file = Some(file);
        self.cursor = Cursor { segment: found, offset };
        self.number = Some(found + before);
        Ok(found.checked_sub(known).filter(|lost| *lost > 0))
    }

    /// Whether there was more.
    fn fill(&mut self) -> Result<bool, ReadError> {
        self.buffer.drain(..self.start);
        self.start = 0;
        let Some(file) = &mut self.file else { return Ok(false) };
        let before = self.buffer.len();
        if before > MAX_LINE {
            // Zeros after a power cut, perhaps.
            self.cursor.offset += before as u64;
            self.unreadable += 1;
            self.buffer.clear();
            return self.fill();
        }
        self.buffer.resize(before + READ, 0);
        let count = file.read(&mut self.buffer[before..]);
        let count = count.inspect_err(|_| self.buffer.truncate(before));
        let path = segment::path(&self.folder, self.cursor.segment);
        let count = count.map_err(|error| ReadError { path, error })?;
        self.buffer.truncate(before + count);
        Ok(count > 0)
    }

    fn following(&self) -> Result<Option<u64>, ReadError> {
        let segments =
            segment::list(&self.folder).map_err(|error| self.error(&self.folder, error))?;
        Ok(segments.into_iter().find(|number| *number > self.cursor.segment))
    }

    /// Goes on to the next segment; a line without an end is left behind.
    fn leave(&mut self, next: u64) {
        self.file = None;
        self.buffer.clear();
        self.start = 0;
        // Where the next one there is begins later, those between were thrown away: see `enter`.
        let number = self.number.filter(|number| *number <= next).unwrap_or(next);
        self.number = Some(number);
        self.cursor = Cursor { segment: number, offset: 0 };
    }

    fn error(&self, path: &Path, error: io::Error) -> ReadError {
        ReadError { path: path.to_owned(), error }
    }
}

/// A segment at an offset, and how many lines are before it. Where no line ends there, it isn't the
/// segment that was read: a power cut emptied that, and it is read from its beginning.
fn open(path: &Path, offset: u64) -> io::Result<(File, u64, u64)> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; READ];
    let (mut at, mut lines, mut last) = (0, 0, b'\n');
    while at < offset {
        let most = usize::try_from(offset - at).unwrap_or(READ).min(READ);
        let count = file.read(&mut buffer[..most])?;
        let Some(end) = buffer[..count].last() else { break };
        last = *end;
        at += count as u64;
        lines += buffer[..count].iter().filter(|byte| **byte == b'\n').count() as u64;
    }
    if at < offset || last != b'\n' {
        file.rewind()?;
        return Ok((file, 0, 0));
    }
    Ok((file, offset, lines))
}
