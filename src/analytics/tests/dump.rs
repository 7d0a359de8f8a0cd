//! Every event is in exactly one file of the hour in which it happened.

use std::collections::BTreeMap;

use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::Field;

use super::*;
use crate::analytics::dump::{Dump, Parts};
use crate::analytics::engine::Progress;
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
