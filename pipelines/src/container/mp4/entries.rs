//! Sample entries: what a decoder has to know before the first sample.

use super::tables::{boxed, full_box};
use crate::container::avc::VideoEntry;
use crate::container::opus;

/// H.264 (ISO/IEC 14496-15). The same parameter sets stand in front of each keyframe too, for
/// players that look at the first entry only.
pub fn avc1(video: &VideoEntry) -> Vec<u8> {
    let side = |n: u32| u16::try_from(n).unwrap_or(u16::MAX).to_be_bytes();
    let mut body = vec![0, 0, 0, 0, 0, 0, 0, 1];
    body.extend_from_slice(&[0; 16]);
    body.extend_from_slice(&side(video.resolution.width));
    body.extend_from_slice(&side(video.resolution.height));
    // 72 dots an inch.
    body.extend_from_slice(&[0, 0x48, 0, 0, 0, 0x48, 0, 0, 0, 0, 0, 0, 0, 1]);
    body.extend_from_slice(&[0; 32]);
    body.extend_from_slice(&[0, 24, 0xff, 0xff]);
    body.extend(boxed(b"avcC", &video.private));
    boxed(b"avc1", &body)
}

/// Opus in stereo, nothing to skip ("Encapsulation of Opus in ISO Base Media File Format", 4.3).
pub fn opus() -> Vec<u8> {
    let rate = opus::RATE_HZ.to_be_bytes();
    let specific = [&[0, 2, 0, 0][..], &rate, &[0, 0, 0]].concat();
    sound(b"Opus", &boxed(b"dOps", &specific))
}

/// AAC in stereo at 48 kHz with its `AudioSpecificConfig` (ISO/IEC 14496-14, 5.6).
pub fn aac(config: &[u8], bits_per_second: u32) -> Vec<u8> {
    let rate = bits_per_second.to_be_bytes();
    let decoder = [
        // AAC, an audio stream, no buffer size told; the rate at most and on average.
        &[0x40, 0x15, 0, 0, 0][..],
        &rate,
        &rate,
        &descriptor(5, config),
    ];
    let stream = [&[0, 1, 0][..], &descriptor(4, &decoder.concat()), &descriptor(6, &[2])];
    sound(b"mp4a", &full_box(b"esds", 0, 0, &descriptor(3, &stream.concat())))
}

fn descriptor(tag: u8, body: &[u8]) -> Vec<u8> {
    let size = body.len().min(127) as u8;
    [&[tag, 0x80, 0x80, 0x80, size][..], body].concat()
}

fn sound(kind: &[u8; 4], specific: &[u8]) -> Vec<u8> {
    let mut body = vec![0, 0, 0, 0, 0, 0, 0, 1];
    body.extend_from_slice(&[0; 8]);
    body.extend_from_slice(&[0, 2, 0, 16, 0, 0, 0, 0]);
    body.extend_from_slice(&(opus::RATE_HZ << 16).to_be_bytes());
    body.extend_from_slice(specific);
    boxed(kind, &body)
}
