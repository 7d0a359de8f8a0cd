//! How many events a second analytics take into their roll-ups: from a log on the disk, or from
//! Kafka.
//!
//! `analytics EVENTS FOLDER [dump | kafka BROKER]`: writes mixed events into a log in the folder, or
//! into a topic, follows them to their end in a new database, and prints JSON.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench fails by panicking")]

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use prometheus::Registry;
use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use stentor::analytics::{
    Engine, KafkaSource, Kept, LogSource, Positions, Progress, Source, SourceError,
};
use stentor::events::{KafkaConfig, Logged};
use stentor::rfc3339::Millis;
use stentor::telemetry::analytics::AnalyticsMetrics;

const PATIENCE: Duration = Duration::from_secs(200);
const TOPIC: &str = "bench.analytics";

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let events: u64 = arguments[1].parse().unwrap();
    let folder = Path::new(&arguments[2]);
    let metrics = AnalyticsMetrics::register(&Registry::new()).unwrap();
    let how = arguments.get(3).map(String::as_str);
    if how == Some("kafka") {
        produce(&arguments[4], events);
        let kafka = KafkaConfig {
            brokers: vec![arguments[4].clone()],
            topic: TOPIC.to_owned(),
            client_id: "bench".to_owned(),
            login: None,
        };
        let seen = metrics.clone();
        let open = |known: &Positions| KafkaSource::open(&kafka, "bench-analytics", known, seen);
        return follow(engine(folder, open, metrics), events);
    }
    let log = folder.join("events");
    std::fs::create_dir_all(&log).unwrap();
    write(&log, events);
    let engine = engine(folder, |known| LogSource::open(&log, known), metrics);
    let dumps = how == Some("dump");
    follow(if dumps { engine.dumping(Progress::default()) } else { engine }, events);
}

fn engine<S: Source>(
    folder: &Path,
    open: impl FnOnce(&Positions) -> Result<S, SourceError>,
    metrics: AnalyticsMetrics,
) -> Engine<S> {
    let day = Duration::from_secs(86_400);
    let kept = Kept { minutes: 14 * day, hours: 400 * day };
    Engine::open(&folder.join("rollups.db"), open, kept, metrics).unwrap()
}

/// Until all are taken, and says how long that took.
fn follow<S: Source>(mut engine: Engine<S>, events: u64) {
    let began = Instant::now();
    let (mut taken, mut longest) = (0, Duration::ZERO);
    while taken < events {
        assert!(began.elapsed() < PATIENCE, "{taken} of {events}");
        let turn_began = Instant::now();
        taken += engine.turn(SystemTime::now()).unwrap().taken;
        longest = longest.max(turn_began.elapsed());
    }
    let seconds = began.elapsed().as_secs_f64();
    assert_eq!(taken, events);
    println!(
        "{{\"events\": {events}, \"seconds\": {seconds:.3}, \"per_second\": {:.0}, \
         \"longest_batch_ms\": {:.1}}}",
        events as f64 / seconds,
        longest.as_secs_f64() * 1000.0
    );
}

/// As daemons ship them: by key, compressed.
fn produce(broker: &str, events: u64) {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", broker)
        .set("compression.type", "zstd")
        .set("linger.ms", "10")
        .set("partitioner", "murmur2_random")
        .create()
        .unwrap();
    let start = now() - events;
    let mut text = String::new();
    for number in 0..events {
        text.clear();
        line(&mut text, start + number, number);
        let logged = Logged::read(text.as_bytes()).unwrap();
        let mut record = BaseRecord::to(TOPIC).key(logged.envelope.key()).payload(&logged.line);
        while let Err((error, again)) = producer.send(record) {
            let full = KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull);
            assert_eq!(error, full);
            producer.poll(Duration::from_millis(10));
            record = again;
        }
        producer.poll(Duration::ZERO);
    }
    producer.flush(PATIENCE).unwrap();
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

/// Segments as a daemon writes them: half of the events are reports of devices, the rest calls and
/// viewers, over the last hours, a thousand a second.
fn write(log: &Path, events: u64) {
    let start = now() - events;
    let mut text = String::new();
    let mut first = 0;
    for number in 0..events {
        line(&mut text, start + number, number);
        if text.len() > 64 << 20 || number + 1 == events {
            std::fs::write(log.join(format!("{first:020}.jsonl")), &text).unwrap();
            text.clear();
            first = number + 1;
        }
    }
}

fn line(text: &mut String, ms: u64, number: u64) {
    let (id, time, n) = (format!("{ms:012x}"), Millis(ms), number / 8 % 5000);
    write!(
        text,
        "{{\"id\":\"{}-{}-7000-8000-{number:012x}\",\"time\":\"{time}\",\"node\":\"node1\",",
        &id[..8],
        &id[8..]
    )
    .unwrap();
    let (country, network) =
        (["DE", "FR", "US", "PL"][n as usize % 4], ["wifi", "cellular"][n as usize % 2]);
    let of_call = format!("\"call\":\"call{n}\",\"user\":\"user{n}\",\"device\":\"d{n}\"");
    let of_viewer = format!("\"channel\":\"news{}\"", n % 20);
    match number % 8 {
        0 => write!(text, "\"type\":\"call.started\",\"version\":1,{of_call},\"data\":{{}}}}"),
        1 => write!(text, "\"type\":\"call.answered\",\"version\":1,{of_call},\"data\":{{\"after_ms\":{}}}}}", 2000 + n),
        2 => write!(text, "\"type\":\"viewer.joined\",\"version\":1,{of_viewer},\"data\":{{\"session\":\"v{number}\",\"rendition\":\"720p\",\"location\":{{\"country\":\"{country}\"}}}}}}"),
        3 => write!(text, "\"type\":\"call.ended\",\"version\":1,{of_call},\"cause\":\"hung_up\",\"data\":{{\"reason\":\"hung_up\",\"lasted_ms\":60000}}}}"),
        _ => write!(
            text,
            "\"type\":\"client.report\",\"version\":1,{of_call},\"data\":{{\"reason\":\"periodic\",\"client\":\"phone, Chromium 140\",\"width\":1080,\"height\":2340,\"network\":\"{network}\",\"location\":{{\"country\":\"{country}\",\"city\":\"Berlin\"}},\"quality\":[{{\"user\":\"bert\",\"direction\":\"receive\",\"path\":\"direct\",\"bitrate_bps\":1500000,\"lost_permille\":3,\"round_trip_ms\":40,\"frozen_permille\":12,\"width\":1280,\"height\":720,\"frame_rate\":30}},{{\"user\":\"bert\",\"direction\":\"send\",\"path\":\"direct\",\"bitrate_bps\":1500000,\"lost_permille\":3}}]}}}}"
        ),
    }
    .unwrap();
    text.push('\n');
}
