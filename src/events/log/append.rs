//! The writing end: appends, begins new segments, throws old ones away.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{FlockOperation, flock};

use super::segment;

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Of all segments together.
    pub bytes: u64,
    /// Since a segment's last event.
    pub age: Duration,
}

/// Why the log can't be written. The operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("{}: {error}", path.display())]
    File { path: PathBuf, error: io::Error },
    #[error("{}: another process writes this log", folder.display())]
    InUse { folder: PathBuf },
}

/// The one writer of a log.
#[derive(Debug)]
pub struct Append {
    folder: PathBuf,
    bounds: Bounds,
    /// Of one segment.
    most: u64,
    /// Oldest first, without the current one.
    closed: VecDeque<Closed>,
    pub(super) file: File,
    /// Number of the current segment.
    segment: u64,
    written: u64,
    events: u64,
    /// After what is written there may be a part of what isn't.
    torn: bool,
    /// When the current segment got its first event.
    since: Option<SystemTime>,
    /// Written, and perhaps not on the disk yet.
    dirty: bool,
    /// Held as long as this lives.
    _lock: File,
}

#[derive(Debug)]
struct Closed {
    segment: u64,
    bytes: u64,
    ended: SystemTime,
}

/// Segments that a log of the most bytes has, about.
const SEGMENTS: u64 = 16;
const SEGMENT: std::ops::RangeInclusive<u64> = 64 << 10..=64 << 20;

// === impl Append ===

impl Append {
    /// Makes the folder where it is missing. A line that was cut off by a crash is taken off, and
    /// a new segment begins.
    pub fn open(folder: &Path, bounds: Bounds) -> Result<Self, OpenError> {
        let error = |path: &Path, error| OpenError::File { path: path.to_owned(), error };
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(folder).map_err(|e| error(folder, e))?;
        let lock = lock(folder)?;
        let mut closed = VecDeque::new();
        let segments = segment::list(folder).map_err(|e| error(folder, e))?;
        let mut next = 0;
        for (at, number) in segments.iter().enumerate() {
            let path = segment::path(folder, *number);
            let ended = || fs::metadata(&path)?.modified();
            let ended = ended().map_err(|e| error(&path, e))?;
            let bytes = match segments.get(at + 1) {
                Some(_) => fs::metadata(&path).map_err(|e| error(&path, e))?.len(),
                None => {
                    let (bytes, events) = mend(&path).map_err(|e| error(&path, e))?;
                    next = number + events;
                    bytes
                }
            };
            closed.push_back(Closed { segment: *number, bytes, ended });
        }
        // An empty one is written on.
        if closed.back().is_some_and(|last| last.segment == next) {
            closed.pop_back();
        }
        let file = begin(folder, next).map_err(|e| error(folder, e))?;
        let most = (bounds.bytes / SEGMENTS).clamp(*SEGMENT.start(), *SEGMENT.end());
        Ok(Self {
            folder: folder.to_owned(),
            bounds,
            most,
            closed,
            file,
            segment: next,
            written: 0,
            events: 0,
            torn: false,
            since: None,
            dirty: false,
            _lock: lock,
        })
    }

    /// Bytes in all segments.
    pub fn bytes(&self) -> u64 {
        self.closed.iter().map(|closed| closed.bytes).sum::<u64>() + self.written
    }

    /// Appends whole lines, of so many events. Either all of them are in the log then, or none.
    pub fn append(&mut self, lines: &[u8], events: u64, now: SystemTime) -> io::Result<()> {
        self.take_back()?;
        if self.written > 0 && self.written + lines.len() as u64 > self.most {
            self.rotate(now)?;
        }
        if let Err(error) = self.file.write_all(lines) {
            // What did get in is taken out again: the disk may be full. Where that fails, too, it
            // is done before anything else is written.
            self.torn = true;
            let _ = self.take_back();
            return Err(error);
        }
        self.written += lines.len() as u64;
        self.events += events;
        self.since.get_or_insert(now);
        self.dirty = true;
        // The lines are in: that an old segment can't be deleted is told by `tick`.
        let _ = self.throw_away(now);
        Ok(())
    }

    /// Takes out what a write that failed left.
    fn take_back(&mut self) -> io::Result<()> {
        if self.torn {
            self.file.set_len(self.written)?;
            self.torn = false;
        }
        Ok(())
    }

    /// Waits until everything is on the disk.
    pub fn sync(&mut self) -> io::Result<()> {
        if self.dirty {
            self.file.sync_data()?;
            self.dirty = false;
        }
        Ok(())
    }

    /// Time passed: a segment that is old enough ends, and one that is too old goes.
    pub fn tick(&mut self, now: SystemTime) -> io::Result<()> {
        let period = self.bounds.age / SEGMENTS as u32;
        let is_old = |since| now.duration_since(since).is_ok_and(|age| age >= period);
        if self.since.is_some_and(is_old) {
            self.rotate(now)?;
        }
        self.throw_away(now)
    }

    pub(super) fn rotate(&mut self, now: SystemTime) -> io::Result<()> {
        self.take_back()?;
        self.sync()?;
        let next = self.segment + self.events;
        self.file = begin(&self.folder, next)?;
        self.closed.push_back(Closed { segment: self.segment, bytes: self.written, ended: now });
        (self.segment, self.written, self.events, self.since) = (next, 0, 0, None);
        Ok(())
    }

    fn throw_away(&mut self, now: SystemTime) -> io::Result<()> {
        let mut bytes = self.bytes();
        while let Some(oldest) = self.closed.front() {
            let age = now.duration_since(oldest.ended).unwrap_or_default();
            if bytes <= self.bounds.bytes && age < self.bounds.age {
                break;
            }
            match fs::remove_file(segment::path(&self.folder, oldest.segment)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            bytes -= oldest.bytes;
            self.closed.pop_front();
        }
        Ok(())
    }
}

fn lock(folder: &Path) -> Result<File, OpenError> {
    let path = folder.join("lock");
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file = file.map_err(|error| OpenError::File { path, error })?;
    flock(&file, FlockOperation::NonBlockingLockExclusive)
        .map_err(|_| OpenError::InUse { folder: folder.to_owned() })?;
    Ok(file)
}

fn begin(folder: &Path, segment: u64) -> io::Result<File> {
    let path = segment::path(folder, segment);
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(&path)?;
    // The name is to survive a power cut as the lines do.
    match File::open(folder).and_then(|folder| folder.sync_all()) {
        Ok(()) => Ok(file),
        Err(error) => {
            // Readers would go on to it, and the one before it is written on.
            let _ = fs::remove_file(path);
            Err(error)
        }
    }
}

/// Takes a line without an end off; gives the bytes and the lines that are left.
fn mend(path: &Path) -> io::Result<(u64, u64)> {
    let mut file = File::open(path)?;
    let (mut at, mut whole, mut lines) = (0_u64, 0_u64, 0_u64);
    let mut buffer = vec![0; 256 << 10];
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        for (index, _) in buffer[..count].iter().enumerate().filter(|(_, byte)| **byte == b'\n') {
            whole = at + index as u64 + 1;
            lines += 1;
        }
        at += count as u64;
    }
    if whole < at {
        OpenOptions::new().write(true).open(path)?.set_len(whole)?;
    }
    Ok((whole, lines))
}
