//! How long to wait before a lost source is connected again. Pure: chance is an argument.

use std::time::Duration;

const FIRST_MS: u64 = 500;
const MOST_MS: u64 = 10_000;

/// Doubles from half a second to ten, each wait shortened by up to a quarter by chance, so that
/// many workers don't come back to one server at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    next_ms: u64,
}

// === impl Backoff ===

impl Default for Backoff {
    fn default() -> Self {
        Self { next_ms: FIRST_MS }
    }
}

impl Backoff {
    /// The next wait; `chance` is any number.
    pub fn next(&mut self, chance: u64) -> Duration {
        let whole = self.next_ms;
        self.next_ms = (whole * 2).min(MOST_MS);
        Duration::from_millis(whole - chance % (whole / 4))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_ten_seconds() {
        let mut backoff = Backoff::default();
        let waits: Vec<u128> = (0..7).map(|_| backoff.next(0).as_millis()).collect();
        assert_eq!(waits, [500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
    }

    #[test]
    fn chance_shortens_a_wait_by_a_quarter_at_most() {
        for chance in [1, 124, 125, 999_999_999, u64::MAX] {
            let wait = Backoff::default().next(chance).as_millis();
            assert!((376..=500).contains(&wait), "{wait}");
        }
    }
}
