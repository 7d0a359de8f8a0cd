//! The source's own pictures, packetised anew.

use stentor_protocol::control::{Command, Event};
use stentor_protocol::media::MediaFlags;
use stentor_protocol::{Codec, Resolution, SourceState, TrackId};

use crate::checks::{assert_continuous, decode, keyframe_times, units};
use crate::harness::{Worker, channel, pass_through, synthetic};
use crate::packets::{monotonic_seconds, unix_us, wait_for};

const SIZE: Resolution = Resolution::new(640, 360);

fn playing() -> Worker {
    let mut worker = Worker::start(channel(synthetic(SIZE)));
    worker.send(&pass_through(1));
    worker
}

#[test]
fn a_passed_through_source_arrives_whole_and_decodes() {
    let worker = playing();
    let packets = worker.media().wait_units(1, 60);
    assert_continuous(&packets);
    assert!(packets[0].flags.contains(MediaFlags::KEYFRAME_START), "the first is a keyframe");
    let whole = units(Codec::H264, &packets).len();
    let frames = decode(Codec::H264, &packets);
    assert_eq!(frames.len(), whole);
    assert!(frames.iter().all(|frame| frame.resolution() == SIZE));

    worker.wait_event("live", |event| {
        matches!(event, Event::Source { state: SourceState::Live, .. }).then_some(())
    });
    worker.wait_event("format", |event| match event {
        Event::Format { video: Some(format), .. } => {
            assert_eq!((format.resolution, format.pass_through), (SIZE, true));
            Some(())
        }
        _ => None,
    });
    worker.wait_event("rung started", |event| match event {
        Event::RungStarted { track: TrackId(1), backend: None, resolution, .. } => {
            assert_eq!(*resolution, SIZE);
            Some(())
        }
        _ => None,
    });
}

#[test]
fn audio_goes_on_by_exactly_its_own_duration() {
    let worker = playing();
    let packets = worker.media().wait_units(0, 100);
    assert_continuous(&packets);
    let steps: Vec<u32> =
        packets.windows(2).map(|p| p[1].timestamp.wrapping_sub(p[0].timestamp)).collect();
    assert!(steps.iter().all(|step| *step == steps[0] && step % 120 == 0), "{steps:?}");
}

#[test]
fn audio_and_video_tell_capture_times_of_one_clock() {
    let worker = playing();
    let video = worker.media().wait_units(1, 60);
    let audio = worker.media().of(0);
    // Timestamp 0 of either track is the machine's start, give or take the timestamp's wraps.
    let started = unix_us() as f64 / 1e6 - monotonic_seconds();
    for (packets, rate) in [(&video, 90_000.0), (&audio, 48_000.0)] {
        let wrap = 2_f64.powi(32) / rate;
        for packet in packets.iter() {
            let told = packet.capture_unix_us as f64 / 1e6 - started;
            let apart = (told - f64::from(packet.timestamp) / rate).rem_euclid(wrap);
            assert!(apart.min(wrap - apart) < 0.03, "{apart} s at {rate} Hz");
        }
    }
}

#[test]
fn latency_of_a_passed_through_picture_is_told_and_small() {
    let worker = playing();
    worker.media().wait_units(1, 60);
    let told = worker.wait_event("latency", |event| match event {
        Event::Stats(stats) if stats.pipeline_latency_ms > 0.0 => Some(stats.pipeline_latency_ms),
        _ => None,
    });
    let mut measured: Vec<u64> = worker
        .media()
        .of(1)
        .iter()
        .map(|packet| packet.arrival_unix_us.saturating_sub(packet.capture_unix_us))
        .collect();
    measured.sort_unstable();
    let p50 = measured[measured.len() / 2] as f64 / 1000.0;
    let p95 = measured[measured.len() * 95 / 100] as f64 / 1000.0;
    println!("pass-through: capture to daemon p50 {p50:.1} ms, p95 {p95:.1} ms, told {told:.1} ms");
    assert!(p50 < 150.0, "{p50}");
}

#[test]
fn a_stopped_rung_is_silent() {
    let mut worker = playing();
    worker.media().wait_units(1, 5);
    worker.send(&Command::StopRung { track: TrackId(1) });
    worker.wait_event("stopped", |event| {
        matches!(event, Event::RungStopped { track: TrackId(1) }).then_some(())
    });
    worker.media().forget();
    worker.media().wait_units(0, 50);
    assert_eq!(worker.media().of(1).len(), 0);
}

#[test]
fn keyframe_requests_become_at_most_one_a_second() {
    let mut worker = playing();
    worker.media().wait_units(1, 30);
    worker.media().forget();
    for _ in 0..50 {
        worker.send(&Command::Keyframe { track: TrackId(1) });
    }
    let packets = worker.media().wait_units(1, 60);
    let keyframes = keyframe_times(&packets);
    assert!((1..=3).contains(&keyframes.len()), "{keyframes:?}");
}

#[test]
fn a_daemon_that_does_not_read_costs_a_gap_that_ends_at_a_keyframe() {
    let mut spec = channel(synthetic(Resolution::new(1280, 720)));
    spec.thumbnail_interval_ms = 0;
    let mut worker = Worker::start(spec);
    worker.send(&pass_through(1));
    worker.media().wait_units(1, 5);
    worker.media().pause(true);
    wait_for("packets dropped", || {
        worker
            .events()
            .iter()
            .find(|event| matches!(event, Event::Stats(stats) if stats.media_dropped > 0))
            .cloned()
    });
    worker.media().pause(false);
    let after = wait_for("a keyframe after the gap", || {
        let packets = worker.media().of(1);
        let gap = packets.iter().position(|p| p.flags.contains(MediaFlags::GAP))?;
        (packets.len() > gap + 20).then(|| packets[gap..].to_vec())
    });
    assert!(after[0].flags.contains(MediaFlags::KEYFRAME_START));
    assert_continuous(&after);
    decode(Codec::H264, &after);
}
