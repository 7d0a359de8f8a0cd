//! What lies in the spool: chunks to be shipped, and those that are too many.

use std::collections::BTreeSet;
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use stentor_protocol::recording::PART_SUFFIX;

use crate::recording::ids::RecordingId;

/// A chunk that nobody writes any more.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    pub recording: RecordingId,
    /// What it is called in the store: `<source>/<life>/<sequence>.mkv`.
    pub name: String,
    pub path: PathBuf,
    pub bytes: u64,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Scan {
    /// In order.
    pub chunks: Vec<Found>,
    /// Of those. What is still being written is a chunk of each source at most.
    pub bytes: u64,
    /// What can't be looked through, and why.
    pub failed: Vec<(RecordingId, String)>,
}

/// Who wrote when it was looked.
#[derive(Debug, Default)]
pub struct Writing {
    /// Folders in which somebody writes.
    pub open: BTreeSet<PathBuf>,
    /// Of all, the last: whatever is later began after that.
    pub last_life: u64,
}

/// Digits of a life's name.
const LIFE: usize = 12;

// === impl Scan ===

impl Scan {
    /// Looks through everything. What is half written in a folder that isn't open was left by
    /// whoever died, and is good up to there: it becomes a chunk. Empty folders go.
    /// What can't be read of one recording keeps no other from being found.
    pub fn of(root: &Path, writing: &Writing) -> io::Result<Self> {
        let mut scan = Self::default();
        for (name, folder) in folders(root)? {
            let Ok(recording) = name.parse::<RecordingId>() else { continue };
            if let Err(error) = scan.recording(&recording, &folder, writing) {
                scan.failed.push((recording, error.to_string()));
            }
        }
        scan.chunks.sort();
        Ok(scan)
    }

    fn recording(
        &mut self,
        recording: &RecordingId,
        folder: &Path,
        writing: &Writing,
    ) -> io::Result<()> {
        for (source, folder) in folders(folder)? {
            for (life, folder) in folders(&folder)? {
                let prefix = format!("{source}/{life}");
                // One that was made since wasn't open yet.
                let is_open = began(&life) > writing.last_life || writing.open.contains(&folder);
                self.folder(recording, &prefix, &folder, is_open)?;
            }
            remove_empty(&folder);
        }
        remove_empty(folder);
        Ok(())
    }

    fn folder(
        &mut self,
        recording: &RecordingId,
        prefix: &str,
        folder: &Path,
        is_open: bool,
    ) -> io::Result<()> {
        let Some(entries) = gone(fs::read_dir(folder))? else { return Ok(()) };
        for entry in entries {
            let entry = entry?;
            // Neither folders nor links: workers write none.
            let metadata = gone(entry.metadata())?.filter(Metadata::is_file);
            let Some(bytes) = metadata.map(|metadata| metadata.len()) else { continue };
            let (mut path, name) = (entry.path(), entry.file_name());
            let Some(mut name) = name.to_str().map(str::to_owned) else { continue };
            if let Some(whole) = name.strip_suffix(PART_SUFFIX) {
                if is_open {
                    continue;
                }
                if bytes == 0 {
                    gone(fs::remove_file(&path))?;
                    continue;
                }
                let whole = whole.to_owned();
                let new = folder.join(&whole);
                if gone(fs::rename(&path, &new))?.is_none() {
                    continue;
                }
                (path, name) = (new, whole);
            }
            self.bytes += bytes;
            let recording = recording.clone();
            self.chunks.push(Found { recording, name: format!("{prefix}/{name}"), path, bytes });
        }
        if !is_open {
            remove_empty(folder);
        }
        Ok(())
    }

    /// Those that are left out where more than `most` bytes lie there: the newest, since what was
    /// recorded before is to stay good. `busy` are on their way already.
    pub fn take_excess(&mut self, most: u64, busy: &BTreeSet<PathBuf>) -> Vec<Found> {
        let mut excess = Vec::new();
        if self.bytes <= most {
            return excess;
        }
        self.chunks.sort_by_cached_key(age);
        let mut kept = Vec::with_capacity(self.chunks.len());
        for chunk in self.chunks.drain(..).rev() {
            if self.bytes > most && !busy.contains(&chunk.path) {
                self.bytes = self.bytes.saturating_sub(chunk.bytes);
                excess.push(chunk);
            } else {
                kept.push(chunk);
            }
        }
        kept.sort();
        self.chunks = kept;
        excess
    }
}

/// Of lives that there are.
pub fn last_life(root: &Path) -> io::Result<u64> {
    let mut last = 0;
    for (_, recording) in folders(root)? {
        for (_, source) in folders(&recording).unwrap_or_default() {
            let lives = folders(&source).unwrap_or_default().into_iter();
            let lives = lives.filter(|(life, _)| life.len() == LIFE).map(|(life, _)| began(&life));
            last = last.max(lives.max().unwrap_or_default());
        }
    }
    Ok(last)
}

/// Lives are named after when they began, in milliseconds.
fn began(life: &str) -> u64 {
    u64::from_str_radix(life, 16).unwrap_or_default()
}

/// `<sequence>` of a life that began when its name says, two seconds or so each.
fn age(chunk: &Found) -> (u64, String) {
    let mut parts = chunk.name.split('/').skip(1);
    let life = parts.next().unwrap_or_default();
    let sequence = parts.next().unwrap_or_default().trim_end_matches(".mkv");
    let number: u64 = sequence.parse().unwrap_or_default();
    (began(life).saturating_add(number.saturating_mul(2000)), chunk.name.clone())
}

