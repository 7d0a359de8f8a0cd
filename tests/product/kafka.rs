//! Events on their way to a real Kafka: none is lost and each call's stay in order, whoever is
//! killed meanwhile; and those who take them there.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};

use crate::consumers::{Analytics, Archive, one_of_two_creators_finishes};
use crate::support::caller::Caller;
use crate::support::daemon::Options;
use crate::support::kafka::{Kafka, Topic};
use crate::support::wait::check;
use crate::support::{Daemon, soak_is_long, until};

const SOON: Duration = Duration::from_secs(60);
const TOPIC: &str = "stentor.events";
const CALLS: usize = 8;
/// How long a daemon may take to end, two seconds of grace included: systemd waits for 45.
const END: Duration = Duration::from_secs(15);

/// Two in a call, of whom one reports again and again.
struct Pair {
    anna: Caller,
    _bert: Caller,
    call: Value,
    said: u64,
}

impl Pair {
    async fn start(daemon: &Daemon, number: usize) -> Self {
        let (a, b) = (format!("a{number}"), format!("b{number}"));
        let mut anna = Caller::sign_in(daemon, &a, "one").await;
        let mut bert = Caller::sign_in(daemon, &b, "one").await;
        let call = anna.invite(&[&b]).await;
        bert.expect("ring").await;
        bert.accept(&call).await;
        Self { anna, _bert: bert, call, said: 0 }
    }

    /// Reports so often; each is numbered by its bit rate.
    async fn report(&mut self, times: u64) {
        for _ in 0..times {
            self.said += 1;
            let quality = json!([{
                "user": "b", "direction": "send", "path": "direct", "lost_permille": 0,
                "bitrate_bps": self.said,
            }]);
            self.anna
                .say(json!({
                    "type": "report", "call": self.call, "reason": "periodic", "client": "test",
                    "width": 1, "height": 1, "network": "wifi", "quality": quality,
                }))
                .await;
        }
    }
}

/// Reports that are in the log, of those that this daemon was told.
async fn logged(daemon: &Daemon) -> f64 {
    daemon.metric("stentor_events_written_total", &["client.report"]).await
}

/// All calls report so often in turn; waits until all of it is logged.
async fn report(daemon: &Daemon, pairs: &mut [Pair], times: u64) {
    let expected = logged(daemon).await + times as f64 * pairs.len() as f64;
    for _ in 0..times.div_ceil(50) {
        for pair in pairs.iter_mut() {
            pair.report(times.min(50)).await;
        }
    }
    until("all reports are logged", SOON, async || {
        let now = logged(daemon).await;
        check(now >= expected, format!("{now} of {expected}"))
    })
    .await;
}

/// All calls report so often; waits until some of it is logged.
async fn report_some(daemon: &Daemon, pairs: &mut [Pair], times: u64) {
    let before = logged(daemon).await;
    for pair in pairs {
        pair.report(times).await;
    }
    until("some of it is logged", SOON, async || {
        let now = logged(daemon).await;
        check(now > before, format!("{now} after {before}"))
    })
    .await;
}

async fn start(daemon: &Daemon, round: usize) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for number in 0..CALLS {
        pairs.push(Pair::start(daemon, round * CALLS + number).await);
    }
    pairs
}

/// Every event of the log is in the topic, and in the log's order within a key.
async fn holds_all(daemon: &Daemon, topic: &mut Topic) {
    let id = |event: &Value| event["id"].as_str().unwrap().to_owned();
    // What is logged after this is not asked for.
    let log = until("every event is in Kafka", SOON, async || {
        topic.read(Duration::from_millis(200));
        let there: BTreeSet<String> = topic.events.values().flatten().map(id).collect();
        let log = daemon.events();
        let missing = log.iter().filter(|event| !there.contains(&id(event))).count();
        if missing == 0 { Ok(log) } else { Err(format!("{missing} are missing")) }
    })
    .await;
    let key = |event: &Value| {
        let subjects = ["call", "recording", "channel", "device", "user", "node"];
        subjects.iter().find_map(|name| event[name].as_str()).unwrap_or_default().to_owned()
    };
    let mut logged: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for event in &log {
        logged.entry(key(event)).or_default().push(id(event));
    }
    let mut shipped: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let (mut seen, mut again) = (BTreeSet::new(), 0);
    for event in topic.events.values().flatten() {
        if seen.insert(id(event)) {
            shipped.entry(key(event)).or_default().push(id(event));
        } else {
            again += 1;
        }
    }
    assert!(shipped == logged, "the order isn't the log's");
    println!("{} events in {} keys, {again} came again", seen.len(), shipped.len());
}

