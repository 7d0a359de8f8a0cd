//! Where a file is made: a folder that goes with whoever made it. Who is killed leaves theirs, and
//! whoever starts next removes it: it is locked for as long as somebody works there.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock, fstat};
use tracing::info;

use crate::depot::make_folder;
use crate::recording::ids::RecordingId;

/// Removes itself.
pub struct Scratch {
    pub path: PathBuf,
    /// The kernel lets go of it, however we end.
    _lock: File,
}

/// Somebody who cleans up may come between making and locking.
const TRIES: u32 = 5;

// === impl Scratch ===

impl Scratch {
    pub fn make(root: &Path, id: &RecordingId) -> io::Result<Self> {
        for _ in 0..TRIES {
            let own = crate::identity::unique('s').unwrap_or_default();
            let path = root.join(format!("{id}-{own}"));
            make_folder(&path)?;
            if let Some(lock) = lock(&path)? {
                return Ok(Self { path, _lock: lock });
            }
        }
        Err(io::ErrorKind::WouldBlock.into())
    }

    /// Removes what others left that are gone.
    pub fn clean_up(root: &Path) -> io::Result<()> {
        let entries = match fs::read_dir(root) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            if is_ours(&entry.file_name().to_string_lossy())
                && let Ok(Some(_lock)) = lock(&entry.path())
            {
                info!(folder = %entry.path().display(), "what a dead file creator left is removed");
                fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays is removed at the next start.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// `<recording>-<own>`: nothing else that may lie there.
fn is_ours(name: &str) -> bool {
    name.split_once('-').is_some_and(|(id, _)| id.parse::<RecordingId>().is_ok())
}

/// None where somebody has it, or removed it just now.
fn lock(folder: &Path) -> io::Result<Option<File>> {
    let file = match File::open(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
        locked => locked?,
    }
    let is_there = fstat(&file)?.st_nlink > 0;
    Ok(Some(file).filter(|_| is_there))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_dead_left_goes_and_what_the_living_use_stays() {
        let root = tempfile::tempdir().unwrap();
        let id = RecordingId::random().unwrap();
        let living = Scratch::make(root.path(), &id).unwrap();
        let dead = root.path().join(format!("{id}-s1"));
        fs::create_dir_all(dead.join("p1/1")).unwrap();
        let other = root.path().join("something-else");
        fs::create_dir(&other).unwrap();
        Scratch::clean_up(root.path()).unwrap();
        assert_eq!([&living.path, &dead, &other].map(|path| path.exists()), [true, false, true]);
        let path = living.path.clone();
        drop(living);
        assert!(!path.exists());
        Scratch::clean_up(Path::new("/nowhere")).unwrap();
    }
}
