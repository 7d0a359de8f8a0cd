//! Every parser of the worker that strangers reach, as a function of bytes.
//!
//! For the fuzzers of `tests/fuzz`, and for a test that throws damaged samples at each. A door
//! must neither panic nor take long, whatever it is given.

use stentor_protocol::Command;
use stentor_protocol::control::FrameReader;
use stentor_protocol::spec::Codec;

use crate::container::matroska::{ChunkFile, Kind};
use crate::container::{avc, opus};
use crate::contribution::bitstream::tracker::Hint;
use crate::contribution::bitstream::{Nals, VideoTracker, h264, vp8};

pub use crate::contribution::doors::{whip_fragment, whip_offer};

#[cfg(test)]
#[path = "../../tests/fuzz/mutate.rs"]
mod mutate;

/// Name and door.
pub type Door = (&'static str, fn(&[u8]));

pub const DOORS: &[Door] = &[
    ("whip_offer", whip_offer),
    ("whip_fragment", whip_fragment),
    ("h264_unit", h264_unit),
    ("vp8_frame", vp8_frame),
    ("worker_command", worker_command),
    ("chunk", chunk),
];

/// An access unit in annex B.
pub fn h264_unit(bytes: &[u8]) {
    for nal in Nals::new(bytes) {
        let _ = h264::nal_type(nal);
        let _ = h264::slice_kind(nal);
        let _ = h264::Sps::parse(nal);
    }
    observe(Codec::H264, bytes);
}

pub fn vp8_frame(bytes: &[u8]) {
    let _ = vp8::is_keyframe(bytes);
    let _ = vp8::keyframe_size(bytes);
    observe(Codec::Vp8, bytes);
}

/// What the daemon says.
pub fn worker_command(bytes: &[u8]) {
    let mut reader = FrameReader::default();
    reader.handle_bytes(bytes);
    while let Ok(Some(_)) = reader.poll_message::<Command>() {}
}

/// A chunk of a recording, as the file creator gets it.
pub fn chunk(bytes: &[u8]) {
    let Ok(chunk) = ChunkFile::parse(bytes) else { return };
    let mut unit = Vec::new();
    for block in &chunk.blocks {
        let data = &bytes[block.start..][..block.length];
        match block.kind {
            Kind::Video => avc::put_annex_b(data, &mut unit),
            Kind::Audio => assert!(opus::samples(data).is_none_or(|samples| samples > 0)),
        }
    }
    assert!(unit.len() <= 2 * bytes.len());
}

fn observe(codec: Codec, bytes: &[u8]) {
    let mut tracker = VideoTracker::new(codec);
    // The same again: the parameter sets are known then.
    for _ in 0..2 {
        let observation = tracker.observe(bytes, Hint::default());
        assert!(observation.format.is_none() || observation.keyframe);
    }
}

#[cfg(test)]
#[test]
fn no_door_gives_way_to_damaged_samples() {
    mutate::storm(DOORS);
}
