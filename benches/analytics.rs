//! How many events a second analytics take from a log on the disk into their roll-ups.
//!
//! `analytics EVENTS FOLDER [dump]`: writes a log of mixed events into the folder, follows it to its
//! end in a new database, and prints JSON.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench fails by panicking")]

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use prometheus::Registry;
use stentor::analytics::{Engine, Kept, LogSource, Positions, Progress};
use stentor::rfc3339::Millis;
use stentor::telemetry::analytics::AnalyticsMetrics;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let events: u64 = arguments[1].parse().unwrap();
    let folder = Path::new(&arguments[2]);
    let log = folder.join("events");
    std::fs::create_dir_all(&log).unwrap();
    write(&log, events);
    let kept = Kept {
        minutes: Duration::from_secs(14 * 86_400),
        hours: Duration::from_secs(400 * 86_400),
    };
    let metrics = AnalyticsMetrics::register(&Registry::new()).unwrap();
    let open = |positions: &Positions| LogSource::open(&log, positions);
    let mut engine = Engine::open(&folder.join("rollups.db"), open, kept, metrics).unwrap();
    if arguments.get(3).is_some_and(|word| word == "dump") {
        engine = engine.dumping(Progress::default());
    }
    let began = Instant::now();
    let (mut taken, mut longest) = (0, Duration::ZERO);
    loop {
        let turn_began = Instant::now();
        let turn = engine.turn(SystemTime::now()).unwrap();
        longest = longest.max(turn_began.elapsed());
        taken += turn.taken;
        if turn.dry {
            break;
        }
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

/// Segments as a daemon writes them: half of the events are reports of devices, the rest calls and
/// viewers, over the last hours, a thousand a second.
fn write(log: &Path, events: u64) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
    let start = now - events;
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
