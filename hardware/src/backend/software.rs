//! The CPU: libavcodec's decoders, swscale, x264 and libvpx.

use std::thread;

use stentor_protocol::{Backend, Codec, Resolution};

use super::{DecoderRow, ENDLESS_GOP, EncoderRow, Engine, FoundDevice, Landing};
use crate::ffi::device::DeviceKind;

pub(crate) struct Software;

/// An encoder of single pictures.
pub(crate) struct StillRow {
    pub name: &'static str,
    pub options: &'static [(&'static str, &'static str)],
}

pub(crate) const JPEG: StillRow = StillRow { name: "mjpeg", options: &[("flags", "+qscale")] };

const DECODERS: &[DecoderRow] = &[
    DecoderRow { codec: Codec::H264, library: "h264", name: "h264", options: &[] },
    DecoderRow { codec: Codec::H265, library: "hevc", name: "hevc", options: &[] },
    DecoderRow { codec: Codec::Vp8, library: "vp8", name: "vp8", options: &[] },
    DecoderRow {
        codec: Codec::Av1,
        library: "libdav1d",
        name: "libdav1d",
        // dav1d's way to say that no frame may wait for the next.
        options: &[("flags", "+low_delay")],
    },
];

const ENCODERS: &[EncoderRow] = &[
    EncoderRow {
        codec: Codec::H264,
        name: "libx264",
        variants: &[&[
            ("preset", "veryfast"),
            // No lookahead, no delay, slices instead of frame threads.
            ("tune", "zerolatency"),
            // Written as constrained baseline: what every WebRTC peer takes (42e01f).
            ("profile", "baseline"),
            ("forced-idr", "1"),
            // A keyframe at a scene cut would fall on one rung and not on another.
            ("sc_threshold", "0"),
            ("g", ENDLESS_GOP),
            ("bf", "0"),
        ]],
        buffer_ms: 500,
        constant_rate: false,
        live_rate: true,
        tells_colour: true,
        least: Resolution::new(16, 16),
        most: Resolution::new(8192, 4320),
        // 1080p30 on one thread, 1080p60 on two.
        pixels_per_second_per_thread: 1920 * 1088 * 31,
    },
    EncoderRow {
        codec: Codec::Vp8,
        name: "libvpx",
        variants: &[&[
            ("deadline", "realtime"),
            // Negative: this speed, and not "as fast as it takes to use so much of a core".
            ("cpu-used", "-6"),
            ("error-resilient", "default"),
            ("lag-in-frames", "0"),
            ("auto-alt-ref", "0"),
            // Equal: libvpx then sets no keyframes of its own at scene cuts.
            ("g", ENDLESS_GOP),
            ("keyint_min", ENDLESS_GOP),
            ("qmin", "2"),
            ("qmax", "56"),
            ("undershoot-pct", "100"),
            ("overshoot-pct", "15"),
            // A keyframe may take so many percent of a frame's share.
            ("max-intra-rate", "900"),
            ("static-thresh", "1"),
        ]],
        buffer_ms: 600,
        constant_rate: true,
        live_rate: false,
        tells_colour: false,
        least: Resolution::new(16, 16),
        most: Resolution::new(8192, 4320),
        pixels_per_second_per_thread: 1280 * 720 * 31,
    },
];

// === impl Software ===

impl Engine for Software {
    fn backend(&self) -> Backend {
        Backend::Software
    }

    fn decoders(&self) -> &'static [DecoderRow] {
        DECODERS
    }

    fn encoders(&self) -> &'static [EncoderRow] {
        ENCODERS
    }

    fn devices(&self) -> Vec<FoundDevice> {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let model = std::fs::read_to_string("/proc/cpuinfo")
            .ok()
            .and_then(|text| {
                let line = text.lines().find(|line| line.starts_with("model name"))?;
                Some(line.split_once(':')?.1.trim().to_owned())
            })
            .unwrap_or_else(|| std::env::consts::ARCH.to_owned());
        let driver = format!("{cores} cores");
        vec![FoundDevice { id: "cpu".into(), name: model, driver }]
    }

    fn device_kind(&self) -> Option<DeviceKind> {
        None
    }

    fn scale_chain(&self, size: Resolution, _landing: Landing) -> String {
        format!("scale=w={}:h={}:flags=bilinear", size.width, size.height)
    }
}
