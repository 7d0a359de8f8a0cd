//! For how long a device may be here: as long as its token is good. It is told in time, and may
//! show another one meanwhile.
//!
//! Pure: time is an argument.

use std::time::{Duration, Instant};

/// Of one socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Right {
    /// None: for good.
    ends: Option<Instant>,
    is_told: bool,
}

/// What is to be done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// The device is to be told that so much is left.
    Notice(Duration),
    End,
}

/// How long before its end a device is told.
pub const NOTICE: Duration = Duration::from_secs(60);

// === impl Right ===

impl Right {
    pub fn until(ends: Option<Instant>) -> Self {
        Self { ends, is_told: false }
    }

    /// When there is something to be done.
    pub fn next(&self) -> Option<Instant> {
        let ends = self.ends?;
        Some(if self.is_told { ends } else { ends.checked_sub(NOTICE).unwrap_or(ends) })
    }

    pub fn take_due(&mut self, now: Instant) -> Option<Due> {
        if self.next()? > now {
            return None;
        }
        let left = self.ends?.saturating_duration_since(now);
        if left.is_zero() {
            return Some(Due::End);
        }
        self.is_told = true;
        Some(Due::Notice(left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_told_once_and_in_time_and_then_it_ends() {
        let now = Instant::now() + 2 * NOTICE;
        let minutes = |n: u32| now + n * NOTICE;
        let mut right = Right::until(Some(minutes(5)));
        assert_eq!((right.next(), right.take_due(minutes(3))), (Some(minutes(4)), None));
        assert_eq!(right.take_due(minutes(4)), Some(Due::Notice(NOTICE)));
        assert_eq!((right.next(), right.take_due(minutes(4))), (Some(minutes(5)), None));
        assert_eq!(right.take_due(minutes(5)), Some(Due::End));

        let mut short = Right::until(Some(now + NOTICE / 6));
        assert_eq!(short.take_due(now), Some(Due::Notice(NOTICE / 6)));
        // A machine that slept through the notice.
        let mut late = Right::until(Some(minutes(5)));
        assert_eq!(late.take_due(minutes(6)), Some(Due::End));
        let mut ever = Right::until(None);
        assert_eq!((ever.next(), ever.take_due(minutes(9))), (None, None));
    }
}