/// Of what is logged, in the log's order.
fn ids(daemon: &Daemon) -> Vec<String> {
    daemon.events().iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect()
}

/// What was logged before still is, where it was, and more follows.
fn keeps(daemon: &Daemon, before: &[String]) {
    let now = ids(daemon);
    assert!(now.len() > before.len(), "its end isn't in the log");
    assert!(now[..before.len()] == *before, "the log isn't what it was");
}

async fn misses_the_broker(daemon: &Daemon) {
    until("the daemon sees that the broker is away", SOON, async || {
        let up = daemon.metric("stentor_events_kafka_up", &[]).await;
        check(up == 0.0, up)
    })
    .await;
}

async fn counts_shipped(daemon: &Daemon, at_least: u64) {
    until("what Kafka has is counted", SOON, async || {
        let shipped = daemon.metric("stentor_events_shipped_total", &[]).await;
        check(shipped >= at_least as f64, format!("{shipped} of {at_least}"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_reaches_kafka_in_order_whoever_is_killed() {
    // Each round is that of a part of the whole.
    let began = std::time::Instant::now();
    let at = |what: &str| println!("{:?}: {what}", began.elapsed());
    let times: u64 = if soak_is_long() { 100_000 / 5 / CALLS as u64 } else { 100 };
    let mut kafka = Kafka::start().await;
    let calls = "[calls]\nmessages_per_second = 100000\nmessage_burst = 100000\n\
                 rings_per_minute = 1000\n[events]\nreports_per_minute = 10000000\n\
                 [recording]\nchunk = \"1s\"\ncreator = \"elsewhere\"\n";
    let config = format!("{calls}{}", kafka.config());
    let server = "drain_grace = \"2s\"".to_owned();
    let mut daemon = Daemon::start(Options { config, server, ..Options::default() }).await;
    at("Kafka and the daemon run");
    let mut analytics = Analytics::start(&kafka);
    let mut pairs = start(&daemon, 0).await;
    let mut topic = kafka.topic(TOPIC);
    report(&daemon, &mut pairs, times).await;
    analytics.kill_while_it_counts(times).await;

    // The broker goes while events are under way, and comes back twice.
    for _ in 0..2 {
        kafka.kill();
        report(&daemon, &mut pairs, times).await;
        at("the broker is away");
        kafka.start_again().await;
        at("it is back");
        report(&daemon, &mut pairs, times).await;
    }
    holds_all(&daemon, &mut topic).await;
    at("all is there");
    analytics.start_again();
    analytics.counts(ids(&daemon).len() as u64).await;

    // Who takes events is told to end when the broker has just gone, and is started without it.
    kafka.kill();
    analytics.terminate().await;
    analytics.start_again();
    let mut archive = Archive::start(&kafka);
    // The daemon goes while the broker is away, as it is told and as it is not, and events wait in
    // the log. How far Kafka is was kept meanwhile.
    report(&daemon, &mut pairs, times).await;
    misses_the_broker(&daemon).await;
    analytics.waits_and_ends().await;
    archive.waits_and_ends().await;
    at("who takes events waited, and ended");
    let before = ids(&daemon);
    let asked = std::time::Instant::now();
    daemon.terminate_and_start_again(END).await;
    println!("the daemon ended and is back after {:.1?}", asked.elapsed());
    keeps(&daemon, &before);
    drop(pairs);
    let mut pairs = start(&daemon, 3).await;
    report_some(&daemon, &mut pairs, times).await;
    daemon.kill_and_start_again().await;
    drop(pairs);
    at("the daemon is back");
    let mut pairs = start(&daemon, 1).await;
    kafka.spawn();
    report(&daemon, &mut pairs, times).await;
    holds_all(&daemon, &mut topic).await;
    at("all is there");

    // The daemon goes while events are under way: some of them come again.
    analytics.start_again();
    report_some(&daemon, &mut pairs, times).await;
    analytics.kill_while_it_counts(1).await;
    analytics.start_again();
    daemon.kill_and_start_again().await;
    drop(pairs);
    // All that was logged may be in Kafka by now: what is new can't be.
    let mut pairs = start(&daemon, 2).await;
    report(&daemon, &mut pairs, times).await;
    holds_all(&daemon, &mut topic).await;
    at("what was logged is there");
    counts_shipped(&daemon, times * CALLS as u64).await;
    assert_eq!(daemon.metric("stentor_events_unshipped_lost_total", &[]).await, 0.0);
    analytics.count_all(&mut topic).await;
    analytics.is_well().await;
    at("all is counted");
    one_of_two_creators_finishes(&daemon, &kafka).await;
    at("a file is made");
}
