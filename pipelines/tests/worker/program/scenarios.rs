//! Cameras that come and go.

use std::time::Instant;

use stentor_pipelines::program::Message;
use stentor_pipelines::program::time::ProgramTime;
use stentor_protocol::control::Event;
use stentor_protocol::media::MediaFlags;
use stentor_protocol::{Codec, Resolution, SourceState, TrackId};

use super::camera::{Camera, FRAME_NS, access_unit, with_b_frames};
use super::stage::{Stage, format};
use crate::checks::{assert_continuous, decode, units};
use crate::packets::wait_for;

const SIZE: Resolution = Resolution::new(320, 180);
const HALF: Resolution = Resolution::new(160, 90);
const SOURCE: u16 = 1;
const ENCODED: u16 = 2;
const VP8: u16 = 3;
const AUDIO: u16 = 0;

/// A channel whose camera plays on all kinds of rungs.
fn playing(codec: Codec) -> (Stage, Camera) {
    let mut stage = Stage::new();
    let mut camera = Camera::new(codec, SIZE);
    stage.pass_through(SOURCE, codec);
    stage.encode(ENCODED, Codec::H264, HALF);
    stage.encode(VP8, Codec::Vp8, HALF);
    stage.live(format(codec, SIZE));
    stage.play(&mut camera, 30, |now| now);
    (stage, camera)
}

fn luma(frame: &stentor_hardware::Frame) -> u64 {
    let samples = frame.to_i420().unwrap().y;
    samples.iter().map(|sample| u64::from(*sample)).sum::<u64>() / samples.len() as u64
}

#[test]
fn a_lost_camera_is_a_slate_within_a_second_on_every_rung_and_comes_back_untouched() {
    for codec in [Codec::H264, Codec::Vp8] {
        let (mut stage, mut camera) = playing(codec);
        let lost = Instant::now();
        stage.state(SourceState::Lost);
        for (track, codec) in [(SOURCE, codec), (ENCODED, Codec::H264), (VP8, Codec::Vp8)] {
            wait_for("slate", || {
                let frames = decode(codec, &stage.media.of(track));
                (luma(frames.last()?) < 45).then_some(())
            });
            assert!(lost.elapsed().as_millis() < 1_000, "track {track}: {:?}", lost.elapsed());
        }
        println!("slate on all rungs after {} ms", lost.elapsed().as_millis());
        // A second of slate.
        wait_for("ten slate pictures", || {
            (units(codec, &stage.media.of(SOURCE)).len() >= 40).then_some(())
        });

        stage.live(format(codec, SIZE));
        camera.ask_for_keyframe();
        stage.play(&mut camera, 45, |now| now);
        for (track, codec, size) in
            [(SOURCE, codec, SIZE), (ENCODED, Codec::H264, HALF), (VP8, Codec::Vp8, HALF)]
        {
            let packets = stage.media.of(track);
            assert_continuous(&packets);
            let frames = decode(codec, &packets);
            assert!(frames.iter().all(|frame| frame.resolution() == size));
            let dark = frames.iter().filter(|frame| luma(frame) < 45).count();
            let light = frames.iter().filter(|frame| luma(frame) > 55).count();
            assert!(dark >= 5 && light >= 60, "track {track}: {dark} dark, {light} light");
            assert!(luma(&frames[frames.len() - 1]) > 55, "track {track} ends with the camera");
        }
        // Untouched: the camera's next picture comes out bit by bit.
        let unit = camera.shoot(ProgramTime::now().0);
        let expected = unit.data.map_readable().unwrap().to_vec();
        stage.tell(Message::Video(unit));
        wait_for("the picture as it was", || {
            let last = units(codec, &stage.media.of(SOURCE)).pop()?;
            same_picture(codec, &last.data, &expected).then_some(())
        });
    }
}

/// H.264 start codes come in two lengths.
fn same_picture(codec: Codec, a: &[u8], b: &[u8]) -> bool {
    let plain = |bytes: &[u8]| {
        let text: Vec<u8> = bytes.to_vec();
        if codec != Codec::H264 {
            return vec![text];
        }
        text.split(|byte| *byte == 0).filter(|part| !part.is_empty()).map(<[u8]>::to_vec).collect()
    };
    plain(a) == plain(b)
}

