//! Short streams to try decoders with, encoded on the spot.

use stentor_protocol::{BitsPerSecond, Choice, Codec, FrameRate, Resolution};

use crate::ffi::encoder::{EncoderContext, EncoderShape};
use crate::ffi::log;
use crate::ffi::picture::PictureKind;
use crate::ffi::pixel::PixelFormat;
use crate::{EncodedUnit, EncoderConfig, Frame, RungEncoder, synthetic};

/// What is measured with: the size that a camera's top rung mostly has.
pub(super) const SIZE: Resolution = Resolution::new(1280, 720);

/// The size for codecs whose software encoders are slow.
const SMALL: Resolution = Resolution::new(640, 360);

/// Pictures in a clip. Its first unit is a keyframe, so that it can be played again and again.
const LENGTH: u32 = 12;

/// Different pictures; a clip goes through them to and fro.
const PICTURES: u32 = 4;

/// A stream and what it shows.
pub(super) struct Clip {
    pub codec: Codec,
    pub resolution: Resolution,
    pub units: Vec<EncodedUnit>,
    /// The picture that the first unit shows.
    pub first: Frame,
}

// === impl Clip ===

impl Clip {
    pub fn make(codec: Codec) -> Result<Self, String> {
        match codec {
            Codec::H264 | Codec::Vp8 => Self::by_rung(codec),
            // No rung is H.265, and AV1 only where hardware encodes it.
            Codec::H265 => Self::by_encoder(
                codec,
                "libx265",
                &[
                    ("preset", "ultrafast"),
                    ("tune", "zerolatency"),
                    ("x265-params", "log-level=none:pools=none"),
                ],
            ),
            Codec::Av1 => Self::by_encoder(
                codec,
                "libaom-av1",
                &[("usage", "realtime"), ("cpu-used", "8"), ("lag-in-frames", "0")],
            ),
            Codec::Opus | Codec::Aac => Err("not a video codec".into()),
        }
    }

    fn by_rung(codec: Codec) -> Result<Self, String> {
        let frames = frames()?;
        let mut encoder = RungEncoder::open(config(codec, SIZE), &Choice::software())
            .map_err(|error| no_clip(codec, &error))?;
        let mut units = Vec::new();
        for index in 0..LENGTH {
            let unit = encoder.encode(&stamped(&frames, index), index == 0);
            units.extend(unit.map_err(|error| no_clip(codec, &error))?);
        }
        Ok(Self { codec, resolution: SIZE, units, first: frames[0].clone() })
    }

    fn by_encoder(codec: Codec, name: &str, options: &[(&str, &str)]) -> Result<Self, String> {
        let frames = synthetic_frames(SMALL)?;
        let shape = EncoderShape {
            width: SMALL.width,
            height: SMALL.height,
            format: PixelFormat::YUV420P,
            frame_rate: (30, 1),
            colour: None,
            pool: None,
        };
        let options = options.iter().copied().chain([("b", "1500000"), ("bf", "0"), ("g", "1000")]);
        let failed = |error| no_clip(codec, &log::explain(error));
        let mut encoder = EncoderContext::open(name, options, 1, None, &shape)
            .map_err(|reason| no_clip(codec, &reason))?;
        let mut units = Vec::new();
        for index in 0..=LENGTH {
            if index < LENGTH {
                let frame = stamped(&frames, index);
                let mut picture = frame.picture().reference().map_err(failed)?;
                picture.set_pts(frame.pts);
                let key = if index == 0 { PictureKind::Key } else { PictureKind::Any };
                picture.set_kind(key);
                encoder.send(&picture).map_err(failed)?;
            } else {
                encoder.finish().map_err(failed)?;
            }
            while let Some(encoded) = encoder.receive().map_err(failed)? {
                let (data, pts, keyframe) = (encoded.data, encoded.pts, encoded.keyframe);
                units.push(EncodedUnit { data, pts, keyframe });
            }
        }
        Ok(Self { codec, resolution: SMALL, units, first: frames[0].clone() })
    }
}

/// Pictures in host memory at the measuring size.
pub(super) fn frames() -> Result<Vec<Frame>, String> {
    synthetic_frames(SIZE)
}

/// What an encoder is measured as.
pub(super) fn config(codec: Codec, resolution: Resolution) -> EncoderConfig {
    EncoderConfig {
        codec,
        resolution,
        frame_rate: FrameRate::new(30, 1),
        bitrate: BitsPerSecond::from_kilo(2000),
    }
}

/// Picture `index` of an endless walk to and fro over `frames`, at 30 a second.
pub(super) fn stamped(frames: &[Frame], index: u32) -> Frame {
    let last = frames.len().max(2) - 1;
    let place = index as usize % (2 * last);
    let place = if place > last { 2 * last - place } else { place };
    frames[place.min(frames.len() - 1)].with_pts(i64::from(index) * 3000)
}

fn synthetic_frames(size: Resolution) -> Result<Vec<Frame>, String> {
    let frame = |index| synthetic::frame(size, index, 0).map_err(|error| error.to_string());
    (0..PICTURES).map(frame).collect()
}

fn no_clip(codec: Codec, reason: &dyn std::fmt::Display) -> String {
    format!("not tried, no {} stream could be made to try it with: {reason}", codec.as_str())
}
