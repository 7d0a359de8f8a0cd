//! Access units become RTP packets, straight into the batch that goes over the seam.
//!
//! The payload formats are our own few lines rather than GStreamer's payloaders: an element needs
//! a pipeline, a queue and a thread per track to do what is a walk over bytes, and the thread's
//! turn is latency. `benches/packetise.rs` compares the two; the tests here let GStreamer's
//! depayloaders read what is written.
//!
//! Every rung of a channel takes its RTP timestamps from the same program time, so a viewer who
//! changes rungs keeps its clock.

mod av1;
mod h264;
mod opus;
mod vp8;

use stentor_protocol::media::{MediaBatch, MediaFlags, MediaHeader};
use stentor_protocol::{Codec, TrackId};

pub use opus::AudioTimeline;

/// The longest RTP packet, header included, in bytes.
pub const MTU: usize = 1200;

const RTP_HEADER_BYTES: usize = 12;
/// The longest RTP payload, in bytes.
const MAX_PAYLOAD: usize = MTU - RTP_HEADER_BYTES;

/// What a payload format calls for each packet: the payload in two pieces, the first its own
/// header or nothing, and whether the packet is the access unit's last.
type Emit<'a> = &'a mut dyn FnMut(&[u8], &[u8], bool);

/// One coded picture or Opus packet on its way out.
#[derive(Debug, Clone, Copy)]
pub struct Unit<'a> {
    pub data: &'a [u8],
    /// RTP timestamp, in the track's clock rate.
    pub timestamp: u32,
    /// Decoding can start here. Video only.
    pub keyframe: bool,
    /// Microseconds since the Unix epoch.
    pub capture_unix_us: u64,
}

/// A track's RTP stream: its payload format and its sequence numbers.
#[derive(Debug)]
pub struct Packetiser {
    track: TrackId,
    format: Format,
    sequence: u16,
}

#[derive(Debug)]
enum Format {
    H264(h264::H264),
    Vp8(vp8::Vp8),
    Av1(av1::Av1),
    Opus,
}

/// A codec that has no place on a media socket.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{} can't be sent over RTP to viewers", .0.as_str())]
pub struct NoFormat(pub Codec);

// === impl Packetiser ===

impl Packetiser {
    pub fn new(track: TrackId, codec: Codec) -> Result<Self, NoFormat> {
        let format = match codec {
            Codec::H264 => Format::H264(h264::H264::default()),
            Codec::Vp8 => Format::Vp8(vp8::Vp8::default()),
            Codec::Av1 => Format::Av1(av1::Av1::default()),
            Codec::Opus => Format::Opus,
            Codec::H265 | Codec::Aac => return Err(NoFormat(codec)),
        };
        Ok(Self { track, format, sequence: 0 })
    }

    /// Appends the unit's packets to the batch. `gap` marks the first of them.
    pub fn packetise(&mut self, unit: Unit<'_>, gap: bool, batch: &mut MediaBatch) {
        let Self { track, format, sequence } = self;
        let video = !matches!(format, Format::Opus);
        let mut first = true;
        let mut emit = |head: &[u8], body: &[u8], last: bool| {
            let mut flags = MediaFlags::default();
            if first && gap {
                flags = flags.with(MediaFlags::GAP);
            }
            if first && video && unit.keyframe {
                flags = flags.with(MediaFlags::KEYFRAME_START);
            }
            if last {
                flags = flags.with(MediaFlags::FRAME_END);
            }
            first = false;
            let header =
                MediaHeader { track: track.0, flags, capture_unix_us: unit.capture_unix_us };
            // RFC 3551: the marker of audio is a talk spurt's start, which nobody here needs.
            let rtp = rtp_header(*track, *sequence, unit.timestamp, last && video);
            *sequence = sequence.wrapping_add(1);
            batch.push_parts(header, &[&rtp, head, body]);
        };
        match format {
            Format::H264(h264) => h264.packetise(unit.data, unit.keyframe, &mut emit),
            Format::Vp8(vp8) => vp8.packetise(unit.data, &mut emit),
            Format::Av1(av1) => av1.packetise(unit.data, unit.keyframe, &mut emit),
            Format::Opus => emit(&[], unit.data, true),
        }
    }
}

/// RFC 3550, section 5.1. Payload type and SSRC are told apart for a capture's reader only.
fn rtp_header(
    track: TrackId,
    sequence: u16,
    timestamp: u32,
    marker: bool,
) -> [u8; RTP_HEADER_BYTES] {
    let mut header = [0; RTP_HEADER_BYTES];
    header[0] = 0x80;
    header[1] = 96 | if marker { 0x80 } else { 0 };
    header[2..4].copy_from_slice(&sequence.to_be_bytes());
    header[4..8].copy_from_slice(&timestamp.to_be_bytes());
    header[8..12].copy_from_slice(&u32::from(track.0).to_be_bytes());
    header
}

#[cfg(test)]
mod tests;