#[test]
fn silence_stands_in_for_lost_sound_without_a_hole() {
    let (stage, _camera) = playing(Codec::H264);
    stage.state(SourceState::Lost);
    stage.media.forget();
    let packets = stage.media.wait_units(AUDIO, 60);
    assert_continuous(&packets);
    assert!(packets.iter().skip(2).all(|packet| packet.payload == [0xfc, 0xff, 0xfe]));
    let steps = packets.windows(2).skip(2).map(|p| p[1].timestamp - p[0].timestamp);
    assert!(steps.into_iter().all(|step| step == 960));
}

#[test]
fn a_channel_without_a_camera_yet_shows_a_slate_of_the_usual_size() {
    let stage = Stage::new();
    stage.state(SourceState::Waiting);
    stage.pass_through(SOURCE, Codec::H264);
    stage.encode(ENCODED, Codec::H264, Resolution::new(640, 360));
    for (track, size) in [(SOURCE, (1280, 720)), (ENCODED, (640, 360))] {
        let packets = stage.media.wait_units(track, 4);
        assert_continuous(&packets);
        let frames = decode(Codec::H264, &packets);
        assert!(frames.iter().all(|f| f.resolution() == Resolution::new(size.0, size.1)));
        assert!(luma(&frames[0]) < 45);
    }
    stage.media.wait_units(AUDIO, 10);
}

#[test]
fn sound_without_a_picture_is_heard_under_a_slate() {
    let stage = Stage::new();
    stage.pass_through(SOURCE, Codec::H264);
    stage.state(SourceState::Live);
    for packet in 0..50_u64 {
        let pts = ProgramTime::now().0 + packet * 20_000_000;
        stage.tell(Message::Audio(access_unit(vec![0xfc, 0x12, 0x34], pts, true)));
    }
    let packets = stage.media.wait_units(AUDIO, 50);
    assert!(packets.iter().all(|packet| packet.payload == [0xfc, 0x12, 0x34]));
    stage.media.wait_units(SOURCE, 4);
}

#[test]
fn a_camera_of_another_size_goes_on_in_the_same_rungs() {
    let (mut stage, _camera) = playing(Codec::H264);
    let larger = Resolution::new(640, 360);
    let mut camera = Camera::new(Codec::H264, larger);
    stage.live(format(Codec::H264, larger));
    stage.play(&mut camera, 30, |now| now);
    let packets = stage.media.wait_units(SOURCE, 59);
    assert_continuous(&packets);
    let sizes: Vec<u32> =
        decode(Codec::H264, &packets).iter().map(|frame| frame.resolution().height).collect();
    assert_eq!((sizes[0], sizes[sizes.len() - 1]), (180, 360));
    let packets = stage.media.wait_units(ENCODED, 50);
    assert_continuous(&packets);
    assert!(decode(Codec::H264, &packets).iter().all(|frame| frame.resolution() == HALF));
    stage.wait_event("the new size", |event| match event {
        Event::RungStarted { track: TrackId(SOURCE), resolution, .. } => {
            (*resolution == larger).then_some(())
        }
        _ => None,
    });
}

#[test]
fn a_camera_of_another_codec_ends_the_passed_through_rung_and_no_other() {
    let (mut stage, _camera) = playing(Codec::H264);
    let mut camera = Camera::new(Codec::Vp8, SIZE);
    stage.live(format(Codec::Vp8, SIZE));
    stage.wait_event("the rung fails", |event| match event {
        Event::RungFailed { track: TrackId(SOURCE), reason } => {
            assert!(reason.contains("vp8"), "{reason}");
            Some(())
        }
        _ => None,
    });
    stage.play(&mut camera, 30, |now| now);
    let packets = stage.media.wait_units(ENCODED, 50);
    assert_continuous(&packets);
    assert!(luma(decode(Codec::H264, &packets).last().unwrap()) > 55);
}

