//! Rungs encoded from one decoder.

use std::time::Instant;

use stentor_protocol::control::{Command, Event};
use stentor_protocol::media::MediaFlags;
use stentor_protocol::{Backend, BitsPerSecond, Codec, Resolution, SourceSpec, TrackId};

use crate::checks::{assert_continuous, decode, keyframe_times};
use crate::harness::{Worker, channel, encoded, pass_through, synthetic};
use crate::packets::wait_for;

const SOURCE: u16 = 1;
const MIDDLE: u16 = 2;
const SMALL: u16 = 3;
const VP8: u16 = 4;

/// The whole ladder of a 720p source.
fn ladder() -> Worker {
    let mut worker = Worker::start(channel(synthetic(Resolution::new(1280, 720))));
    worker.send(&pass_through(SOURCE));
    worker.send(&encoded(MIDDLE, Codec::H264, 360, 800));
    worker.send(&encoded(SMALL, Codec::H264, 180, 250));
    worker.send(&encoded(VP8, Codec::Vp8, 180, 250));
    worker
}

#[test]
fn every_rung_is_continuous_and_decodes_at_its_own_size() {
    let worker = ladder();
    for (track, codec, height) in [
        (SOURCE, Codec::H264, 720),
        (MIDDLE, Codec::H264, 360),
        (SMALL, Codec::H264, 180),
        (VP8, Codec::Vp8, 180),
    ] {
        let packets = worker.media().wait_units(track, 60);
        assert_continuous(&packets);
        assert!(packets[0].flags.contains(MediaFlags::KEYFRAME_START));
        let frames = decode(codec, &packets);
        assert!(frames.len() >= 59, "track {track}: {} frames", frames.len());
        let size = Resolution::new(height * 16 / 9, height);
        assert!(frames.iter().all(|frame| frame.resolution() == size), "track {track}");
    }
    for track in [MIDDLE, SMALL, VP8] {
        worker.wait_event("rung started", |event| match event {
            Event::RungStarted { track: TrackId(t), backend, encoder, .. } if *t == track => {
                assert_eq!(*backend, Some(Backend::Software));
                assert!(encoder.starts_with("libx264") || encoder.starts_with("libvpx"));
                Some(())
            }
            _ => None,
        });
    }
}

#[test]
fn timestamps_of_all_rungs_are_the_sources_and_keyframes_fall_together() {
    let mut worker = ladder();
    for track in [SOURCE, MIDDLE, SMALL, VP8] {
        worker.media().wait_units(track, 30);
    }
    worker.media().forget();
    worker.send(&Command::Keyframe { track: TrackId(SOURCE) });
    worker.send(&Command::Keyframe { track: TrackId(SMALL) });
    let of = |track| {
        let packets = worker.media().wait_units(track, 120);
        let times: std::collections::BTreeSet<u32> =
            packets.iter().map(|packet| packet.timestamp).collect();
        (times, keyframe_times(&packets))
    };
    let all: Vec<_> = [SOURCE, MIDDLE, SMALL, VP8].map(of).into();
    // Compare where every rung has been: they are not equally far.
    let from = all.iter().filter_map(|(times, _)| times.first()).max().unwrap();
    let to = all.iter().filter_map(|(times, _)| times.last()).min().unwrap();
    let (source, middle) = (&all[0], &all[1]);
    for (index, rung) in all[1..].iter().enumerate() {
        assert!(rung.0.range(from..=to).all(|t| source.0.contains(t)), "rung {index}: own times");
        let keys: Vec<_> = rung.1.range(from..=to).collect();
        let expected: Vec<_> = middle.1.range(from..=to).collect();
        assert_eq!(keys, expected, "rung {index}: keyframes elsewhere");
        assert!(!keys.is_empty());
    }
    let apart: Vec<u32> =
        middle.1.iter().zip(middle.1.iter().skip(1)).map(|(a, b)| b.wrapping_sub(*a)).collect();
    assert!(apart.iter().all(|ticks| *ticks >= 88_000), "{apart:?}");
}

