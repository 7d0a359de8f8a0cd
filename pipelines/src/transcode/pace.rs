//! Fewer frames than the source has: which of them a rung takes.

use stentor_protocol::FrameRate;

/// Picks frames by their time, so that sources with an uneven rate come out as even as they can.
#[derive(Debug)]
pub struct Pace {
    /// Ticks of 90 kHz between two frames; 0 takes every frame.
    interval: i64,
    due: i64,
}

// === impl Pace ===

impl Pace {
    pub fn new(frame_rate: Option<FrameRate>) -> Self {
        let interval = match frame_rate {
            Some(FrameRate { numerator: n @ 1.., denominator }) => {
                90_000 * i64::from(denominator) / i64::from(n)
            }
            _ => 0,
        };
        Self { interval, due: i64::MIN }
    }

    /// Whether to take the frame of this time. A keyframe is always taken.
    pub fn take(&mut self, ticks: i64, keyframe: bool) -> bool {
        // Timestamps jitter: a frame that is early by a quarter of an interval is on time.
        let take = keyframe || ticks.saturating_add(self.interval / 4) >= self.due;
        if take {
            let on_time = ticks.saturating_sub(self.due) < self.interval;
            let from = if on_time && !keyframe { self.due } else { ticks };
            self.due = from.saturating_add(self.interval);
        }
        take
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(rate: Option<FrameRate>, ticks: impl Iterator<Item = i64>) -> Vec<usize> {
        let mut pace = Pace::new(rate);
        ticks.enumerate().filter(|(_, t)| pace.take(*t, false)).map(|(index, _)| index).collect()
    }

    #[test]
    fn without_a_rate_every_frame_is_taken() {
        assert_eq!(taken(None, (0..5).map(|i| i * 1_500)), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn half_the_rate_is_every_second_frame_however_they_jitter() {
        let jitter = [0, 90, -80, 40, 200, -150, 0, 300];
        let ticks = jitter.iter().enumerate().map(|(i, jitter)| i as i64 * 1_500 + jitter);
        assert_eq!(taken(Some(FrameRate::new(30, 1)), ticks), [0, 2, 4, 6]);
    }

    #[test]
    fn a_rate_that_does_not_divide_is_met_on_average() {
        let count = taken(Some(FrameRate::new(25, 1)), (0..300).map(|i| i * 3_000)).len();
        assert!((248..=252).contains(&count), "{count}");
    }

    #[test]
    fn a_source_slower_than_the_rate_loses_nothing() {
        let count = taken(Some(FrameRate::new(30, 1)), (0..50).map(|i| i * 6_000)).len();
        assert_eq!(count, 50);
    }

    #[test]
    fn a_keyframe_is_always_taken() {
        let mut pace = Pace::new(Some(FrameRate::new(10, 1)));
        assert!(pace.take(0, false));
        assert!(!pace.take(3_000, false));
        assert!(pace.take(6_000, true));
        assert!(!pace.take(9_000, false));
        assert!(pace.take(15_000, false));
    }
}
