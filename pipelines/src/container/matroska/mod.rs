//! Matroska (RFC 9559), as much of it as a chunk needs: a header, clusters, simple blocks.

mod read;
mod write;

pub use read::{Block, ChunkError, ChunkFile};
pub use write::{Cluster, Header};

use stentor_protocol::Codec;

/// Ticks of a chunk's clock in a second: a tenth of a millisecond each.
pub const TICKS_PER_SECOND: i64 = 10_000;
/// The same as the header says it, in ns a tick.
const TIMESTAMP_SCALE: u64 = 1_000_000_000 / TICKS_PER_SECOND as u64;

/// The numbers that tracks have in our chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Video = 1,
    Audio = 2,
}

mod ids {
    pub const EBML: u32 = 0x1a45_dfa3;
    pub const EBML_VERSION: u32 = 0x4286;
    pub const EBML_READ_VERSION: u32 = 0x42f7;
    pub const EBML_MAX_ID_LENGTH: u32 = 0x42f2;
    pub const EBML_MAX_SIZE_LENGTH: u32 = 0x42f3;
    pub const DOC_TYPE: u32 = 0x4282;
    pub const DOC_TYPE_VERSION: u32 = 0x4287;
    pub const DOC_TYPE_READ_VERSION: u32 = 0x4285;
    pub const SEGMENT: u32 = 0x1853_8067;
    pub const INFO: u32 = 0x1549_a966;
    pub const TIMESTAMP_SCALE: u32 = 0x002a_d7b1;
    pub const DURATION: u32 = 0x4489;
    pub const MUXING_APP: u32 = 0x4d80;
    pub const WRITING_APP: u32 = 0x5741;
    pub const TRACKS: u32 = 0x1654_ae6b;
    pub const TRACK_ENTRY: u32 = 0xae;
    pub const TRACK_NUMBER: u32 = 0xd7;
    pub const TRACK_UID: u32 = 0x73c5;
    pub const TRACK_TYPE: u32 = 0x83;
    pub const FLAG_LACING: u32 = 0x9c;
    pub const CODEC_ID: u32 = 0x86;
    pub const CODEC_PRIVATE: u32 = 0x63a2;
    pub const SEEK_PRE_ROLL: u32 = 0x56bb;
    pub const VIDEO: u32 = 0xe0;
    pub const PIXEL_WIDTH: u32 = 0xb0;
    pub const PIXEL_HEIGHT: u32 = 0xba;
    pub const AUDIO: u32 = 0xe1;
    pub const SAMPLING_FREQUENCY: u32 = 0xb5;
    pub const CHANNELS: u32 = 0x9f;
    pub const CLUSTER: u32 = 0x1f43_b675;
    pub const TIMESTAMP: u32 = 0xe7;
    pub const SIMPLE_BLOCK: u32 = 0xa3;
}

const CODECS: [(Codec, &str); 4] = [
    (Codec::H264, "V_MPEG4/ISO/AVC"),
    (Codec::H265, "V_MPEGH/ISO/HEVC"),
    (Codec::Vp8, "V_VP8"),
    (Codec::Opus, "A_OPUS"),
];
