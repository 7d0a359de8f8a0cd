//! The segments' names, and what is in the folder.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const SUFFIX: &str = ".jsonl";
const DIGITS: usize = 20;

/// The file of the segment whose first event has this number.
pub fn path(folder: &Path, segment: u64) -> PathBuf {
    folder.join(format!("{segment:0DIGITS$}{SUFFIX}"))
}

/// What is in the folder, oldest first. Files with other names are others' business.
pub fn list(folder: &Path) -> io::Result<Vec<u64>> {
    let mut segments = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        segments.extend(name.to_str().and_then(number));
    }
    segments.sort_unstable();
    Ok(segments)
}

fn number(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(SUFFIX)?;
    let fits = digits.len() == DIGITS && digits.bytes().all(|b| b.is_ascii_digit());
    fits.then(|| digits.parse().ok()).flatten()
}
