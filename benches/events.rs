//! Hands events in, has them logged and shipped to Kafka, and says what that took: one line of
//! JSON. The process is to be kept on one core by whoever starts it.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a bench")]

use std::time::{Duration, Instant};

use prometheus::Registry;
use stentor::calls::messages::{Direction, Network, Path, ReportReason};
use stentor::events::kinds::{ClientReport, Quality};
use stentor::events::{Bounds, Event, EventLog, KafkaConfig, LogConfig, Shipper};
use stentor::identity::NodeId;
use stentor::telemetry::events::{EventMetrics, ShipMetrics};

/// Handed in at once, and then waited for: the queue is bounded.
const BATCH: usize = 4000;
const PATIENCE: Duration = Duration::from_secs(120);

fn main() {
    let mut arguments = std::env::args().skip(1);
    let broker = arguments.next().unwrap();
    let batches: usize = arguments.next().unwrap().parse().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::new();
    let metrics = EventMetrics::register(&registry).unwrap();
    let config = LogConfig {
        folder: folder.path().to_owned(),
        bounds: Bounds { bytes: 1 << 30, age: Duration::from_secs(86_400) },
        flush: Duration::from_millis(20),
        sync: Duration::from_secs(1),
    };
    let node = NodeId::random().unwrap();
    let (events, log) = EventLog::start(config, node, metrics.clone()).unwrap();
    let kafka = KafkaConfig {
        brokers: vec![broker],
        topic: "bench.events".to_owned(),
        client_id: "bench".to_owned(),
        login: None,
    };
    let ship = ShipMetrics::register(&registry).unwrap();
    let shipper = Shipper::start(kafka, folder.path(), events.clone(), ship.clone()).unwrap();
    let until = |done: &dyn Fn() -> bool| {
        let deadline = Instant::now() + PATIENCE;
        while !done() {
            assert!(Instant::now() < deadline, "it takes too long");
            std::thread::sleep(Duration::from_millis(1));
        }
    };
    // The topic is made by the first.
    events.emit(event(0));
    until(&|| ship.shipped.get() >= 1);

    let written = metrics.written.with_label_values(&["client.report"]);
    let mut calls = Vec::with_capacity(batches * BATCH);
    let (began, cpu) = (Instant::now(), cpu_seconds());
    for batch in 0..batches {
        for number in 0..BATCH {
            let event = event(batch * BATCH + number);
            let call = Instant::now();
            events.emit(event);
            calls.push(call.elapsed());
        }
        until(&|| written.get() > (batch * BATCH) as u64);
    }
    let total = (batches * BATCH) as u64;
    until(&|| ship.shipped.get() > total);
    let (seconds, cpu) = (began.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    drop(log);
    drop(shipper);
    calls.sort_unstable();
    let us = |permille: usize| calls[calls.len() * permille / 1000].as_secs_f64() * 1e6;
    let mean = calls.iter().sum::<Duration>().as_secs_f64() * 1e6 / calls.len() as f64;
    println!(
        "{{\"events\":{total},\"seconds\":{seconds},\"cpu\":{cpu},\"mean_us\":{mean},\
         \"p50_us\":{},\"p99_us\":{},\"dropped\":{}}}",
        us(500),
        us(990),
        metrics.dropped.with_label_values(&["queue_full"]).get(),
    );
}

/// The longest that comes often.
fn event(number: usize) -> Event {
    let quality = Quality {
        user: "bert".to_owned(),
        direction: Direction::Receive,
        path: Path::Direct,
        local: None,
        remote: None,
        transport: None,
        bitrate_bps: 1_500_000 + number as u64,
        lost_permille: 3,
        round_trip_ms: Some(40),
        frozen_permille: Some(12),
        width: Some(1280),
        height: Some(720),
        frame_rate: Some(30),
    };
    let report = ClientReport {
        reason: ReportReason::Periodic,
        client: "phone, Chromium 140".to_owned(),
        width: 1080,
        height: 2340,
        network: Network::Cellular,
        location: None,
        quality: vec![quality],
    };
    Event::new(report).of_call(format!("c{}", number % 100)).of_user("anna").of_device("d1")
}

/// Of all of this process's threads.
fn cpu_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
