//! How long to wait before a worker that ended is started again.
//!
//! The first end is answered at once, so that viewers see pictures within two seconds of a
//! crash; a worker that keeps ending waits longer each time.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(250);
/// A worker that lived this long starts a new count.
const STEADY: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub struct Backoff {
    most: Duration,
    failures: u32,
}

// === impl Backoff ===

impl Backoff {
    pub fn new(most: Duration) -> Self {
        Self { most, failures: 0 }
    }

    /// The pause after a worker that lived for `lived`.
    pub fn after(&mut self, lived: Duration) -> Duration {
        if lived >= STEADY {
            self.failures = 0;
        }
        let pause = match self.failures {
            0 => Duration::ZERO,
            n => FIRST.saturating_mul(1 << (n - 1).min(20)).min(self.most),
        };
        self.failures = self.failures.saturating_add(1);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_loop_slows_down_and_a_steady_life_forgives_it() {
        let mut backoff = Backoff::new(Duration::from_secs(30));
        let short = Duration::from_millis(100);
        let pauses: Vec<u64> = (0..10).map(|_| backoff.after(short).as_millis() as u64).collect();
        assert_eq!(pauses, [0, 250, 500, 1000, 2000, 4000, 8000, 16000, 30000, 30000]);
        assert_eq!(backoff.after(STEADY), Duration::ZERO);
        assert_eq!(backoff.after(short), FIRST);
    }
}
