//! Freezes, as webrtc-stats counts them (`freezeCount`).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Intervals that the mean is taken of.
const WINDOW: usize = 30;
const LEAST_EXCESS: Duration = Duration::from_millis(150);

/// Watches the times at which pictures could be shown.
#[derive(Debug, Default)]
pub(super) struct Smoothness {
    last: Option<Instant>,
    intervals: VecDeque<Duration>,
    sum: Duration,
    pub freezes: u32,
    pub frozen: Duration,
    /// The longest freeze.
    pub longest: Duration,
    pub pictures: u64,
}

// === impl Smoothness ===

impl Smoothness {
    pub fn picture(&mut self, now: Instant) {
        self.pictures += 1;
        let Some(last) = self.last.replace(now) else {
            return;
        };
        let interval = now.saturating_duration_since(last);
        self.judge(interval);
        self.intervals.push_back(interval);
        self.sum += interval;
        if self.intervals.len() > WINDOW
            && let Some(oldest) = self.intervals.pop_front()
        {
            self.sum -= oldest;
        }
    }

    /// The run is over: a picture that is still awaited counts as if it came now.
    pub fn end(&mut self, now: Instant) {
        if let Some(last) = self.last {
            self.judge(now.saturating_duration_since(last));
        }
    }

    /// A freeze is an interval above max(3 × mean, mean + 150 ms).
    fn judge(&mut self, interval: Duration) {
        let count = self.intervals.len() as u32;
        if count == 0 {
            return;
        }
        let mean = self.sum / count;
        if interval > (3 * mean).max(mean + LEAST_EXCESS) {
            self.freezes += 1;
            self.frozen += interval;
            self.longest = self.longest.max(interval);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(intervals_ms: &[u64]) -> Smoothness {
        let mut smoothness = Smoothness::default();
        let mut now = Instant::now();
        smoothness.picture(now);
        for interval in intervals_ms {
            now += Duration::from_millis(*interval);
            smoothness.picture(now);
        }
        smoothness
    }

    #[test]
    fn an_interval_counts_from_three_means_or_150_ms_above_the_mean() {
        let steady = [33; 40];
        let with = |interval: u64| after(&[&steady[..], &[interval], &steady[..]].concat());
        assert_eq!(with(183).freezes, 0);
        assert_eq!(with(184).freezes, 1);
        assert_eq!(with(900).longest, Duration::from_millis(900));
        let slow = [200; 40];
        assert_eq!(after(&[&slow[..], &[600]].concat()).freezes, 0);
        assert_eq!(after(&[&slow[..], &[601]].concat()).freezes, 1);
    }

    #[test]
    fn a_picture_that_never_came_counts_at_the_end() {
        let mut smoothness = after(&[33; 40]);
        let last = smoothness.last.unwrap();
        smoothness.end(last + Duration::from_secs(2));
        assert_eq!((smoothness.freezes, smoothness.frozen), (1, Duration::from_secs(2)));
    }
}
