//! Places what sources and the slate give on the program's clock.
//!
//! Program time never steps back: not at a change of source, not at a loss, not between source
//! and slate. A source's own time is trusted where it is sane, and moved as a whole where it
//! isn't: audio and video by the same amount, so that lip-sync holds.

use crate::program::time::ProgramTime;

/// A source's time is not believed where it is further ahead of now than this, in ns.
const AHEAD_NS: i64 = 2_000_000_000;
/// Nor where it is further behind, in ns: more than any receive latency we set.
const BEHIND_NS: i64 = 15_000_000_000;
/// How far behind now the slate keeps beyond the source's own delay, so that a source which
/// comes back is later than the last slate picture.
const SLATE_MARGIN_NS: u64 = 100_000_000;
/// A source's delay until one was seen.
const FIRST_DELAY_NS: u64 = 200_000_000;
/// The smallest step between two pictures.
const STEP_NS: u64 = 1_000_000;

#[derive(Debug)]
pub struct ProgramClock {
    /// Added to the source's time.
    offset_ns: i64,
    /// The newest moment told.
    newest: ProgramTime,
    /// Capture to arrival, the longest lately seen.
    delay_ns: u64,
}

// === impl ProgramClock ===

impl Default for ProgramClock {
    fn default() -> Self {
        Self { offset_ns: 0, newest: ProgramTime::default(), delay_ns: FIRST_DELAY_NS }
    }
}

impl ProgramClock {
    /// A source begins, or begins again, with a picture of its time `pts_ns`.
    pub fn begin(&mut self, pts_ns: u64, now: ProgramTime) {
        let apart = now.0 as i64 - pts_ns as i64;
        let sane = (-AHEAD_NS..BEHIND_NS).contains(&apart);
        let wanted = if sane { pts_ns } else { now.0.saturating_sub(self.delay_ns) };
        let placed = wanted.max(self.newest.0 + STEP_NS);
        self.offset_ns = placed as i64 - pts_ns as i64;
        if self.offset_ns != 0 {
            tracing::info!(offset_ms = self.offset_ns / 1_000_000, "the source's time is moved");
        }
    }

    /// The program time of sound of the source that began last. It may run ahead of the picture,
    /// which is not to be moved for that.
    pub fn place_sound(&self, pts_ns: u64) -> ProgramTime {
        ProgramTime(pts_ns.saturating_add_signed(self.offset_ns))
    }

    /// The program time of a picture of the source that began last. Pictures keep their distances
    /// and their order, whatever it is.
    pub fn place(&mut self, pts_ns: u64, now: ProgramTime) -> ProgramTime {
        let placed = pts_ns.saturating_add_signed(self.offset_ns);
        let apart = now.0 as i64 - placed as i64;
        if !(-AHEAD_NS..BEHIND_NS).contains(&apart) {
            self.begin(pts_ns, now);
            return self.place_within(pts_ns);
        }
        self.delay_ns = (apart.max(0) as u64).max(self.delay_ns - self.delay_ns / 512);
        self.place_within(pts_ns)
    }

    /// The time of a slate picture that is made now.
    pub fn slate(&mut self, now: ProgramTime) -> ProgramTime {
        self.newest = self.silence(now).max(ProgramTime(self.newest.0 + STEP_NS));
        self.newest
    }

    /// The time of silence that is made now.
    pub fn silence(&self, now: ProgramTime) -> ProgramTime {
        ProgramTime(now.0.saturating_sub(self.delay_ns + SLATE_MARGIN_NS))
    }

    fn place_within(&mut self, pts_ns: u64) -> ProgramTime {
        let placed = ProgramTime(pts_ns.saturating_add_signed(self.offset_ns));
        self.newest = self.newest.max(placed);
        placed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> ProgramTime {
        ProgramTime(ms * 1_000_000)
    }

    #[test]
    fn a_sane_source_keeps_its_own_time() {
        let mut clock = ProgramClock::default();
        clock.begin(ms(100_000).0, ms(100_050));
        // Decoding order: with B-frames it goes back and forth.
        for pts in [100_000, 100_120, 100_040, 100_080] {
            assert_eq!(clock.place(ms(pts).0, ms(100_150)), ms(pts));
        }
    }

    #[test]
    fn time_never_steps_back_between_source_and_slate() {
        let mut clock = ProgramClock::default();
        clock.begin(ms(100_000).0, ms(100_050));
        let mut last = clock.place(ms(100_000).0, ms(100_050));
        for now in (100_800..103_000).step_by(200) {
            let slate = clock.slate(ms(now));
            assert!(slate > last);
            last = slate;
        }
        // Back, and far later in arriving than before.
        clock.begin(ms(102_000).0, ms(103_000));
        let back = clock.place(ms(102_000).0, ms(103_000));
        assert!(back > last);
        assert_eq!(clock.place(ms(102_040).0, ms(103_040)).0 - back.0, ms(40).0);
    }

    #[test]
    fn a_source_that_comes_back_as_it_was_is_not_moved() {
        let mut clock = ProgramClock::default();
        clock.begin(ms(100_000).0, ms(100_300));
        clock.place(ms(100_000).0, ms(100_300));
        clock.slate(ms(101_200));
        clock.begin(ms(101_000).0, ms(101_300));
        assert_eq!(clock.place(ms(101_000).0, ms(101_300)), ms(101_000));
    }

    #[test]
    fn a_source_with_a_time_of_its_own_is_placed_at_now() {
        for wild in [0, 10, 500_000] {
            let mut clock = ProgramClock::default();
            clock.begin(ms(wild).0, ms(100_000));
            let first = clock.place(ms(wild).0, ms(100_000));
            assert!(first <= ms(100_000) && first >= ms(99_000), "{first:?}");
        }
    }

    #[test]
    fn a_clock_that_jumps_is_followed_without_a_step_back() {
        let mut clock = ProgramClock::default();
        clock.begin(ms(100_000).0, ms(100_050));
        let before = clock.place(ms(100_000).0, ms(100_050));
        let after = clock.place(ms(5).0, ms(100_090));
        assert!(after > before && after <= ms(100_090));
        let next = clock.place(ms(45).0, ms(100_130));
        assert_eq!(next.0 - after.0, ms(40).0);
    }
}