/// Whether nothing of a recording lies there.
pub fn is_empty(folder: &Path) -> io::Result<bool> {
    for (_, source) in folders(folder)? {
        for (_, life) in folders(&source)? {
            for entry in gone(fs::read_dir(life))?.into_iter().flatten() {
                if gone(entry?.file_type())?.is_some_and(|kind| kind.is_file()) {
                    return Ok(false);
                }
            }
        }
    }
    Ok(true)
}

/// When something of a recording was written last, in milliseconds since 1970.
pub fn last_written(folder: &Path) -> io::Result<Option<u64>> {
    let mut last = None;
    for (_, source) in folders(folder)? {
        for (_, life) in folders(&source)? {
            for entry in gone(fs::read_dir(life))?.into_iter().flatten() {
                let Some(metadata) = gone(entry?.metadata())? else { continue };
                let since = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
                last = last.max(u64::try_from(since.as_millis()).ok());
            }
        }
    }
    Ok(last)
}

/// Folders in a folder, by name. None where it isn't there.
fn folders(folder: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let Some(entries) = gone(fs::read_dir(folder))? else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        let is_folder = gone(entry.file_type())?.is_some_and(|kind| kind.is_dir());
        if let (true, Some(name)) = (is_folder, entry.file_name().to_str()) {
            found.push((name.to_owned(), entry.path()));
        }
    }
    found.sort();
    Ok(found)
}

/// Others work here, too: what is gone is no fault.
fn gone<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Fails where there is something in it, which is as it should be.
fn remove_empty(folder: &Path) {
    let _ = fs::remove_dir(folder);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(root: &Path, path: &str, bytes: usize) -> PathBuf {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, vec![1; bytes]).unwrap();
        path
    }

    const R: &str = "r000000000000000000000001";

    #[test]
    fn what_a_dead_writer_left_is_found_and_what_a_live_one_writes_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        put(root, &format!("{R}/p1/00a/00000001.mkv"), 5);
        put(root, &format!("{R}/p1/00a/00000002.mkv.part"), 6);
        put(root, &format!("{R}/p1/00b/00000001.mkv"), 7);
        let live = put(root, &format!("{R}/p1/00b/00000002.mkv.part"), 8);
        put(root, &format!("{R}/p2/00a/00000001.mkv.part"), 0);
        put(root, "elsewhere/p1/00a/00000001.mkv", 9);
        let open = BTreeSet::from([live.parent().unwrap().to_owned()]);
        let scan = Scan::of(root, &Writing { open, last_life: 10_000 }).unwrap();
        let names: Vec<&str> = scan.chunks.iter().map(|chunk| chunk.name.as_str()).collect();
        assert_eq!(names, ["p1/00a/00000001.mkv", "p1/00a/00000002.mkv", "p1/00b/00000001.mkv"]);
        assert_eq!(scan.bytes, 5 + 6 + 7);
        assert!(live.exists());
        assert!(!root.join(R).join("p2").exists(), "an empty folder stays");
        assert!(!is_empty(&root.join(R)).unwrap());
        assert!(is_empty(&root.join("r000000000000000000000002")).unwrap());
    }

    #[test]
    fn what_is_no_chunk_is_nothing_and_what_cannot_be_read_keeps_no_other_from_being_found() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let other = "r000000000000000000000002";
        // It can't be given the name of a folder with something in it.
        put(root, &format!("{R}/p1/00a/00000001.mkv.part"), 5);
        put(root, &format!("{R}/p1/00a/00000001.mkv/x"), 5);
        put(root, &format!("{other}/p1/00a/00000001.mkv"), 7);
        std::os::unix::fs::symlink("/etc/passwd", root.join(other).join("p1/00a/00000002.mkv"))
            .unwrap();
        let writing = Writing { open: BTreeSet::new(), last_life: 10_000 };
        let scan = Scan::of(root, &writing).unwrap();
        let names: Vec<&str> = scan.chunks.iter().map(|chunk| chunk.name.as_str()).collect();
        assert_eq!((names, scan.bytes), (vec!["p1/00a/00000001.mkv"], 7));
        assert_eq!(scan.failed.len(), 1);
        assert_eq!(scan.failed[0].0.as_str(), R);
        fs::remove_file(root.join(other).join("p1/00a/00000001.mkv")).unwrap();
        assert!(is_empty(&root.join(other)).unwrap());
    }

    #[test]
    fn past_the_bound_the_newest_go_and_what_is_on_its_way_stays() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        // The second source began 3 s later.
        for name in ["p1/000000/00000001", "p1/000000/00000002", "p1/000000/00000003"] {
            put(root, &format!("{R}/{name}.mkv"), 10);
        }
        put(root, &format!("{R}/p2/000bb8/00000001.mkv"), 10);
        let writing = Writing { open: BTreeSet::new(), last_life: 10_000 };
        let mut scan = Scan::of(root, &writing).unwrap();
        let busy = BTreeSet::from([root.join(R).join("p1/000000/00000003.mkv")]);
        let gone = scan.take_excess(25, &busy);
        let gone: Vec<&str> = gone.iter().map(|chunk| chunk.name.as_str()).collect();
        assert_eq!(gone, ["p2/000bb8/00000001.mkv", "p1/000000/00000002.mkv"]);
        assert_eq!((scan.bytes, scan.chunks.len()), (20, 2));
        assert_eq!(scan.take_excess(25, &busy), []);
    }
}
