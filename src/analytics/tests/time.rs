//! Late events, clocks that jump, what is kept, nodes that are gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::*;
use crate::analytics::engine::{Maker, Running};
use crate::calls::messages::EndReason;
use crate::events::kinds::*;

fn started(call: &str) -> Event {
    Event::new(CallStarted {}).of_call(call).of_user("anna")
}

fn ended(call: &str, lasted_ms: u64) -> Event {
    Event::new(CallEnded { reason: EndReason::HungUp, lasted_ms }).of_call(call)
}

fn steps<'a>(events: impl IntoIterator<Item = (&'a str, u64, Event)>) -> Vec<Step> {
    let events = events.into_iter().enumerate();
    let logged = |(at, (node, ms, event)): (usize, (&str, u64, Event))| {
        Step::Event(0, logged(node, at as u64, ms, &event))
    };
    events.map(logged).collect()
}

#[test]
fn an_event_counts_when_it_happened_and_one_from_the_future_when_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rollups.db");
    let now = NOON + DAY;
    // A clock that goes back, and one that is a year ahead.
    let events = [
        ("n", NOON + HOUR, started("a")),
        ("n", NOON, started("b")),
        ("m", NOON + 365 * DAY, started("c")),
    ];
    play(&path, &steps(events), now);
    let day = |from, to| {
        let table = report(&path, Report::Calls, from, to, HOUR, now + 2 * HOUR);
        column(&table, "started").into_iter().flatten().sum::<f64>()
    };
    assert_eq!(day(NOON - HOUR, NOON + 2 * HOUR), 2.0);
    assert_eq!(day(now - HOUR, now + HOUR), 1.0);
}

#[test]
fn an_hour_that_the_clock_on_the_wall_has_twice_is_two() {
    // 2026-10-25: Europe's clocks go from 03:00 to 02:00 at 01:00 UTC.
    let change = "2026-10-25T01:00:00.000Z".parse::<Millis>().unwrap().0;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rollups.db");
    let events = [-90_i64, -30, 30, 90].map(|minute| {
        let ms = change.saturating_add_signed(minute * 60_000);
        ("n", ms, started(&format!("c{minute}")))
    });
    play(&path, &steps(events), change + DAY);
    let table =
        report(&path, Report::Calls, change - 2 * HOUR, change + 2 * HOUR, HOUR, change + DAY);
    assert_eq!(column(&table, "started"), [Some(1.0); 4]);
}

#[test]
fn what_is_old_goes_and_those_who_are_there_still_count() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rollups.db");
    let late = NOON + 20 * DAY;
    // One that goes on past the bound, and one that came and went before it.
    let events = [
        ("n", NOON, started("short")),
        ("n", NOON + HOUR, ended("short", HOUR)),
        ("n", late, ended("long", 20 * DAY)),
    ];
    let all = steps(events);
    let mut engine = engine(&path, &all);
    engine.turn(UNIX_EPOCH + Duration::from_millis(late)).unwrap();
    let before = contents(&path).len();
    engine.keep_up(UNIX_EPOCH + Duration::from_millis(late)).unwrap();
    let after = contents(&path);
    assert!(after.len() < before);
    let minutes = (NOON / MINUTE + 1).to_string();
    assert!(!after.iter().any(|line| line.starts_with("cell 1") && line.contains(&minutes)));
    let table =
        report(&path, Report::Concurrency, late - HOUR, late + HOUR, MINUTE, late + 2 * HOUR);
    let calls = column(&table, "calls_peak");
    assert_eq!((calls[0], calls[59], calls[119]), (Some(1.0), Some(1.0), Some(0.0)));
    let hours = report(&path, Report::Calls, NOON - HOUR, NOON + 2 * HOUR, HOUR, late);
    assert_eq!(column(&hours, "started").into_iter().flatten().sum::<f64>(), 1.0);
    assert_eq!(column(&hours, "ended").into_iter().flatten().sum::<f64>(), 1.0);
}

