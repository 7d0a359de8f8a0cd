//! What to do about a stage that failed: the same again, then another backend, then nothing.

use crate::program::time::ProgramTime;

/// A stage that ran this long has recovered.
const FORGOTTEN_NS: u64 = 60_000_000_000;
/// Wait before the third and fourth session on one backend, in ms.
const BACK_OFF_MS: [u64; 2] = [1_000, 4_000];

/// Failures of one stage on one backend.
#[derive(Debug, Default)]
pub struct Recovery {
    failures: Vec<ProgramTime>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Another session on the same backend, not before this time.
    Rebuild(ProgramTime),
    /// Another backend.
    FallBack,
    GiveUp,
}

// === impl Recovery ===

impl Recovery {
    /// `final_backend`: there is no other to fall back to. `unopened`: the session could not even
    /// be opened, so that trying again on the same backend is of little use.
    pub fn handle_failure(
        &mut self,
        now: ProgramTime,
        unopened: bool,
        final_backend: bool,
    ) -> Step {
        self.failures.retain(|at| now.since_ns(*at) < FORGOTTEN_NS);
        self.failures.push(now);
        match self.failures.len() {
            1 if !unopened || final_backend => Step::Rebuild(now),
            _ if !final_backend => {
                self.failures.clear();
                Step::FallBack
            }
            count => match BACK_OFF_MS.get(count - 2) {
                Some(ms) => Step::Rebuild(now.plus_ms(*ms)),
                None => Step::GiveUp,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: ProgramTime = ProgramTime(100_000_000_000);

    #[test]
    fn the_second_failure_is_another_backends_turn() {
        let mut recovery = Recovery::default();
        assert_eq!(recovery.handle_failure(START, false, false), Step::Rebuild(START));
        assert_eq!(recovery.handle_failure(START.plus_ms(3_000), false, false), Step::FallBack);
    }

    #[test]
    fn what_cannot_be_opened_is_another_backends_turn_at_once() {
        assert_eq!(Recovery::default().handle_failure(START, true, false), Step::FallBack);
    }

    #[test]
    fn the_last_backend_is_tried_four_times_and_given_up() {
        let mut recovery = Recovery::default();
        let steps: Vec<Step> =
            (0..4).map(|_| recovery.handle_failure(START, false, true)).collect();
        let expected = [
            Step::Rebuild(START),
            Step::Rebuild(START.plus_ms(1_000)),
            Step::Rebuild(START.plus_ms(4_000)),
            Step::GiveUp,
        ];
        assert_eq!(steps, expected);
    }

    #[test]
    fn a_minute_of_work_is_a_recovery() {
        let mut recovery = Recovery::default();
        for minute in 0..10 {
            let now = START.plus_ms(minute * 60_000);
            assert_eq!(recovery.handle_failure(now, false, true), Step::Rebuild(now));
        }
    }
}
