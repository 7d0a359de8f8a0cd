//! Stages that hang, fall silent or panic, and a machine that promises what it can't do.
//!
//! Faults on demand are in debug builds only.
#![cfg(debug_assertions)]

use std::time::{Duration, Instant};

use stentor_protocol::control::{Command, Event};
use stentor_protocol::probe::{Device, Direction, Entry, ProbeReport};
use stentor_protocol::{Backend, Codec, Resolution, TrackId};

use crate::checks::decode;
use crate::harness::{Worker, channel, encoded, pass_through, synthetic};
use crate::packets::wait_for;

const SOURCE: u16 = 1;
const MIDDLE: u16 = 2;
const SMALL: u16 = 3;

fn faulty(fault: &str) -> Worker {
    let spec = channel(synthetic(Resolution::new(640, 360)));
    let mut worker = Worker::start_with(spec, &[("STENTOR_FAULT", fault)]);
    worker.send(&pass_through(SOURCE));
    worker.send(&encoded(MIDDLE, Codec::H264, 360, 800));
    worker.send(&encoded(SMALL, Codec::H264, 180, 250));
    worker
}

fn rebuilds(worker: &Worker) -> u64 {
    let last = worker.events().into_iter().rev().find_map(|event| match event {
        Event::Stats(stats) => Some(stats.encoder_rebuilds),
        _ => None,
    });
    last.unwrap_or(0)
}

/// Waits for more of the track than it has now, and gives how long that took.
fn wait_for_more(worker: &Worker, track: u16) -> Duration {
    let start = Instant::now();
    let before = worker.media().of(track).len();
    wait_for("more packets", || (worker.media().of(track).len() > before + 3).then_some(()));
    start.elapsed()
}

#[test]
fn an_encoder_that_hangs_is_replaced_and_the_other_rungs_go_on() {
    let worker = faulty("hang@2:30");
    worker.media().wait_units(MIDDLE, 29);
    wait_for_more(&worker, SOURCE);
    wait_for_more(&worker, SMALL);
    let packets = worker.media().wait_units(MIDDLE, 60);
    wait_for("a rebuild is counted", || (rebuilds(&worker) == 1).then_some(()));
    // The hole is one in time, not in sequence numbers, and ends with a keyframe.
    crate::checks::assert_continuous(&packets);
    decode(Codec::H264, &packets);
    let longest = packets.windows(2).map(|p| p[1].arrival_unix_us - p[0].arrival_unix_us).max();
    println!("encoder hang: {} ms without a packet", longest.unwrap() / 1000);
    assert!(longest.unwrap() < 4_000_000, "seen within 2 s, and replaced: {longest:?}");
}

#[test]
fn an_encoder_that_panics_is_replaced() {
    let worker = faulty("panic@2:30");
    let packets = worker.media().wait_units(MIDDLE, 60);
    crate::checks::assert_continuous(&packets);
    decode(Codec::H264, &packets);
    wait_for("a rebuild is counted", || (rebuilds(&worker) == 1).then_some(()));
}

#[test]
fn an_encoder_that_never_works_is_given_up_after_a_few_tries() {
    let worker = faulty("panic@2:0+");
    let reason = worker.wait_event("given up", |event| match event {
        Event::RungFailed { track: TrackId(MIDDLE), reason } => Some(reason.clone()),
        _ => None,
    });
    assert!(reason.contains("panicked"), "{reason}");
    wait_for_more(&worker, SMALL);
    assert_eq!(rebuilds(&worker), 3);
    assert_eq!(worker.media().of(MIDDLE).len(), 0);
}

#[test]
fn a_decoder_that_hangs_is_replaced() {
    let worker = faulty("hang@d:30");
    worker.media().wait_units(SMALL, 25);
    wait_for_more(&worker, SOURCE);
    let packets = worker.media().wait_units(SMALL, 60);
    crate::checks::assert_continuous(&packets);
    decode(Codec::H264, &packets);
}

#[test]
fn shutdown_is_done_in_two_seconds_though_the_source_hangs_in_its_close() {
    let mut worker = faulty("hang@s:0");
    worker.media().wait_units(SOURCE, 3);
    worker.send(&Command::Shutdown);
    let status = worker.wait_exit(Duration::from_secs(2)).expect("still there");
    assert_eq!(status.code(), Some(0));
}

/// A machine whose NVENC answered the probe, and is not there any more.
fn promising() -> ProbeReport {
    let entry = |codec, direction, implementation: &str| Entry {
        codec,
        direction,
        implementation: implementation.into(),
        works: true,
        reason: String::new(),
        megapixels_per_second: Some(1000.0),
    };
    let nvidia = Device {
        backend: Backend::Nvenc,
        id: "77".into(),
        name: "a card that was pulled".into(),
        driver: "0".into(),
        entries: vec![
            entry(Codec::H264, Direction::Decode, "h264 (nvdec)"),
            entry(Codec::H264, Direction::Encode, "h264_nvenc"),
        ],
        limits: Default::default(),
    };
    ProbeReport { devices: vec![nvidia], ..ProbeReport::default() }
}

#[test]
fn a_backend_that_cannot_be_opened_gives_way_to_the_next_and_says_so() {
    let mut spec = channel(synthetic(Resolution::new(640, 360)));
    spec.probe = promising();
    let mut worker = Worker::start(spec);
    worker.send(&encoded(MIDDLE, Codec::H264, 360, 800));
    let packets = worker.media().wait_units(MIDDLE, 10);
    decode(Codec::H264, &packets);
    for wanted in [None, Some(TrackId(MIDDLE))] {
        worker.wait_event("fallback", |event| match event {
            Event::Fallback { track, from: Backend::Nvenc, to: Backend::Software, reason }
                if *track == wanted =>
            {
                assert!(!reason.is_empty());
                Some(())
            }
            _ => None,
        });
    }
}

#[test]
fn with_hardware_required_the_rung_fails_instead() {
    let mut spec = channel(synthetic(Resolution::new(640, 360)));
    spec.probe = promising();
    spec.hardware.require_hardware = true;
    let mut worker = Worker::start(spec);
    worker.send(&pass_through(SOURCE));
    worker.send(&encoded(MIDDLE, Codec::H264, 360, 800));
    worker.wait_event("failed", |event| match event {
        Event::RungFailed { track: TrackId(MIDDLE), reason } => Some(reason.clone()),
        _ => None,
    });
    wait_for_more(&worker, SOURCE);
    assert_eq!(worker.media().of(MIDDLE).len(), 0);
    let fell_back = worker.events().iter().any(|event| matches!(event, Event::Fallback { .. }));
    assert!(!fell_back);
}
