//! Frames themselves: planes, clones, thumbnails.

use stentor_protocol::{Choice, Codec, Resolution};

use super::media::{flat, frame, psnr};
use crate::ffi::decoder::DecoderContext;
use crate::ffi::graph::Graph;
use crate::{Decoder, Frame, FrameError, Memory};

#[test]
fn samples_go_in_and_come_out_unchanged() {
    for (width, height) in [(64, 48), (161, 91), (1, 1), (2, 3)] {
        let half = (width as usize).div_ceil(2) * (height as usize).div_ceil(2);
        let bytes = |seed: usize, length: usize| -> Vec<u8> {
            (0..length).map(|index| (index * 13 + seed) as u8).collect()
        };
        let (y, u, v) = (bytes(1, (width * height) as usize), bytes(2, half), bytes(3, half));
        let size = Resolution::new(width, height);
        let frame = Frame::from_i420(size, 7, &y, &u, &v).unwrap();
        assert_eq!((frame.resolution(), frame.pts, frame.memory()), (size, 7, Memory::Host));
        let seen = frame.to_i420().unwrap();
        assert_eq!((seen.y, seen.u, seen.v), (y, u, v), "{size}");
    }
}

#[test]
fn planes_of_the_wrong_size_are_refused() {
    let size = Resolution::new(16, 16);
    let error = Frame::from_i420(size, 0, &[0; 256], &[0; 63], &[0; 64]).unwrap_err();
    let expected = FrameError::PlaneSize { resolution: size, plane: "u", expected: 64, given: 63 };
    assert_eq!(error, expected);
    for size in [Resolution::new(0, 16), Resolution::new(16, 0), Resolution::new(u32::MAX, 2)] {
        assert!(Frame::from_i420(size, 0, &[], &[], &[]).is_err(), "{size}");
    }
}

#[test]
fn a_clone_shares_the_samples_and_has_a_time_of_its_own() {
    let frame = frame(320, 180, 0);
    let later = frame.with_pts(frame.pts + 1);
    assert_eq!(later.pts, frame.pts + 1);
    let start = |frame: &Frame| frame.picture().plane(0).unwrap().data.as_ptr();
    assert_eq!(start(&frame), start(&later));
    assert_eq!(start(&frame.half().unwrap()), start(&later.half().unwrap()));
    assert_eq!(later.half().unwrap().pts, later.pts);
}

#[test]
fn a_thumbnail_is_a_small_jpeg_of_the_picture() {
    let source = frame(1280, 720, 0);
    let jpeg = source.to_jpeg(320, 80).unwrap();
    assert_eq!((&jpeg[..2], &jpeg[jpeg.len() - 2..]), (&[0xff, 0xd8][..], &[0xff, 0xd9][..]));
    let mut decoder = DecoderContext::open("mjpeg", &[], 1, None).unwrap();
    decoder.send(&jpeg, 0).unwrap();
    let seen = Frame::new(decoder.receive().unwrap().unwrap(), 0);
    assert_eq!(seen.resolution(), Resolution::new(320, 180));
    let small = source.half().unwrap().half().unwrap();
    let likeness = psnr(&small.to_i420().unwrap(), &seen.to_i420().unwrap());
    assert!(likeness > 28.0, "{likeness}");
    let coarse = source.to_jpeg(320, 5).unwrap();
    assert!(coarse.len() * 3 < jpeg.len() * 2, "{} and {}", coarse.len(), jpeg.len());
}

#[test]
fn a_thumbnail_is_never_larger_than_its_picture() {
    for (width, height) in [(160, 90), (161, 91), (2, 2), (1, 1)] {
        let jpeg = flat(width, height, 0, 90).to_jpeg(4000, 50).unwrap();
        let mut decoder = DecoderContext::open("mjpeg", &[], 1, None).unwrap();
        decoder.send(&jpeg, 0).unwrap();
        let picture = decoder.receive().unwrap().unwrap();
        assert!(picture.width() <= width + 1 && picture.height() <= height + 1);
    }
}

#[test]
fn a_filter_graph_scales_one_picture_for_one() {
    let source = frame(640, 360, 0);
    let mut graph = Graph::new(source.picture(), "scale=320:180:flags=bilinear").unwrap();
    for _ in 0..3 {
        let scaled = graph.run(source.picture()).unwrap();
        assert_eq!((scaled.width(), scaled.height()), (320, 180));
    }
    let reason = Graph::new(source.picture(), "no_such_filter").err().unwrap();
    assert!(reason.contains("no_such_filter"), "{reason}");
    let reason = Graph::new(source.picture(), "scale_cuda=w=320:h=180").err().unwrap();
    assert!(!reason.is_empty());
}

#[test]
fn frames_may_outlive_their_decoder_and_cross_threads() {
    let units = super::media::stream(Codec::H264, 320, 180, 3);
    let mut decoder = Decoder::open(Codec::H264, &Choice::software()).unwrap();
    let frames: Vec<Frame> =
        units.iter().flat_map(|unit| decoder.decode(&unit.data, unit.pts).unwrap()).collect();
    drop(decoder);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| frames.iter().map(|f| f.half().unwrap().pts).sum::<i64>()))
            .collect();
        let sums: Vec<i64> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert!(sums.windows(2).all(|pair| pair[0] == pair[1]));
    });
}
