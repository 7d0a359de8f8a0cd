//! Events in code, in `schemas/` and in `tests/events/examples` are the same; and the way from
//! the handle through the log to a reader.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::*;
use crate::identity::NodeId;
use crate::json_schema as schema;
use crate::rfc3339::Millis;
use crate::telemetry::events::EventMetrics;

mod samples;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn json_of(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn schema_of(kind: &str) -> Value {
    json_of(&folder("src/events/schemas").join(format!("{kind}.json")))
}

/// Whether `event` fits its schema; `strict`: and has nothing that the schema doesn't name.
fn check(event: &Value, strict: bool) -> Result<(), String> {
    let mut own = schema_of(event["type"].as_str().unwrap());
    if strict {
        close(&mut own);
    }
    let root = json!({"$defs": {"urn:stentor:events:envelope": schema_of("envelope"), "own": own}});
    schema::check(&root, "own", event)
}

fn close(schema: &mut Value) {
    if schema["properties"].is_object() {
        schema["unevaluatedProperties"] = false.into();
    }
    for inner in schema.as_object_mut().into_iter().flat_map(|o| o.values_mut()) {
        match inner {
            Value::Object(_) => close(inner),
            Value::Array(all) => all.iter_mut().filter(|v| v.is_object()).for_each(close),
            _ => {}
        }
    }
}

fn written(event: &Event) -> Value {
    let mut line = Vec::new();
    let node = NodeId::new("n1").unwrap();
    let id = id::Ids::new(4).next(Millis(1_795_450_020_250));
    event.write(id, Millis(1_795_450_020_250), &node, &mut line).unwrap();
    serde_json::from_slice(&line).unwrap()
}

fn examples() -> Vec<(String, Value)> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder("tests/events/examples"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let name = |path: &Path| path.file_stem().unwrap().to_str().unwrap().to_owned();
    files.into_iter().map(|path| (name(&path), json_of(&path))).collect()
}

#[test]
fn every_type_has_a_schema_and_a_sample_and_an_example_of_each_version() {
    let known: BTreeSet<String> = Data::KINDS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let of_code: BTreeSet<String> =
        samples::all().iter().map(|event| event.data.kind().to_owned()).collect();
    assert_eq!(of_code, known);
    let schemas: BTreeSet<String> = std::fs::read_dir(folder("src/events/schemas"))
        .unwrap()
        .filter_map(|entry| {
            entry.unwrap().file_name().to_str()?.strip_suffix(".json").map(Into::into)
        })
        .filter(|name: &String| name != "envelope")
        .collect();
    assert_eq!(schemas, known);
    let names: BTreeSet<String> = examples().into_iter().map(|(name, _)| name).collect();
    let each = |(name, version): &(&str, u32)| {
        (1..=*version).map(|v| format!("{name}.{v}")).collect::<Vec<_>>()
    };
    assert_eq!(names, Data::KINDS.iter().flat_map(each).collect());
    for (name, version) in Data::KINDS {
        assert_eq!(schema_of(name)["$id"], format!("urn:stentor:events:{name}:{version}"));
    }
}

#[test]
fn what_the_code_writes_fits_its_schema_which_names_every_field() {
    for event in samples::all() {
        let written = written(&event);
        check(&written, true).unwrap();
        let mut more = written.clone();
        more["data"]["colour"] = "red".into();
        check(&more, true).unwrap_err();
        check(&more, false).unwrap();
    }
}

#[test]
fn a_sample_shows_every_field_that_its_schema_has() {
    for event in samples::all() {
        let schema = schema_of(event.data.kind());
        let keys = |of: &Value| -> BTreeSet<String> {
            of.as_object().into_iter().flat_map(|o| o.keys().cloned()).collect()
        };
        let written = written(&event);
        let properties = &schema["properties"]["data"]["properties"];
        assert_eq!(keys(&written["data"]), keys(properties), "{}", event.data.kind());
    }
}

#[test]
fn what_was_committed_with_a_version_still_fits_and_is_still_read() {
    for (name, example) in examples() {
        check(&example, false).unwrap_or_else(|error| panic!("{name}: {error}"));
        let logged = Logged::read(example.to_string().as_bytes()).unwrap();
        let data = logged.data().unwrap_or_else(|error| panic!("{name}: {error}"));
        let again = serde_json::to_value(&data).unwrap();
        for (field, value) in example["data"].as_object().unwrap() {
            assert_eq!(&again[field], value, "{name}: {field}");
        }
    }
}

#[test]
fn what_a_newer_server_writes_is_told_from_what_is_broken() {
    let mut event = written(&samples::all()[0]);
    event["data"]["colour"] = "red".into();
    event["mood"] = "good".into();
    let read = |event: &Value| Logged::read(event.to_string().as_bytes()).unwrap().data();
    assert!(read(&event).is_ok());
    event["version"] = 99.into();
    assert!(matches!(read(&event), Err(Unreadable::Version { version: 99, .. })));
    event["type"] = "call.danced".into();
    assert!(matches!(read(&event), Err(Unreadable::Unknown(_))));
    assert!(matches!(Logged::read(b"{}"), Err(Unreadable::Json(_))));
}

fn start(folder: &Path) -> (Events, EventLog, EventMetrics) {
    testing::start_log(folder, testing::an_hour(64 << 20)).unwrap()
}

fn read_all(reader: &mut Reader) -> Vec<Logged> {
    let mut all = Vec::new();
    while let Some(item) = reader.next().unwrap() {
        match item {
            Item::Event(logged) => all.push(*logged),
            Item::Lost(events) => panic!("{events} lost"),
        }
    }
    all
}

#[test]
fn what_is_emitted_is_read_in_order_and_after_a_restart_from_where_the_reader_was() {
    let folder = tempfile::tempdir().unwrap();
    let mut cursor = Cursor::default();
    for round in 0..3_u64 {
        let (events, log, metrics) = start(folder.path());
        let threads: Vec<_> = (0..4)
            .map(|thread| {
                let events = events.clone();
                std::thread::spawn(move || {
                    for after_ms in 0..500 {
                        let data = kinds::CallAnswered { after_ms };
                        events.emit(Event::new(data).of_call(format!("c{thread}")));
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        log.close();
        assert_eq!(metrics.written.with_label_values(&["call.answered"]).get(), 2000);
        let mut reader = Reader::open(folder.path(), cursor);
        let all = read_all(&mut reader);
        assert_eq!(all.len(), 2000, "round {round}");
        assert!(all.is_sorted_by(|a, b| a.envelope.id < b.envelope.id));
        for call in ["c0", "c1", "c2", "c3"] {
            let of_call = all.iter().filter(|l| l.envelope.call.as_deref() == Some(call));
            let said: Vec<_> = of_call.map(|logged| logged.data().unwrap()).collect();
            let expected: Vec<_> =
                (0..500).map(|after_ms| kinds::CallAnswered { after_ms }.into()).collect();
            assert_eq!(said, expected);
        }
        cursor = reader.cursor();
    }
}

#[test]
fn an_event_is_written_soon_without_a_following_one() {
    let folder = tempfile::tempdir().unwrap();
    let (events, _log, _) = start(folder.path());
    let mut reader = Reader::open(folder.path(), Cursor::default());
    events.emit(Event::new(kinds::CallStarted {}));
    let deadline = Instant::now() + Duration::from_secs(10);
    while read_all(&mut reader).is_empty() {
        assert!(Instant::now() < deadline);
        std::thread::yield_now();
    }
}

#[test]
fn a_log_has_one_writer() {
    let folder = tempfile::tempdir().unwrap();
    let (_events, log, _) = start(folder.path());
    let again = testing::start_log(folder.path(), testing::an_hour(64 << 20));
    let error = again.err().unwrap().to_string();
    assert!(error.contains("another process writes this log"), "{error}");
    log.close();
    start(folder.path());
}

#[test]
fn events_that_come_after_the_end_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let (events, log, metrics) = start(folder.path());
    log.close();
    events.emit(Event::new(kinds::CallStarted {}));
    assert_eq!(metrics.dropped.with_label_values(&["queue_full"]).get(), 1);
    Events::off().emit(Event::new(kinds::CallStarted {}));
}
