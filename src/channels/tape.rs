//! What channels need of whoever keeps recordings, and nothing else of it.

use std::io;
use std::path::Path;

use stentor_protocol::recording::Chunk;

/// Where recordings are written.
pub trait Shelf: Send + Sync {
    /// Makes a folder for one worker's chunks of one source: never the same one twice.
    fn open(&self, recording: &str, source: &str) -> io::Result<Box<dyn Tape>>;
    /// A chunk is whole.
    fn written(&self, recording: &str, chunk: &Chunk);
    /// Nothing can be written. `full`: for want of room.
    fn trouble(&self, recording: &str, full: bool, reason: &str);
}

/// A worker's folder. Dropping it says that nothing is written there any more.
pub trait Tape: Send {
    fn folder(&self) -> &Path;
}
