//! Rungs: keyframes, rates, sizes, clocks.

use stentor_protocol::{BitsPerSecond, Choice, Codec, Resolution};

use super::media::{STEP, config, flat, frame, nals, open_rung, psnr, stream};
use crate::{Decoder, EncodedUnit, Frame, OpenError, RungEncoder};

fn encode(rung: &mut RungEncoder, frame: &Frame, key: bool) -> EncodedUnit {
    let mut units = rung.encode(frame, key).unwrap();
    assert_eq!(units.len(), 1, "{} holds pictures back", rung.name());
    units.remove(0)
}

fn show(codec: Codec, units: &[EncodedUnit]) -> Vec<Frame> {
    let mut decoder = Decoder::open(codec, &Choice::software()).unwrap();
    units.iter().flat_map(|unit| decoder.decode(&unit.data, unit.pts).unwrap()).collect()
}

/// Nothing like the picture of the same index.
fn negative(index: u32) -> Frame {
    let seen = frame(320, 180, 7 * index + 40).to_i420().unwrap();
    let turned = |plane: &[u8]| plane.iter().rev().map(|sample| 255 - sample).collect::<Vec<_>>();
    let pts = 900_000 + i64::from(index) * STEP;
    let (y, u, v) = (turned(&seen.y), turned(&seen.u), turned(&seen.v));
    Frame::from_i420(seen.resolution, pts, &y, &u, &v).unwrap()
}

#[test]
fn keyframes_come_when_asked_for_and_not_at_scene_cuts() {
    for codec in [Codec::H264, Codec::Vp8] {
        let mut rung = open_rung(codec, 320, 180, 500);
        let mut keys = Vec::new();
        for index in 0..40 {
            // Another scene at every tenth picture.
            let picture =
                if index / 10 % 2 == 0 { frame(320, 180, index) } else { negative(index) };
            if encode(&mut rung, &picture, index == 0 || index == 25).keyframe {
                keys.push(index);
            }
        }
        assert_eq!(keys, [0, 25], "{codec:?}");
    }
}

#[test]
fn h264_is_what_every_webrtc_peer_takes() {
    let units = stream(Codec::H264, 640, 360, 5);
    let all: Vec<&[u8]> = units.iter().flat_map(|unit| nals(&unit.data)).collect();
    let sps = all.iter().find(|nal| nal[0] & 0x1f == 7).unwrap();
    assert_eq!(sps[1], 66, "profile_idc baseline");
    assert_ne!(sps[2] & 0x40, 0, "constraint_set1_flag: constrained baseline");
    assert!(sps[3] <= 31, "level {} is above 3.1", sps[3]);
    let pictures = all.iter().filter(|nal| matches!(nal[0] & 0x1f, 1 | 5)).count();
    assert_eq!(pictures, 5, "one slice a picture");
}

#[test]
fn the_rate_is_kept_and_bursts_are_bounded() {
    for (codec, kbps) in [(Codec::H264, 400), (Codec::Vp8, 400)] {
        let mut rung = open_rung(codec, 320, 180, kbps);
        let units: Vec<EncodedUnit> =
            (0..120).map(|index| encode(&mut rung, &frame(320, 180, index), index == 0)).collect();
        let bits = |units: &[EncodedUnit]| units.iter().map(|u| u.data.len() * 8).sum::<usize>();
        let measured = bits(&units) as f64 / 4.0 / 1000.0;
        assert!((measured / kbps as f64 - 1.0).abs() < 0.25, "{codec:?}: {measured} kb/s");
        // A second may hold the buffer's worth on top.
        for second in units.windows(30) {
            let kbits = bits(second) as f64 / 1000.0;
            assert!(kbits < kbps as f64 * 1.75, "{codec:?}: {kbits} kbit in a second");
        }
    }
}

