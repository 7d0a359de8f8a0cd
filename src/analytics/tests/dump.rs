//! Every event is in exactly one file of the hour in which it happened.

use std::collections::BTreeMap;

use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::Field;

use super::*;
use crate::analytics::dump::{Dump, Parts};
use crate::analytics::engine::Progress;
use crate::calls::messages::EndReason;
use crate::config::ObjectStore;
use crate::depot::Depot;
use crate::events::kinds::*;

fn started(number: u64, ms: u64) -> Step {
    let event = Event::new(CallStarted {}).of_call(format!("c{number}")).of_user("anna");
    Step::Event(0, logged("n", number, ms, &event))
}

/// Of each file its calls.
fn files(folder: &Path) -> BTreeMap<String, Vec<String>> {
    let mut found = BTreeMap::new();
    for day in std::fs::read_dir(folder).unwrap() {
        for hour in std::fs::read_dir(day.unwrap().path()).unwrap() {
            for file in std::fs::read_dir(hour.unwrap().path()).unwrap() {
                let path = file.unwrap().path();
                let name = path.strip_prefix(folder).unwrap().display().to_string();
                let reader =
                    SerializedFileReader::new(std::fs::File::open(&path).unwrap()).unwrap();
                let call = |row: parquet::record::Row| {
                    let mut columns = row.into_columns().into_iter();
                    match columns.find(|(name, _)| name == "call").unwrap().1 {
                        Field::Str(call) => call,
                        other => panic!("{other:?}"),
                    }
                };
                let calls = reader.get_row_iter(None).unwrap().map(|row| call(row.unwrap()));
                found.insert(name, calls.collect());
            }
        }
    }
    found
}

#[tokio::test]
async fn killed_before_it_is_noted_a_part_is_the_same_and_late_events_are_another() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rollups.db");
    let store = folder.path().join("dump");
    // 16:07 and, in disorder and twice, 17:07.
    let mut steps: Vec<Step> = (0..50).map(|n| started(n, NOON + n)).collect();
    steps.extend([started(51, NOON + HOUR), Step::Dry, started(50, NOON + HOUR)]);
    steps.push(started(51, NOON + HOUR));
    let run = |steps: &[Step], now: u64| {
        let progress = Progress::default();
        let mut engine = engine(&path, steps).dumping(progress.clone());
        while engine.source().at < steps.len() {
            engine.turn(UNIX_EPOCH + Duration::from_millis(now)).unwrap();
        }
        engine.turn(UNIX_EPOCH + Duration::from_millis(now)).unwrap();
        progress.caught_up()
    };
    let delay = Duration::from_secs(600);
    let dump = Dump {
        database: path.clone(),
        store: Depot::open(&ObjectStore::default(), &store).unwrap(),
        delay,
        metrics: AnalyticsMetrics::register(&Registry::new()).unwrap(),
    };
    let caught_up = run(&steps, NOON + HOUR + MINUTE);
    assert_eq!(dump.write_due(caught_up).await.unwrap(), 0, "the first ten minutes are not over");
    // Killed after the first part is in the store and before that is noted.
    let later = Millis(NOON + HOUR + 12 * MINUTE);
    let first = Parts::open(&path).unwrap().next(later, delay).unwrap().unwrap();
    let name = first.name.strip_prefix("dt=2026-11-23/hr=16/part-").unwrap();
    let tag = name.strip_suffix("-0000000001.parquet").unwrap();
    assert!(tag.len() == 16 && tag.bytes().all(|byte| byte.is_ascii_hexdigit()), "{tag}");
    let again = Parts::open(&path).unwrap().next(later, delay).unwrap().unwrap();
    assert_eq!((&first.name, &first.parquet), (&again.name, &again.parquet));
    assert_eq!(dump.write_due(later).await.unwrap(), 1);
    assert_eq!(dump.write_due(later).await.unwrap(), 0);
    assert_eq!(std::fs::read(store.join(&first.name)).unwrap(), first.parquet);
    // One more of the first hour, when it is long written.
    steps.push(started(99, NOON + MINUTE));
    let caught_up = run(&steps, NOON + 3 * HOUR);
    assert_eq!(dump.write_due(caught_up).await.unwrap(), 1, "the second hour; the late one waits");
    assert_eq!(dump.write_due(Millis(NOON + 4 * HOUR)).await.unwrap(), 1);
    let files = files(&store);
    assert_eq!(files.len(), 3, "{files:?}");
    let mut calls: Vec<&String> = files.values().flatten().collect();
    calls.sort();
    let count = calls.len();
    calls.dedup();
    assert_eq!((count, calls.len()), (53, 53), "each once");
    let second = files.iter().filter(|(name, _)| name.starts_with("dt=2026-11-23/hr=17/"));
    assert_eq!(second.map(|(_, calls)| calls.len()).sum::<usize>(), 2);
}

