//! Instants at a steady rate, laid on UTC and told on the monotonic clock.

use stentor_protocol::units::FrameRate;

const SECOND_NS: u128 = 1_000_000_000;

/// The k-th instant is at k / rate seconds since the Unix epoch.
#[derive(Debug, Clone, Copy)]
pub struct Grid {
    rate: FrameRate,
    /// UTC minus the monotonic clock, fixed when the grid is made: a step of the system's clock
    /// must not tear the stream.
    unix_minus_monotonic_ns: u64,
}

// === impl Grid ===

impl Grid {
    pub fn new(rate: FrameRate, unix_minus_monotonic_ns: u64) -> Self {
        Self { rate, unix_minus_monotonic_ns }
    }

    /// When the instant is, in ns on the monotonic clock.
    pub fn at(&self, index: u64) -> u64 {
        self.unix_ns(index).saturating_sub(self.unix_minus_monotonic_ns)
    }

    /// The first instant at or after `now_ns` on the monotonic clock.
    pub fn next_index(&self, now_ns: u64) -> u64 {
        let unix = u128::from(now_ns) + u128::from(self.unix_minus_monotonic_ns);
        let (num, den) = self.fraction();
        // Instants are rounded down to whole ns, so the quotient may be one too many.
        let index = (unix * num).div_ceil(SECOND_NS * den) as u64;
        if index > 0 && self.at(index - 1) >= now_ns { index - 1 } else { index }
    }

    /// Time from the last full second of UTC to the instant, ns.
    pub fn since_second_ns(&self, index: u64) -> u64 {
        self.unix_ns(index) % SECOND_NS as u64
    }

    fn unix_ns(&self, index: u64) -> u64 {
        let (num, den) = self.fraction();
        (u128::from(index) * SECOND_NS * den / num) as u64
    }

    fn fraction(&self) -> (u128, u128) {
        (u128::from(self.rate.numerator.max(1)), u128::from(self.rate.denominator.max(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFSET: u64 = 1_763_913_600_123_456_789;

    #[test]
    fn instants_and_indices_agree() {
        for rate in [(30, 1), (25, 1), (60_000, 1001), (48_000, 960), (7, 3)] {
            let grid = Grid::new(FrameRate::new(rate.0, rate.1), OFFSET);
            let first = grid.next_index(5_000_000_000);
            for index in first..first + 500 {
                let at = grid.at(index);
                assert_eq!(grid.next_index(at), index, "{rate:?}");
                assert_eq!(grid.next_index(at + 1), index + 1, "{rate:?}");
            }
        }
    }

    #[test]
    fn a_full_second_begins_with_an_instant_at_whole_rates() {
        for rate in [24, 25, 30, 50, 60] {
            let grid = Grid::new(FrameRate::new(rate, 1), OFFSET);
            let first = grid.next_index(0);
            let full = (first..first + u64::from(rate)).filter(|&i| grid.since_second_ns(i) == 0);
            assert_eq!(full.count(), 1, "{rate}");
        }
    }
}
