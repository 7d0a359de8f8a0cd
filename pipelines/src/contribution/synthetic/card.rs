//! The test card: drawn straight into I420, only where it changes.
//!
//! Top to bottom: the machine-readable stamp, the channel's name, the running clock, the frame
//! number, a disc that runs along its track, and a scrolling colour band with the flash patch
//! at its right. Apart from the flash nothing jumps, so that an encoder has little to do.

use stentor_protocol::stamp::{BEEP_MS, Stamp};
use stentor_protocol::units::Resolution;

use super::font;

const TEXT: u8 = 235;
const PAPER: u8 = 22;
const DISC: (u8, u8, u8) = (210, 60, 165);
/// The disc needs this long from one end of its track to the other, in ms.
const DISC_TRAVEL_MS: u64 = 3000;
/// The colour band moves by this many pixels a frame.
const SCROLL: usize = 4;

/// The moment that a picture shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    pub frame: u32,
    /// What the clock on the card shows and what the stamp says: ms since the Unix epoch.
    pub capture_unix_ms: u64,
    /// Time since the last beep began, in ms.
    pub since_beep_ms: u64,
}

/// Where the planes of the picture lie in its buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Even on both sides.
    pub resolution: Resolution,
    pub strides: [usize; 3],
    pub offsets: [usize; 3],
    pub size: usize,
}

/// Holds the picture between frames.
pub struct Card {
    layout: Layout,
    canvas: Vec<u8>,
    /// One line of the colour band for Y, U and V, twice as long as the picture is wide.
    band: [Vec<u8>; 3],
}

/// A rectangle in luma pixels, even on all sides.
#[derive(Debug, Clone, Copy)]
struct Area {
    x: usize,
    y: usize,
    width: usize,
    height: usize,
}

// === impl Card ===

impl Card {
    pub fn new(layout: Layout, title: &str) -> Self {
        let band = band_lines(layout.resolution.width as usize);
        let mut card = Self { layout, canvas: vec![128; layout.size], band };
        let (width, height) = card.size();
        card.fill(Area { x: 0, y: 0, width, height }, (PAPER, 136, 124));
        let title: String = title.chars().take(24).collect();
        card.text(&title, height * 3 / 20, (height / 180).max(1));
        card
    }

    /// Draws the moment and gives the whole picture.
    pub fn draw(&mut self, moment: Moment) -> &[u8] {
        let (width, height) = self.size();
        let stride = self.layout.strides[0];
        let stamp = Stamp { capture_unix_ms: moment.capture_unix_ms, frame: moment.frame };
        stamp.write(&mut self.canvas, stride, width, height);
        self.text(&clock(moment.capture_unix_ms), height * 5 / 20, (height / 72).max(1));
        self.text(&format!("frame {:08}", moment.frame), height * 8 / 20, (height / 144).max(1));
        self.disc(moment.capture_unix_ms);
        self.colour_band(moment.frame as usize);
        let flash = Area {
            x: even(width * 3 / 4),
            y: even(height * 3 / 4),
            width: width - even(width * 3 / 4),
            height: height - even(height * 3 / 4),
        };
        let luma = if moment.since_beep_ms < BEEP_MS { TEXT } else { 16 };
        self.fill(flash, (luma, 128, 128));
        &self.canvas
    }

    fn size(&self) -> (usize, usize) {
        (self.layout.resolution.width as usize, self.layout.resolution.height as usize)
    }

    fn fill(&mut self, area: Area, colour: (u8, u8, u8)) {
        for (plane, value) in [colour.0, colour.1, colour.2].into_iter().enumerate() {
            for y in area.rows(plane) {
                self.line(plane, y, area.columns(plane)).fill(value);
            }
        }
    }

    /// One line of a plane, in that plane's own pixels.
    fn line(&mut self, plane: usize, y: usize, columns: std::ops::Range<usize>) -> &mut [u8] {
        let start = self.layout.offsets[plane] + y * self.layout.strides[plane];
        &mut self.canvas[start + columns.start..start + columns.end]
    }

    /// Writes a centred line of text, over what was there; as many glyphs as fit.
    fn text(&mut self, text: &str, top: usize, scale: usize) {
        let (width, _) = self.size();
        let cell = (font::WIDTH + 1) * scale;
        let length = text.chars().count().min(width / cell);
        let left = (width - length * cell) / 2;
        for (i, c) in text.chars().take(length).enumerate() {
            let columns = font::glyph(c);
            let x = left + i * cell;
            for row in 0..font::HEIGHT {
                for y in top + row * scale..top + (row + 1) * scale {
                    let line = self.line(0, y, x..x + cell);
                    for (column, pixels) in line.chunks_exact_mut(scale).enumerate() {
                        let ink = columns.get(column).is_some_and(|bits| bits >> row & 1 == 1);
                        pixels.fill(if ink { TEXT } else { PAPER });
                    }
                }
            }
        }
    }

