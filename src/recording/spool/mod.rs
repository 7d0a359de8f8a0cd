//! Where workers write: `<recording>/<source>/<life>/<sequence>.mkv`, a folder for each worker's
//! life. What is there is the truth: whoever comes after a crash finds all of it.
//!
//! The lock is held for a moment, and never across an await or while the disk is asked.

mod scan;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use stentor_protocol::recording::Chunk;
use tokio::sync::Notify;

pub use scan::{Found, Scan, Writing, is_empty, last_written};

use super::ids::RecordingId;
use crate::channels::{Shelf, Tape};
use crate::depot::make_folder;

pub struct Spool {
    root: PathBuf,
    inside: Mutex<Inside>,
    /// Something is there that wasn't.
    changed: Notify,
}

#[derive(Default)]
struct Inside {
    /// Folders in which somebody writes.
    open: BTreeSet<PathBuf>,
    troubles: BTreeMap<RecordingId, Trouble>,
    last_life: u64,
}

/// Something isn't recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// For want of room.
    pub full: bool,
    pub reason: String,
}

/// Recordings with a trouble that wait to be looked at; they are looked at every second.
const TROUBLES: usize = 1024;

struct OpenFolder {
    spool: Arc<Spool>,
    folder: PathBuf,
}

/// Of a daemon that records nothing.
pub struct NoShelf;

// === impl Spool ===

impl Spool {
    pub fn open(root: &Path) -> io::Result<Arc<Self>> {
        make_folder(root)?;
        // Whatever the clock says: lives are in the order of their names.
        let inside = Inside { last_life: scan::last_life(root)?, ..Inside::default() };
        let (inside, changed) = (Mutex::new(inside), Notify::new());
        Ok(Arc::new(Self { root: root.to_owned(), inside, changed }))
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn of(&self, recording: &RecordingId) -> PathBuf {
        self.root.join(recording.as_str())
    }

    /// Waits for something new.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Who writes at present.
    pub fn writing(&self) -> Writing {
        let inside = self.lock();
        Writing { open: inside.open.clone(), last_life: inside.last_life }
    }

    /// Whether somebody still writes something of it.
    pub fn is_written(&self, recording: &RecordingId) -> bool {
        let folder = self.of(recording);
        self.lock().open.iter().any(|open| open.starts_with(&folder))
    }

    pub fn take_troubles(&self) -> BTreeMap<RecordingId, Trouble> {
        std::mem::take(&mut self.lock().troubles)
    }

    pub fn add_trouble(&self, recording: RecordingId, trouble: Trouble) {
        let mut inside = self.lock();
        if inside.troubles.len() < TROUBLES || inside.troubles.contains_key(&recording) {
            inside.troubles.insert(recording, trouble);
        }
    }

    fn next_life(&self) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = u64::try_from(now.as_millis()).unwrap_or_default();
        let mut inside = self.lock();
        inside.last_life = now.max(inside.last_life + 1);
        inside.last_life
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Channels hold the spool as it is shared.
pub struct SharedSpool(pub Arc<Spool>);

impl Shelf for SharedSpool {
    fn open(&self, recording: &str, source: &str) -> io::Result<Box<dyn Tape>> {
        let spool = self.0.clone();
        let life = format!("{:012x}", spool.next_life());
        let folder = spool.root.join(recording).join(source).join(life);
        make_folder(&folder)?;
        spool.lock().open.insert(folder.clone());
        Ok(Box::new(OpenFolder { spool, folder }))
    }

    fn written(&self, _recording: &str, _chunk: &Chunk) {
        self.0.changed.notify_one();
    }

    fn trouble(&self, recording: &str, full: bool, reason: &str) {
        if let Ok(recording) = recording.parse() {
            self.0.add_trouble(recording, Trouble { full, reason: reason.to_owned() });
        }
    }
}

// === impl OpenFolder ===

impl Tape for OpenFolder {
    fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for OpenFolder {
    fn drop(&mut self) {
        self.spool.lock().open.remove(&self.folder);
        self.spool.changed.notify_one();
    }
}

// === impl NoShelf ===

impl Shelf for NoShelf {
    fn open(&self, _recording: &str, _source: &str) -> io::Result<Box<dyn Tape>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn written(&self, _recording: &str, _chunk: &Chunk) {}

    fn trouble(&self, _recording: &str, _full: bool, _reason: &str) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_before_the_clock_was_set_back_is_found_and_what_begins_meanwhile_is_left_alone()
     {
        const R: &str = "r000000000000000000000001";
        let folder = tempfile::tempdir().unwrap();
        // As of a year to come.
        let dead = folder.path().join(R).join("main/0fffffffffff");
        std::fs::create_dir_all(&dead).unwrap();
        std::fs::write(dead.join("00000001.mkv.part"), "half").unwrap();
        let spool = Spool::open(folder.path()).unwrap();
        let writing = spool.writing();
        let tape = SharedSpool(spool.clone()).open(R, "main").unwrap();
        std::fs::write(tape.folder().join("00000001.mkv.part"), "half").unwrap();
        let scan = Scan::of(spool.root(), &writing).unwrap();
        let names: Vec<&str> = scan.chunks.iter().map(|chunk| chunk.name.as_str()).collect();
        assert_eq!(names, ["main/0fffffffffff/00000001.mkv"]);
        assert!(tape.folder() > dead.as_path(), "lives are in order");
    }
}
