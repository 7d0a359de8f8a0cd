//! The machine-readable stamp in the synthetic camera's picture, and where its flash is.
//!
//! A viewer that decodes a picture reads from it when it was captured, so that latency is
//! measured from the camera to the screen, through scaling and coding. Layout, all in fractions
//! of the picture, so that it scales with it:
//!
//! - [`ROWS`] × [`COLUMNS`] blocks fill the picture's full width at its top; a row is a 20th of
//!   the picture high. Block `c` spans the pixels from `c * width / 48` to `(c + 1) * width / 48`,
//!   row `r` from `r * height / 20` to `(r + 1) * height / 20`, both rounded down.
//! - A block is white (luma 235) for 1 and black (luma 16) for 0, without colour. A reader takes
//!   the mean of the middle of the block and compares it with 126.
//! - The 96 bits run left to right, then down, the most significant first: 4 bits `1010`;
//!   44 bits capture time in ms since the Unix epoch; 32 bits frame number; 16 bits CRC
//!   (CRC-16/CCITT-FALSE: polynomial 0x1021, start 0xffff) of the 80 bits before it.
//! - The flash patch spans x from 3/4 of the width to its end and y from 3/4 of the height to
//!   its end. It is white while the beep sounds, the first [`BEEP_MS`] of every second, and dark
//!   else. Picture and tone begin at the same instant of the source's clock.

/// Blocks in a row.
pub const COLUMNS: usize = 48;
/// Rows of blocks.
pub const ROWS: usize = 2;
/// Of how many such rows the picture is high.
pub const ROWS_PER_PICTURE: usize = 20;
/// How long the tone and the flash last, in ms, from the start of every second.
pub const BEEP_MS: u64 = 100;
/// The tone's frequency, in Hz.
pub const BEEP_HZ: u32 = 1000;

const BITS: usize = ROWS * COLUMNS;
const MARKER: u128 = 0b1010;
const WHITE: u8 = 235;
const BLACK: u8 = 16;
const THRESHOLD: u32 = 126;

/// What is burnt into a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// When the picture was captured, in ms since the Unix epoch. 44 bits.
    pub capture_unix_ms: u64,
    pub frame: u32,
}

// === impl Stamp ===

impl Stamp {
    /// Writes the stamp into the luma plane of a picture of `width` × `height`. A plane that is
    /// too small for its picture is left as it is.
    pub fn write(self, luma: &mut [u8], stride: usize, width: usize, height: usize) {
        let bits = self.bits();
        for row in 0..ROWS {
            for y in row * height / ROWS_PER_PICTURE..(row + 1) * height / ROWS_PER_PICTURE {
                let Some(line) = luma.get_mut(y * stride..y * stride + width) else { return };
                for column in 0..COLUMNS {
                    let bit = bits >> (BITS - 1 - (row * COLUMNS + column)) & 1;
                    let block = column * width / COLUMNS..(column + 1) * width / COLUMNS;
                    line[block].fill(if bit == 1 { WHITE } else { BLACK });
                }
            }
        }
    }

    /// Reads the stamp of a decoded picture's luma plane; None where there is none, or where it
    /// did not survive.
    pub fn read(luma: &[u8], stride: usize, width: usize, height: usize) -> Option<Self> {
        let mut bits = 0_u128;
        for row in 0..ROWS {
            let ys = middle(row * height / ROWS_PER_PICTURE, (row + 1) * height / ROWS_PER_PICTURE);
            for column in 0..COLUMNS {
                let xs = middle(column * width / COLUMNS, (column + 1) * width / COLUMNS);
                let (mut sum, mut count) = (0_u32, 0_u32);
                for y in ys.clone() {
                    let line = luma.get(y * stride + xs.start..y * stride + xs.end)?;
                    sum += line.iter().map(|&p| u32::from(p)).sum::<u32>();
                    count += line.len() as u32;
                }
                bits = bits << 1 | u128::from(sum.checked_div(count)? > THRESHOLD);
            }
        }
        let stamp = Self {
            capture_unix_ms: (bits >> 48) as u64 & ((1 << 44) - 1),
            frame: (bits >> 16) as u32,
        };
        (stamp.bits() == bits).then_some(stamp)
    }

    fn bits(self) -> u128 {
        let time = u128::from(self.capture_unix_ms & ((1 << 44) - 1));
        let head = MARKER << 76 | time << 32 | u128::from(self.frame);
        head << 16 | u128::from(crc16(&head.to_be_bytes()[6..]))
    }
}

/// The middle half of a span, at least one pixel of it where it has one.
fn middle(start: usize, end: usize) -> std::ops::Range<usize> {
    let quarter = (end - start) / 4;
    start + quarter..end - quarter
}

fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xffff, |crc, &byte| {
        (0..8).fold(crc ^ u16::from(byte) << 8, |crc, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: Stamp = Stamp { capture_unix_ms: 1_763_913_600_123, frame: 0xdead_beef };

    #[test]
    fn the_checksum_is_the_published_one() {
        assert_eq!(crc16(b"123456789"), 0x29b1);
    }

    #[test]
    fn a_stamp_is_read_back_at_any_size_it_fits() {
        for (width, height) in [(1280, 720), (1920, 1080), (320, 180), (854, 480), (642, 362)] {
            let stride = width + 13;
            let mut luma = vec![90; stride * height];
            STAMP.write(&mut luma, stride, width, height);
            assert_eq!(Stamp::read(&luma, stride, width, height), Some(STAMP), "{width}x{height}");
        }
    }

    #[test]
    fn a_stamp_survives_scaling_and_noise() {
        let (width, height) = (1280, 720);
        let mut luma = vec![90; width * height];
        STAMP.write(&mut luma, width, width, height);
        let (small_width, small_height) = (320, 180);
        let mut small = vec![0; small_width * small_height];
        for y in 0..small_height {
            for x in 0..small_width {
                let box_sum: u32 = (0..4)
                    .flat_map(|dy| (0..4).map(move |dx| (dx, dy)))
                    .map(|(dx, dy)| u32::from(luma[(y * 4 + dy) * width + x * 4 + dx]))
                    .sum();
                let noise = ((x * 31 + y * 17) % 61) as i32 - 30;
                small[y * small_width + x] = (box_sum as i32 / 16 + noise).clamp(0, 255) as u8;
            }
        }
        assert_eq!(Stamp::read(&small, small_width, small_width, small_height), Some(STAMP));
    }

    #[test]
    fn a_picture_without_a_whole_stamp_gives_none() {
        let (width, height) = (640, 360);
        let mut luma = vec![90; width * height];
        assert_eq!(Stamp::read(&luma, width, width, height), None);
        STAMP.write(&mut luma, width, width, height);
        for y in 0..18 {
            luma[y * width + 200..y * width + 214].iter_mut().for_each(|p| *p = 251 - *p);
        }
        assert_eq!(Stamp::read(&luma, width, width, height), None);
        assert_eq!(Stamp::read(&luma[..100], width, width, height), None);
        assert_eq!(Stamp::read(&[], 0, 0, 0), None);
    }
}