    fn disc(&mut self, now_ms: u64) {
        let (width, height) = self.size();
        let radius = even(height / 16).max(2);
        let track = Area { x: 0, y: even(height * 11 / 20), width, height: radius * 2 };
        self.fill(track, (PAPER, 136, 124));
        let phase = now_ms % (2 * DISC_TRAVEL_MS);
        let along = phase.min(2 * DISC_TRAVEL_MS - phase) as usize;
        let x = even((width - 2 * radius) * along / DISC_TRAVEL_MS as usize);
        for row in 0..radius {
            let dy = 2 * row as i64 - radius as i64;
            let half = (((radius * radius) as i64 - dy * dy).max(0) as f64).sqrt() as usize;
            let span = Area {
                x: even(x + radius - half),
                y: track.y + row * 2,
                width: even(half * 2),
                height: 2,
            };
            self.fill(span, DISC);
        }
    }

    fn colour_band(&mut self, frame: usize) {
        let (width, height) = self.size();
        let area = Area {
            x: 0,
            y: even(height * 3 / 4),
            width: even(width * 3 / 4),
            height: height - even(height * 3 / 4),
        };
        let shift = frame * SCROLL % width;
        let band = std::mem::take(&mut self.band);
        for (plane, source) in band.iter().enumerate() {
            let shift = if plane == 0 { shift } else { shift / 2 };
            let columns = area.columns(plane);
            for y in area.rows(plane) {
                let length = columns.len();
                self.line(plane, y, columns.clone())
                    .copy_from_slice(&source[shift..shift + length]);
            }
        }
        self.band = band;
    }
}

// === impl Area ===

impl Area {
    fn rows(self, plane: usize) -> std::ops::Range<usize> {
        let by = if plane == 0 { 1 } else { 2 };
        self.y / by..(self.y + self.height) / by
    }

    fn columns(self, plane: usize) -> std::ops::Range<usize> {
        let by = if plane == 0 { 1 } else { 2 };
        self.x / by..(self.x + self.width) / by
    }
}

fn even(n: usize) -> usize {
    n & !1
}

/// Smooth bars that join end to end.
fn band_lines(width: usize) -> [Vec<u8>; 3] {
    let wave = |length: usize, periods: f64, phase: f64, middle: f64, swing: f64| {
        (0..2 * length)
            .map(|x| {
                let turn = (x % length) as f64 / length as f64 * periods + phase;
                (middle + swing * (turn * std::f64::consts::TAU).sin()) as u8
            })
            .collect()
    };
    let half = (width / 2).max(1);
    [
        wave(width.max(1), 8.0, 0.0, 120.0, 60.0),
        wave(half, 2.0, 0.0, 128.0, 90.0),
        wave(half, 3.0, 0.25, 128.0, 90.0),
    ]
}

/// UTC as HH:MM:SS.mmm.
fn clock(unix_ms: u64) -> String {
    let (seconds, ms) = (unix_ms / 1000 % 86_400, unix_ms % 1000);
    format!("{:02}:{:02}:{:02}.{ms:03}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// Rows that the stamp covers, so that nothing else is drawn there.
#[cfg(test)]
pub fn stamp_height(height: usize) -> usize {
    use stentor_protocol::stamp::{ROWS, ROWS_PER_PICTURE};

    ROWS * height / ROWS_PER_PICTURE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(width: u32, height: u32) -> Layout {
        let (w, h) = (width as usize, height as usize);
        Layout {
            resolution: Resolution::new(width, height),
            strides: [w, w / 2, w / 2],
            offsets: [0, w * h, w * h * 5 / 4],
            size: w * h * 3 / 2,
        }
    }

    fn moment(frame: u32, since_beep_ms: u64) -> Moment {
        Moment { frame, capture_unix_ms: 1_763_913_600_000 + since_beep_ms, since_beep_ms }
    }

    #[test]
    fn the_stamp_on_the_card_is_the_moment_drawn() {
        for (width, height) in [(1280, 720), (320, 180), (64, 40), (96, 96), (1918, 1078)] {
            let mut card = Card::new(layout(width, height), "demo");
            let picture = card.draw(moment(77, 333)).to_vec();
            let stamp = Stamp::read(&picture, width as usize, width as usize, height as usize);
            if width >= 96 {
                let stamp = stamp.unwrap();
                assert_eq!((stamp.frame, stamp.capture_unix_ms), (77, 1_763_913_600_333));
            }
        }
    }

    #[test]
    fn the_flash_is_white_while_the_beep_sounds() {
        let mut card = Card::new(layout(640, 360), "demo");
        let flash = |picture: &[u8]| picture[(360 - 4) * 640 + 600];
        assert_eq!(flash(card.draw(moment(0, 0))), 235);
        assert_eq!(flash(card.draw(moment(1, 99))), 235);
        assert_eq!(flash(card.draw(moment(2, 100))), 16);
        assert_eq!(flash(card.draw(moment(3, 999))), 16);
    }

    #[test]
    fn the_clock_is_utc() {
        assert_eq!(clock(0), "00:00:00.000");
        assert_eq!(clock(1_763_913_599_999), "15:59:59.999");
    }

    #[test]
    fn nothing_is_drawn_over_the_stamp() {
        let mut card = Card::new(layout(1280, 720), "a very long channel name that has to be cut");
        let before = card.draw(moment(5, 0))[..1280 * stamp_height(720)].to_vec();
        assert!(before.iter().all(|&p| p == 16 || p == 235));
    }
}
