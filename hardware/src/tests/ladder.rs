//! The whole way: decode once, scale and encode each rung.

use stentor_protocol::{Backend, Codec};

use super::media::{config, frame, nal_types, psnr, stream};
use crate::{Choice, Decoder, Memory, RungEncoder};

#[test]
fn a_ladder_gives_every_rung_the_same_time_stamps() {
    let source = stream(Codec::H264, 640, 360, 20);
    let mut decoder = Decoder::open(Codec::H264, &Choice::software()).unwrap();
    let open = |codec, width, height| {
        RungEncoder::open(config(codec, width, height, 300), &Choice::software()).unwrap()
    };
    let mut rungs =
        [open(Codec::H264, 320, 180), open(Codec::H264, 160, 90), open(Codec::Vp8, 320, 180)];
    let mut units = [const { Vec::new() }; 3];
    for unit in &source {
        for frame in decoder.decode(&unit.data, unit.pts).unwrap() {
            assert_eq!(frame.memory(), Memory::Host);
            for (rung, units) in rungs.iter_mut().zip(&mut units) {
                units.extend(rung.encode(&frame, units.len() == 10).unwrap());
            }
        }
    }
    let expected: Vec<_> = source.iter().map(|unit| unit.pts).collect();
    for (rung, units) in rungs.iter().zip(&units) {
        assert_eq!(units.iter().map(|unit| unit.pts).collect::<Vec<_>>(), expected);
        let keys: Vec<_> = (0..20).filter(|index| units[*index].keyframe).collect();
        assert_eq!(keys, [0, 10], "{}", rung.name());
        assert_eq!(rung.backend(), Backend::Software);
        assert_eq!(rung.bus_bytes(), 0);
        assert!(rung.encode_seconds() > 0.0);
    }
    assert!(decoder.seconds() > 0.0);
}

#[test]
fn a_rung_shows_the_source_only_smaller() {
    let mut decoder = Decoder::open(Codec::H264, &Choice::software()).unwrap();
    let mut rung =
        RungEncoder::open(config(Codec::H264, 320, 180, 2000), &Choice::software()).unwrap();
    for index in 0..5 {
        let source = frame(640, 360, index);
        let units = rung.encode(&source, index == 0).unwrap();
        let frames = decoder.decode(&units[0].data, units[0].pts).unwrap();
        let small = source.half().unwrap().to_i420().unwrap();
        let seen = frames[0].to_i420().unwrap();
        assert!(psnr(&small, &seen) > 35.0, "{}", psnr(&small, &seen));
    }
}

#[test]
fn every_idr_brings_its_parameter_sets() {
    let mut rung =
        RungEncoder::open(config(Codec::H264, 320, 180, 500), &Choice::software()).unwrap();
    for index in 0..6 {
        let unit = rung.encode(&frame(320, 180, index), index % 3 == 0).unwrap().remove(0);
        let types = nal_types(&unit.data);
        let (sps, pps, idr) = (types.contains(&7), types.contains(&8), types.contains(&5));
        assert_eq!(
            (sps, pps, idr, unit.keyframe),
            [(true, true, true, true), (false, false, false, false)][usize::from(index % 3 != 0)]
        );
    }
}
