//! Broken access units: never a crash, and the decoder stays of use.

use stentor_protocol::{Choice, Codec};

use super::media::{AV1, H265, STEP, foreign_stream, reordered, stream};
use crate::{Decoder, EncodedUnit};

/// xorshift: the same garbage at every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides.max(1) as u64) as usize
    }

    fn mutate(&mut self, unit: &[u8]) -> Vec<u8> {
        let mut bytes = unit.to_vec();
        match self.roll(6) {
            0 => bytes.truncate(self.roll(bytes.len())),
            1 => {
                let from = self.roll(bytes.len());
                bytes.drain(..from);
            }
            2 => {
                let at = self.roll(bytes.len());
                let other: Vec<u8> = (0..self.roll(64)).map(|_| self.roll(256) as u8).collect();
                bytes.splice(at..at, other);
            }
            3 => bytes = (0..self.roll(2000)).map(|_| self.roll(256) as u8).collect(),
            _ => {
                for _ in 0..=self.roll(12) {
                    let at = self.roll(bytes.len());
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte ^= 1 << self.roll(8);
                    }
                }
            }
        }
        bytes
    }
}

fn survive(codec: Codec, good: &[EncodedUnit], rounds: usize) {
    let mut dice = Dice(0x5eed_0000 + codec as u64 + 1);
    let mut decoder = Decoder::open(codec, &Choice::software()).unwrap();
    let mut pts = 0;
    for _ in 0..rounds {
        let unit = &good[dice.roll(good.len())];
        pts += STEP;
        let bytes = if dice.roll(3) == 0 { unit.data.clone() } else { dice.mutate(&unit.data) };
        for frame in decoder.decode(&bytes, pts).unwrap_or_default() {
            // Touches every sample that the frame claims to have.
            let _ = frame.to_i420();
        }
    }
    // A whole stream again: its pictures come, if not at once.
    let mut shown = 0;
    for unit in good.iter().cycle().take(4 * good.len()) {
        pts += STEP;
        shown += decoder.decode(&unit.data, pts).unwrap_or_default().len();
    }
    assert!(shown > 0, "{codec:?} shows nothing after garbage");
}

#[test]
fn broken_h264_is_survived() {
    survive(Codec::H264, &stream(Codec::H264, 320, 180, 8), 1500);
}

#[test]
fn broken_h264_with_b_frames_is_survived() {
    survive(Codec::H264, &reordered((160, 90), 12), 1500);
}

#[test]
fn broken_h265_is_survived() {
    survive(Codec::H265, &foreign_stream(H265, (160, 90), 8), 1000);
}

#[test]
fn broken_vp8_is_survived() {
    survive(Codec::Vp8, &stream(Codec::Vp8, 320, 180, 8), 1500);
}

#[test]
fn broken_av1_is_survived() {
    survive(Codec::Av1, &foreign_stream(AV1, (160, 90), 8), 600);
}
