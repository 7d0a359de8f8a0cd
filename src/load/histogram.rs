//! Quantiles of durations, in memory that doesn't grow.

use std::time::Duration;

/// Steps of 1 ms.
const BUCKETS: usize = 20_000;

/// Durations up to 20 s, to a millisecond; longer ones count as 20 s.
#[derive(Debug, Clone)]
pub(super) struct Histogram {
    counts: Box<[u32]>,
    total: u64,
}

// === impl Histogram ===

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS].into_boxed_slice(), total: 0 }
    }
}

impl Histogram {
    pub fn add(&mut self, duration: Duration) {
        let bucket = (duration.as_millis() as usize).min(BUCKETS - 1);
        self.counts[bucket] = self.counts[bucket].saturating_add(1);
        self.total += 1;
    }

    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine = mine.saturating_add(*theirs);
        }
        self.total += other.total;
    }

    pub fn count(&self) -> u64 {
        self.total
    }

    /// The smallest duration in ms that the fraction `q` doesn't exceed; None without any.
    pub fn quantile_ms(&self, q: f64) -> Option<f64> {
        let wanted = ((self.total as f64 * q).ceil() as u64).max(1);
        let mut seen = 0;
        self.counts.iter().enumerate().find_map(|(bucket, count)| {
            seen += u64::from(*count);
            (seen >= wanted).then_some(bucket as f64)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_a_hundred_values() {
        let mut one = Histogram::default();
        assert_eq!(one.quantile_ms(0.5), None);
        let mut other = Histogram::default();
        (1..=50).for_each(|ms| one.add(Duration::from_millis(ms)));
        (51..=100).for_each(|ms| other.add(Duration::from_millis(ms)));
        one.merge(&other);
        assert_eq!(one.count(), 100);
        assert_eq!(one.quantile_ms(0.5), Some(50.0));
        assert_eq!(one.quantile_ms(0.95), Some(95.0));
        assert_eq!(one.quantile_ms(1.0), Some(100.0));
        one.add(Duration::from_secs(3600));
        assert_eq!(one.quantile_ms(1.0), Some(19_999.0));
    }
}
