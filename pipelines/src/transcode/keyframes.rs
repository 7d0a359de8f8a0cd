//! Where keyframes fall: the same pictures in every encoded rung, so that a viewer may change
//! between any two of them.
//!
//! Requests are coalesced to one a second. The source's own keyframes are kept where a second has
//! passed, so that a rung which passes the source through has its keyframes in common with the
//! others.

/// In ticks of 90 kHz. A little less than a second, for sources that have a keyframe a second.
const LEAST_APART: i64 = 88_000;
/// Without anyone asking: what was missed once is not missed for ever.
const MOST_APART: i64 = 10 * 90_000;

#[derive(Debug, Default)]
pub struct KeyframePlan {
    last: Option<i64>,
    wanted: bool,
}

// === impl KeyframePlan ===

impl KeyframePlan {
    pub fn want(&mut self) {
        self.wanted = true;
    }

    /// Whether the picture of this time becomes a keyframe, in all rungs.
    pub fn decide(&mut self, ticks: i64, source_keyframe: bool) -> bool {
        let apart = self.last.map_or(i64::MAX, |last| ticks.saturating_sub(last));
        let force =
            apart >= MOST_APART || (apart >= LEAST_APART && (self.wanted || source_keyframe));
        if force {
            self.last = Some(ticks);
            self.wanted = false;
        }
        force
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: i64 = 3_000;

    /// The frames, of so many, that become keyframes.
    fn forced(frames: i64, wants: impl Fn(i64) -> bool, source: impl Fn(i64) -> bool) -> Vec<i64> {
        let mut plan = KeyframePlan::default();
        (0..frames)
            .filter(|frame| {
                if wants(*frame) {
                    plan.want();
                }
                plan.decide(frame * FRAME, source(*frame))
            })
            .collect()
    }

    #[test]
    fn the_first_picture_is_a_keyframe_and_then_one_every_ten_seconds() {
        assert_eq!(forced(700, |_| false, |_| false), [0, 300, 600]);
    }

    #[test]
    fn requests_are_answered_at_once_and_at_most_once_a_second() {
        assert_eq!(forced(90, |frame| frame == 45, |_| false), [0, 45]);
        assert_eq!(forced(90, |_| true, |_| false), [0, 30, 60]);
    }

    #[test]
    fn the_sources_keyframes_are_everyones_where_a_second_has_passed() {
        assert_eq!(forced(100, |_| false, |frame| frame % 40 == 0), [0, 40, 80]);
        assert_eq!(forced(100, |_| false, |frame| frame % 15 == 0), [0, 30, 60, 90]);
    }

    #[test]
    fn a_source_keyframe_answers_the_request_that_waits() {
        assert_eq!(forced(60, |frame| frame == 10, |frame| frame == 30), [0, 30]);
    }
}
