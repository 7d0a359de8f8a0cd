//! Analytics from a real Kafka: each event counts once, whoever is killed meanwhile.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use serde_json::Value;

use crate::support::daemon::free_port;
use crate::support::kafka::Kafka;
use crate::support::{program, until};

const SOON: Duration = Duration::from_secs(60);
const TOPIC: &str = "stentor.events";
/// 2026-11-23T16:07:00Z.
const NOON: u64 = 1_795_450_020_000;
const CALLS: &str =
    "/api/v1/analytics/calls?from=2026-11-23T16:00:00Z&to=2026-11-23T17:00:00Z&step=1h";

/// `stentor analytics`, killed when dropped.
struct Alone {
    child: Child,
    url: String,
}

impl Alone {
    fn start(folder: &Path, kafka: &Kafka) -> Self {
        let port = free_port("127.0.0.1");
        let (config, state) = (folder.join("stentor.toml"), folder.join("state"));
        let text = format!(
            "[server]\nstate_directory = {state:?}\n[analytics]\nkeep_hours = \"3650d\"\n\
             listen = [\"127.0.0.1:{port}\"]\n{}",
            kafka.config()
        );
        fs::write(&config, text).unwrap();
        let mut command = Command::new(program("stentor"));
        command.args(["analytics", "--config"]).arg(config).stderr(Stdio::null());
        Self { child: command.spawn().unwrap(), url: format!("http://127.0.0.1:{port}") }
    }

    async fn begun(&self, report: &str) -> Option<u64> {
        let answer = reqwest::get(format!("{}{report}", self.url)).await.ok()?;
        let table: Value = answer.error_for_status().ok()?.json().await.ok()?;
        table["rows"][0][1].as_u64()
    }

    async fn reaches(&self, report: &str, count: u64) {
        until("so many are counted", SOON, async || {
            let found = self.begun(report).await;
            if found.is_some_and(|found| found >= count) {
                Ok(())
            } else {
                Err(format!("{found:?} of {count}"))
            }
        })
        .await;
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn producer(kafka: &Kafka) -> BaseProducer {
    ClientConfig::new().set("bootstrap.servers", kafka.broker()).create().unwrap()
}

/// A call that is begun at one of two nodes, sent as its shipper would.
fn send(
    producer: &BaseProducer,
    number: u64,
    change: impl for<'a> Fn(BaseRecord<'a, str, str>) -> BaseRecord<'a, str, str>,
) {
    let (at, node) = (NOON + number, number % 2);
    let id = format!("{at:012x}");
    let (key, time) = (format!("c{number}"), stentor::rfc3339::Millis(at));
    let line = format!(
        "{{\"id\":\"{}-{}-7000-8000-{number:012x}\",\"time\":\"{time}\",\"node\":\"n{node}\",\
         \"type\":\"call.started\",\"version\":1,\"call\":\"{key}\",\"data\":{{}}}}",
        &id[..8],
        &id[8..]
    );
    let record = change(BaseRecord::to(TOPIC).key(key.as_str()).payload(line.as_str()));
    producer.send(record).map_err(|(error, _)| error).unwrap();
    producer.poll(Duration::ZERO);
}

/// With what a shipper that was killed sends again.
fn ship(kafka: &Kafka, numbers: std::ops::Range<u64>) {
    let producer = producer(kafka);
    for number in numbers.clone().chain(numbers.start..numbers.start + 100) {
        send(&producer, number, |record| record);
    }
    producer.flush(SOON).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_all_nodes_count_once_from_kafka_though_the_consumer_is_killed() {
    let kafka = Kafka::start().await;
    let folder = tempfile::tempdir().unwrap();
    for turn in 0..4 {
        let alone = Alone::start(folder.path(), &kafka);
        ship(&kafka, turn * 5000..(turn + 1) * 5000);
        // Killed in the middle of it, as far as that can be.
        alone.reaches(CALLS, turn * 5000 + 1 + turn * 1000).await;
    }
    let alone = Alone::start(folder.path(), &kafka);
    alone.reaches(CALLS, 20_000).await;
    // What was sent again last is read when something after it is, in each partition.
    let later = 7_200_000;
    let last = producer(&kafka);
    for partition in 0..3 {
        let number = later + partition as u64;
        send(&last, number, |record| record.partition(partition));
    }
    last.flush(SOON).unwrap();
    alone.reaches(&CALLS.replace("T16", "T18").replace("T17", "T19"), 3).await;
    assert_eq!(alone.begun(CALLS).await, Some(20_000));
}
