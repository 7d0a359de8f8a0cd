//! Which way one direction between two participants takes: directly, or through the server.
//!
//! Each direction decides for itself, since a path may be cut in one and whole in the other. To
//! the server within [`CUT_AFTER`] of the last packet, so that pictures move again within 3 s;
//! back when the direct path has been good for a while, a longer one each time that this was a
//! mistake.

use std::time::{Duration, Instant};

use super::messages::Path;

/// What the receiver saw since its last report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// The sender has something on: camera or microphone.
    pub is_sent: bool,
    /// Packets that came by the direct path.
    pub packets: u32,
    /// Of 1000 packets, those lost on it.
    pub lost_permille: u16,
    /// The direct connection is up: checks are answered.
    pub alive: bool,
    /// Of those checks.
    pub round_trip: Option<Duration>,
}

/// A direction is to move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Move {
    pub to: Path,
    pub cause: Cause,
}

/// Why. Its text is for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    #[error("nothing arrives by the direct path")]
    Cut,
    #[error("the direct path loses {permille} of 1000 packets")]
    Lossy { permille: u16 },
    #[error("the direct connection is down")]
    Down,
    /// Packets still come, but nobody may send to one who doesn't answer (RFC 7675).
    #[error("the direct connection is about to expire")]
    Expiring,
    #[error("the direct path is good again")]
    Good,
}

/// One direction's way, and what it remembers.
#[derive(Debug)]
pub struct Direction {
    path: Path,
    /// When a packet last came directly, or could first have come.
    last_packet: Instant,
    /// Since when it has lost too much, directly.
    lossy: Option<Instant>,
    /// Since when the connection has been down, and nothing has come.
    down: Option<Instant>,
    /// Since when checks have failed.
    unanswered: Option<Instant>,
    /// Since when the direct path has been good, while it isn't used.
    good: Option<Instant>,
    /// When the receiver last reported.
    last_report: Option<Instant>,
    /// When it went back to the direct path.
    returned: Option<Instant>,
    /// How long the direct path must be good; doubles with each return that failed.
    wait: Duration,
}

/// Nothing came for so long: cut. With two reports a second, more once something is amiss, and
/// what the way through the server takes to start, pictures move again within 3 s.
pub const CUT_AFTER: Duration = Duration::from_millis(1000);
/// A connection that says that it is down may come back by itself.
const DOWN_FOR: Duration = Duration::from_millis(800);
/// A connection that is cut in one direction carries the other until the sender gives it up, since
/// nobody answers its checks: 30 s after the last answer (RFC 7675), in Chromium as soon as it is
/// called down. Where packets still come then, that direction moves before it is cut, too.
const EXPIRES_AFTER: Duration = Duration::from_secs(5);
const LOSSY_PERMILLE: u16 = 250;
const LOSSY_FOR: Duration = Duration::from_secs(2);
/// For the way back: less than this is lost, and checks take no longer.
const GOOD_PERMILLE: u16 = 50;
const GOOD_ROUND_TRIP: Duration = Duration::from_millis(500);
const WAIT: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(80));
/// A return was a mistake if it is taken back within this time.
const TRIAL: Duration = Duration::from_secs(20);
/// A receiver that doesn't report knows nothing: what it last said is no longer true.
const SILENT: Duration = Duration::from_secs(3);

// === impl Cause ===

impl Cause {
    /// The metric label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cut => "cut",
            Self::Lossy { .. } => "lossy",
            Self::Down => "down",
            Self::Expiring => "expiring",
            Self::Good => "good",
        }
    }
}

// === impl Direction ===

impl Direction {
    /// Directly. `now`: the connection is up, and packets may come.
    pub fn new(now: Instant) -> Self {
        Self {
            path: Path::Direct,
            last_packet: now,
            lossy: None,
            down: None,
            unanswered: None,
            good: None,
            last_report: None,
            returned: None,
            wait: WAIT.0,
        }
    }

    /// Through the server, until the direct path has been good for a while.
    pub fn at_server(now: Instant) -> Self {
        Self { path: Path::Server, ..Self::new(now) }
    }

    pub fn path(&self) -> Path {
        self.path
    }

    /// Takes a report of the receiver, and decides.
    pub fn handle_sample(&mut self, sample: &Sample, now: Instant) -> Option<Move> {
        let silent = self.last_report.is_none_or(|at| now.saturating_duration_since(at) >= SILENT);
        self.last_report = Some(now);
        if silent {
            // Nothing is known of the time between.
            self.last_packet = self.last_packet.max(now.checked_sub(CUT_AFTER / 2).unwrap_or(now));
            (self.lossy, self.down, self.good) = (None, None, None);
            self.unanswered = None;
        }
        match self.path {
            Path::Direct => self.watch(sample, now),
            Path::Server => self.wait_for_better(sample, now),
        }
    }

