//! Reads chunks, whole ones and those that a killed worker left behind.
//!
//! Takes any bytes: sizes are checked before they are believed, and what follows the last whole
//! block is left out.

use stentor_protocol::{Codec, Resolution};

use super::{CODECS, Kind, TIMESTAMP_SCALE, ids};
use crate::container::avc::VideoEntry;
use crate::container::ebml::{children, head, uint};

/// Larger than any picture that is taken.
const MOST_PIXELS: u64 = 8192 * 8192;
/// A century: what is later is no time.
const LATEST_TICKS: u64 = 10_000 * 86_400 * 365 * 100;

/// What a chunk holds. The media itself stays in the bytes that were read.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ChunkFile {
    pub video: Option<VideoEntry>,
    /// It has Opus.
    pub audio: bool,
    /// In the order of the file.
    pub blocks: Vec<Block>,
    /// It ended where it should.
    pub whole: bool,
}

/// A picture or an Opus packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    pub kind: Kind,
    /// Since the recording began, in ticks.
    pub ticks: i64,
    pub keyframe: bool,
    /// Where it lies in the chunk's bytes.
    pub start: usize,
    pub length: usize,
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ChunkError {
    #[error("it is empty")]
    Empty,
    #[error("it is no Matroska file")]
    Foreign,
    #[error("it ends before its first picture or sound")]
    Nothing,
    #[error("its clock isn't ours")]
    Clock,
}

/// A track of the file: its number there and what it is.
struct Numbered {
    number: u64,
    kind: Kind,
}

// === impl ChunkFile ===

impl ChunkFile {
    pub fn parse(bytes: &[u8]) -> Result<Self, ChunkError> {
        if bytes.is_empty() {
            return Err(ChunkError::Empty);
        }
        let document = head(bytes).filter(|head| head.id == ids::EBML);
        let document = document.ok_or(ChunkError::Foreign)?;
        let start = size_of(document.size).saturating_add(document.length);
        let segment = bytes.get(start..).and_then(head).filter(|head| head.id == ids::SEGMENT);
        let segment = segment.ok_or(ChunkError::Foreign)?;
        let from = start + segment.length;
        let most = size_of(segment.size).saturating_add(from);
        let mut chunk =
            Self { whole: segment.size.is_some() && most == bytes.len(), ..Self::default() };
        let mut tracks = Vec::new();
        let mut at = from;
        let end = most.min(bytes.len());
        while let Some(element) = bytes.get(at..end).and_then(head) {
            let body = at + element.length;
            let until = size_of(element.size).saturating_add(body);
            let inside = &bytes[body.min(end)..until.min(end)];
            match element.id {
                ids::INFO => check_clock(inside)?,
                ids::TRACKS if until <= end => tracks = chunk.take_tracks(inside),
                ids::CLUSTER => chunk.take_cluster(&tracks, inside, body),
                _ => {}
            }
            at = until;
        }
        chunk.whole &= at == end;
        if chunk.blocks.is_empty() { Err(ChunkError::Nothing) } else { Ok(chunk) }
    }

    pub fn of(&self, kind: Kind) -> impl DoubleEndedIterator<Item = &Block> {
        self.blocks.iter().filter(move |block| block.kind == kind)
    }

    fn take_tracks(&mut self, tracks: &[u8]) -> Vec<Numbered> {
        let mut numbered = Vec::new();
        for (_, entry) in children(tracks).filter(|(id, _)| *id == ids::TRACK_ENTRY) {
            let field =
                |wanted| children(entry).find(|(id, _)| *id == wanted).map(|(_, body)| body);
            let number = field(ids::TRACK_NUMBER).map_or(0, uint);
            let name = field(ids::CODEC_ID).unwrap_or_default();
            let codec = CODECS.iter().find(|(_, known)| known.as_bytes() == name);
            let private = field(ids::CODEC_PRIVATE).unwrap_or_default();
            match codec {
                Some((Codec::Opus, _)) if !self.audio => {
                    self.audio = true;
                    numbered.push(Numbered { number, kind: Kind::Audio });
                }
                Some((codec, _)) if self.video.is_none() && *codec != Codec::Opus => {
                    let Some(resolution) = field(ids::VIDEO).and_then(resolution) else { continue };
                    let private = private.to_vec();
                    self.video = Some(VideoEntry { codec: *codec, resolution, private });
                    numbered.push(Numbered { number, kind: Kind::Video });
                }
                _ => {}
            }
        }
        numbered
    }

    /// `at` is where the cluster's body begins in the file.
    fn take_cluster(&mut self, tracks: &[Numbered], body: &[u8], at: usize) {
        let mut base = 0;
        for (id, inside) in children(body) {
            match id {
                ids::TIMESTAMP => base = uint(inside).min(LATEST_TICKS) as i64,
                ids::SIMPLE_BLOCK => {
                    let start = at + (inside.as_ptr().addr() - body.as_ptr().addr());
                    self.blocks.extend(block(tracks, base, inside, start));
                }
                _ => {}
            }
        }
    }
}

