//! Which renditions a channel offers: a function of the source's format and the ladder wanted.
//!
//! A name stands for a size, and each size exists in each codec, so that `?rendition=360p` means
//! the same picture to a viewer without H.264. Nothing here says which renditions are encoded:
//! that follows from who watches.

use stentor_protocol::control::VideoFormat;
use stentor_protocol::spec::{Codec, RungKind};
use stentor_protocol::units::{BitsPerSecond, FrameRate, Resolution};

use super::settings::Rung;

/// What the slate looks like before a source is known.
const SLATE: Resolution = Resolution::new(1280, 720);
/// Frame rate taken where the source doesn't say.
const USUAL_RATE: f64 = 30.0;
/// Pictures lower than this get at most [`LOW_RATE`].
const LOW_HEIGHT: u32 = 720;
const LOW_RATE: FrameRate = FrameRate::new(30, 1);
/// The name of the top rendition, whatever its size.
pub const SOURCE: &str = "source";

/// A rendition that can be offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    pub name: String,
    pub codec: Codec,
    pub kind: RungKind,
    pub resolution: Resolution,
    /// None: the source's.
    pub frame_rate: Option<FrameRate>,
    /// Target; of a passed-through one what is to be expected.
    pub bitrate: BitsPerSecond,
}

/// Best first within a codec; the codecs in the order given.
pub fn plan(format: Option<&VideoFormat>, rungs: &[Rung], codecs: &[Codec]) -> Vec<Planned> {
    let source = format.map_or(SLATE, |f| f.resolution);
    let rate = format.and_then(|f| f.frame_rate).map_or(USUAL_RATE, FrameRate::as_f64);
    let passes = format.filter(|f| f.pass_through).map(|f| f.codec);
    let mut lower: Vec<&Rung> = rungs.iter().filter(|r| is_below(r, source)).collect();
    lower.sort_by_key(|r| std::cmp::Reverse(r.height));

    let mut all_codecs = codecs.to_vec();
    if let Some(codec) = passes.filter(|c| !codecs.contains(c)) {
        all_codecs.insert(0, codec);
    }
    let mut planned = Vec::new();
    for codec in all_codecs {
        if passes == Some(codec) {
            planned.push(Planned {
                name: SOURCE.to_owned(),
                codec,
                kind: RungKind::PassThrough,
                resolution: source,
                frame_rate: None,
                bitrate: usual_bitrate(source, rate, codec),
            });
        } else {
            planned.push(encoded(SOURCE.to_owned(), codec, even(source), rate, None));
        }
        if codecs.contains(&codec) {
            for rung in &lower {
                let size = scaled(source, rung.height);
                planned.push(encoded(rung.name(), codec, size, rate, rung.bitrate));
            }
        }
    }
    planned
}

// === impl Planned ===

impl Planned {
    pub fn is_pass_through(&self) -> bool {
        self.kind == RungKind::PassThrough
    }
}

/// A rung as high as the source makes sense only to cap its rate.
fn is_below(rung: &Rung, source: Resolution) -> bool {
    rung.height < source.height || (rung.height == source.height && rung.bitrate.is_some())
}

fn encoded(
    name: String,
    codec: Codec,
    resolution: Resolution,
    source_rate: f64,
    bitrate: Option<u64>,
) -> Planned {
    // Half a frame per second of tolerance: 30.3 is a camera's idea of 30.
    let halved = resolution.height < LOW_HEIGHT && source_rate > LOW_RATE.as_f64() + 0.5;
    let frame_rate = halved.then_some(LOW_RATE);
    let rate = frame_rate.map_or(source_rate, FrameRate::as_f64);
    let bitrate = bitrate.map_or_else(|| usual_bitrate(resolution, rate, codec), BitsPerSecond);
    let kind = RungKind::Encode { resolution, frame_rate, bitrate };
    Planned { name, codec, kind, resolution, frame_rate, bitrate }
}

/// 2.5 Mb/s for 720p30 in H.264, and three quarters of an octave per octave of pixel rate, since
/// larger pictures have more alike in them: 360p30 0.88, 1080p30 4.6, 2160p30 13 Mb/s.
fn usual_bitrate(resolution: Resolution, frames_per_second: f64, codec: Codec) -> BitsPerSecond {
    let pixel_rate = resolution.pixels() as f64 * frames_per_second.clamp(1.0, 240.0);
    let codec_factor = if codec == Codec::Av1 { 0.7 } else { 1.0 };
    let bits = 2.5e6 * (pixel_rate / (1280.0 * 720.0 * 30.0)).powf(0.75) * codec_factor;
    BitsPerSecond(((bits / 1e4).round() as u64).max(4) * 10_000)
}

fn scaled(source: Resolution, height: u32) -> Resolution {
    let height = u64::from(height.min(source.height));
    let width = u64::from(source.width) * height / u64::from(source.height.max(1));
    let nearest_even = |side: u64| (side.div_ceil(2) * 2).max(16) as u32;
    // Both sides rounded the same way, and never above the source.
    let size = Resolution::new(nearest_even(width), (height as u32) & !1);
    Resolution::new(size.width.min(source.width & !1).max(2), size.height.max(2))
}