    fn watch(&mut self, sample: &Sample, now: Instant) -> Option<Move> {
        // A sender that is silent on purpose isn't cut off.
        if sample.packets > 0 || !sample.is_sent {
            self.last_packet = now;
        }
        let lossy = sample.packets > 0 && sample.lost_permille >= LOSSY_PERMILLE;
        mark(&mut self.lossy, lossy, now);
        // What still arrives needs no connection that says so.
        mark(&mut self.down, !sample.alive && sample.packets == 0, now);
        mark(&mut self.unanswered, !sample.alive, now);
        let cause = if now.saturating_duration_since(self.last_packet) >= CUT_AFTER {
            Cause::Cut
        } else if has_lasted(self.down, DOWN_FOR, now) {
            Cause::Down
        } else if has_lasted(self.unanswered, EXPIRES_AFTER, now) {
            Cause::Expiring
        } else if has_lasted(self.lossy, LOSSY_FOR, now) {
            Cause::Lossy { permille: sample.lost_permille }
        } else {
            return None;
        };
        let failed = self.returned.take().is_some_and(|at| !has_lasted(Some(at), TRIAL, now));
        self.wait = if failed { (self.wait * 2).min(WAIT.1) } else { WAIT.0 };
        self.path = Path::Server;
        self.good = None;
        Some(Move { to: Path::Server, cause })
    }

    fn wait_for_better(&mut self, sample: &Sample, now: Instant) -> Option<Move> {
        let near = sample.round_trip.is_none_or(|rtt| rtt <= GOOD_ROUND_TRIP);
        let good = sample.alive && near && sample.lost_permille <= GOOD_PERMILLE;
        mark(&mut self.good, good, now);
        if !has_lasted(self.good, self.wait, now) {
            return None;
        }
        self.path = Path::Direct;
        self.returned = Some(now);
        // The sender is yet to hear of it.
        self.last_packet = now + CUT_AFTER / 2;
        (self.lossy, self.down, self.unanswered) = (None, None, None);
        Some(Move { to: Path::Direct, cause: Cause::Good })
    }
}

/// Since when something is so.
fn mark(since: &mut Option<Instant>, is_so: bool, now: Instant) {
    *since = if is_so { Some(since.unwrap_or(now)) } else { None };
}

