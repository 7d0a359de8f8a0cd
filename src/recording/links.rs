//! Signed links to files: whoever has one may fetch that file until it expires, and nothing else.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use aws_lc_rs::{constant_time, hmac};

use super::ids::RecordingId;
use crate::hex::hex;

/// Who signs and believes links.
pub struct Links(hmac::Key);

/// Why links can't be signed. The operator's to mend.
#[derive(Debug, thiserror::Error)]
#[error("{}: {error}", path.display())]
pub struct LinkError {
    path: PathBuf,
    error: io::Error,
}

const KEY_BYTES: usize = 32;

// === impl Links ===

impl Links {
    /// Reads the key, or makes it: its owner's alone.
    pub fn load_or_make(path: &Path) -> Result<Self, LinkError> {
        let failed = |error| LinkError { path: path.to_owned(), error };
        match make(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => made.map_err(failed)?,
        }
        let key = fs::read(path).map_err(failed)?;
        if key.len() != KEY_BYTES {
            return Err(failed(io::Error::from(io::ErrorKind::InvalidData)));
        }
        Ok(Self::new(&key))
    }

    pub fn new(key: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// The query of a link that is good up to `expires`, in seconds since 1970.
    pub fn sign(&self, recording: &RecordingId, file: &str, expires: u64) -> String {
        format!("expires={expires}&signature={}", self.signature(recording, file, expires))
    }

    /// Whether a link's query is good at `now`.
    pub fn check(&self, recording: &RecordingId, file: &str, query: &str, now: u64) -> bool {
        let value = |name: &str| {
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
        };
        let (Some(expires), Some(signature)) = (value("expires"), value("signature")) else {
            return false;
        };
        let Ok(until) = expires.parse::<u64>() else { return false };
        let expected = self.signature(recording, file, until);
        let is_signed =
            constant_time::verify_slices_are_equal(expected.as_bytes(), signature.as_bytes());
        is_signed.is_ok() && now < until
    }

    fn signature(&self, recording: &RecordingId, file: &str, expires: u64) -> String {
        let text = format!("recording\n{recording}\n{file}\n{expires}");
        hex(hmac::sign(&self.0, text.as_bytes()).as_ref())
    }
}

/// Another key beside it takes its name at once and as a whole.
fn make(path: &Path) -> io::Result<()> {
    if path.exists() {
        return Ok(());
    }
    let mut key = [0; KEY_BYTES];
    getrandom::fill(&mut key).map_err(io::Error::other)?;
    let beside = path.with_extension(format!("{}.new", std::process::id()));
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&beside)
        .and_then(|mut file| file.write_all(&key).and_then(|()| file.sync_all()))
        .and_then(|()| fs::hard_link(&beside, path));
    // It may not have been made.
    let _ = fs::remove_file(&beside);
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_good_for_its_file_until_it_expires() {
        let links = Links::new(b"key");
        let (one, other) = (RecordingId::random().unwrap(), RecordingId::random().unwrap());
        let query = links.sign(&one, "ann.mp4", 1000);
        let forged = query.replace("expires=1000", "expires=9000");
        let cut = &query[..query.len() - 1];
        for (recording, file, query, now, expected) in [
            (&one, "ann.mp4", query.as_str(), 999, true),
            (&one, "ann.mp4", query.as_str(), 1000, false),
            (&one, "bert.mp4", query.as_str(), 999, false),
            (&other, "ann.mp4", query.as_str(), 999, false),
            (&one, "ann.mp4", forged.as_str(), 999, false),
            (&one, "ann.mp4", cut, 999, false),
            (&one, "ann.mp4", "", 999, false),
            (&one, "ann.mp4", "expires=1&signature=", 0, false),
        ] {
            let is_good = links.check(recording, file, query, now);
            assert_eq!(is_good, expected, "{recording} {file} {query} {now}");
        }
        assert!(!Links::new(b"another").check(&one, "ann.mp4", &query, 999));
    }

    #[test]
    fn the_key_is_made_once_and_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt as _;

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let id = RecordingId::random().unwrap();
        let query = Links::load_or_make(&path).unwrap().sign(&id, "a", 10);
        assert!(Links::load_or_make(&path).unwrap().check(&id, "a", &query, 9));
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(&path, "short").unwrap();
        assert!(Links::load_or_make(&path).is_err());
    }
}