/// From the command to the first picture, 20 times in each codec with no decoder running before.
fn cold_starts(worker: &mut Worker) {
    let mut measured = Vec::new();
    for start in 0..20 {
        for (track, codec) in [(100 + start, Codec::H264), (200 + start, Codec::Vp8)] {
            let asked = Instant::now();
            worker.send(&encoded(track, codec, 360, 800));
            let packets = worker.media().wait_units(track, 1);
            measured.push(asked.elapsed().as_millis());
            assert!(packets[0].flags.contains(MediaFlags::KEYFRAME_START));
            worker.send(&Command::StopRung { track: TrackId(track) });
            worker.wait_event("stopped", |event| {
                (*event == Event::RungStopped { track: TrackId(track) }).then_some(())
            });
            worker.media().forget();
        }
    }
    measured.sort_unstable();
    let at = |percent| measured[measured.len() * percent / 100];
    println!("cold starts: p50 {} ms, p95 {} ms, most {} ms", at(50), at(95), at(99));
    assert!(at(95) < 1_000, "{measured:?}");
}

#[test]
fn rungs_of_a_source_that_answers_requests_start_within_a_second() {
    let mut worker = Worker::start(channel(synthetic(Resolution::new(1280, 720))));
    worker.send(&pass_through(SOURCE));
    worker.media().wait_units(SOURCE, 100);
    cold_starts(&mut worker);
}

#[test]
fn rungs_of_a_source_with_a_keyframe_every_ten_seconds_start_within_a_second() {
    let clip = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("long-group.mp4");
    let mut make = std::process::Command::new("ffmpeg");
    make.args(["-y", "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=1920x1080:r=30", "-t", "12"]);
    make.args(["-c:v", "libx264", "-preset", "ultrafast", "-g", "300", "-sc_threshold", "0"]);
    make.args(["-pix_fmt", "yuv420p"]).arg(&clip);
    assert!(make.status().unwrap().success());
    let path = clip.to_str().unwrap().to_owned();
    let mut worker = Worker::start(channel(SourceSpec::File { path, repeat: true }));
    worker.send(&pass_through(SOURCE));
    worker.media().wait_units(SOURCE, 240);
    cold_starts(&mut worker);
}

#[test]
fn a_second_pass_through_rung_starts_from_the_cached_pictures() {
    let mut worker = Worker::start(channel(synthetic(Resolution::new(640, 360))));
    worker.send(&pass_through(SOURCE));
    worker.media().wait_units(SOURCE, 20);
    let asked = Instant::now();
    worker.send(&pass_through(9));
    let packets = worker.media().wait_units(9, 1);
    println!("pass-through start: {} ms", asked.elapsed().as_millis());
    assert!(packets[0].flags.contains(MediaFlags::KEYFRAME_START));
    assert!(asked.elapsed().as_millis() < 1_000);
    assert_continuous(&worker.media().wait_units(9, 30));
}

#[test]
fn a_rung_at_half_the_rate_has_half_the_frames() {
    let mut worker = Worker::start(channel(synthetic(Resolution::new(640, 360))));
    let Command::StartRung(mut spec) = encoded(SMALL, Codec::H264, 180, 250) else {
        unreachable!()
    };
    if let stentor_protocol::RungKind::Encode { frame_rate, .. } = &mut spec.kind {
        *frame_rate = Some(stentor_protocol::FrameRate::new(15, 1));
    }
    worker.send(&Command::StartRung(spec));
    worker.send(&pass_through(SOURCE));
    worker.media().wait_units(SMALL, 30);
    worker.media().forget();
    let packets = worker.media().wait_units(SMALL, 30);
    let ticks = packets[packets.len() - 1].timestamp.wrapping_sub(packets[0].timestamp);
    let rate = 90_000.0 * 29.0 / f64::from(ticks);
    assert!((13.5..=16.5).contains(&rate), "{rate} frames a second");
}

#[test]
fn a_stopped_rung_is_silent_and_the_last_one_stops_the_decoder() {
    let mut worker = ladder();
    for track in [MIDDLE, SMALL, VP8] {
        worker.media().wait_units(track, 5);
    }
    for track in [MIDDLE, SMALL, VP8] {
        worker.send(&Command::StopRung { track: TrackId(track) });
        worker.wait_event("stopped", |event| {
            (*event == Event::RungStopped { track: TrackId(track) }).then_some(())
        });
    }
    worker.media().forget();
    worker.media().wait_units(SOURCE, 60);
    for track in [MIDDLE, SMALL, VP8] {
        assert_eq!(worker.media().of(track).len(), 0, "track {track}");
    }
    wait_for("no decoder", || {
        worker
            .events()
            .iter()
            .rev()
            .find_map(|event| match event {
                Event::Stats(stats) => Some(stats.decoder.is_empty()),
                _ => None,
            })
            .filter(|gone| *gone)
    });
}

