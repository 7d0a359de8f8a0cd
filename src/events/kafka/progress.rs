//! Whether Kafka takes what it is sent.

use std::time::{Duration, Instant};

/// What became of records lately.
#[derive(Debug)]
pub struct Progress {
    /// When something was acknowledged last, or nothing was to be sent.
    moved: Instant,
    /// Something was refused after that, and is to be sent again.
    refused: bool,
}

/// With nothing acknowledged for so long, the operator is told.
const STUCK_AFTER: Duration = Duration::from_secs(5);

// === impl Progress ===

impl Progress {
    pub fn new(now: Instant) -> Self {
        Self { moved: now, refused: false }
    }

    pub fn handle_acknowledged(&mut self, now: Instant) {
        *self = Self::new(now);
    }

    pub fn handle_refused(&mut self) {
        self.refused = true;
    }

    /// `waiting`: records that are sent and not acknowledged.
    pub fn is_stuck(&mut self, waiting: usize, now: Instant) -> bool {
        if waiting == 0 && !self.refused {
            self.moved = now;
        }
        now - self.moved > STUCK_AFTER
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_stuck_while_nothing_is_acknowledged_for_long() {
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let mut progress = Progress::new(begin);
        for (waiting, now, stuck) in [(0, 100, false), (3, 104, false), (3, 106, true)] {
            assert_eq!(progress.is_stuck(waiting, at(now)), stuck, "{now}");
        }
        progress.handle_acknowledged(at(107));
        for (waiting, now, stuck) in [(3, 107, false), (3, 113, true), (0, 114, false)] {
            assert_eq!(progress.is_stuck(waiting, at(now)), stuck, "{now}");
        }
    }

    #[test]
    fn it_is_stuck_while_everything_is_refused_though_nothing_waits_then() {
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let mut progress = Progress::new(begin);
        for now in 0..10 {
            progress.handle_refused();
            assert_eq!(progress.is_stuck(0, at(now)), now > 5, "{now}");
        }
        progress.handle_acknowledged(at(10));
        for (now, stuck) in [(10, false), (20, false)] {
            assert_eq!(progress.is_stuck(0, at(now)), stuck, "{now}");
        }
    }
}