#[test]
fn a_new_rate_is_taken_without_a_new_session_where_the_encoder_can() {
    let mut rung = open_rung(Codec::H264, 320, 180, 1200);
    let measure = |rung: &mut RungEncoder, from: u32| -> usize {
        (from..from + 60)
            .map(|index| {
                let unit = encode(rung, &frame(320, 180, index), false);
                assert_eq!(unit.keyframe, index == 0);
                unit.data.len()
            })
            .sum()
    };
    let before = measure(&mut rung, 0);
    rung.set_bitrate(BitsPerSecond::from_kilo(300));
    measure(&mut rung, 60);
    let after = measure(&mut rung, 120);
    assert!(after * 2 < before, "{before} bytes, then {after}");
    assert_eq!(rung.rebuilds(), 0);
}

#[test]
fn a_new_rate_that_takes_a_new_session_starts_with_a_keyframe() {
    let mut rung = open_rung(Codec::Vp8, 320, 180, 1000);
    encode(&mut rung, &frame(320, 180, 0), true);
    rung.set_bitrate(BitsPerSecond::from_kilo(900));
    assert!(!encode(&mut rung, &frame(320, 180, 1), false).keyframe);
    assert_eq!(rung.rebuilds(), 0, "a tenth is left alone");
    rung.set_bitrate(BitsPerSecond::from_kilo(400));
    assert!(encode(&mut rung, &frame(320, 180, 2), false).keyframe);
    assert!(!encode(&mut rung, &frame(320, 180, 3), false).keyframe);
    assert_eq!(rung.rebuilds(), 1);
}

#[test]
fn another_shape_gets_black_bars_in_the_same_size() {
    let mut rung = open_rung(Codec::H264, 320, 180, 2000);
    // 4:3: content 240 wide, bars of 40 on both sides.
    let unit = encode(&mut rung, &flat(640, 480, 0, 200), true);
    let seen = show(Codec::H264, &[unit])[0].to_i420().unwrap();
    assert_eq!(seen.resolution, Resolution::new(320, 180));
    let at = |x: usize, y: usize| seen.y[y * 320 + x];
    for row in [4, 90, 176] {
        for column in [2, 34, 285, 317] {
            assert!(at(column, row) < 22, "bar at {column},{row}: {}", at(column, row));
        }
        for column in [46, 160, 274] {
            assert!(at(column, row) > 190, "content at {column},{row}: {}", at(column, row));
        }
    }
}

#[test]
fn the_sources_size_may_change_and_the_rungs_stays() {
    for codec in [Codec::H264, Codec::Vp8] {
        let mut rung = open_rung(codec, 320, 180, 1000);
        let sizes = [(960, 540), (1280, 720), (322, 182), (161, 91), (180, 320), (640, 360)];
        let units: Vec<EncodedUnit> = sizes
            .iter()
            .enumerate()
            .map(|(index, (width, height))| {
                encode(&mut rung, &frame(*width, *height, index as u32), index == 0)
            })
            .collect();
        assert!(units[1..].iter().all(|unit| !unit.keyframe), "{codec:?}");
        let seen = show(codec, &units);
        assert_eq!(seen.len(), sizes.len());
        for frame in seen {
            assert_eq!(frame.resolution(), Resolution::new(320, 180), "{codec:?}");
        }
    }
}

#[test]
fn scaling_by_halves_and_by_swscale_show_the_same() {
    let source = frame(960, 540, 3);
    let table = [(480, 270), (240, 134), (320, 180), (640, 360), (958, 538)];
    for (width, height) in table {
        let mut rung = open_rung(Codec::H264, width, height, 6000);
        let unit = encode(&mut rung, &source, true);
        let seen = show(Codec::H264, &[unit])[0].to_i420().unwrap();
        // Bicubic, made by another path: the filter graph.
        let chain = format!("scale={width}:{height}:flags=area");
        let mut graph = crate::ffi::graph::Graph::new(source.picture(), &chain).unwrap();
        let other = Frame::new(graph.run(source.picture()).unwrap(), 0).to_i420().unwrap();
        assert!(psnr(&seen, &other) > 28.0, "{width}x{height}: {}", psnr(&seen, &other));
    }
}

