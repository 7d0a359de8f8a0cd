//! How long to wait before something that failed is tried again.

use std::time::Duration;

/// Pauses that double up to a bound, each shortened by chance: those who failed together don't
/// come again together.
#[derive(Debug, Clone)]
pub struct Pauses {
    first: Duration,
    most: Duration,
    failures: u32,
}

// === impl Pauses ===

impl Pauses {
    pub const fn new(first: Duration, most: Duration) -> Self {
        Self { first, most, failures: 0 }
    }

    /// The same after so many failures.
    pub const fn after(mut self, failures: u32) -> Self {
        self.failures = failures;
        self
    }

    /// After a failure. `chance` is from 0 up to 1.
    pub fn next(&mut self, chance: f64) -> Duration {
        let whole = self.first.saturating_mul(1 << self.failures.min(20)).min(self.most);
        self.failures = self.failures.saturating_add(1);
        whole.mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0)
    }

    /// It worked.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    pub const fn failures(&self) -> u32 {
        self.failures
    }
}

/// From 0 up to 1; in the middle where there are no random numbers.
pub fn chance() -> f64 {
    getrandom::u32().map_or(0.5, |bits| f64::from(bits) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_bound_and_begin_anew_after_a_success() {
        let ms = |ms| Duration::from_millis(ms);
        let mut pauses = Pauses::new(ms(100), ms(1000));
        let all: Vec<Duration> = (0..6).map(|_| pauses.next(1.0)).collect();
        assert_eq!(all, [ms(100), ms(200), ms(400), ms(800), ms(1000), ms(1000)]);
        assert_eq!(pauses.next(0.0), ms(500));
        pauses.reset();
        assert_eq!(pauses.next(0.5), ms(75));
    }
}