fn block(tracks: &[Numbered], base: i64, body: &[u8], start: usize) -> Option<Block> {
    // Our track numbers fit one byte.
    let [number, high, low, flags, data @ ..] = body else { return None };
    let number = number.checked_sub(0x80)?;
    let kind = tracks.iter().find(|track| track.number == u64::from(number))?.kind;
    let laced = flags & 0x06 != 0;
    let ticks = base + i64::from(i16::from_be_bytes([*high, *low]));
    let keyframe = flags & 0x80 != 0;
    (!laced && !data.is_empty() && ticks >= 0).then_some(Block {
        kind,
        ticks,
        keyframe,
        start: start + 4,
        length: data.len(),
    })
}

fn check_clock(info: &[u8]) -> Result<(), ChunkError> {
    let scale = children(info).find(|(id, _)| *id == ids::TIMESTAMP_SCALE);
    let ours = scale.is_some_and(|(_, body)| uint(body) == TIMESTAMP_SCALE);
    if ours { Ok(()) } else { Err(ChunkError::Clock) }
}

fn resolution(video: &[u8]) -> Option<Resolution> {
    let side = |wanted| {
        let field = children(video).find(|(id, _)| *id == wanted);
        field.and_then(|(_, body)| u32::try_from(uint(body)).ok())
    };
    let size = Resolution::new(side(ids::PIXEL_WIDTH)?, side(ids::PIXEL_HEIGHT)?);
    (1..=MOST_PIXELS).contains(&size.pixels()).then_some(size)
}

/// What isn't known goes on to the end.
fn size_of(size: Option<u64>) -> usize {
    size.and_then(|size| usize::try_from(size).ok()).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::matroska::{Cluster, Header};

    const ENTRY: Resolution = Resolution::new(320, 180);

    fn written() -> (Vec<u8>, usize) {
        let entry = VideoEntry { codec: Codec::Vp8, resolution: ENTRY, private: Vec::new() };
        let header = Header::new(Some(&entry), true);
        let mut bytes = header.bytes.clone();
        let mut first = Cluster::new(20_000);
        first.push(Kind::Video, 20_000, true, |out| out.extend_from_slice(&[1; 300]));
        first.push(Kind::Audio, 19_900, true, |out| out.extend_from_slice(&[2, 3]));
        bytes.extend(first.finish());
        let after_first = bytes.len();
        let mut second = Cluster::new(25_000);
        second.push(Kind::Video, 25_000, false, |out| out.extend_from_slice(&[4; 9]));
        bytes.extend(second.finish());
        for (at, fill) in header.complete(bytes.len() as u64, 5_333) {
            bytes[at as usize..at as usize + 8].copy_from_slice(&fill);
        }
        (bytes, after_first)
    }

    #[test]
    fn a_chunk_is_read_as_it_was_written() {
        let (bytes, _) = written();
        let chunk = ChunkFile::parse(&bytes).unwrap();
        assert!(chunk.whole && chunk.audio);
        assert_eq!(chunk.video.as_ref().map(|entry| entry.resolution), Some(ENTRY));
        let told: Vec<_> = chunk.blocks.iter().map(|b| (b.kind, b.ticks, b.keyframe)).collect();
        let expected = [
            (Kind::Video, 20_000, true),
            (Kind::Audio, 19_900, true),
            (Kind::Video, 25_000, false),
        ];
        assert_eq!(told, expected);
        let audio = chunk.of(Kind::Audio).next().unwrap();
        assert_eq!(bytes[audio.start..][..audio.length], [2, 3]);
    }

    #[test]
    fn a_chunk_that_was_cut_short_is_good_up_to_there() {
        let (bytes, after_first) = written();
        for end in 0..bytes.len() {
            match ChunkFile::parse(&bytes[..end]) {
                Ok(chunk) => {
                    assert!(!chunk.whole && !chunk.blocks.is_empty(), "{end}");
                    assert_eq!(chunk.blocks.len() >= 2, end >= after_first, "{end}");
                }
                Err(_) => assert!(end < after_first, "{end}"),
            }
        }
    }

    #[test]
    fn what_is_no_chunk_is_refused_with_a_reason() {
        assert_eq!(ChunkFile::parse(&[]), Err(ChunkError::Empty));
        assert_eq!(ChunkFile::parse(b"RIFF...."), Err(ChunkError::Foreign));
        let header = Header::new(None, true);
        assert_eq!(ChunkFile::parse(&header.bytes), Err(ChunkError::Nothing));
    }
}
