//! Decoding: order, sizes, faults.

use stentor_protocol::{Choice, Codec, Resolution};

use super::media::{AV1, H265, STEP, Stream, foreign_stream, frame, psnr, reordered, stream};
use crate::{DecodeError, Decoder, Frame};

fn open(codec: Codec) -> Decoder {
    Decoder::open(codec, &Choice::software()).unwrap()
}

fn decode_all(decoder: &mut Decoder, units: &[crate::EncodedUnit]) -> Vec<Frame> {
    let mut frames: Vec<Frame> =
        units.iter().flat_map(|unit| decoder.decode(&unit.data, unit.pts).unwrap()).collect();
    frames.extend(decoder.flush());
    frames
}

/// One short stream a codec, in the order of decoding.
fn streams() -> Vec<Stream> {
    vec![
        (Codec::H264, stream(Codec::H264, 320, 180, 12)),
        (Codec::Vp8, stream(Codec::Vp8, 320, 180, 12)),
        (Codec::H265, foreign_stream(H265, (320, 180), 12)),
        (Codec::Av1, foreign_stream(AV1, (320, 180), 12)),
    ]
}

#[test]
fn every_codec_gives_the_pictures_that_went_in() {
    for (codec, units) in streams() {
        let frames = decode_all(&mut open(codec), &units);
        assert_eq!(frames.len(), 12, "{codec:?}");
        for (index, seen) in frames.iter().enumerate() {
            let shown = frame(320, 180, index as u32);
            assert_eq!(seen.pts, shown.pts, "{codec:?}");
            let likeness = psnr(&seen.to_i420().unwrap(), &shown.to_i420().unwrap());
            assert!(likeness > 26.0, "{codec:?} frame {index}: {likeness}");
        }
    }
}

#[test]
fn a_frame_comes_out_with_its_own_access_unit() {
    for (codec, units) in streams() {
        let mut decoder = open(codec);
        for unit in &units {
            let frames = decoder.decode(&unit.data, unit.pts).unwrap();
            let stamps: Vec<i64> = frames.iter().map(|frame| frame.pts).collect();
            assert_eq!(stamps, [unit.pts], "{codec:?} holds frames back");
        }
    }
}

#[test]
fn b_frames_come_out_in_the_order_of_showing() {
    let units = reordered((320, 180), 20);
    assert!(units.windows(2).any(|pair| pair[1].pts < pair[0].pts), "no B-frames to test with");
    let mut decoder = open(Codec::H264);
    let frames = decode_all(&mut decoder, &units);
    let stamps: Vec<i64> = frames.iter().map(|frame| frame.pts).collect();
    let expected: Vec<i64> = (0..20).map(|index| frame(320, 180, index).pts).collect();
    assert_eq!(stamps, expected);
    assert_eq!((decoder.late(), decoder.errors(), decoder.frames()), (0, 0, 20));
}

#[test]
fn the_size_may_change_in_the_middle() {
    for codec in [Codec::H264, Codec::Vp8] {
        let mut units = stream(codec, 320, 180, 3);
        let offset = 3 * STEP;
        for (width, height) in [(640, 360), (178, 100)] {
            let more = stream(codec, width, height, 3);
            let later = units.len() as i64 / 3 * offset;
            units.extend(more.into_iter().map(|mut unit| {
                unit.pts += later;
                unit
            }));
        }
        let frames = decode_all(&mut open(codec), &units);
        let sizes: Vec<(u32, u32)> = frames
            .iter()
            .map(|frame| (frame.resolution().width, frame.resolution().height))
            .collect();
        let expected = [[(320, 180); 3], [(640, 360); 3], [(178, 100); 3]].concat();
        assert_eq!(sizes, expected, "{codec:?}");
    }
}

#[test]
fn odd_sizes_are_decoded_as_they_are() {
    let options: &[(&str, &str)] = &[("tune", "zerolatency"), ("preset", "ultrafast")];
    // x264 takes odd sizes in 4:2:0 and crops.
    let units = foreign_stream(("libx264", options), (322, 182), 2);
    let frames = decode_all(&mut open(Codec::H264), &units);
    assert_eq!(frames[0].resolution(), Resolution::new(322, 182));
    let jpeg = frames[0].to_jpeg(161, 70).unwrap();
    assert_eq!(jpeg[..2], [0xff, 0xd8]);
}