fn even(size: Resolution) -> Resolution {
    Resolution::new((size.width & !1).max(2), (size.height & !1).max(2))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOTH: [Codec; 2] = [Codec::H264, Codec::Vp8];

    fn format(width: u32, height: u32, rate: u32, codec: Codec, pass_through: bool) -> VideoFormat {
        VideoFormat {
            codec,
            resolution: Resolution::new(width, height),
            frame_rate: Some(FrameRate::new(rate, 1)),
            pass_through,
            profile_level_id: None,
        }
    }

    fn rungs(heights: &[u32]) -> Vec<Rung> {
        heights.iter().map(|&height| Rung { name: None, height, bitrate: None }).collect()
    }

    fn lines(planned: &[Planned]) -> Vec<String> {
        let kind = |p: &Planned| match p.kind {
            RungKind::PassThrough => "passed",
            RungKind::Encode { frame_rate: Some(_), .. } => "slower",
            RungKind::Encode { .. } => "encoded",
        };
        let line = |p: &Planned| {
            format!(
                "{} {} {} {} {}",
                p.name,
                p.codec.as_str(),
                p.resolution,
                kind(p),
                p.bitrate.0 / 1000
            )
        };
        planned.iter().map(line).collect()
    }

    #[test]
    fn ladders() {
        let usual = rungs(&[1080, 720, 360, 180]);
        let capped = vec![Rung { name: Some("hd".into()), height: 720, bitrate: Some(1_500_000) }];
        type Case<'a> = (&'a str, Option<VideoFormat>, Vec<Rung>, &'a [&'a str]);
        let cases: Vec<Case> = vec![
            (
                "a fit H.264 source passes through and is encoded in VP8 only",
                Some(format(1280, 720, 30, Codec::H264, true)),
                usual.clone(),
                &[
                    "source h264 1280x720 passed 2500",
                    "360p h264 640x360 encoded 880",
                    "180p h264 320x180 encoded 310",
                    "source vp8 1280x720 encoded 2500",
                    "360p vp8 640x360 encoded 880",
                    "180p vp8 320x180 encoded 310",
                ],
            ),
            (
                "a VP8 source passes through as VP8",
                Some(format(640, 360, 30, Codec::Vp8, true)),
                rungs(&[180]),
                &[
                    "source h264 640x360 encoded 880",
                    "180p h264 320x180 encoded 310",
                    "source vp8 640x360 passed 880",
                    "180p vp8 320x180 encoded 310",
                ],
            ),
            (
                "an H.265 source is encoded at its own size; low rungs get half of 60 fps",
                Some(format(1920, 1080, 60, Codec::H265, false)),
                rungs(&[720, 360]),
                &[
                    "source h264 1920x1080 encoded 7720",
                    "720p h264 1280x720 encoded 4200",
                    "360p h264 640x360 slower 880",
                    "source vp8 1920x1080 encoded 7720",
                    "720p vp8 1280x720 encoded 4200",
                    "360p vp8 640x360 slower 880",
                ],
            ),
            (
                "nothing goes up",
                Some(format(320, 180, 30, Codec::H264, true)),
                usual,
                &["source h264 320x180 passed 310", "source vp8 320x180 encoded 310"],
            ),
            (
                "sizes are even and keep the aspect of an odd source",
                Some(format(1279, 719, 30, Codec::H265, false)),
                rungs(&[360]),
                &[
                    "source h264 1278x718 encoded 2490",
                    "360p h264 640x360 encoded 880",
                    "source vp8 1278x718 encoded 2490",
                    "360p vp8 640x360 encoded 880",
                ],
            ),
            (
                "a rung of the source's height is offered where it caps the rate",
                Some(format(1280, 720, 30, Codec::H264, true)),
                capped,
                &[
                    "source h264 1280x720 passed 2500",
                    "hd h264 1280x720 encoded 1500",
                    "source vp8 1280x720 encoded 2500",
                    "hd vp8 1280x720 encoded 1500",
                ],
            ),
            (
                "before a source is known the slate is 720p",
                None,
                Vec::new(),
                &["source h264 1280x720 encoded 2500", "source vp8 1280x720 encoded 2500"],
            ),
        ];
        for (what, format, rungs, expected) in cases {
            assert_eq!(lines(&plan(format.as_ref(), &rungs, &BOTH)), expected, "{what}");
        }
    }

    #[test]
    fn av1_is_offered_only_where_it_can_be_encoded() {
        let planned = plan(None, &[], &[Codec::H264, Codec::Vp8, Codec::Av1]);
        assert_eq!(lines(&planned)[2], "source av1 1280x720 encoded 1750");
        assert!(!plan(None, &[], &BOTH).iter().any(|p| p.codec == Codec::Av1));
    }

    proptest! {
        #[test]
        fn whatever_the_source_sizes_are_even_and_never_above_it(
            width in 2_u32..8192, height in 2_u32..8192, rate in 1_u32..240,
            heights in proptest::collection::vec(16_u32..4320, 0..8),
        ) {
            let format = format(width, height, rate, Codec::H265, false);
            for rendition in plan(Some(&format), &rungs(&heights), &BOTH) {
                let size = rendition.resolution;
                prop_assert!(size.width % 2 == 0 && size.height % 2 == 0, "{size}");
                prop_assert!(size.width >= 2 && size.height >= 2, "{size}");
                prop_assert!(size.width <= width && size.height <= height, "{size} of {width}x{height}");
                prop_assert!(rendition.bitrate.0 >= 40_000);
            }
        }
    }
}
