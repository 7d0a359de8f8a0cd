//! A cursor in a file of its own.

use std::fs;
use std::io;
use std::path::Path;

use super::Cursor;

/// Where the file is missing: the beginning. One that is no cursor is the beginning, too: events
/// come again rather than never.
pub fn load(file: &Path) -> io::Result<Cursor> {
    match fs::read(file) {
        Ok(text) => Ok(serde_json::from_slice(&text).unwrap_or_default()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Cursor::default()),
        Err(error) => Err(error),
    }
}

/// Replaces the file as a whole.
pub fn save(file: &Path, cursor: Cursor) -> io::Result<()> {
    let temporary = file.with_extension("cursor.new");
    fs::write(&temporary, serde_json::to_vec(&cursor)?)?;
    fs::rename(&temporary, file)
}
