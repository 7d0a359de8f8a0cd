//! What writers that were killed left in a folder. object_store writes `name#1` (or `#2`) and gives
//! it its name when it is whole; nobody lists the others, and nobody removes them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::{Depot, DepotError, Done};

/// Nobody writes any more in what wasn't written to for so long. Should somebody after all, they
/// write it once more.
const DEAD: Duration = Duration::from_secs(60);

// === impl Depot ===

impl Depot {
    /// Gives how many there were. A bucket has none: parts of an upload there are known by its
    /// note.
    pub async fn remove_leftovers(&self) -> Done<usize> {
        let Some(folder) = self.folder.clone() else { return Ok(0) };
        let before = SystemTime::now() - DEAD;
        let path = folder.clone();
        let removed = tokio::task::spawn_blocking(move || remove(&folder, before)).await;
        removed
            .unwrap_or_else(|error| Err(io::Error::other(error)))
            .map_err(|error| DepotError::File { path, error })
    }
}

fn remove(folder: &Path, before: SystemTime) -> io::Result<usize> {
    let mut removed = 0;
    for entry in gone(fs::read_dir(folder))?.into_iter().flatten() {
        let entry = entry?;
        let Some(metadata) = gone(entry.metadata())? else { continue };
        if metadata.is_dir() {
            removed += remove_below(entry.path(), before)?;
        } else if is_leftover(&entry.file_name().to_string_lossy()) && metadata.modified()? < before
        {
            gone(fs::remove_file(entry.path()))?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// Its folder goes with the last.
fn remove_below(folder: PathBuf, before: SystemTime) -> io::Result<usize> {
    let removed = remove(&folder, before)?;
    if removed > 0 {
        // Fails where there is something else in it.
        let _ = fs::remove_dir(folder);
    }
    Ok(removed)
}

fn is_leftover(name: &str) -> bool {
    let number = name.rsplit_once('#').map(|(_, number)| number);
    number.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

/// Others work here, too: what is gone is no fault.
fn gone<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use object_store::{MultipartUpload as _, ObjectStoreExt as _, PutPayload};

    use super::*;
    use crate::config::ObjectStore;

    #[tokio::test]
    async fn what_a_dead_writer_left_goes_and_what_is_being_written_stays() {
        let root = tempfile::tempdir().unwrap();
        let store = ObjectStore { prefix: "one".to_owned(), ..ObjectStore::default() };
        let depot = Depot::open(&store, root.path()).unwrap();
        depot.put("r1/ann.mp4", "whole").await.unwrap();
        for name in ["r1/ann.mp4", "r2/bert.mp4", "r3/cleo.mp4"] {
            let mut upload = depot.store.put_multipart(&depot.path(name)).await.unwrap();
            upload.put_part(PutPayload::from_static(b"half")).await.unwrap();
            // As one who is killed.
            std::mem::forget(upload);
        }
        let at = |name: &str| root.path().join("one").join(name);
        let long_ago = SystemTime::now() - 2 * DEAD;
        for name in ["r1/ann.mp4#1", "r2/bert.mp4#1", "r1/ann.mp4"] {
            let file = fs::File::options().write(true).open(at(name)).unwrap();
            file.set_modified(long_ago).unwrap();
        }
        assert_eq!(depot.remove_leftovers().await.unwrap(), 2);
        let there = ["r1/ann.mp4", "r1/ann.mp4#1", "r2", "r3/cleo.mp4#1"].map(|n| at(n).exists());
        assert_eq!(there, [true, false, false, true]);
    }
}
