//! A chunk's file: written cluster by cluster as `.part`, and given its name when it is whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use stentor_protocol::recording::PART_SUFFIX;

use crate::container::matroska::Header;

/// Sequence numbers tried before a folder is given up: others may write there too.
const MOST_TRIES: u32 = 100;

/// A file that is being written. What was written before a fault stays good.
#[derive(Debug)]
pub struct PartFile {
    file: File,
    path: PathBuf,
    name: String,
    sequence: u32,
    header: Header,
    /// Up to the end of the last whole cluster.
    bytes: u64,
    clusters: u32,
}

/// A file that is whole and on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whole {
    pub sequence: u32,
    pub name: String,
    pub bytes: u64,
}

/// The number after the highest in the folder.
pub fn next_sequence(folder: &Path) -> io::Result<u32> {
    let mut highest = 0_u32;
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.split('.').next()?.parse().ok());
        highest = highest.max(number.unwrap_or(0));
    }
    Ok(highest.saturating_add(1))
}

// === impl PartFile ===

impl PartFile {
    /// Begins a file with this number, or with the next that is free.
    pub fn create(folder: &Path, sequence: u32, header: Header) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        for sequence in sequence..sequence.saturating_add(MOST_TRIES) {
            let name = format!("{sequence:08}.mkv");
            let path = folder.join(format!("{name}{PART_SUFFIX}"));
            if folder.join(&name).exists() {
                continue;
            }
            let file = match options.open(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                other => other?,
            };
            let bytes = header.bytes.len() as u64;
            let mut part = Self { file, path, name, sequence, header, bytes, clusters: 0 };
            return match part.file.write_all(&part.header.bytes) {
                Ok(()) => Ok(part),
                Err(error) => {
                    part.discard();
                    Err(error)
                }
            };
        }
        Err(io::Error::new(io::ErrorKind::AlreadyExists, "no sequence number is free"))
    }

    pub fn sequence(&self) -> u32 {
        self.sequence
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Appends a cluster: one write, so that a process which is killed leaves whole ones.
    pub fn append(&mut self, cluster: &[u8]) -> io::Result<()> {
        self.file.write_all(cluster)?;
        self.bytes += cluster.len() as u64;
        self.clusters += 1;
        Ok(())
    }

    /// Ends the file after its last whole cluster. None where there was none: it is gone then.
    ///
    /// It is on the disk before it has its name, and its name is before this returns: who sees
    /// the name after a power cut finds the bytes.
    pub fn finish(self, ticks: i64) -> io::Result<Option<Whole>> {
        if self.clusters == 0 {
            self.discard();
            return Ok(None);
        }
        self.file.set_len(self.bytes)?;
        for (at, fill) in self.header.complete(self.bytes, ticks) {
            self.file.write_all_at(&fill, at)?;
        }
        self.file.sync_data()?;
        fs::rename(&self.path, self.path.with_file_name(&self.name))?;
        if let Some(folder) = self.path.parent() {
            File::open(folder)?.sync_all()?;
        }
        Ok(Some(Whole { sequence: self.sequence, name: self.name, bytes: self.bytes }))
    }

    fn discard(&self) {
        // It holds nothing; if it can't be removed, a reader finds it empty.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("stentor-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn names(&self) -> Vec<String> {
            let entries = fs::read_dir(&self.0).unwrap();
            let mut names: Vec<_> =
                entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_file_has_its_name_when_it_is_whole() {
        let folder = Folder::new("part-file");
        assert_eq!(next_sequence(&folder.0).unwrap(), 1);
        let mut part = PartFile::create(&folder.0, 1, Header::new(None, true)).unwrap();
        part.append(b"cluster").unwrap();
        assert_eq!(folder.names(), ["00000001.mkv.part"]);
        let whole = part.finish(10).unwrap().unwrap();
        assert_eq!(folder.names(), ["00000001.mkv"]);
        assert_eq!(whole.bytes, fs::metadata(folder.0.join(&whole.name)).unwrap().len());
    }

    #[test]
    fn numbers_go_on_after_the_highest_and_are_never_used_twice() {
        let folder = Folder::new("part-numbers");
        for name in ["00000003.mkv", "00000007.mkv.part", "x.mkv", "00000008.mkv"] {
            fs::write(folder.0.join(name), b"").unwrap();
        }
        assert_eq!(next_sequence(&folder.0).unwrap(), 9);
        let part = PartFile::create(&folder.0, 7, Header::new(None, true)).unwrap();
        assert_eq!(part.sequence(), 9);
    }

    #[test]
    fn a_file_without_media_leaves_nothing() {
        let folder = Folder::new("part-empty");
        let part = PartFile::create(&folder.0, 1, Header::new(None, true)).unwrap();
        assert_eq!(part.finish(0).unwrap(), None);
        assert_eq!(folder.names(), [""; 0]);
    }
}
