//! The channels made over the API, in one file that is replaced as a whole: a crash leaves the
//! old one or the new one.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::settings::ChannelSettings;

const FILE: &str = "channels.json";
const VERSION: u32 = 1;

#[derive(Debug, Clone)]
pub struct Store {
    folder: PathBuf,
}

/// Why channels could not be read or kept. This server's fault, or that of its disk.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("{}: {error}", path.display())]
    File { path: PathBuf, error: io::Error },
    #[error("{}: not a list of channels: {error}", path.display())]
    Json { path: PathBuf, error: serde_json::Error },
    #[error("{}: written by a newer version ({version}), expected {VERSION}", path.display())]
    Version { path: PathBuf, version: u32 },
}

#[derive(Serialize, Deserialize)]
struct Contents {
    version: u32,
    channels: BTreeMap<String, ChannelSettings>,
}

// === impl Store ===

impl Store {
    /// Makes the folder where it is missing.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let error = |error| StoreError::File { path: folder.to_owned(), error };
        fs::create_dir_all(folder).map_err(error)?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// The channels kept; none where there is no file yet.
    pub fn load(&self) -> Result<BTreeMap<String, ChannelSettings>, StoreError> {
        let path = self.folder.join(FILE);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
            Err(error) => return Err(StoreError::File { path, error }),
        };
        match serde_json::from_slice(&text) {
            Ok(Contents { version: VERSION, channels }) => Ok(channels),
            Ok(Contents { version, .. }) => Err(StoreError::Version { path, version }),
            Err(error) => Err(StoreError::Json { path, error }),
        }
    }

    /// Replaces the file. Readable by its owner alone: sources have passwords.
    pub fn save(&self, channels: BTreeMap<String, ChannelSettings>) -> Result<(), StoreError> {
        let path = self.folder.join(FILE);
        let temporary = self.folder.join(format!(".{FILE}.{}", std::process::id()));
        let contents = Contents { version: VERSION, channels };
        let text = serde_json::to_vec_pretty(&contents)
            .map_err(|error| StoreError::Json { path: path.clone(), error })?;
        let write = || {
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&temporary)?;
            file.write_all(&text)?;
            file.sync_all()?;
            fs::rename(&temporary, &path)?;
            // The name itself must survive a power cut too.
            File::open(&self.folder)?.sync_all()
        };
        write().map_err(|error| StoreError::File { path: path.clone(), error })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_kept_is_read_again_by_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("deep/er")).unwrap();
        assert!(store.load().unwrap().is_empty());
        let settings: ChannelSettings = serde_json::from_value(json!({
            "source": {"kind": "rtsp", "url": "rtsp://x", "password": "p"}, "ladder": [{"height": 360}]
        }))
        .unwrap();
        let channels = BTreeMap::from([("a".to_owned(), settings)]);
        store.save(channels.clone()).unwrap();
        assert_eq!(store.load().unwrap(), channels);
        let files: Vec<_> = fs::read_dir(&store.folder).unwrap().map(Result::unwrap).collect();
        assert_eq!(files.len(), 1, "no temporary file is left");
        assert_eq!(files[0].metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_file_that_is_not_ours_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        for text in ["", "[]", "{\"version\": 2, \"channels\": {}}"] {
            fs::write(folder.path().join(FILE), text).unwrap();
            assert!(store.load().is_err(), "{text}");
            assert_eq!(fs::read_to_string(folder.path().join(FILE)).unwrap(), text);
        }
    }
}
