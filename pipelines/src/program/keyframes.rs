//! How often the source is asked for a keyframe: at most once a second, whoever wants one.

use crate::program::time::ProgramTime;

const LEAST_APART_NS: u64 = 1_000_000_000;

/// Requests made within a second of one another become one.
#[derive(Debug, Default)]
pub struct Coalescer {
    last: Option<ProgramTime>,
    wanted: bool,
}

// === impl Coalescer ===

impl Coalescer {
    pub fn want(&mut self) {
        self.wanted = true;
    }

    /// A keyframe came, asked for or not: whoever wanted one has it.
    pub fn handle_keyframe(&mut self) {
        self.wanted = false;
    }

    /// Whether to ask now.
    pub fn poll(&mut self, now: ProgramTime) -> bool {
        let due = self.last.is_none_or(|last| now.since_ns(last) >= LEAST_APART_NS);
        let ask = self.wanted && due;
        if ask {
            self.last = Some(now);
            self.wanted = false;
        }
        ask
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: ProgramTime = ProgramTime(7_000_000_000);

    #[test]
    fn a_hundred_requests_in_a_second_are_two() {
        let mut coalescer = Coalescer::default();
        let mut asked = Vec::new();
        for ms in (0..1_500).step_by(10) {
            if ms < 1_000 {
                coalescer.want();
            }
            if coalescer.poll(START.plus_ms(ms)) {
                asked.push(ms);
            }
        }
        assert_eq!(asked, [0, 1_000]);
    }

    #[test]
    fn a_keyframe_that_comes_meanwhile_answers_the_request_that_waits() {
        let mut coalescer = Coalescer::default();
        coalescer.want();
        assert!(coalescer.poll(START));
        coalescer.want();
        assert!(!coalescer.poll(START.plus_ms(500)));
        coalescer.handle_keyframe();
        assert!(!coalescer.poll(START.plus_ms(1_000)));
        coalescer.want();
        assert!(coalescer.poll(START.plus_ms(1_001)));
    }
}