#[test]
fn joining_in_the_middle_shows_nothing_until_a_keyframe() {
    for codec in [Codec::H264, Codec::Vp8] {
        let mut units = stream(codec, 320, 180, 6);
        units.remove(0);
        let later = units.last().unwrap().pts + STEP - units[0].pts + STEP;
        let again = stream(codec, 320, 180, 2).into_iter().map(|mut unit| {
            unit.pts += later;
            unit
        });
        let mut decoder = open(codec);
        for unit in &units {
            // An error or nothing; never a picture.
            let frames = decoder.decode(&unit.data, unit.pts).unwrap_or_default();
            assert!(frames.is_empty(), "{codec:?}");
        }
        for unit in again {
            assert_eq!(decoder.decode(&unit.data, unit.pts).unwrap().len(), 1, "{codec:?}");
        }
    }
}

#[test]
fn after_a_fault_pictures_wait_for_the_next_keyframe() {
    let units = stream(Codec::H264, 320, 180, 10);
    let mut decoder = open(Codec::H264);
    for unit in &units[..4] {
        assert_eq!(decoder.decode(&unit.data, unit.pts).unwrap().len(), 1);
    }
    // Half an access unit: the rest was lost on the way.
    let torn = &units[4].data[..units[4].data.len() / 2];
    let error = decoder.decode(torn, units[4].pts).unwrap_err();
    assert!(matches!(error, DecodeError::Damaged { .. }), "{error}");
    assert_eq!(decoder.errors(), 1);
    for unit in &units[5..] {
        assert!(decoder.decode(&unit.data, unit.pts).unwrap_or_default().is_empty());
    }
    let again = stream(Codec::H264, 320, 180, 2);
    for unit in again {
        let frames = decoder.decode(&unit.data, unit.pts + 100 * STEP).unwrap();
        assert_eq!(frames.len(), 1);
    }
}

#[test]
fn a_stream_that_never_sends_a_keyframe_again_is_shown_after_a_while() {
    let units = stream(Codec::H264, 160, 90, 200);
    let mut decoder = open(Codec::H264);
    let mut shown = Vec::new();
    for (index, unit) in units.iter().enumerate() {
        let data = if index == 5 { &unit.data[..unit.data.len() / 2] } else { &unit.data[..] };
        if !decoder.decode(data, unit.pts).unwrap_or_default().is_empty() {
            shown.push(index);
        }
    }
    assert_eq!(shown[..5], [0, 1, 2, 3, 4]);
    assert!(shown[5] > 100 && shown[5] < 160, "{shown:?}");
}

#[test]
fn a_clock_that_is_set_back_does_not_stop_the_picture() {
    let units = stream(Codec::H264, 160, 90, 6);
    let mut decoder = open(Codec::H264);
    let hour = 3600 * 90_000;
    let stamps = [hour, hour + STEP, 0, STEP, 2 * STEP, hour];
    for (unit, pts) in units.iter().zip(stamps) {
        let frames = decoder.decode(&unit.data, pts).unwrap();
        assert_eq!(frames.iter().map(|frame| frame.pts).collect::<Vec<_>>(), [pts]);
    }
}

#[test]
fn an_access_unit_without_bytes_is_an_error_and_not_the_end() {
    let units = stream(Codec::H264, 160, 90, 2);
    let mut decoder = open(Codec::H264);
    decoder.decode(&units[0].data, units[0].pts).unwrap();
    assert_eq!(decoder.decode(&[], 0).unwrap_err(), DecodeError::Empty);
    assert_eq!(decoder.decode(&units[1].data, units[1].pts).unwrap().len(), 1);
}

#[test]
fn full_range_pictures_become_limited_range() {
    let options: &[(&str, &str)] =
        &[("tune", "zerolatency"), ("preset", "ultrafast"), ("color_range", "pc")];
    let units = super::media::encode_pictures(
        ("libx264", options),
        crate::ffi::pixel::PixelFormat::YUVJ420P,
        (64, 64),
        1,
        |picture| {
            for plane in 0..3 {
                let value = if plane == 0 { 255 } else { 128 };
                picture.plane_mut(plane).unwrap().data.fill(value);
            }
        },
    );
    let frames = decode_all(&mut open(Codec::H264), &units);
    let white = frames[0].to_i420().unwrap();
    let mean = white.y.iter().map(|y| u32::from(*y)).sum::<u32>() / white.y.len() as u32;
    assert!((233..=237).contains(&mean), "white is {mean}");
}
