//! Streams to test with.

use stentor_protocol::{BitsPerSecond, Choice, Codec, FrameRate, Resolution};

use crate::ffi::encoder::{EncoderContext, EncoderShape};
use crate::ffi::picture::{Picture, PictureKind};
use crate::ffi::pixel::PixelFormat;
use crate::{EncodedUnit, EncoderConfig, Frame, I420, RungEncoder, synthetic};

/// 30 frames a second.
pub(super) const STEP: i64 = 3000;

pub(super) type Stream = (Codec, Vec<EncodedUnit>);

/// An encoder by FFmpeg's name, with its options.
pub(super) type Foreign<'a> = (&'a str, &'a [(&'a str, &'a str)]);

pub(super) const H265: Foreign<'static> = (
    "libx265",
    &[
        ("preset", "ultrafast"),
        ("tune", "zerolatency"),
        ("x265-params", "log-level=none:pools=none"),
        ("b", "1500000"),
    ],
);

pub(super) const AV1: Foreign<'static> = (
    "libaom-av1",
    &[("usage", "realtime"), ("cpu-used", "8"), ("lag-in-frames", "0"), ("b", "1500000")],
);

pub(super) fn config(codec: Codec, width: u32, height: u32, kbps: u64) -> EncoderConfig {
    EncoderConfig {
        codec,
        resolution: Resolution::new(width, height),
        frame_rate: FrameRate::new(30, 1),
        bitrate: BitsPerSecond::from_kilo(kbps),
    }
}

pub(super) fn open_rung(codec: Codec, width: u32, height: u32, kbps: u64) -> RungEncoder {
    RungEncoder::open(config(codec, width, height, kbps), &Choice::software()).unwrap()
}

pub(super) fn frame(width: u32, height: u32, index: u32) -> Frame {
    let pts = 900_000 + i64::from(index) * STEP;
    synthetic::frame(Resolution::new(width, height), index, pts).unwrap()
}

/// A frame of one colour.
pub(super) fn flat(width: u32, height: u32, index: u32, luma: u8) -> Frame {
    let chroma = vec![128; (width.div_ceil(2) * height.div_ceil(2)) as usize];
    let luma = vec![luma; (width * height) as usize];
    let size = Resolution::new(width, height);
    Frame::from_i420(size, i64::from(index) * STEP, &luma, &chroma, &chroma).unwrap()
}

/// `count` units of a stream whose first is the only keyframe.
pub(super) fn stream(codec: Codec, width: u32, height: u32, count: u32) -> Vec<EncodedUnit> {
    let mut encoder = open_rung(codec, width, height, 1500);
    let unit = |index| encoder.encode(&frame(width, height, index), index == 0).unwrap();
    (0..count).flat_map(unit).collect()
}

/// H.264 with B-frames.
pub(super) fn reordered(size: (u32, u32), count: u32) -> Vec<EncodedUnit> {
    let options: &[(&str, &str)] = &[("preset", "medium"), ("bf", "3"), ("b", "1500000")];
    foreign_stream(("libx264", options), size, count)
}

/// A stream by any encoder of FFmpeg's, in the order of decoding.
pub(super) fn foreign_stream(
    encoder: Foreign<'_>,
    (width, height): (u32, u32),
    count: u32,
) -> Vec<EncodedUnit> {
    let mut index = 0;
    encode_pictures(encoder, PixelFormat::YUV420P, (width, height), count, |picture| {
        *picture = frame(width, height, index).picture().reference().unwrap();
        index += 1;
    })
}

/// The same of pictures that `paint` fills.
pub(super) fn encode_pictures(
    (name, options): Foreign<'_>,
    format: PixelFormat,
    (width, height): (u32, u32),
    count: u32,
    mut paint: impl FnMut(&mut Picture),
) -> Vec<EncodedUnit> {
    let shape =
        EncoderShape { width, height, format, frame_rate: (30, 1), colour: None, pool: None };
    let mut encoder = EncoderContext::open(name, options.iter().copied(), 1, None, &shape).unwrap();
    let mut units = Vec::new();
    for index in 0..=count {
        if index < count {
            let mut picture = Picture::host(format, width, height).unwrap();
            paint(&mut picture);
            picture.set_pts(900_000 + i64::from(index) * STEP);
            picture.set_kind(PictureKind::Any);
            encoder.send(&picture).unwrap();
        } else {
            encoder.finish().unwrap();
        }
        while let Some(encoded) = encoder.receive().unwrap() {
            let (data, pts, keyframe) = (encoded.data, encoded.pts, encoded.keyframe);
            units.push(EncodedUnit { data, pts, keyframe });
        }
    }
    units
}

/// Peak signal-to-noise ratio of the luma planes, in dB.
pub(super) fn psnr(a: &I420, b: &I420) -> f64 {
    assert_eq!(a.resolution, b.resolution);
    let square = |(a, b): (&u8, &u8)| (f64::from(*a) - f64::from(*b)).powi(2);
    let error = a.y.iter().zip(&b.y).map(square).sum::<f64>() / a.y.len() as f64;
    if error == 0.0 { 99.0 } else { 10.0 * (255.0 * 255.0 / error).log10() }
}

/// An Annex B unit's NAL units, without start codes.
pub(super) fn nals(unit: &[u8]) -> Vec<&[u8]> {
    let starts: Vec<usize> =
        (0..unit.len().saturating_sub(3)).filter(|at| unit[*at..][..3] == [0, 0, 1]).collect();
    let end = |index: usize| starts.get(index + 1).copied().unwrap_or(unit.len());
    starts.iter().enumerate().map(|(index, start)| &unit[start + 3..end(index)]).collect()
}

pub(super) fn nal_types(unit: &[u8]) -> Vec<u8> {
    nals(unit).iter().map(|nal| nal[0] & 0x1f).collect()
}
