//! Writes chunks: first the header, then each cluster as it fills.

use super::{CODECS, Kind, TICKS_PER_SECOND, TIMESTAMP_SCALE, ids};
use crate::container::avc::VideoEntry;
use crate::container::ebml::{UNKNOWN_SIZE, long_size, put, put_float, put_id, put_uint};
use crate::container::opus;

const APP: &[u8] = b"Stentor";
/// A decoder is warm after so much, in ns (RFC 7845, section 4.6).
const OPUS_PRE_ROLL_NS: u64 = 80_000_000;
/// What a cluster's size is written into.
const SIZE_AT: usize = 4;

/// Everything in front of the first cluster. Good as it is; [`Header::complete`] says what can
/// be filled in when the chunk's end is known.
#[derive(Debug)]
pub struct Header {
    pub bytes: Vec<u8>,
    segment_size_at: u64,
    duration_at: u64,
}

/// Blocks within a few seconds of one another.
#[derive(Debug)]
pub struct Cluster {
    /// In ticks.
    base: i64,
    bytes: Vec<u8>,
}

// === impl Header ===

impl Header {
    pub fn new(video: Option<&VideoEntry>, audio: bool) -> Self {
        let mut bytes = Vec::with_capacity(512);
        put(&mut bytes, ids::EBML, &document());
        put_id(&mut bytes, ids::SEGMENT);
        let segment_size_at = bytes.len() as u64;
        bytes.extend_from_slice(&UNKNOWN_SIZE);

        let mut info = Vec::new();
        put_uint(&mut info, ids::TIMESTAMP_SCALE, TIMESTAMP_SCALE);
        put(&mut info, ids::MUXING_APP, APP);
        put(&mut info, ids::WRITING_APP, APP);
        put_float(&mut info, ids::DURATION, 0.0);
        put(&mut bytes, ids::INFO, &info);
        let duration_at = bytes.len() as u64 - 8;

        let mut tracks = Vec::new();
        if let Some(video) = video {
            put(&mut tracks, ids::TRACK_ENTRY, &video_track(video));
        }
        if audio {
            put(&mut tracks, ids::TRACK_ENTRY, &audio_track());
        }
        put(&mut bytes, ids::TRACKS, &tracks);
        Self { bytes, segment_size_at, duration_at }
    }

    /// Places in the file and what belongs there, for a file of `file_bytes` and `ticks`.
    pub fn complete(&self, file_bytes: u64, ticks: i64) -> [(u64, [u8; 8]); 2] {
        let size = file_bytes.saturating_sub(self.segment_size_at + 8);
        [
            (self.segment_size_at, long_size(size)),
            (self.duration_at, (ticks.max(0) as f64).to_be_bytes()),
        ]
    }
}

fn document() -> Vec<u8> {
    let mut document = Vec::new();
    put_uint(&mut document, ids::EBML_VERSION, 1);
    put_uint(&mut document, ids::EBML_READ_VERSION, 1);
    put_uint(&mut document, ids::EBML_MAX_ID_LENGTH, 4);
    put_uint(&mut document, ids::EBML_MAX_SIZE_LENGTH, 8);
    put(&mut document, ids::DOC_TYPE, b"matroska");
    put_uint(&mut document, ids::DOC_TYPE_VERSION, 4);
    put_uint(&mut document, ids::DOC_TYPE_READ_VERSION, 2);
    document
}

fn track(kind: Kind, codec: stentor_protocol::Codec, private: &[u8]) -> Vec<u8> {
    let mut track = Vec::new();
    put_uint(&mut track, ids::TRACK_NUMBER, kind as u64);
    put_uint(&mut track, ids::TRACK_UID, kind as u64);
    // 1 is video and 2 audio here too.
    put_uint(&mut track, ids::TRACK_TYPE, kind as u64);
    put_uint(&mut track, ids::FLAG_LACING, 0);
    let name = CODECS.iter().find(|(known, _)| *known == codec).map_or("", |(_, name)| name);
    put(&mut track, ids::CODEC_ID, name.as_bytes());
    if !private.is_empty() {
        put(&mut track, ids::CODEC_PRIVATE, private);
    }
    track
}

fn video_track(entry: &VideoEntry) -> Vec<u8> {
    let mut track = track(Kind::Video, entry.codec, &entry.private);
    let mut video = Vec::new();
    put_uint(&mut video, ids::PIXEL_WIDTH, entry.resolution.width.into());
    put_uint(&mut video, ids::PIXEL_HEIGHT, entry.resolution.height.into());
    put(&mut track, ids::VIDEO, &video);
    track
}

fn audio_track() -> Vec<u8> {
    let mut track = track(Kind::Audio, stentor_protocol::Codec::Opus, &opus::HEAD);
    put_uint(&mut track, ids::SEEK_PRE_ROLL, OPUS_PRE_ROLL_NS);
    let mut audio = Vec::new();
    put_float(&mut audio, ids::SAMPLING_FREQUENCY, opus::RATE_HZ.into());
    put_uint(&mut audio, ids::CHANNELS, 2);
    put(&mut track, ids::AUDIO, &audio);
    track
}

// === impl Cluster ===

impl Cluster {
    /// A cluster that begins at `base`, in ticks.
    pub fn new(base: i64) -> Self {
        let mut bytes = Vec::with_capacity(64 * 1024);
        put_id(&mut bytes, ids::CLUSTER);
        bytes.extend_from_slice(&UNKNOWN_SIZE);
        put_uint(&mut bytes, ids::TIMESTAMP, base.max(0) as u64);
        Self { base: base.max(0), bytes }
    }

    /// Whether a block of this time can be part of it.
    pub fn fits(&self, ticks: i64) -> bool {
        i16::try_from(ticks - self.base).is_ok()
    }

    /// Ticks from the cluster's begin.
    pub fn age(&self, ticks: i64) -> i64 {
        ticks - self.base
    }

    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Nothing but its own head.
    pub fn is_empty(&self) -> bool {
        self.bytes.len() < SIZE_AT + 8 + 12
    }

    /// Appends a block whose bytes `fill` writes. Its time has to [fit](Self::fits).
    pub fn push(
        &mut self,
        kind: Kind,
        ticks: i64,
        keyframe: bool,
        fill: impl FnOnce(&mut Vec<u8>),
    ) {
        put_id(&mut self.bytes, ids::SIMPLE_BLOCK);
        let size_at = self.bytes.len();
        self.bytes.extend_from_slice(&UNKNOWN_SIZE);
        let relative = (ticks - self.base).clamp(i16::MIN.into(), i16::MAX.into()) as i16;
        self.bytes.push(0x80 | kind as u8);
        self.bytes.extend_from_slice(&relative.to_be_bytes());
        self.bytes.push(if keyframe { 0x80 } else { 0 });
        fill(&mut self.bytes);
        let size = long_size((self.bytes.len() - size_at - 8) as u64);
        self.bytes[size_at..size_at + 8].copy_from_slice(&size);
    }

    /// The whole cluster's bytes.
    pub fn finish(mut self) -> Vec<u8> {
        let size = long_size((self.bytes.len() - SIZE_AT - 8) as u64);
        self.bytes[SIZE_AT..SIZE_AT + 8].copy_from_slice(&size);
        self.bytes
    }
}

const _: () = assert!(1_000_000_000 % TICKS_PER_SECOND == 0);
