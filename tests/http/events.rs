//! What happens is in the log of events, in order, and with what it is about.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stentor::calls::messages::{Carrier, EndReason};
use stentor::config::Period;
use stentor::events::kinds::Joined;
use stentor::events::{Cursor, Data, Item, Logged, Reader};

use crate::device::{Device, media};
use crate::support::{PATIENCE, Server};

#[path = "../support/geoip.rs"]
mod geoip;

pub fn all(folder: &Path) -> Vec<Logged> {
    let mut reader = Reader::open(&folder.join("events"), Cursor::default());
    let mut all = Vec::new();
    while let Some(item) = reader.next().unwrap() {
        match item {
            Item::Event(logged) => all.push(*logged),
            Item::Lost(events) => panic!("{events} lost"),
        }
    }
    all
}

/// Waits until such an event is logged.
pub async fn logged(server: &Server, what: &str, holds: impl Fn(&Logged) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !all(server.folder.path()).iter().any(&holds) {
        assert!(Instant::now() < deadline, "{what} isn't logged");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn kinds_of<'a>(all: &'a [Logged], of: impl Fn(&Logged) -> bool) -> Vec<(&'a str, &'a str)> {
    let user = |logged: &'a Logged| logged.envelope.user.as_deref().unwrap_or("");
    all.iter().filter(|l| of(l)).map(|l| (l.envelope.kind.as_str(), user(l))).collect()
}

fn report(call: Option<&str>, bitrate: u64) -> Value {
    let quality = json!([{
        "user": "bert", "direction": "receive", "path": "direct", "bitrate_bps": bitrate,
        "lost_permille": 2000, "local": "relay", "remote": "srflx", "transport": "tls",
    }]);
    let mut report = json!({
        "type": "report", "reason": "periodic", "client": "test", "width": 1, "height": 2,
        "network": "wifi", "quality": quality, "request": 77,
    });
    if let Some(call) = call {
        report["call"] = call.into();
    }
    report
}

#[test]
fn an_address_has_the_place_that_the_database_gives_it() {
    let places = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(places.path(), geoip::loopback_in_berlin()).unwrap();
    let places = stentor::events::GeoIp::open(places.path()).unwrap();
    let at = |address: &str| places.coordinates(address.parse().unwrap());
    assert_eq!(at("127.0.0.1"), Some((52.5, 13.4)));
    assert_eq!(at("::ffff:127.0.0.1"), Some((52.5, 13.4)));
    assert_eq!(at("192.0.2.1"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_calls_life_is_in_the_log_with_who_and_why() {
    let places = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(places.path(), geoip::loopback_in_berlin()).unwrap();
    let server = Server::with(|config| {
        config.events.geoip_database = Some(places.path().to_owned());
    })
    .await;
    let mut anna = Device::sign_in(&server, "anna").await;
    let mut bert = Device::sign_in(&server, "bert").await;
    let invite = json!({"type": "invite", "users": ["bert"], "media": media()});
    anna.say(invite.clone()).await;
    let ring = bert.expect("ring").await;
    let call = ring["call"].as_str().unwrap();
    bert.say(json!({"type": "accept", "call": call, "media": media()})).await;
    anna.expect("configure").await;
    anna.say(report(Some(call), 1_000_000)).await;
    anna.say(json!({"type": "hang_up", "call": call})).await;
    bert.expect("call_ended").await;
    anna.expect("call_ended").await;
    // The next is declined.
    anna.say(invite).await;
    let again = bert.expect("ring").await;
    let second = again["call"].as_str().unwrap();
    bert.say(json!({"type": "decline", "call": second})).await;
    anna.expect("call_ended").await;
    bert.leave().await;
    logged(&server, "bert's end", |l| l.envelope.kind == "device.disconnected").await;
    drop(anna);
    logged(&server, "anna's loss", |l| l.envelope.kind == "device.lost").await;
    let folder = server.stop().await;

    let all = all(folder.path());
    assert!(all.is_sorted_by(|a, b| a.envelope.id < b.envelope.id));
    assert!(all.iter().all(|l| l.envelope.node == all[0].envelope.node));
    let of = |id: &str| kinds_of(&all, |l| l.envelope.call.as_deref() == Some(id));
    assert_eq!(
        of(call),
        [
            ("call.started", "anna"),
            ("call.joined", "anna"),
            ("call.invited", "bert"),
            ("call.ringing", "bert"),
            ("call.answered", "bert"),
            ("call.joined", "bert"),
            ("call.configured", ""),
            ("client.report", "anna"),
            ("call.ended", ""),
        ]
    );
    assert_eq!(
        of(second),
        [
            ("call.started", "anna"),
            ("call.joined", "anna"),
            ("call.invited", "bert"),
            ("call.ringing", "bert"),
            ("call.declined", "bert"),
            ("call.ended", ""),
        ]
    );
    let find = |kind: &str| all.iter().find(|l| l.envelope.kind == kind).unwrap();
    let Data::CallJoined(joined) = find("call.joined").data().unwrap() else { panic!() };
    assert_eq!(joined.how, Joined::Started);
    let ended = find("call.ended");
    let Data::CallEnded(end) = ended.data().unwrap() else { panic!() };
    assert_eq!((end.reason, ended.envelope.cause.as_deref()), (EndReason::HungUp, Some("hung_up")));
    let report = find("client.report");
    assert_eq!(report.envelope.device.as_deref(), Some("one"));
    let Data::ClientReport(report) = report.data().unwrap() else { panic!() };
    let location = report.location.unwrap();
    assert_eq!((location.country.as_str(), location.city.as_deref()), ("DE", Some("Berlin")));
    assert_eq!(report.quality[0].bitrate_bps, 1_000_000);
    assert!(report.quality[0].is_relayed());
    assert_eq!(report.quality[0].transport, Some(Carrier::Tls));
    assert_eq!(report.quality[0].lost_permille, 1000, "more than all can't be lost");
    let devices = kinds_of(&all, |l| l.envelope.kind.starts_with("device."));
    assert_eq!(
        devices,
        [
            ("device.connected", "anna"),
            ("device.connected", "bert"),
            ("device.disconnected", "bert"),
            ("device.lost", "anna"),
            ("device.disconnected", "anna"),
        ]
    );
    assert_eq!(find("device.disconnected").envelope.cause.as_deref(), Some("signed_out"));
    assert_eq!(all.last().unwrap().envelope.cause.as_deref(), Some("stopping"));
    let text = all.iter().map(|l| l.line.as_str()).collect::<String>();
    assert!(!text.contains("127.0.0.1"), "an address is in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_reports_of_anothers_call_or_too_much() {
    let server = Server::with(|config| config.events.reports_per_minute = 2).await;
    let mut stranger = Device::connect(&server).await;
    assert_eq!(stranger.refused(report(None, 1)).await, "hello_first");
    let mut anna = Device::sign_in(&server, "anna").await;
    let mut bert = Device::sign_in(&server, "bert").await;
    let mut carl = Device::sign_in(&server, "carl").await;
    anna.say(json!({"type": "invite", "users": ["bert"], "media": media()})).await;
    let ring = bert.expect("ring").await;
    let call = ring["call"].as_str().unwrap();
    assert_eq!(carl.refused(report(Some(call), 1)).await, "not_in_call");
    assert_eq!(carl.refused(report(Some("none"), 1)).await, "not_in_call");
    for number in [1, 2] {
        carl.say(report(None, number)).await;
    }
    assert_eq!(carl.refused(report(None, 3)).await, "too_many_requests");
    let mut long = report(None, 4);
    long["client"] = "x".repeat(65).into();
    assert_eq!(bert.refused(long).await, "invalid");
    // Others may, and the socket is as it was.
    bert.say(report(Some(call), u64::MAX)).await;
    logged(&server, "bert's report", |l| {
        l.envelope.kind == "client.report" && l.envelope.user.as_deref() == Some("bert")
    })
    .await;
    let folder = server.stop().await;
    let all = all(folder.path());
    let reports: Vec<_> = all.iter().filter(|l| l.envelope.kind == "client.report").collect();
    assert_eq!(reports.len(), 3);
    let Data::ClientReport(made_up) = reports[2].data().unwrap() else { panic!() };
    assert_eq!(made_up.quality[0].bitrate_bps, 100_000_000_000, "more than that is made up");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channels_turns_are_in_the_log() {
    let server = Server::with(|config| {
        config.worker.restart_backoff_max = Period::from_millis(1000);
    })
    .await;
    server.make("falling", json!({"kind": "synthetic"})).await;
    server.make("crash", json!({"kind": "synthetic"})).await;
    server.make("studio", json!({"kind": "whip"})).await;
    for (channel, kind) in [
        ("falling", "channel.live"),
        ("falling", "channel.fallback"),
        ("crash", "channel.worker-restarted"),
        ("studio", "channel.slate"),
    ] {
        let is =
            |l: &Logged| l.envelope.channel.as_deref() == Some(channel) && l.envelope.kind == kind;
        logged(&server, kind, is).await;
    }
    let folder = server.stop().await;
    let all = all(folder.path());
    let fallback = all.iter().find(|l| l.envelope.kind == "channel.fallback").unwrap();
    assert_eq!(fallback.envelope.cause.as_deref(), Some("as asked for"));
    let Data::ChannelFallback(data) = fallback.data().unwrap() else { panic!() };
    assert_eq!((data.from.as_str(), data.to.as_str()), ("nvenc", "software"));
    let restart = all.iter().find(|l| l.envelope.kind == "channel.worker-restarted").unwrap();
    assert!(restart.envelope.cause.as_ref().unwrap().contains('3'), "{restart:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_go_on_in_the_log_of_the_daemon_before() {
    let server = Server::start().await;
    let anna = Device::sign_in(&server, "anna").await;
    let metric = "stentor_events_written_total{type=\"device.connected\"}";
    logged(&server, "anna", |l| l.envelope.kind == "device.connected").await;
    assert_eq!(server.metric(metric).await, 1.0);
    assert!(server.metric("stentor_events_log_bytes").await > 100.0);
    drop(anna);
    let folder = server.stop().await;
    let server = Server::again(folder, |_| {}).await;
    Device::sign_in(&server, "bert").await.leave().await;
    let folder = server.stop().await;
    let all = all(folder.path());
    let connected = kinds_of(&all, |l| l.envelope.kind == "device.connected");
    assert_eq!(connected, [("device.connected", "anna"), ("device.connected", "bert")]);
    assert_ne!(all[0].envelope.node, all.last().unwrap().envelope.node);

    let server = Server::again(folder, |config| config.events.enabled = false).await;
    Device::sign_in(&server, "carl").await.leave().await;
    let folder = server.stop().await;
    assert_eq!(self::all(folder.path()).len(), all.len());
}
