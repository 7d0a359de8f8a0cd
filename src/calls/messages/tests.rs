//! The messages in code, in `messages.schema.json` and in `tests/calls/schema` are the same.

use std::collections::BTreeSet;
use std::path::{Path as FilePath, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::*;
use crate::json_schema as schema;

const SCHEMA: &str = include_str!("../messages.schema.json");

fn examples(side: &str) -> Vec<(String, Value)> {
    let folder = FilePath::new(env!("CARGO_MANIFEST_DIR")).join("tests/calls/schema").join(side);
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let read = |path: PathBuf| {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        (name, serde_json::from_str(&text).unwrap())
    };
    files.into_iter().map(read).collect()
}

fn names(of: &[(String, Value)]) -> BTreeSet<String> {
    of.iter().map(|(name, _)| name.clone()).collect()
}

/// The variants that serde knows, by asking it for one that it doesn't.
fn variants<T: DeserializeOwned>(unknown: Value) -> BTreeSet<String> {
    let error = serde_json::from_value::<T>(unknown).err().unwrap().to_string();
    let (_, expected) = error.split_once("expected").unwrap();
    expected.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn strings(list: &Value) -> BTreeSet<String> {
    list.as_array().unwrap().iter().map(|s| s.as_str().unwrap().to_owned()).collect()
}

fn schema() -> Value {
    serde_json::from_str(SCHEMA).unwrap()
}

/// The messages that the schema lists for a side.
fn listed(side: &str) -> BTreeSet<String> {
    let schema = schema();
    let list = schema["$defs"][format!("{side}_message")]["oneOf"].as_array().unwrap().clone();
    let prefix = format!("#/$defs/{side}_");
    list.iter()
        .map(|entry| entry["$ref"].as_str().unwrap().strip_prefix(&prefix).unwrap().to_owned())
        .inspect(|name| {
            let kind = &schema["$defs"][format!("{side}_{name}")]["properties"]["type"]["const"];
            assert_eq!(kind, name);
        })
        .collect()
}

#[test]
fn code_schema_and_examples_name_the_same_messages() {
    let unknown = json!({"type": "?"});
    let client = variants::<ClientMessage>(unknown.clone());
    let known: BTreeSet<String> = ClientMessage::NAMES.iter().map(|n| (*n).to_owned()).collect();
    assert_eq!(client, known);
    assert_eq!(client, listed("client"));
    assert_eq!(client, names(&examples("client")));
    let server = variants::<ServerMessage>(unknown);
    assert_eq!(server, listed("server"));
    assert_eq!(server, names(&examples("server")));
}

#[test]
fn code_and_schema_know_the_same_words() {
    let unknown = || json!("?");
    for (place, known) in [
        ("/$defs/codec", variants::<stentor_protocol::Codec>(unknown())),
        ("/$defs/network", variants::<Network>(unknown())),
        ("/$defs/configure_cause", variants::<ConfigureCause>(unknown())),
        ("/$defs/path_name", variants::<Path>(unknown())),
        ("/$defs/path_report/properties/direction", variants::<Direction>(unknown())),
        ("/$defs/quality_sample/properties/direction", variants::<Direction>(unknown())),
        ("/$defs/client_report/properties/reason", variants::<ReportReason>(unknown())),
        ("/$defs/stream/properties/rendition", variants::<Rendition>(unknown())),
        ("/$defs/out_cause", variants::<OutCause>(unknown())),
        ("/$defs/participant/properties/state", variants::<Presence>(unknown())),
        ("/$defs/end_reason", variants::<EndReason>(unknown())),
        ("/$defs/ring_stop", variants::<RingStop>(unknown())),
        ("/$defs/topology_name", variants::<Topology>(unknown())),
        ("/$defs/availability", variants::<Availability>(unknown())),
        ("/$defs/server_left/properties/cause", variants::<LeftCause>(unknown())),
        ("/$defs/error_code", variants::<ErrorCode>(unknown())),
    ] {
        let schema = schema();
        let words = schema.pointer(place).map(|at| strings(&at["enum"]));
        assert_eq!(words, Some(known), "{place}");
    }
}

#[test]
fn every_client_example_is_valid_and_read_and_written_as_it_is() {
    for (name, example) in examples("client") {
        schema::check(&schema(), "client_message", &example).unwrap();
        let received = read(&example.to_string()).unwrap_or_else(|e| panic!("{name}: {e}"));
        let mut written = serde_json::to_value(&received.message).unwrap();
        if let Some(request) = received.request {
            written["request"] = request.into();
        }
        assert_eq!(written, example, "{name}");
    }
}

#[test]
fn every_server_example_is_valid_and_read_and_written_as_it_is() {
    for (name, example) in examples("server") {
        schema::check(&schema(), "server_message", &example).unwrap();
        let numbered: Numbered =
            serde_json::from_value(example.clone()).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(serde_json::to_value(&numbered).unwrap(), example, "{name}");
    }
}

#[test]
fn an_example_shows_every_field_that_the_schema_has() {
    for side in ["client", "server"] {
        for (name, example) in examples(side) {
            let schema = schema();
            let properties = &schema["$defs"][format!("{side}_{name}")]["properties"];
            let keys = |of: &Value| -> BTreeSet<String> {
                let all = of.as_object().unwrap().keys().cloned();
                all.filter(|key| key != "seq" && key != "request").collect()
            };
            assert_eq!(keys(properties), keys(&example), "{side} {name}");
        }
    }
}

#[test]
fn what_the_schema_refuses_is_refused_by_the_code() {
    let refused = examples("refused");
    assert!(refused.len() >= 10);
    for (name, example) in refused {
        assert!(schema::check(&schema(), "client_message", &example).is_err(), "{name}");
        assert!(read(&example.to_string()).is_err(), "{name}");
    }
}
