//! Whether a stage is alive: it is fed, so it has to give.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use crate::program::time::ProgramTime;

/// A stage that is fed and gives nothing for longer than this hangs, in ns.
const STALLED_NS: u64 = 2_000_000_000;
/// A first session on a device may take longer: its driver starts too.
const UNOPENED_NS: u64 = 8_000_000_000;

/// Set by the threads at either end of a stage, read by the one that watches.
#[derive(Debug, Default)]
pub struct Pulse {
    /// When the oldest input came that has no output yet, in program time; 0: none.
    unanswered_since: AtomicU64,
    opened: AtomicBool,
}

// === impl Pulse ===

impl Pulse {
    pub fn fed(&self, now: ProgramTime) {
        let _ = self.unanswered_since.compare_exchange(0, now.0, Relaxed, Relaxed);
    }

    pub fn gave(&self) {
        self.unanswered_since.store(0, Relaxed);
    }

    /// The session is open; what waited meanwhile counts from now.
    pub fn opened(&self, now: ProgramTime) {
        self.opened.store(true, Relaxed);
        let since = self.unanswered_since.load(Relaxed);
        if since != 0 {
            let _ = self.unanswered_since.compare_exchange(since, now.0, Relaxed, Relaxed);
        }
    }

    pub fn has_stopped(&self, now: ProgramTime) -> bool {
        let limit = if self.opened.load(Relaxed) { STALLED_NS } else { UNOPENED_NS };
        match self.unanswered_since.load(Relaxed) {
            0 => false,
            since => now.0.saturating_sub(since) > limit,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: ProgramTime = ProgramTime(1_000_000_000);

    #[test]
    fn a_stage_that_is_fed_for_two_seconds_and_gives_nothing_has_stopped() {
        let pulse = Pulse::default();
        pulse.opened(START);
        assert!(!pulse.has_stopped(START.plus_ms(60_000)), "nobody feeds it");
        pulse.fed(START);
        pulse.fed(START.plus_ms(1_900));
        assert!(!pulse.has_stopped(START.plus_ms(2_000)));
        assert!(pulse.has_stopped(START.plus_ms(2_001)));
        pulse.gave();
        assert!(!pulse.has_stopped(START.plus_ms(2_001)));
    }

    #[test]
    fn a_session_that_is_being_opened_has_more_time() {
        let pulse = Pulse::default();
        pulse.fed(START);
        assert!(!pulse.has_stopped(START.plus_ms(7_000)));
        pulse.opened(START.plus_ms(7_000));
        assert!(!pulse.has_stopped(START.plus_ms(8_500)));
        assert!(pulse.has_stopped(START.plus_ms(9_001)));
        let never = Pulse::default();
        never.fed(START);
        assert!(never.has_stopped(START.plus_ms(8_001)));
    }
}
