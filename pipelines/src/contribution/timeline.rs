//! Puts a source's timestamps on the monotonic clock and keeps them there.
//!
//! A live source's clock may jump: an encoder restarts, a PCR wraps, NTP steps it. What comes out
//! of here stays near now and never goes back further than B-frames do. Audio and video share a
//! [`Timeline`], so that a jump of both keeps them in step. Pure: now is an argument.

/// Later than this behind now, in ns, is a jump. A backlog after a stall must pass.
const LATEST_NS: i64 = 5_000_000_000;
/// Further ahead of now than this, in ns, is a jump. B-pyramids and bursts must pass.
const EARLIEST_NS: i64 = 700_000_000;
/// Further back than this, in ns, is a jump. B-frames must pass: 16 pictures of 25 a second.
const BACK_NS: i64 = 700_000_000;
/// How much a stream moves on at least where a jump would have set it back, in ns.
const STEP_NS: i64 = 1_000_000;
/// How far behind now a seamless source may be and catch up, ns.
const CATCH_UP_NS: i64 = 1_000_000_000;
/// The longest step that is taken for a picture's or packet's duration, ns.
const LONGEST_STEP_NS: i64 = 100_000_000;

/// What maps a source's timestamps to the monotonic clock.
#[derive(Debug, Default)]
pub struct Timeline {
    /// The newest first. The one before it is kept while the other stream still sends units of
    /// before the jump.
    offsets: [Option<i64>; 2],
    /// Counts [`Timeline::restart`]s.
    round: u64,
    seamless: bool,
}

/// Where one stream of a source is.
#[derive(Debug, Default)]
pub struct Position {
    /// The highest timestamp given, ns; None before the first.
    highest_ns: Option<i64>,
    offset: Option<i64>,
    round: u64,
    /// The last step forward, ns.
    step_ns: i64,
    /// The stream has no B-frames: its timestamps only ever grow.
    pub in_order: bool,
}

/// A timestamp on the monotonic clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    pub pts_ns: u64,
    /// The source's clock jumped in front of this unit.
    pub jumped: bool,
}

// === impl Timeline ===

impl Timeline {
    /// For sources that are held back to real time: after a jump they go on from the last unit
    /// instead of from now, and catch up.
    pub fn seamless() -> Self {
        Self { seamless: true, ..Self::default() }
    }

    /// The source begins again from its start: nothing of before is still on its way.
    pub fn restart(&mut self) {
        self.offsets = [None; 2];
        self.round += 1;
    }

    /// Places a unit whose own timestamp is `pts_ns`, on any scale that runs at real time.
    pub fn place(&mut self, stream: &mut Position, pts_ns: i64, now_ns: u64) -> Placed {
        // No sum of two such can overflow.
        let pts_ns = pts_ns.clamp(i64::MIN / 4, i64::MAX / 4);
        let now = now_ns as i64;
        let restarted = stream.round != self.round;
        if restarted {
            stream.round = self.round;
            stream.offset = None;
        }
        // A live pipeline's timestamps are on the clock already.
        let as_it_is = (self.round == 0).then_some(0);
        let fitting = [stream.offset, self.offsets[0], self.offsets[1], as_it_is]
            .into_iter()
            .flatten()
            .find(|&offset| stream.accepts(pts_ns + offset, now, restarted));
        let offset = fitting.unwrap_or_else(|| {
            let start = match stream.highest_ns {
                None => now,
                Some(highest) if self.seamless => {
                    (highest + stream.step_ns.max(STEP_NS)).max(now - CATCH_UP_NS)
                }
                Some(highest) => now.max(highest + STEP_NS),
            };
            self.offsets = [Some(start - pts_ns), self.offsets[0]];
            start - pts_ns
        });
        let jumped = stream.highest_ns.is_some() && stream.offset != Some(offset);
        stream.offset = Some(offset);
        let pts_ns = stream.advance((pts_ns + offset).max(0), jumped);
        Placed { pts_ns, jumped }
    }
}

// === impl Position ===

impl Position {
    fn accepts(&self, placed_ns: i64, now_ns: i64, restarted: bool) -> bool {
        let lead = placed_ns.saturating_sub(now_ns);
        (-LATEST_NS..=EARLIEST_NS).contains(&lead)
            && (restarted || self.highest_ns.is_none_or(|highest| placed_ns >= highest - BACK_NS))
    }

