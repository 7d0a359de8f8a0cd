//! The log on disk: a folder of segments, JSON lines in each, one writer, any number of readers.
//!
//! A segment is named after the number of its first event, counted from the log's beginning; so
//! what lies between two segments' names is how many events the first one has.

mod append;
pub mod cursor;
mod reader;
mod segment;

use std::path::Path;

use serde::{Deserialize, Serialize};

pub use append::{Append, Bounds, OpenError};
pub use reader::{Item, ReadError, Reader};

/// A place in the log, kept by whoever reads it: everything before it was read.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Cursor {
    pub segment: u64,
    /// Bytes.
    pub offset: u64,
}

/// Whether somebody ever wrote one in this folder.
pub fn has_log(folder: &Path) -> bool {
    segment::list(folder).is_ok_and(|segments| !segments.is_empty())
}

#[cfg(test)]
mod tests;
