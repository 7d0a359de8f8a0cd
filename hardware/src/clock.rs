//! Time stamps inside an encoder: always rising, whatever the source's clock does.
//!
//! Encoders refuse or mangle stamps that repeat or go back, and take a jump of an hour for a
//! frame that lasts an hour, which ruins their rate control. So they see a clock of their own,
//! and what comes out gets the frame's stamp back.

use std::collections::VecDeque;

use stentor_protocol::FrameRate;

/// A longer gap than this, in 90 kHz ticks, is a jump: it counts as one frame.
const LONGEST_GAP: i64 = 2 * 90_000;

/// No encoder here holds more pictures than this.
const MOST_PENDING: usize = 32;

/// Maps source stamps to the encoder's and back.
pub(crate) struct Clock {
    /// One frame at the nominal rate, in ticks.
    frame: i64,
    /// The last source stamp and the encoder's for it.
    last: Option<(i64, i64)>,
    /// Encoder and source stamps of the pictures inside, oldest first.
    pending: VecDeque<(i64, i64)>,
}

// === impl Clock ===

impl Clock {
    pub fn new(rate: FrameRate) -> Self {
        let frame = 90_000.0 / rate.as_f64().clamp(1.0, 1000.0);
        Self { frame: frame as i64, last: None, pending: VecDeque::new() }
    }

    /// A picture goes in: the encoder's stamp for it.
    pub fn enter(&mut self, source: i64) -> i64 {
        let inner = match self.last {
            None => 0,
            Some((last, inner)) => match source.checked_sub(last) {
                Some(gap) if (1..=LONGEST_GAP).contains(&gap) => inner + gap,
                _ => inner + self.frame,
            },
        };
        self.last = Some((source, inner));
        if self.pending.len() == MOST_PENDING {
            self.pending.pop_front();
        }
        self.pending.push_back((inner, source));
        inner
    }

    /// A picture comes out: the source's stamp for it. Pictures before it were dropped inside.
    pub fn leave(&mut self, inner: i64) -> Option<i64> {
        while let Some((entered, source)) = self.pending.pop_front() {
            if entered == inner {
                return Some(source);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_encoders_clock_always_rises() {
        let mut clock = Clock::new(FrameRate::new(30, 1));
        let hour = 3600 * 90_000;
        // A start anywhere, a repeat, a step back, a jump ahead, extremes.
        let source = [hour, hour + 3003, hour + 3003, 0, 3000, hour, i64::MAX, i64::MIN, 0];
        let inner = source.map(|pts| clock.enter(pts));
        assert_eq!(inner[..3], [0, 3003, 6003]);
        assert!(inner.windows(2).all(|pair| pair[0] < pair[1]), "{inner:?}");
        assert!(inner.windows(2).all(|pair| pair[1] - pair[0] <= LONGEST_GAP), "{inner:?}");
        for (inner, source) in inner.into_iter().zip(source) {
            assert_eq!(clock.leave(inner), Some(source));
        }
    }

    #[test]
    fn pictures_dropped_inside_are_forgotten() {
        let mut clock = Clock::new(FrameRate::new(25, 1));
        let stamps = [10, 20, 30].map(|pts| clock.enter(pts));
        assert_eq!(clock.leave(stamps[2]), Some(30));
        assert_eq!(clock.leave(stamps[0]), None);
    }

    #[test]
    fn a_rate_of_nothing_is_no_division_by_it() {
        assert_eq!(Clock::new(FrameRate::new(0, 0)).frame, 90_000);
    }
}