    /// Takes note of a timestamp, and gives it as it is told.
    fn advance(&mut self, placed_ns: i64, jumped: bool) -> u64 {
        let Some(highest) = self.highest_ns else {
            self.highest_ns = Some(placed_ns);
            return placed_ns as u64;
        };
        // A receiver that still learns the sender's clock corrects itself backwards, and the
        // shorter stream of a file that repeats gives way to the longer.
        let placed_ns = if self.in_order { placed_ns.max(highest + STEP_NS) } else { placed_ns };
        if !jumped && placed_ns > highest {
            self.step_ns = (placed_ns - highest).min(LONGEST_STEP_NS);
        }
        self.highest_ns = Some(if jumped { placed_ns } else { placed_ns.max(highest) });
        placed_ns as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000_000;
    const START: i64 = 1_000_000 * MS;

    /// Feeds (source pts, now), both in ms from the start, and gives (placed, jumped).
    fn run(units: &[(i64, i64)]) -> Vec<(i64, bool)> {
        let (mut timeline, mut stream) = (Timeline::default(), Position::default());
        units
            .iter()
            .map(|&(pts, now)| {
                let placed = timeline.place(&mut stream, pts * MS, (START + now * MS) as u64);
                ((placed.pts_ns as i64 - START) / MS, placed.jumped)
            })
            .collect()
    }

    #[test]
    fn timestamps_that_are_on_the_clock_stay_as_they_are() {
        let start = START / MS;
        assert_eq!(run(&[(start, 3), (start + 40, 43)]), [(0, false), (40, false)]);
    }

    #[test]
    fn a_source_with_its_own_epoch_starts_at_now() {
        assert_eq!(run(&[(77, 0), (117, 41), (157, 79)]), [(0, false), (40, false), (80, false)]);
    }

    #[test]
    fn b_frames_go_back_and_forth_without_a_jump() {
        let out = run(&[(0, 0), (160, 40), (80, 80), (40, 120), (120, 160), (320, 200)]);
        assert_eq!(out.iter().map(|o| o.0).collect::<Vec<_>>(), [0, 160, 80, 40, 120, 320]);
        assert!(out.iter().all(|o| !o.1));
    }

    #[test]
    fn a_stream_without_b_frames_never_goes_back() {
        let mut timeline = Timeline::default();
        let mut stream = Position { in_order: true, ..Position::default() };
        let mut last = 0;
        for (pts, now) in [(0, 0), (211, 5), (33, 10), (66, 60), (99, 100), (240, 240)] {
            let placed = timeline.place(&mut stream, pts * MS, (START + now * MS) as u64);
            assert!(placed.pts_ns > last && !placed.jumped, "{pts}");
            last = placed.pts_ns;
        }
        assert_eq!(last as i64, START + 240 * MS);
    }

    #[test]
    fn a_jump_is_flagged_once_and_goes_on_from_now() {
        for jump in [3_600_000, -3_600_000, 2_000, -2_000] {
            let out = run(&[(0, 0), (40, 40), (80 + jump, 80), (120 + jump, 120)]);
            assert_eq!(out, [(0, false), (40, false), (80, true), (120, false)], "{jump}");
        }
    }

    #[test]
    fn a_seamless_source_goes_on_where_it_was_however_late() {
        let mut timeline = Timeline::seamless();
        let mut stream = Position { in_order: true, ..Position::default() };
        let mut place = |timeline: &mut Timeline, pts: i64, now: i64| {
            let at = timeline.place(&mut stream, (900_000 + pts) * MS, (START + now * MS) as u64);
            ((at.pts_ns as i64 - START) / MS, at.jumped)
        };
        for at in [0, 40, 80] {
            assert_eq!(place(&mut timeline, at, at), (at, false));
        }
        timeline.restart();
        assert_eq!(place(&mut timeline, 0, 260), (120, true));
        assert_eq!(place(&mut timeline, 40, 261), (160, false));
        // Without a restart too: the clip itself may jump.
        assert_eq!(place(&mut timeline, 9_000, 300), (200, true));
        assert_eq!(place(&mut timeline, 9_040, 301), (240, false));
        timeline.restart();
        assert_eq!(place(&mut timeline, 0, 60_000), (59_000, true));
    }

    #[test]
    fn both_streams_of_a_clip_go_on_in_step_after_a_restart() {
        let mut timeline = Timeline::seamless();
        let (mut video, mut audio) = (Position::default(), Position::default());
        audio.in_order = true;
        let at = |ms: i64| (START + ms * MS) as u64;
        for ms in [0, 40, 80] {
            timeline.place(&mut video, ms * MS, at(ms));
        }
        for ms in [0, 20, 40, 60, 80, 100] {
            timeline.place(&mut audio, ms * MS, at(ms));
        }
        timeline.restart();
        assert_eq!(timeline.place(&mut video, 0, at(121)).pts_ns, at(120));
        assert_eq!(timeline.place(&mut audio, 0, at(121)).pts_ns, at(120));
        assert_eq!(timeline.place(&mut audio, 20 * MS, at(121)).pts_ns, at(140));
    }

    #[test]
    fn a_backlog_after_a_stall_keeps_its_timestamps() {
        assert_eq!(
            run(&[(0, 0), (40, 3000), (80, 3001), (3040, 3040)]),
            [(0, false), (40, false), (80, false), (3040, false)]
        );
    }

    #[test]
    fn the_other_stream_finishes_what_it_sent_before_the_jump() {
        let mut timeline = Timeline::default();
        let (mut video, mut audio) = (Position::default(), Position::default());
        let at = |ms: i64| (START + ms * MS) as u64;
        timeline.place(&mut video, 0, at(0));
        timeline.place(&mut audio, 0, at(1));
        let video_jump = timeline.place(&mut video, 900_000 * MS, at(40));
        assert!(video_jump.jumped);
        let late = timeline.place(&mut audio, 30 * MS, at(41));
        assert_eq!((late.pts_ns, late.jumped), (at(30), false));
        let audio_jump = timeline.place(&mut audio, 900_010 * MS, at(50));
        assert_eq!((audio_jump.pts_ns, audio_jump.jumped), (at(50), true));
        let next = timeline.place(&mut video, 900_040 * MS, at(80));
        assert_eq!((next.pts_ns, next.jumped), (at(80), false));
    }

    #[test]
    fn absurd_timestamps_neither_panic_nor_leave_the_clock() {
        let (mut timeline, mut stream) = (Timeline::default(), Position::default());
        for pts in [i64::MIN, i64::MAX, 0, -1, i64::MAX, i64::MIN + 1] {
            let placed = timeline.place(&mut stream, pts, START as u64).pts_ns as i64;
            assert!((placed - START).abs() < 1000 * MS, "{pts}: {placed}");
        }
    }
}
