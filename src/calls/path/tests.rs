//! Tests of one direction's way.

use proptest::prelude::*;

use super::*;

const FINE: Sample = Sample {
    is_sent: true,
    packets: 200,
    silent: None,
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
fn what_the_receiver_knows_of_the_last_packet_counts_from_then() {
    let mut run = Run::new(500);
    assert_eq!(run.report(FINE, 5), []);
    // It was cut right after the report before.
    let ms = Duration::from_millis;
    let last = Sample { packets: 1, silent: Some(ms(490)), ..FINE };
    run.now += ms(500);
    assert_eq!(run.direction.handle_sample(&last, run.now), None);
    assert!(!run.direction.is_in_doubt(run.now));
    assert!(run.direction.is_in_doubt(run.now + ms(10)));
    assert_eq!(run.report(CUT, 3), [(1000, Path::Server)]);
    assert!(!run.direction.is_in_doubt(run.now));
}

#[test]
fn of_one_who_has_just_begun_or_sends_nothing_there_is_no_doubt() {
    let mut run = Run::new(250);
    for (seconds, is_in_doubt) in [(0, false), (2, false), (1, true)] {
        run.report(FINE, seconds);
        assert_eq!(run.direction.is_in_doubt(run.now + DOUBT_AFTER), is_in_doubt);
    }
    run.report(Sample { is_sent: false, ..CUT }, 60);
    assert!(!run.direction.is_in_doubt(run.now));
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

#[test]
fn after_a_gap_in_the_reports_there_is_no_doubt_at_once() {
    let mut run = Run::new(500);
    run.report(FINE, 5);
    run.now += Duration::from_secs(3);
    let late = Sample { silent: Some(Duration::from_millis(600)), ..FINE };
    assert_eq!(run.direction.handle_sample(&late, run.now), None);
    assert!(!run.direction.is_in_doubt(run.now));
    run.report(FINE, 3);
    assert!(run.direction.is_in_doubt(run.now + DOUBT_AFTER));
}

#[test]
fn packets_that_came_since_the_last_report_are_no_older_than_that() {
    let mut run = Run::new(500);
    run.report(FINE, 5);
    let boastful = Sample { silent: Some(Duration::from_secs(20)), ..FINE };
    assert_eq!(run.report(boastful, 10), []);
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
            let silent = Some(Duration::from_millis(ms));
            let sample =
                Sample { packets, silent, lost_permille, alive, is_sent, round_trip: None };
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
