//! What reports say of known events.

use super::*;
use crate::calls::messages::{
    CandidateKind, Carrier, Direction, Network, Path as Way, ReportReason,
};
use crate::events::kinds::*;

struct Story {
    folder: tempfile::TempDir,
    steps: Vec<Step>,
}

impl Story {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), steps: Vec::new() }
    }

    fn at(&mut self, ms: u64, event: Event) -> &mut Self {
        let number = self.steps.len() as u64;
        self.steps.push(Step::Event(0, logged("n", number, NOON + ms, &event)));
        self
    }

    fn told(&self) -> std::path::PathBuf {
        let path = self.folder.path().join("rollups.db");
        play(&path, &self.steps, NOON + HOUR);
        path
    }
}

fn call(data: impl Into<Data>) -> Event {
    Event::new(data).of_call("c").of_user("anna").of_device("d")
}

#[test]
fn set_up_is_told_by_success_and_time() {
    let mut story = Story::new();
    for n in 0..100 {
        story.at(n, call(CallInvited { by: "bert".into() }));
        if n < 80 {
            story.at(n, call(CallAnswered { after_ms: 2000 + n * 10 }));
            story.at(n, call(CallConnected { after_ms: if n < 76 { 300 } else { 9000 } }));
        } else {
            story.at(n, call(CallMissed {}).because("no_answer"));
        }
    }
    let path = story.told();
    let table = report(&path, Report::SetUp, NOON, NOON + MINUTE, MINUTE, NOON + HOUR);
    let of = |key: &str| column(&table, key)[0].unwrap();
    assert_eq!((of("invited"), of("answered"), of("unanswered")), (100.0, 80.0, 20.0));
    assert_eq!((of("success"), of("connected")), (0.8, 80.0));
    assert!((285.0..315.0).contains(&of("set_up_p50")), "{}", of("set_up_p50"));
    assert!((285.0..315.0).contains(&of("set_up_p95")), "{}", of("set_up_p95"));
    assert!((2280.0..2520.0).contains(&of("answer_p50")), "{}", of("answer_p50"));
    let why = report(&path, Report::Unanswered, NOON, NOON + MINUTE, MINUTE, NOON + HOUR);
    assert_eq!(column(&why, "no_answer"), [Some(20.0)]);
}

#[test]
fn quality_is_told_by_country_device_network_and_browser() {
    let mut story = Story::new();
    for (country, client, network, bitrate, frozen) in [
        ("DE", "phone, Chromium 140", Network::Cellular, 500_000, 100),
        ("DE", "computer, Firefox 140", Network::Ethernet, 1_500_000, 0),
        ("FR", "computer, Firefox 140", Network::Ethernet, 2_000_000, 20),
    ] {
        let quality = |direction, path, local| Quality {
            user: "bert".into(),
            direction,
            path,
            local: Some(local),
            remote: Some(CandidateKind::Srflx),
            transport: Some(Carrier::Udp),
            bitrate_bps: bitrate,
            lost_permille: 10,
            round_trip_ms: Some(40),
            frozen_permille: Some(frozen),
            width: Some(720),
            height: Some(1280),
            frame_rate: Some(30),
        };
        story.at(
            0,
            call(ClientReport {
                reason: ReportReason::Periodic,
                client: client.into(),
                width: 1,
                height: 1,
                network,
                location: Some(Location { country: country.into(), city: None }),
                quality: vec![
                    quality(Direction::Receive, Way::Direct, CandidateKind::Host),
                    // To the server by a relay is by the server.
                    quality(Direction::Send, Way::Server, CandidateKind::Relay),
                    quality(Direction::Send, Way::Server, CandidateKind::Host),
                    quality(Direction::Send, Way::Direct, CandidateKind::Relay),
                ],
            }),
        );
    }
    let path = story.told();
    let by = |of| report(&path, Report::QualityBy(of), NOON, NOON + MINUTE, MINUTE, NOON + HOUR);
    use crate::analytics::report::By;
    let names = |table: &Table| -> Vec<String> {
        let name = |row: &Vec<Value>| match &row[0] {
            Value::Text(text) => text.clone(),
            other => panic!("{other:?}"),
        };
        table.rows.iter().map(name).collect()
    };
    let country = by(By::Country);
    assert_eq!(names(&country), ["DE", "FR"]);
    assert_eq!(column(&country, "bitrate"), [Some(1e6), Some(2e6)]);
    assert_eq!(column(&country, "frozen"), [Some(0.05), Some(0.02)]);
    assert_eq!(column(&country, "height"), [Some(720.0); 2], "a phone's picture stands upright");
    assert_eq!(names(&by(By::Device)), ["desktop", "phone"]);
    assert_eq!(names(&by(By::Network)), ["ethernet", "cellular"]);
    assert_eq!(column(&by(By::Browser), "samples"), [Some(2.0), Some(1.0)]);
    let ways = report(&path, Report::Ways, NOON, NOON + MINUTE, MINUTE, NOON + HOUR);
    let of = |key| column(&ways, key)[0];
    assert_eq!((of("mesh"), of("relayed"), of("server")), (Some(0.25), Some(0.25), Some(0.5)));
    let sizes = report(&path, Report::Sizes, NOON, NOON + MINUTE, MINUTE, NOON + HOUR);
    assert_eq!(column(&sizes, "720p"), [Some(3.0)]);
}

