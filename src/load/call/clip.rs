//! What cameras send: encoded pictures, over and over, and silence of a voice's size.

use std::path::Path;
use std::sync::Arc;

use stentor_protocol::Resolution;

/// A second of the test pattern, 640x360 at 30 frames a second: H.264, constrained baseline.
const PATTERN: &[u8] = include_bytes!("clip.h264");
const PATTERN_SIZE: Resolution = Resolution::new(640, 360);
const PATTERN_RATE: u32 = 30;
/// A minute of 8 Mb/s.
const MOST_BYTES: u64 = 64 << 20;
const MOST_PICTURES: usize = 20_000;

/// Encoded pictures that can be shown in a circle: the first is a keyframe.
#[derive(Debug)]
pub(super) struct Clip {
    /// Annex B, each with its start codes.
    pub pictures: Vec<Arc<[u8]>>,
    pub size: Resolution,
    /// Pictures a second.
    pub rate: u32,
}

/// Why a file can't be sent.
#[derive(Debug, thiserror::Error)]
pub enum ClipError {
    #[error("the video can't be read: {0}")]
    Unreadable(#[from] std::io::Error),
    #[error("the video has {0} bytes, {MOST_BYTES} at most are taken")]
    TooLong(u64),
    #[error("the video has no H.264 keyframe with its parameters: expected Annex B")]
    NoKeyframe,
    #[error("the video has more than {MOST_PICTURES} pictures")]
    TooMany,
}

/// Of a unit's first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Parameters,
    /// The first or another slice of a picture; of a keyframe or not.
    Slice {
        first: bool,
        key: bool,
    },
    Other,
}

// === impl Clip ===

impl Clip {
    pub fn pattern() -> Result<Self, ClipError> {
        Self::parse(PATTERN, PATTERN_SIZE, PATTERN_RATE)
    }

    pub fn read(file: &Path, size: Resolution, rate: u32) -> Result<Self, ClipError> {
        let bytes = std::fs::metadata(file)?.len();
        if bytes > MOST_BYTES {
            return Err(ClipError::TooLong(bytes));
        }
        Self::parse(&std::fs::read(file)?, size, rate)
    }

    fn parse(bytes: &[u8], size: Resolution, rate: u32) -> Result<Self, ClipError> {
        let mut pictures: Vec<Arc<[u8]>> = Vec::new();
        let mut current: Vec<u8> = Vec::new();
        // Has a slice: what isn't one more of the same picture begins the next.
        let (mut is_picture, mut is_key) = (false, false);
        let mut finish = |current: &mut Vec<u8>, is_key: bool| {
            let picture = std::mem::take(current);
            if is_key || !pictures.is_empty() {
                pictures.push(picture.into());
            }
        };
        for unit in units(bytes) {
            let kind = Unit::of(unit);
            if is_picture && !matches!(kind, Unit::Slice { first: false, .. }) {
                finish(&mut current, is_key);
                (is_picture, is_key) = (false, false);
            }
            if let Unit::Slice { key, .. } = kind {
                is_picture = true;
                is_key |= key && has_parameters(&current);
            }
            current.extend([0, 0, 0, 1]);
            current.extend(unit);
        }
        if is_picture {
            finish(&mut current, is_key);
        }
        match pictures.len() {
            0 => Err(ClipError::NoKeyframe),
            count if count > MOST_PICTURES => Err(ClipError::TooMany),
            _ => Ok(Self { pictures, size, rate }),
        }
    }

    pub fn bits_per_second(&self) -> u64 {
        let bytes: usize = self.pictures.iter().map(|picture| picture.len()).sum();
        bytes as u64 * 8 * u64::from(self.rate) / self.pictures.len().max(1) as u64
    }
}

// === impl Unit ===

impl Unit {
    /// ISO 14496-10, 7.3.1 and 7.3.3.
    fn of(unit: &[u8]) -> Self {
        let Some(header) = unit.first() else { return Self::Other };
        match header & 0x1f {
            kind @ (1 | 5) => {
                // `first_mb_in_slice` is 0 where its code is a single one.
                let first = unit.get(1).is_some_and(|byte| byte & 0x80 != 0);
                Self::Slice { first, key: kind == 5 }
            }
            7 => Self::Parameters,
            _ => Self::Other,
        }
    }
}

fn has_parameters(picture: &[u8]) -> bool {
    units(picture).any(|unit| Unit::of(unit) == Unit::Parameters)
}

/// Units between start codes, without trailing zeros.
fn units(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = after_start(bytes);
    std::iter::from_fn(move || {
        let from = rest?;
        let end = from.windows(3).position(|three| three == [0, 0, 1]);
        let unit = &from[..end.unwrap_or(from.len())];
        rest = end.map(|end| &from[end + 3..]);
        let length = unit.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        Some(&unit[..length])
    })
    .filter(|unit| !unit.is_empty())
}

fn after_start(bytes: &[u8]) -> Option<&[u8]> {
    let start = bytes.windows(3).position(|three| three == [0, 0, 1])?;
    Some(&bytes[start + 3..])
}

/// 20 ms of Opus that are silent and padded to so many bytes (RFC 6716, 3.2.5): 64 kb/s are 160.
pub(super) fn silence(bytes: u8) -> Arc<[u8]> {
    // One frame of code 3 with padding, in CELT at full band, and its two bytes.
    let head = [0xfb, 0x41, bytes.saturating_sub(5), 0xff, 0xfe];
    let mut packet = head.to_vec();
    packet.resize(usize::from(bytes).max(head.len()), 0);
    packet.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Resolution = Resolution::new(64, 64);

    #[test]
    fn the_pattern_is_a_second_that_begins_with_a_keyframe() {
        let clip = Clip::pattern().unwrap();
        assert_eq!(clip.pictures.len(), PATTERN_RATE as usize);
        assert!(has_parameters(&clip.pictures[0]));
        assert!((200_000..500_000).contains(&clip.bits_per_second()), "{}", clip.bits_per_second());
    }

    #[test]
    fn pictures_end_where_the_next_begins_and_those_before_a_keyframe_are_left_out() {
        let (sps, pps) = ([0, 0, 0, 1, 0x67, 1], [0, 0, 1, 0x68, 1]);
        let (key, key_more) = ([0, 0, 1, 0x65, 0x80, 5], [0, 0, 1, 0x65, 0x40, 5]);
        let delta = [0, 0, 0, 1, 0x41, 0x9a, 0];
        let file = [&delta[..], &sps, &pps, &key, &key_more, &delta, &delta].concat();
        let clip = Clip::parse(&file, SIZE, 30).unwrap();
        let lengths: Vec<usize> = clip.pictures.iter().map(|picture| picture.len()).collect();
        assert_eq!(lengths, [6 + 6 + 7 + 7, 6, 6]);
        for bad in [&b""[..], b"hello", &delta, &key] {
            assert!(matches!(Clip::parse(bad, SIZE, 30), Err(ClipError::NoKeyframe)), "{bad:?}");
        }
    }

    #[test]
    fn silence_has_the_size_of_a_voice() {
        assert_eq!(silence(160).len(), 160);
        assert_eq!(silence(160)[..3], [0xfb, 0x41, 155]);
    }
}
