//! What a look at the orders found, and when the next one is due.

use std::time::Duration;

/// How an order was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// It was dealt with, or put off.
    Done,
    /// It isn't there any more.
    Gone,
    /// Its time, in milliseconds since 1970, hasn't come.
    NotBefore(i64),
    /// Somebody else works on it, who is given up then.
    Theirs { until_ms: i64 },
    /// Something failed.
    Failed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    now_ms: i64,
    due_ms: Option<i64>,
    is_settled: bool,
}

/// Between two looks, at least.
const SHORTEST: Duration = Duration::from_millis(200);
/// After something failed.
const AFTER_FAILURE_MS: i64 = 5000;

// === impl Found ===

impl Found {
    pub const fn nothing(now_ms: i64) -> Self {
        Self { now_ms, due_ms: None, is_settled: true }
    }

    pub fn note(&mut self, left: Left) {
        let due_ms = match left {
            Left::Gone => return,
            // It may be there still, with another time.
            Left::Done => self.now_ms,
            Left::NotBefore(at_ms) => at_ms,
            Left::Theirs { until_ms } => until_ms,
            Left::Failed => self.now_ms.saturating_add(AFTER_FAILURE_MS),
        };
        self.is_settled &= !matches!(left, Left::Theirs { .. } | Left::Failed);
        self.due_ms = Some(self.due_ms.map_or(due_ms, |due| due.min(due_ms)));
    }

    /// Everything is done that can be, whoever dies now.
    pub const fn is_settled(&self) -> bool {
        self.is_settled
    }

    /// Until the next look: not longer than `most`.
    pub fn pause(&self, now_ms: i64, most: Duration) -> Duration {
        let Some(due_ms) = self.due_ms else { return most };
        let left = u64::try_from(due_ms.saturating_sub(now_ms)).unwrap_or(0);
        Duration::from_millis(left).max(SHORTEST).min(most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_look_is_when_something_can_be_done() {
        let most = Duration::from_secs(60);
        for (left, pause_ms, is_settled) in [
            (&[][..], 60_000, true),
            (&[Left::Gone], 60_000, true),
            (&[Left::Done], 200, true),
            (&[Left::NotBefore(3000)], 2000, true),
            (&[Left::NotBefore(9_000_000)], 60_000, true),
            (&[Left::Theirs { until_ms: 31_000 }], 30_000, false),
            (&[Left::Theirs { until_ms: 900 }], 200, false),
            (&[Left::Failed, Left::NotBefore(9000)], 5000, false),
            (&[Left::Theirs { until_ms: 31_000 }, Left::NotBefore(9000)], 8000, false),
        ] {
            let mut found = Found::nothing(1000);
            left.iter().for_each(|left| found.note(*left));
            assert_eq!(found.pause(1000, most).as_millis(), pause_ms, "{left:?}");
            assert_eq!(found.is_settled(), is_settled, "{left:?}");
        }
    }
}