#[test]
fn calls_of_a_node_that_is_gone_end_and_what_it_says_later_counts_instead() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rollups.db");
    let mut all = steps([
        ("gone", NOON, started("a")),
        ("gone", NOON + 10 * MINUTE, started("b")),
        ("other", NOON + HOUR, started("c")),
    ]);
    let now = NOON + HOUR + MINUTE;
    let at = |ms| UNIX_EPOCH + Duration::from_millis(ms);
    let mut first = engine(&path, &all);
    first.turn(at(now)).unwrap();
    first.keep_up(at(now)).unwrap();
    drop(first);
    let peaks = |now| {
        let table = report(&path, Report::Concurrency, NOON, NOON + HOUR, 10 * MINUTE, now);
        column(&table, "calls_peak")
    };
    let mean = |now| {
        let table = report(&path, Report::Concurrency, NOON, NOON + HOUR, 10 * MINUTE, now);
        column(&table, "calls_mean")
            .into_iter()
            .map(|mean| mean.map(f64::round))
            .collect::<Vec<_>>()
    };
    // Steps begin on whole ten minutes, seven before. Both lasted until their node was last heard of.
    assert_eq!(mean(now)[1..], [Some(1.0), Some(0.0), Some(0.0), Some(0.0), Some(0.0), Some(0.0)]);
    assert_eq!(peaks(now)[0], Some(1.0));
    // It had only been cut off.
    let end = logged("gone", 99, NOON + 30 * MINUTE, &ended("a", 30 * MINUTE));
    all.push(Step::Event(0, end));
    play(&path, &all, now);
    assert_eq!(mean(now)[1..5], [Some(1.0), Some(1.0), Some(1.0), Some(0.0)]);
}

#[test]
fn a_node_whose_clock_is_ahead_ends_no_calls_of_others() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rollups.db");
    let all = steps([("right", NOON, started("a")), ("ahead", NOON + 40 * MINUTE, started("b"))]);
    let mut engine = engine(&path, &all);
    let at = |ms| UNIX_EPOCH + Duration::from_millis(ms);
    engine.turn(at(NOON + MINUTE)).unwrap();
    engine.keep_up(at(NOON + MINUTE)).unwrap();
    let peak = |now| {
        let table = report(&path, Report::Concurrency, NOON, NOON + HOUR, HOUR, now);
        column(&table, "calls_peak")[0]
    };
    assert_eq!(peak(NOON + 30 * MINUTE), Some(1.0));
    // Nothing was heard of it for long, and others were.
    engine.keep_up(at(NOON + 16 * MINUTE)).unwrap();
    assert_eq!(peak(NOON + 30 * MINUTE), Some(0.0));
}

/// A source that doesn't know whether there is more.
struct Far(Script, Arc<AtomicU64>);

impl Source for Far {
    fn next(&mut self) -> Result<Option<Taken>, SourceError> {
        self.0.next()
    }

    fn sees_its_end(&self) -> bool {
        false
    }

    fn positions(&self) -> Vec<(String, String)> {
        self.0.positions()
    }

    fn unreadable(&self) -> u64 {
        0
    }

    fn waiting(&self) -> Option<u64> {
        Some(self.1.load(Ordering::Relaxed))
    }
}

/// Makes no other.
struct Once;

impl Maker for Once {
    type Source = Far;

    fn make(&self) -> Result<Engine<Far>, EngineError> {
        Err(SourceError::Broker("no other".to_owned()).into())
    }
}

#[test]
fn a_broker_that_says_nothing_now_may_have_more() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rollups.db");
    let metrics = AnalyticsMetrics::register(&Registry::new()).unwrap();
    let script = Script { steps: steps([("n", NOON, started("a"))]), at: 0 };
    let waiting = Arc::new(AtomicU64::new(7));
    let open = |_: &Positions| Ok(Far(script, waiting.clone()));
    let mut engine = Engine::open(&path, open, KEPT, metrics.clone()).unwrap();
    let now = UNIX_EPOCH + Duration::from_millis(NOON);
    engine.tell();
    assert!(engine.turn(now).unwrap().dry);
    assert_eq!(metrics.waiting.get(), 7);
    // And how much that is, is told again and again.
    metrics.waiting.set(0);
    let _running = Running::start(engine, Once, metrics.clone()).unwrap();
    let begin = Instant::now();
    for waits in [7, 9] {
        waiting.store(waits, Ordering::Relaxed);
        while metrics.waiting.get() != waits as i64 {
            assert!(begin.elapsed() < Duration::from_secs(20), "{}", metrics.waiting.get());
            std::thread::yield_now();
        }
    }
}