#[test]
fn pictures_out_of_order_come_out_of_the_rungs_in_order() {
    let stage = Stage::new();
    stage.encode(ENCODED, Codec::H264, HALF);
    let mut unfit = format(Codec::H264, SIZE);
    unfit.pass_through = false;
    stage.live(unfit);
    let start = ProgramTime::now().0;
    for (data, pts, keyframe) in with_b_frames(60) {
        stage.tell(Message::Video(access_unit(data, start + pts, keyframe)));
        std::thread::sleep(std::time::Duration::from_millis(15));
    }
    let packets = stage.media.wait_units(ENCODED, 50);
    assert_continuous(&packets);
    let ticks: Vec<u32> = decode_ticks(&packets);
    assert!(ticks.windows(2).all(|pair| (2_999..=3_001).contains(&(pair[1] - pair[0]))));

    stage.pass_through(SOURCE, Codec::H264);
    stage.wait_event("not passed through", |event| {
        matches!(event, Event::RungFailed { track: TrackId(SOURCE), .. }).then_some(())
    });
}

fn decode_ticks(packets: &[crate::packets::Packet]) -> Vec<u32> {
    units(Codec::H264, packets).iter().map(|unit| unit.timestamp).collect()
}

#[test]
fn a_source_with_a_clock_of_its_own_is_placed_on_the_programs() {
    let mut stage = Stage::new();
    let mut camera = Camera::new(Codec::H264, SIZE);
    stage.pass_through(SOURCE, Codec::H264);
    stage.live(format(Codec::H264, SIZE));
    let origin = ProgramTime::now().0;
    stage.play(&mut camera, 20, |now| now - origin);
    // An hour ahead, in the middle of the stream.
    stage.play(&mut camera, 20, |now| now + 3_600_000_000_000);
    let packets = stage.media.wait_units(SOURCE, 40);
    assert_continuous(&packets);
    for packet in &packets {
        let apart = packet.arrival_unix_us as i64 - packet.capture_unix_us as i64;
        assert!((0..1_000_000).contains(&apart), "{apart} us");
    }
}

#[test]
fn a_rung_that_starts_between_keyframes_asks_for_one_and_does_not_wait_for_it() {
    let mut stage = Stage::new();
    let mut camera = Camera::new(Codec::H264, SIZE);
    stage.live(format(Codec::H264, SIZE));
    stage.play(&mut camera, 30, |now| now);
    assert_eq!(stage.asked(), 0, "nobody watches, nobody asks");
    let asked = Instant::now();
    stage.encode(ENCODED, Codec::H264, HALF);
    // The camera sends nothing more: what there is has to do.
    let packets = stage.media.wait_units(ENCODED, 1);
    println!("rung from cached pictures after {} ms", asked.elapsed().as_millis());
    assert!(packets[0].flags.contains(MediaFlags::KEYFRAME_START));
    assert!(asked.elapsed().as_millis() < 1_000);
    stage.pass_through(SOURCE, Codec::H264);
    wait_for("the source is asked", || (stage.asked() == 1).then_some(()));
}

#[test]
fn a_hundred_requests_for_a_keyframe_ask_the_source_twice_in_a_second() {
    let (mut stage, mut camera) = playing(Codec::H264);
    let before = stage.asked();
    let start = Instant::now();
    for _ in 0..10 {
        for _ in 0..10 {
            stage.tell(Message::Keyframe(TrackId(SOURCE)));
        }
        stage.play(&mut camera, 3, |now| now);
    }
    let most = start.elapsed().as_secs() + 2;
    let asked = stage.asked() - before;
    assert!((1..=most).contains(&asked), "{asked} in {:?}", start.elapsed());
}

#[test]
fn a_live_source_without_pictures_for_five_seconds_is_a_slate() {
    let (stage, _camera) = playing(Codec::H264);
    let start = Instant::now();
    let before = stage.media.of(SOURCE).len();
    wait_for("slate", || (stage.media.of(SOURCE).len() > before + 2).then_some(()));
    let took = start.elapsed().as_nanos() as u64;
    assert!(took > 4_000_000_000 - FRAME_NS, "{took}");
}
