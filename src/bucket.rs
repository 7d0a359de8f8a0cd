//! A token bucket: so many at once, and so many a second on average.
//!
//! Pure: time is an argument.

use std::time::{Duration, Instant};

/// How fast a bucket fills, and how much it holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    pub per_second: f64,
    pub burst: f64,
}

#[derive(Debug, Clone, Copy)]
pub struct Bucket {
    tokens: f64,
    at: Instant,
}

// === impl Rate ===

impl Rate {
    /// `burst` at once, and then one each `every`.
    pub fn one_each(every: Duration, burst: u32) -> Self {
        Self { per_second: every.as_secs_f64().recip(), burst: f64::from(burst) }
    }
}

// === impl Bucket ===

impl Bucket {
    /// A full one.
    pub fn new(rate: Rate, now: Instant) -> Self {
        Self { tokens: rate.burst, at: now }
    }

    /// Takes `cost` tokens, or says how long to wait for them. What costs more than the bucket
    /// holds takes all of it.
    pub fn take(&mut self, cost: f64, rate: Rate, now: Instant) -> Result<(), Duration> {
        self.refill(rate, now);
        let cost = cost.min(rate.burst);
        if self.tokens >= cost {
            self.tokens -= cost;
            return Ok(());
        }
        Err(Duration::from_secs_f64((cost - self.tokens) / rate.per_second))
    }

    /// Puts back what was taken for something that turned out to cost nothing.
    pub fn put_back(&mut self, cost: f64, rate: Rate) {
        self.tokens = (self.tokens + cost).min(rate.burst);
    }

    /// When it is full again: from then on it is as good as none.
    pub fn full_at(&self, rate: Rate) -> Instant {
        let missing = (rate.burst - self.tokens).max(0.0);
        self.at + Duration::from_secs_f64(missing / rate.per_second)
    }

    fn refill(&mut self, rate: Rate, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.tokens = (self.tokens + passed * rate.per_second).min(rate.burst);
        self.at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_then_the_rate_counts() {
        let t0 = Instant::now();
        let rate = Rate { per_second: 2.0, burst: 3.0 };
        let mut bucket = Bucket::new(rate, t0);
        assert!(bucket.full_at(rate) <= t0);
        for _ in 0..3 {
            assert_eq!(bucket.take(1.0, rate, t0), Ok(()));
        }
        assert_eq!(bucket.take(1.0, rate, t0), Err(Duration::from_millis(500)));
        assert_eq!(bucket.full_at(rate), t0 + Duration::from_millis(1500));
        assert_eq!(bucket.take(9.0, rate, t0 + Duration::from_secs(2)), Ok(()));
        assert!(bucket.take(1.0, rate, t0 + Duration::from_secs(2)).is_err());
    }
}
