//! When each picture and packet is shown. Pure.
//!
//! Pictures keep the times at which they were taken; a gap stays one, with the last picture
//! standing. Sound has no holes: browsers play packets one behind the other and don't look at
//! their times, so that each missing packet would shift all that follows. So what is missing is
//! silence, and a sound card whose clock differs from ours costs a packet now and then. Sound is
//! never further from its own time than a packet of silence lasts.

use crate::container::matroska::TICKS_PER_SECOND;
use crate::container::mp4::TIMESCALE;
use crate::container::opus::{RATE_HZ, SILENCE_SAMPLES};

/// Of the last picture, which nothing follows, in the pictures' clock.
const LAST_DURATION: u32 = TIMESCALE / 30;
/// Nothing for so long is a gap, in ticks.
const GAP_TICKS: i64 = TICKS_PER_SECOND;

/// The pictures' times, in their own clock.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct PictureTimes {
    /// Duration and shift of each, in decoding order.
    pub each: Vec<(u32, u32)>,
    /// What is to be skipped: how much earlier than it is shown each has to be decoded.
    pub skip: u32,
}

/// What goes in front of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// So many packets of silence, then the packet.
    After(u32),
    /// The packet comes when its time is taken.
    Dropped,
}

/// Where the sound is, in samples from the file's begin.
#[derive(Debug, Default)]
pub struct SoundLine {
    at: i64,
}

/// Finds spans without anything.
#[derive(Debug, Default)]
pub struct Gaps {
    end: Option<i64>,
    pub found: Vec<(i64, i64)>,
}

pub fn picture_clock(ticks: i64) -> i64 {
    ticks * i64::from(TIMESCALE) / TICKS_PER_SECOND
}

pub fn sound_clock(ticks: i64) -> i64 {
    ticks * i64::from(RATE_HZ) / TICKS_PER_SECOND
}

/// From when pictures are shown, in their clock and in decoding order.
pub fn picture_times(shown: &[i64]) -> PictureTimes {
    let mut decoded = shown.to_vec();
    decoded.sort_unstable();
    for index in 1..decoded.len() {
        decoded[index] = decoded[index].max(decoded[index - 1] + 1);
    }
    let late = decoded.iter().zip(shown).map(|(decoded, shown)| decoded - shown);
    let skip = late.max().unwrap_or(0).max(0);
    let short = |n: i64| u32::try_from(n).unwrap_or(u32::MAX);
    let last = match decoded[..] {
        // A gap before the last one is no measure.
        [.., a, b, c] => short((b - a).min(c - b)).clamp(1, TIMESCALE),
        [a, b] => short(b - a).clamp(1, TIMESCALE),
        _ => LAST_DURATION,
    };
    let each = shown.iter().enumerate().map(|(index, shown)| {
        let duration = decoded.get(index + 1).map_or(last, |next| short(next - decoded[index]));
        (duration, short(shown + skip - decoded[index]))
    });
    PictureTimes { each: each.collect(), skip: short(skip) }
}

// === impl SoundLine ===

impl SoundLine {
    /// A packet of `samples` whose own time is `time`.
    pub fn place(&mut self, time: i64, samples: u32) -> Place {
        let silence = i64::from(SILENCE_SAMPLES);
        let apart = time - self.at;
        if apart <= -silence {
            return Place::Dropped;
        }
        let missing = if apart >= silence { (apart + silence / 2) / silence } else { 0 };
        self.at += missing * silence + i64::from(samples);
        Place::After(u32::try_from(missing).unwrap_or(u32::MAX))
    }
}

// === impl Gaps ===

impl Gaps {
    /// Something is there at this time.
    pub fn handle(&mut self, ticks: i64) {
        match self.end {
            Some(end) if ticks > end + GAP_TICKS => self.found.push((end, ticks)),
            _ => {}
        }
        self.cover(ticks);
    }

    /// Something is there up to this time.
    pub fn cover(&mut self, ticks: i64) {
        self.end = Some(self.end.map_or(ticks, |end| end.max(ticks)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_that_come_in_order_are_decoded_when_they_are_shown() {
        let times = picture_times(&[0, 3_000, 6_000, 96_000]);
        let expected = vec![(3_000, 0), (3_000, 0), (90_000, 0), (3_000, 0)];
        assert_eq!(times, PictureTimes { each: expected, skip: 0 });
        assert_eq!(picture_times(&[7]).each, [(LAST_DURATION, 0)]);
        assert_eq!(picture_times(&[]), PictureTimes::default());
    }

    #[test]
    fn pictures_with_b_frames_are_decoded_before_they_are_shown() {
        let shown = [0, 9_000, 3_000, 6_000, 18_000, 12_000, 15_000];
        let times = picture_times(&shown);
        assert_eq!(times.skip, 3_000);
        let mut decoded = 0;
        for ((duration, shift), shown) in times.each.iter().zip(shown) {
            assert_eq!(decoded + i64::from(*shift) - 3_000, shown);
            decoded += i64::from(*duration);
        }
    }

    #[test]
    fn pictures_of_the_same_time_are_a_tick_apart() {
        assert_eq!(picture_times(&[5, 5, 5]).each, [(1, 2), (1, 1), (1, 0)]);
    }

    /// Plays packets of 20 ms and gives how far the worst of those that are kept is from its time.
    fn worst(times: impl Iterator<Item = i64>) -> (i64, usize) {
        let (mut line, mut worst, mut kept) = (SoundLine::default(), 0, 0);
        for time in times {
            if let Place::After(_) = line.place(time, 960) {
                worst = worst.max((line.at - 960 - time).abs());
                kept += 1;
            }
        }
        (worst, kept)
    }

    #[test]
    fn an_hour_of_a_sound_card_that_is_off_stays_within_a_packet() {
        for parts_per_million in [-200, -50, 0, 50, 200] {
            let step = 960_000_000 + 960 * parts_per_million;
            let jitter = |n: i64| n * 7_919 % 480 - 240;
            let times = (0..180_000).map(|n| n * step / 1_000_000 + jitter(n));
            let (worst, kept) = worst(times);
            assert!(worst <= 960, "{parts_per_million}: {worst} samples");
            assert!(kept > 179_900, "{parts_per_million}: {kept} packets");
        }
    }

    #[test]
    fn what_is_missing_is_silence() {
        let mut line = SoundLine::default();
        assert_eq!(line.place(48_000, 960), Place::After(50));
        assert_eq!(line.place(48_960 + 959, 960), Place::After(0));
        assert_eq!(line.place(49_920 + 960, 960), Place::After(1));
        assert_eq!(line.place(49_920, 960), Place::Dropped);
    }

    #[test]
    fn a_second_without_anything_is_a_gap() {
        let mut gaps = Gaps::default();
        for ticks in [0, 10_000, 9_000, 25_000, 26_000] {
            gaps.handle(ticks);
        }
        assert_eq!(gaps.found, [(10_000, 25_000)]);
    }
}
