//! What is in a source's chunks: read once, of which only the tables stay in memory.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::plan::{LeftOut, Source};
use crate::container::matroska::{ChunkFile, Kind};
use crate::container::opus;

/// A chunk is cut at 64 MiB; what is far larger is none.
const MOST_CHUNK_BYTES: u64 = 256 << 20;

/// A chunk that can be used.
#[derive(Debug)]
pub struct Indexed {
    pub path: PathBuf,
    pub chunk: ChunkFile,
    /// Samples of each of its Opus packets; 0 where it is none.
    pub sound: Vec<u16>,
    /// Nothing is missing between it and the one before.
    pub follows: bool,
}

/// Those of the source's chunks that can be used, in the order of their times: a clock that was set
/// back gives a worker's life a name before an earlier one's.
pub fn index(source: &Source, left_out: &mut Vec<LeftOut>) -> Vec<Indexed> {
    let mut indexed = Vec::with_capacity(source.chunks.len());
    let mut before: Option<u32> = None;
    for path in &source.chunks {
        let number = sequence(path);
        match open(path) {
            Ok((bytes, chunk)) => {
                let follows = number.is_some() && number == before.map(|before| before + 1);
                indexed.push(Indexed::new(path.clone(), &bytes, chunk, follows));
                before = number;
            }
            Err(reason) => {
                tracing::warn!(file = %path.display(), reason, "a chunk is left out");
                let file = path.display().to_string();
                left_out.push(LeftOut { file, reason });
                before = None;
            }
        }
    }
    indexed.sort_by_key(|chunk| chunk.span().0);
    indexed
}

/// A chunk's bytes and what is in them.
pub fn open(path: &Path) -> Result<(Vec<u8>, ChunkFile), String> {
    let bytes = read(path).map_err(|error| error.to_string())?;
    let chunk = ChunkFile::parse(&bytes).map_err(|error| error.to_string())?;
    Ok((bytes, chunk))
}

pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    if length > MOST_CHUNK_BYTES {
        return Err(io::Error::other(format!("{length} bytes are too many for a chunk")));
    }
    let mut bytes = Vec::with_capacity(length as usize + 1);
    file.take(MOST_CHUNK_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The number that the recorder gave a file.
fn sequence(path: &Path) -> Option<u32> {
    path.file_name()?.to_str()?.split('.').next()?.parse().ok()
}

// === impl Indexed ===

impl Indexed {
    pub fn new(path: PathBuf, bytes: &[u8], chunk: ChunkFile, follows: bool) -> Self {
        let packets = chunk.of(Kind::Audio).map(|block| &bytes[block.start..][..block.length]);
        // None is longer than 5,760.
        let sound = packets.map(|packet| opus::samples(packet).unwrap_or(0) as u16).collect();
        Self { path, chunk, sound, follows }
    }

    /// When its media begins and ends, in ticks.
    pub fn span(&self) -> (i64, i64) {
        let times = || self.chunk.blocks.iter().map(|block| block.ticks);
        (times().min().unwrap_or(0), times().max().unwrap_or(0))
    }

    pub fn has(&self, kind: Kind) -> bool {
        self.chunk.of(kind).next().is_some()
    }
}