#[test]
fn viewers_are_told_by_channel_and_rendition_and_those_who_stay_count() {
    let viewer = |data: Data, channel: &str| Event::new(data).of_channel(channel);
    let joined = |session: &str| ViewerJoined {
        session: session.into(),
        rendition: Some("720p".into()),
        location: None,
    };
    let left = |session: &str, rendition: &str, lasted_ms| ViewerLeft {
        session: session.into(),
        rendition: Some(rendition.into()),
        lasted_ms,
    };
    let mut story = Story::new();
    story
        .at(0, viewer(joined("one").into(), "news"))
        .at(0, viewer(joined("two").into(), "news"))
        .at(0, viewer(joined("three").into(), "sport"))
        .at(5 * MINUTE, viewer(left("two", "360p", 5 * MINUTE).into(), "news").because("left"))
        .at(
            9 * MINUTE,
            viewer(left("three", "720p", 9 * MINUTE).into(), "sport").because("silent"),
        );
    let path = story.told();
    let now = NOON + 20 * MINUTE;
    let table = report(&path, Report::Viewers, NOON, NOON + 10 * MINUTE, 10 * MINUTE, now);
    // The span begins on a multiple of ten minutes, seven before.
    let means: Vec<f64> =
        ["news", "sport"].iter().map(|name| column(&table, name)[0].unwrap()).collect();
    assert_eq!(means, [0.6, 0.3]);
    let rows = report(&path, Report::Renditions, NOON, NOON + 20 * MINUTE, 20 * MINUTE, now);
    assert_eq!(rows.rows.len(), 3, "news 360p and 720p, sport 720p");
    assert_eq!(column(&rows, "watched").into_iter().flatten().sum::<f64>(), 840.0);
    let all = report(&path, Report::Concurrency, NOON, now, MINUTE, now);
    let peaks = column(&all, "viewers_peak");
    assert_eq!((peaks[0], peaks[5], peaks[19]), (Some(3.0), Some(2.0), Some(1.0)));
    let drops = report(&path, Report::Drops, NOON, now, MINUTE, now);
    assert_eq!(column(&drops, "viewer: silent").into_iter().flatten().sum::<f64>(), 1.0);
}

#[test]
fn users_are_counted_once_in_every_span() {
    let mut story = Story::new();
    for minute in 0..30 {
        for user in 0..10 {
            let name = format!("user{}", user + minute / 10);
            let event = Event::new(DeviceConnected { network: Network::Wifi });
            story.at(minute * MINUTE, event.of_user(name).of_device("d"));
        }
    }
    story.at(MINUTE, call(CallStarted {}));
    let path = story.told();
    let count = |step| {
        let table = report(&path, Report::Users, NOON, NOON + 30 * MINUTE, step, NOON + HOUR);
        column(&table, "users").into_iter().flatten().collect::<Vec<f64>>()
    };
    assert_eq!(count(HOUR), [13.0]);
    assert_eq!((count(MINUTE)[0], count(MINUTE)[1]), (10.0, 11.0));
    let table = report(&path, Report::Users, NOON, NOON + HOUR, HOUR, NOON + HOUR);
    assert_eq!(column(&table, "callers")[0], Some(1.0));
}

#[test]
fn every_report_says_something_of_nothing() {
    let story = Story::new();
    let path = story.told();
    for (name, kind, _) in Report::ALL {
        for step in [MINUTE, HOUR] {
            let table = report(&path, *kind, NOON, NOON + HOUR, step, NOON + 2 * HOUR);
            assert_eq!(table.report, *name);
            assert!(table.rows.iter().all(|row| row.len() == table.columns.len()), "{name}");
            assert!(!table.to_csv().is_empty());
        }
    }
}

#[test]
fn dimensions_are_bounded_and_the_rest_is_other() {
    let mut story = Story::new();
    for n in 0..400 {
        let joined = ViewerJoined { session: format!("v{n}"), rendition: None, location: None };
        story.at(n, Event::new(joined).of_channel(format!("channel{n}")));
    }
    let path = story.told();
    let table = report(&path, Report::Viewers, NOON, NOON + HOUR, MINUTE, NOON + HOUR);
    assert!(table.columns.len() <= 26, "{}", table.columns.len());
    let peak = table.columns.iter().skip(1).map(|c| column(&table, &c.key)[5].unwrap());
    assert_eq!(peak.sum::<f64>(), 400.0);
    let words: u32 = Connection::open(&path)
        .unwrap()
        .query_row("SELECT count(*) FROM words WHERE dimension = 7", (), |row| row.get(0))
        .unwrap();
    assert_eq!(words, 257);
}
