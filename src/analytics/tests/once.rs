//! Every event counts once, whatever happens on the way.

use proptest::prelude::*;

use super::*;
use crate::calls::messages::{Direction, EndReason, Network, Path as Way, ReportReason};
use crate::events::kinds::*;

/// An event of one of some kinds; `n` names what it is about.
fn event(kind: u8, n: u8, ms: u64) -> Event {
    let call = |data: Data| {
        Event::new(data).of_call(format!("c{n}")).of_user(format!("u{}", n % 7)).of_device("d")
    };
    let viewer = |data: Data| Event::new(data).of_channel(format!("news{}", n % 3));
    let session = format!("v{n}");
    match kind {
        0 => call(CallStarted {}.into()),
        1 => call(CallEnded { reason: EndReason::HungUp, lasted_ms: ms }.into()),
        2 => call(CallAnswered { after_ms: ms }.into()),
        3 => call(CallLeft {}.into()).because("lost"),
        4 => viewer(ViewerJoined { session, rendition: None, location: None }.into()),
        5 => viewer(ViewerLeft { session, rendition: None, lasted_ms: ms }.into()),
        6 => call(report(n).into()),
        _ => Event::new(EventsLost { events: ms }),
    }
}

fn report(n: u8) -> ClientReport {
    ClientReport {
        reason: ReportReason::Periodic,
        client: "phone, Chromium 140".to_owned(),
        width: 1080,
        height: 2340,
        network: if n.is_multiple_of(2) { Network::Wifi } else { Network::Cellular },
        location: (!n.is_multiple_of(3))
            .then(|| Location { country: if n % 3 == 1 { "DE" } else { "FR" }.into(), city: None }),
        quality: vec![Quality {
            user: "bert".to_owned(),
            direction: Direction::Receive,
            path: Way::Direct,
            local: None,
            remote: None,
            transport: None,
            bitrate_bps: 1000 * u64::from(n),
            lost_permille: 3,
            round_trip_ms: None,
            frozen_permille: Some(u16::from(n)),
            width: Some(1280),
            height: Some(720),
            frame_rate: None,
        }],
    }
}

prop_compose! {
    /// Events of three nodes, each node's in order.
    fn streams()(
        kinds in prop::collection::vec((0..8_u8, 0..12_u8, 0..400_000_u64, 0..3_u8), 1..120)
    ) -> Vec<(u32, Box<Logged>)> {
        let events = kinds.into_iter().enumerate().map(|(at, (kind, n, ms, node))| {
            let time = NOON + at as u64 * 7000;
            let event = event(kind, n, ms);
            (u32::from(node) / 2, logged(&format!("node{node}"), at as u64, time, &event))
        });
        events.collect()
    }
}

/// What is done to a stream on the way.
#[derive(Debug, Clone)]
enum Trouble {
    /// An event comes again, so many places later.
    Repeat(prop::sample::Index, u8),
    Swap(prop::sample::Index, prop::sample::Index),
    Dry(prop::sample::Index),
    Kill(prop::sample::Index),
}

fn trouble() -> impl Strategy<Value = Trouble> {
    let at = any::<prop::sample::Index>;
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(at, later)| Trouble::Repeat(at, later)),
        (at(), at()).prop_map(|(a, b)| Trouble::Swap(a, b)),
        at().prop_map(Trouble::Dry),
        at().prop_map(Trouble::Kill),
    ]
}

fn disturbed(events: &[(u32, Box<Logged>)], troubles: &[Trouble]) -> Vec<Step> {
    let mut steps: Vec<Step> =
        events.iter().map(|(place, logged)| Step::Event(*place, logged.clone())).collect();
    for trouble in troubles {
        match trouble {
            Trouble::Repeat(at, later) => {
                let at = at.index(steps.len());
                let to = (at + usize::from(*later)).min(steps.len());
                let again = steps[at].clone();
                steps.insert(to, again);
            }
            Trouble::Swap(a, b) => {
                let (a, b) = (a.index(steps.len()), b.index(steps.len()));
                steps.swap(a, b);
            }
            Trouble::Dry(at) => steps.insert(at.index(steps.len()), Step::Dry),
            Trouble::Kill(at) => steps.insert(at.index(steps.len()), Step::Killed),
        }
    }
    steps
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn repeated_reordered_and_killed_anywhere_the_sums_are_those_of_the_events(
        events in streams(),
        troubles in prop::collection::vec(trouble(), 0..40),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let (plain, other) = (folder.path().join("plain.db"), folder.path().join("other.db"));
        play(&plain, &disturbed(&events, &[]), NOON + DAY);
        play(&other, &disturbed(&events, &troubles), NOON + DAY);
        // A name's first beginning counts, and which one is first is a matter of order.
        let once = |lines: Vec<String>| -> Vec<String> {
            lines.into_iter().filter(|line| !line.starts_with("open")).collect()
        };
        prop_assert_eq!(once(contents(&plain)), once(contents(&other)));
    }
}

#[test]
fn a_batch_that_is_not_committed_leaves_nothing_and_is_taken_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rollups.db");
    let steps: Vec<Step> = (0..50)
        .map(|n| Step::Event(0, logged("n", n, NOON + n, &event(0, n as u8, 0))))
        .chain([Step::Killed])
        .collect();
    let mut first = engine(&path, &steps);
    assert!(first.turn(UNIX_EPOCH).is_err());
    drop(first);
    assert_eq!(contents(&path), [""; 0]);
    play(&path, &steps[..50], NOON);
    let table = super::report(&path, Report::Calls, NOON, NOON + HOUR, HOUR, NOON + HOUR);
    assert_eq!(column(&table, "started")[0], Some(50.0));
}

#[test]
fn what_somebody_made_up_stops_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rollups.db");
    let made_up = |n: u64| {
        let event = |n, ms| logged("n", n, NOON + n, &event(n as u8 % 2 + 1, n as u8, ms));
        let mut quality = report(1);
        quality.quality[0].bitrate_bps = u64::MAX;
        let quality = Event::new(quality).of_call("c");
        let lost = Event::new(EventsLost { events: u64::MAX });
        vec![
            Step::Event(0, event(4 * n, u64::MAX)),
            Step::Event(0, event(4 * n + 1, u64::MAX)),
            Step::Event(0, logged("n", 4 * n + 2, NOON + 4 * n + 2, &quality)),
            Step::Event(0, logged("n", 4 * n + 3, NOON + 4 * n + 3, &lost)),
            // What adds up in the database, and not in memory.
            Step::Dry,
        ]
    };
    play(&path, &(0..4).flat_map(made_up).collect::<Vec<_>>(), NOON + HOUR);
    let table = super::report(&path, Report::Totals, NOON, NOON + HOUR, HOUR, NOON + HOUR);
    assert_eq!(column(&table, "events")[0], Some(16.0));
    assert!(column(&table, "events_lost")[0].unwrap() > 1e11);
}

#[test]
fn one_process_writes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rollups.db");
    let first = engine(&path, &[]);
    let metrics = AnalyticsMetrics::register(&Registry::new()).unwrap();
    let open = |_: &Positions| Ok(Script { steps: Vec::new(), at: 0 });
    let second = Engine::open(&path, open, KEPT, metrics);
    assert!(second.err().unwrap().to_string().contains("in use"));
    drop(first);
    engine(&path, &[]);
}