#[test]
fn a_new_bit_rate_needs_no_new_session() {
    let mut worker = Worker::start(channel(synthetic(Resolution::new(1280, 720))));
    worker.send(&encoded(MIDDLE, Codec::H264, 360, 1_500));
    worker.media().wait_units(MIDDLE, 60);
    worker.media().forget();
    let before = bytes_of_a_second(&worker);
    worker.send(&Command::SetBitrate {
        track: TrackId(MIDDLE),
        bitrate: BitsPerSecond::from_kilo(150),
    });
    worker.media().wait_units(MIDDLE, 60);
    worker.media().forget();
    let after = bytes_of_a_second(&worker);
    println!("bytes a second: {before}, then {after}");
    assert!(after < before, "{before} {after}");
}

fn bytes_of_a_second(worker: &Worker) -> usize {
    worker.media().wait_units(MIDDLE, 30).iter().map(|packet| packet.payload.len()).sum()
}

#[test]
fn stats_tell_what_is_done() {
    let worker = ladder();
    worker.media().wait_units(SMALL, 60);
    let stats = worker.wait_event("stats", |event| match event {
        Event::Stats(stats)
            if stats.rungs.len() == 4 && stats.rungs.iter().all(|rung| rung.frames > 10) =>
        {
            Some(stats.clone())
        }
        _ => None,
    });
    assert!(stats.frames_decoded > 0 && stats.decode_seconds > 0.0);
    assert!(!stats.decoder.is_empty());
    assert!(stats.source_video_units > 0 && stats.source_audio_units > 0);
    assert!(stats.source_bytes > 0 && stats.media_packets > 0 && stats.media_bytes > 0);
    for rung in &stats.rungs {
        assert!(rung.keyframes > 0 && rung.bytes > 0, "{rung:?}");
        assert_eq!(rung.encode_seconds > 0.0, rung.track != TrackId(SOURCE), "{rung:?}");
    }
}

#[test]
fn latency_through_the_ladder() {
    let worker = ladder();
    worker.media().wait_units(SMALL, 150);
    for track in [SOURCE, MIDDLE, SMALL, VP8] {
        let mut measured: Vec<u64> = worker
            .media()
            .of(track)
            .iter()
            .skip(20)
            .map(|packet| packet.arrival_unix_us.saturating_sub(packet.capture_unix_us))
            .collect();
        measured.sort_unstable();
        let at = |percent| measured[measured.len() * percent / 100] as f64 / 1000.0;
        println!("track {track}: capture to daemon p50 {:.1} ms, p95 {:.1} ms", at(50), at(95));
        assert!(at(50) < 150.0);
    }
}

/// Threads and open descriptors of the worker.
fn holdings(worker: &Worker) -> (usize, usize) {
    let count = |what| std::fs::read_dir(format!("/proc/{}/{what}", worker.id())).unwrap().count();
    (count("task"), count("fd"))
}

#[test]
fn rungs_that_come_and_go_leave_nothing_behind() {
    let mut worker = Worker::start(channel(synthetic(Resolution::new(640, 360))));
    worker.send(&pass_through(SOURCE));
    worker.media().wait_units(SOURCE, 10);
    start_and_stop(&mut worker, 10);
    let settled = wait_for("threads to end", || {
        let running = std::fs::read_dir(format!("/proc/{}/task", worker.id()))
            .unwrap()
            .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok())
            .any(|name| name.starts_with("rung") || name.starts_with("decoder"));
        (!running).then(|| holdings(&worker))
    });
    for number in 0..20 {
        start_and_stop(&mut worker, 20 + number * 2);
    }
    wait_for("as before", || (holdings(&worker) == settled).then_some(()));
}

fn start_and_stop(worker: &mut Worker, track: u16) {
    worker.send(&encoded(track, Codec::H264, 180, 250));
    worker.send(&encoded(track + 1, Codec::Vp8, 180, 250));
    for track in [track, track + 1] {
        worker.media().wait_units(track, 1);
        worker.send(&Command::StopRung { track: TrackId(track) });
    }
}