#[test]
fn a_jumping_clock_changes_stamps_and_nothing_else() {
    let hour = 3600 * 90_000;
    for codec in [Codec::H264, Codec::Vp8] {
        // Steady, and with a repeat, a step back and a jump of 40 hours.
        let steady: Vec<i64> = (0..40).map(|index| hour + index * STEP).collect();
        let jumps = steady.iter().enumerate().map(|(index, pts)| match index {
            10 => pts - STEP,
            11..20 => pts - hour,
            30.. => pts + 40 * hour,
            _ => *pts,
        });
        let jumps: Vec<i64> = jumps.collect();
        let run = |stamps: &[i64]| -> Vec<EncodedUnit> {
            let mut rung = open_rung(codec, 320, 180, 300);
            let picture = |(index, pts): (usize, &i64)| {
                let frame = frame(320, 180, index as u32).with_pts(*pts);
                encode(&mut rung, &frame, index == 0)
            };
            stamps.iter().enumerate().map(picture).collect()
        };
        let (expected, seen) = (run(&steady), run(&jumps));
        assert_eq!(seen.iter().map(|unit| unit.pts).collect::<Vec<_>>(), jumps, "{codec:?}");
        for (index, (seen, expected)) in seen.iter().zip(&expected).enumerate() {
            assert!(seen.data == expected.data, "{codec:?}: picture {index} differs");
        }
    }
}

#[test]
fn colours_are_said_as_the_source_says_them() {
    let options: &[(&str, &str)] = &[
        ("tune", "zerolatency"),
        ("color_primaries", "bt709"),
        ("color_trc", "bt709"),
        ("colorspace", "bt709"),
    ];
    let units = super::media::foreign_stream(("libx264", options), (640, 360), 4);
    let mut rung = open_rung(Codec::H264, 320, 180, 500);
    let rung_units: Vec<EncodedUnit> = show(Codec::H264, &units)
        .iter()
        .enumerate()
        .map(|(index, frame)| encode(&mut rung, frame, index == 0))
        .collect();
    assert_eq!(rung.rebuilds(), 1, "once, at the first frame");
    for frame in show(Codec::H264, &rung_units) {
        let colour = frame.picture().colour();
        assert_eq!((colour.primaries, colour.transfer, colour.matrix), (1, 1, 1));
    }
}

#[test]
fn what_can_not_be_opened_says_why() {
    let open = |config, choice: &Choice| RungEncoder::open(config, choice).err().unwrap();
    let software = Choice::software();
    let error = open(config(Codec::Av1, 320, 180, 500), &software);
    assert_eq!(error.to_string(), "software has no encoder for av1");
    for (width, height) in [(321, 180), (320, 181), (2, 2), (0, 0), (20_000, 180)] {
        let error = open(config(Codec::H264, width, height, 500), &software);
        assert!(matches!(error, OpenError::Size { .. }), "{error}");
    }
    let choice =
        |backend, device: &str| Choice { backend, device: Some(device.into()), fallbacks: vec![] };
    let nvenc = choice(stentor_protocol::Backend::Nvenc, "99");
    let error = open(config(Codec::H264, 320, 180, 500), &nvenc);
    assert!(error.to_string().starts_with("nvenc device 99 can't be opened: "), "{error}");
    let vaapi = choice(stentor_protocol::Backend::Vaapi, "/dev/dri/renderD999");
    let error = open(config(Codec::H264, 320, 180, 500), &vaapi);
    assert!(error.to_string().starts_with("vaapi device /dev/dri/renderD999"), "{error}");
}

#[test]
fn a_rate_of_nothing_is_refused_or_encoded_but_never_crashes() {
    for codec in [Codec::H264, Codec::Vp8] {
        for kbps in [0, 1, 10_000_000] {
            let rung = RungEncoder::open(config(codec, 64, 64, kbps), &Choice::software());
            if let Ok(mut rung) = rung {
                let _ = rung.encode(&frame(64, 64, 0), true);
            }
        }
    }
}
