//! Every input in every state, as one table: `table.txt` says what each comes to.

use std::fmt::Write;

use super::*;

const TABLE: &str = include_str!("table.txt");

/// A state as the device that speaks in it sees it.
type State = (&'static str, &'static str, fn() -> Scene);

const STATES: &[State] = &[
    ("not invited", "d1", || Scene::ringing(&["ben"])),
    ("calling", "a1", || Scene::ringing(&["ben"])),
    ("rung on two devices", "b1", || Scene::ringing(&["ben"])),
    ("rung on the only device", "c1", || Scene::ringing(&["ben", "cat"])),
    ("rung, without a socket", "c1", || {
        let mut scene = Scene::ringing(&["ben", "cat"]);
        scene.device("c1", DeviceChange::Lost);
        scene
    }),
    ("answered elsewhere", "b2", || Scene::together(&["ben"])),
    ("in a pair", "b1", || Scene::together(&["ben"])),
    ("in a pair, without a socket", "b1", || {
        let mut scene = Scene::together(&["ben"]);
        scene.device("b1", DeviceChange::Lost);
        scene
    }),
    ("in a group", "b1", || Scene::together(&["ben", "cat"])),
    ("host of a group", "a1", || Scene::together(&["ben", "cat"])),
    ("in a group through the server", "b1", || {
        let mut scene = Scene::together(&["ben", "cat"]);
        let reason = Sentence::cut("recorded");
        scene.feed(Input::Topology { topology: Topology::Server, reason });
        scene
    }),
    ("alone after the other left", "a1", || {
        let mut scene = Scene::together(&["ben"]);
        scene.say("b1", Request::Leave);
        scene
    }),
    ("left", "b1", || {
        let mut scene = Scene::together(&["ben", "cat"]);
        scene.say("b1", Request::Leave);
        scene
    }),
    ("declined", "b1", || {
        let mut scene = Scene::ringing(&["ben", "cat"]);
        scene.say("c1", accept()).say("b1", Request::Decline);
        scene
    }),
    ("not answered", "b1", || {
        let mut scene = Scene::ringing(&["ben", "cat"]);
        scene.say("c1", accept()).wait(45);
        scene
    }),
    ("withdrawn", "b1", || {
        let mut scene = Scene::ringing(&["ben", "cat"]);
        scene.say("c1", accept()).say("a1", Request::Cancel { user: Some(user("ben")) });
        scene
    }),
    ("over", "b1", || {
        let mut scene = Scene::together(&["ben"]);
        scene.say("a1", Request::HangUp);
        scene
    }),
];

fn inputs(speaker: &str) -> Vec<(&'static str, Input)> {
    let says = |request| Input::From { address: address(speaker), request };
    let is = |change| Input::Device { address: address(speaker), change };
    let order = |topology| Input::Topology { topology, reason: Sentence::cut("so") };
    vec![
        ("invites dan", says(invite(&["dan"]))),
        ("invites ann and ben", says(invite(&["ann", "ben"]))),
        ("accepts", says(accept())),
        ("declines", says(Request::Decline)),
        ("is busy", says(Request::Busy)),
        ("cancels all", says(Request::Cancel { user: None })),
        ("cancels ben", says(Request::Cancel { user: Some(user("ben")) })),
        ("hangs up", says(Request::HangUp)),
        ("leaves", says(Request::Leave)),
        ("rejoins", says(rejoin())),
        ("mutes", says(Request::Media { media: Media::default() })),
        ("offers", says(relay(1, 0, offer()))),
        ("offers late", says(relay(1, 9, offer()))),
        ("offers to nobody", says(relay(9, 0, offer()))),
        ("answers", says(relay(1, 0, Relayed::Answer(Sdp::cut("v=0"))))),
        ("has a candidate", says(relay(1, 0, candidate()))),
        ("restarts", says(Request::Restart { session: 1, epoch: 0 })),
        ("comes anew", is(DeviceChange::Came)),
        ("loses its socket", is(DeviceChange::Lost)),
        ("resumes", is(DeviceChange::Back)),
        ("is gone", is(DeviceChange::Gone)),
        ("goes with its node", Input::NodeGone { devices: vec![address(speaker)] }),
        ("(recording)", Input::Recording(true)),
        ("(mesh)", order(Topology::Mesh)),
        ("(server)", order(Topology::Server)),
        ("(direct isn't needed)", Input::DirectNotNeeded),
        ("(the server stops)", Input::End(EndReason::ServerStopping)),
        ("(a second later)", Input::Tick),
        ("(a minute later)", Input::Tick),
    ]
}

fn table() -> String {
    let mut table = String::new();
    for (state, speaker, scene) in STATES {
        let _ = writeln!(table, "== {state} ({speaker})");
        for (name, input) in inputs(speaker) {
            let mut scene = scene();
            scene.now += match name {
                "(a second later)" => Duration::from_secs(1),
                "(a minute later)" => Duration::from_secs(60),
                _ => Duration::ZERO,
            };
            scene.feed(input);
            let sent = scene.sent().join(", ");
            let result = match scene.last.refused {
                Some(refusal) => format!("refused: {refusal}"),
                None if sent.is_empty() => "nothing".to_owned(),
                None => sent,
            };
            let _ = writeln!(table, "{name:<22} {result}");
        }
    }
    table
}

#[test]
fn every_input_in_every_state_comes_to_something_defined() {
    let found = table();
    for (found, expected) in found.lines().zip(TABLE.lines()) {
        assert_eq!(found, expected);
    }
    assert_eq!(found.lines().count(), TABLE.lines().count(), "the whole table:\n{found}");
}

#[test]
fn every_refusal_has_a_code_and_all_but_the_stale_are_told() {
    let mut refusals: Vec<Refusal> = Vec::new();
    for (_, speaker, scene) in STATES {
        let handled = |(_, input)| {
            let mut scene = scene();
            scene.feed(input).last.refused
        };
        refusals.extend(inputs(speaker).into_iter().filter_map(handled));
    }
    assert!(refusals.len() > 100, "{}", refusals.len());
    let id = CallId::new("call").unwrap();
    for refusal in refusals {
        let stale = matches!(refusal, Refusal::Stale { .. });
        match refusal.answer(&id) {
            Some(ServerMessage::Error { code, .. }) => assert_eq!(code, refusal.code()),
            None => assert!(stale),
            other => panic!("{other:?}"),
        }
    }
}