fn has_lasted(since: Option<Instant>, period: Duration, now: Instant) -> bool {
    since.is_some_and(|at| now.saturating_duration_since(at) >= period)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FINE: Sample = Sample {
        is_sent: true,
        packets: 200,
        lost_permille: 2,
        alive: true,
        round_trip: Some(Duration::from_millis(30)),
    };
    const CUT: Sample = Sample { packets: 0, ..FINE };
    const DOWN: Sample = Sample { packets: 0, alive: false, round_trip: None, ..FINE };

    /// A direction with a report each so many milliseconds.
    struct Run {
        direction: Direction,
        start: Instant,
        now: Instant,
        step: Duration,
    }

    impl Run {
        fn new(step_ms: u64) -> Self {
            let start = Instant::now();
            let step = Duration::from_millis(step_ms);
            Self { direction: Direction::new(start), start, now: start, step }
        }

        /// The same report for so long; each move, and the milliseconds it took.
        fn report(&mut self, sample: Sample, seconds: u64) -> Vec<(u64, Path)> {
            let from = self.now;
            let mut moves = Vec::new();
            while self.now < from + Duration::from_secs(seconds) {
                self.now += self.step;
                if let Some(to) = self.direction.handle_sample(&sample, self.now) {
                    moves.push(((self.now - from).as_millis() as u64, to.to));
                }
            }
            moves
        }
    }

    #[test]
    fn a_cut_moves_the_direction_within_three_seconds_however_reports_fall() {
        for step in [100, 250, 500, 1000] {
            for sample in [CUT, DOWN] {
                let mut run = Run::new(step);
                assert_eq!(run.report(FINE, 10), []);
                let moves = run.report(sample, 5);
                let [(ms, Path::Server)] = moves[..] else { panic!("{step}: {moves:?}") };
                assert!(ms <= 2000, "{step}: {ms}");
            }
        }
    }

    #[test]
    fn the_other_direction_stays() {
        let mut there = Run::new(500);
        let mut back = Run::new(500);
        there.report(FINE, 5);
        back.report(FINE, 5);
        assert_eq!(there.report(CUT, 5).len(), 1);
        // Checks need both directions, so they fail here, too; but packets arrive.
        let heard = Sample { alive: false, round_trip: None, ..FINE };
        assert_eq!(back.report(heard, 4), []);
        assert_eq!((there.direction.path(), back.direction.path()), (Path::Server, Path::Direct));
    }

    #[test]
    fn the_other_direction_moves_before_its_connection_expires() {
        let mut run = Run::new(500);
        run.report(FINE, 5);
        let heard = Sample { alive: false, round_trip: None, ..FINE };
        assert_eq!(run.report(heard, 20), [(5500, Path::Server)]);
    }

    #[test]
    fn one_that_begins_at_the_server_goes_direct_once_that_is_good() {
        let mut run = Run::new(500);
        run.direction = Direction::at_server(run.now);
        assert_eq!(run.report(DOWN, 10), []);
        assert_eq!(run.report(FINE, 10), [(5500, Path::Direct)]);
    }

    #[test]
    fn a_sender_with_nothing_on_is_not_cut_off() {
        let mut run = Run::new(1000);
        run.report(FINE, 3);
        assert_eq!(run.report(Sample { is_sent: false, ..CUT }, 60), []);
        // It has just unmuted.
        assert_eq!(run.report(FINE, 3), []);
    }

    #[test]
    fn heavy_loss_moves_after_two_seconds_and_a_burst_does_not() {
        let lossy = Sample { lost_permille: 300, ..FINE };
        let mut run = Run::new(500);
        assert_eq!(run.report(lossy, 2), []);
        assert_eq!(run.report(FINE, 1), []);
        assert_eq!(run.report(lossy, 5), [(2500, Path::Server)]);
    }

    #[test]
    fn it_returns_when_the_direct_path_has_been_good_for_five_seconds() {
        let mut run = Run::new(500);
        run.report(CUT, 3);
        assert_eq!(run.report(DOWN, 30), []);
        let idle = Sample { packets: 0, lost_permille: 0, ..FINE };
        assert_eq!(run.report(idle, 4), []);
        assert_eq!(run.report(DOWN, 1), []);
        assert_eq!(run.report(idle, 6), [(5500, Path::Direct)]);
        assert_eq!(run.report(FINE, 60), []);
    }

    #[test]
    fn a_slow_connection_is_not_good_enough_to_return_to() {
        let mut run = Run::new(500);
        run.report(CUT, 3);
        let slow = Sample { round_trip: Some(Duration::from_millis(800)), ..FINE };
        assert_eq!(run.report(slow, 60), []);
    }

    #[test]
    fn each_return_that_fails_makes_the_next_one_later() {
        let mut run = Run::new(500);
        let mut returns = Vec::new();
        // Checks always succeed, media never does.
        for _ in 0..800 {
            let from = (run.now - run.start).as_millis() as u64;
            let moves = run.report(CUT, 1);
            let back = moves.iter().filter(|(_, path)| *path == Path::Direct);
            returns.extend(back.map(|(ms, _)| from + ms));
        }
        let gaps: Vec<u64> = returns.windows(2).map(|w| w[1] - w[0]).collect();
        assert!(gaps.is_sorted() && gaps.last() >= Some(&80_000), "{gaps:?}");
        assert!(gaps[0] < 15_000, "{gaps:?}");
    }

    #[test]
    fn a_receiver_that_was_silent_is_not_taken_for_cut_off() {
        let mut run = Run::new(500);
        run.report(FINE, 5);
        run.now += Duration::from_secs(20);
        assert_eq!(run.report(FINE, 5), []);
        run.now += Duration::from_secs(20);
        let moves = run.report(CUT, 5);
        assert!(matches!(moves[..], [(ms, Path::Server)] if ms <= 2000), "{moves:?}");
    }

    proptest! {
        #[test]
        fn a_direction_never_moves_to_where_it_is_nor_more_often_than_agreed(
            reports in prop::collection::vec((0..3_u32, 0..1000_u16, any::<bool>(), any::<bool>(), 0..2000_u64), 0..200),
        ) {
            let start = Instant::now();
            let mut direction = Direction::new(start);
            let mut now = start;
            let mut moves = 0;
            for (packets, lost_permille, alive, is_sent, ms) in reports {
                now += Duration::from_millis(ms);
                let sample = Sample { packets, lost_permille, alive, is_sent, round_trip: None };
                let before = direction.path();
                if let Some(to) = direction.handle_sample(&sample, now) {
                    prop_assert_ne!(to.to, before);
                    moves += 1;
                }
            }
            // There and back again takes five seconds at the least.
            prop_assert!(moves <= 1 + 2 * (now - start).as_secs() / 5);
        }
    }
}