/// Takes all of it in turns of their own.
fn take(path: &Path, steps: &[Step], now: u64) -> Vec<u64> {
    let mut engine = engine(path, steps).dumping(Progress::default());
    let now = UNIX_EPOCH + Duration::from_millis(now);
    let mut turns = Vec::new();
    loop {
        let turn = engine.turn(now).unwrap();
        turns.push(turn.taken);
        if turn.dry {
            return turns;
        }
    }
}

#[test]
fn an_hour_that_a_clock_which_is_ahead_made_up_does_not_wait_for_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rollups.db");
    take(&path, &[started(1, NOON + 365 * DAY), started(2, NOON)], NOON);
    let parts = Parts::open(&path).unwrap();
    let at = |ms| parts.next(Millis(NOON + ms), Duration::ZERO).unwrap().map(|part| part.name);
    let (hour, two) = (at(HOUR).unwrap(), 2 * HOUR);
    assert!(hour.starts_with("dt=2026-11-23/hr=16/"), "{hour}");
    parts.done(&parts.next(Millis(NOON + HOUR), Duration::ZERO).unwrap().unwrap()).unwrap();
    assert_eq!(at(two - 1), None);
    assert!(at(two).unwrap().starts_with("dt=2027-11-23/hr=16/"));
}

#[test]
fn events_are_written_and_dumped_by_their_size_where_they_are_large() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rollups.db");
    let large = |n: u64| {
        let users = (0..2000).map(|user| format!("user-{user}")).collect();
        let (form, lasted_ms) = (RecordingForm::Tracks, 1);
        let ended = RecordingEnded { form, lasted_ms, users, chunks: 1, chunks_lost: 0 };
        Step::Event(0, logged("n", n, NOON + n, &Event::new(ended).of_recording("r")))
    };
    // 22 kB each.
    let turns = take(&path, &(0..120).map(large).collect::<Vec<_>>(), NOON);
    assert!(turns.len() > 8 && turns.iter().all(|taken| *taken <= 13), "{turns:?}");
    let parts = Parts::open(&path).unwrap();
    let mut events = Vec::new();
    while let Some(part) = parts.next(Millis(NOON + 2 * HOUR), Duration::ZERO).unwrap() {
        events.push(part.events);
        parts.done(&part).unwrap();
    }
    assert_eq!(events.iter().sum::<u64>(), 120);
    assert!(events.len() == 3 && events[0] < 65, "{events:?}");
}

#[test]
fn what_a_newer_server_says_is_dumped_though_nothing_can_be_counted_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rollups.db");
    let newer = |number, ms, event: Event, words: [&str; 2]| {
        let line = logged("n", number, ms, &event).line.replace(words[0], words[1]);
        // Others may have written it, over several lines.
        let line = line.replace(",\"data\"", ",\r\n \"data\"");
        Step::Event(0, Box::new(Logged::read(line.as_bytes()).unwrap()))
    };
    let joined = Event::new(CallJoined { how: Joined::Started }).of_call("c2");
    let ended = Event::new(CallEnded { reason: EndReason::HungUp, lasted_ms: MINUTE });
    let steps = [
        started(2, NOON),
        newer(3, NOON, joined, ["\"started\"", "\"beamed\""]),
        newer(4, NOON + MINUTE, ended.of_call("c2"), ["hung_up", "teleported"]),
    ];
    take(&path, &steps, NOON + MINUTE);
    let part = Parts::open(&path).unwrap().next(Millis(NOON + HOUR), Duration::ZERO).unwrap();
    assert_eq!(part.unwrap().events, 3);
    let report = |of| report(&path, of, NOON, NOON + HOUR, HOUR, NOON + HOUR);
    assert_eq!(column(&report(Report::Totals), "events"), [Some(3.0)]);
    // That it is over can be told.
    assert_eq!(column(&report(Report::Calls), "ended")[0], Some(1.0));
    assert!(!contents(&path).iter().any(|line| line.starts_with("open")));
}

#[test]
fn those_who_dump_to_one_place_name_their_parts_apart() {
    let folder = tempfile::tempdir().unwrap();
    let names = ["a.db", "b.db"].map(|name| {
        let path = folder.path().join(name);
        let mut engine = engine(&path, &[started(1, NOON)]).dumping(Progress::default());
        engine.turn(UNIX_EPOCH + Duration::from_millis(NOON)).unwrap();
        let parts = Parts::open(&path).unwrap();
        parts.next(Millis(NOON + 2 * HOUR), Duration::ZERO).unwrap().unwrap().name
    });
    assert_ne!(names[0], names[1]);
}
