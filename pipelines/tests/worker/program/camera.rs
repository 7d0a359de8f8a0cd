//! A camera in the test's hands: real coded pictures with times of its own.

use gst::prelude::*;
use stentor_hardware::{Choice, EncoderConfig, Frame, RungEncoder};
use stentor_pipelines::contribution::AccessUnit;
use stentor_protocol::{BitsPerSecond, Codec, FrameRate, Resolution};

/// Between two pictures, in ns.
pub const FRAME_NS: u64 = 33_333_333;

pub struct Camera {
    encoder: RungEncoder,
    resolution: Resolution,
    count: u64,
    /// Wanted since the last picture.
    keyframe: bool,
}

// === impl Camera ===

impl Camera {
    pub fn new(codec: Codec, resolution: Resolution) -> Self {
        gst::init().unwrap();
        let config = EncoderConfig {
            codec,
            resolution,
            frame_rate: FrameRate::new(30, 1),
            bitrate: BitsPerSecond::from_kilo(600),
        };
        let encoder = RungEncoder::open(config, &Choice::software()).unwrap();
        Self { encoder, resolution, count: 0, keyframe: false }
    }

    pub fn ask_for_keyframe(&mut self) {
        self.keyframe = true;
    }

    /// The next picture, shown at `pts_ns` of the camera's time.
    pub fn shoot(&mut self, pts_ns: u64) -> AccessUnit {
        let Resolution { width, height } = self.resolution;
        let (w, h) = (width as usize, height as usize);
        let bar = self.count as usize * 4 % w;
        let y: Vec<u8> = (0..w * h).map(|i| if i % w / 8 == bar / 8 { 220 } else { 60 }).collect();
        let chroma = vec![128; w.div_ceil(2) * h.div_ceil(2)];
        let ticks = self.count as i64 * 3_000;
        let frame = Frame::from_i420(self.resolution, ticks, &y, &chroma, &chroma).unwrap();
        let force = std::mem::take(&mut self.keyframe) || self.count == 0;
        let unit = self.encoder.encode(&frame, force).unwrap().pop().unwrap();
        self.count += 1;
        access_unit(unit.data, pts_ns, unit.keyframe)
    }
}

pub fn access_unit(data: Vec<u8>, pts_ns: u64, keyframe: bool) -> AccessUnit {
    AccessUnit { data: gst::Buffer::from_slice(data), pts_ns, keyframe, discontinuity: false }
}

/// So many pictures of a camera with B-frames, in decoding order, with the time of each from 0.
pub fn with_b_frames(count: u32) -> Vec<(Vec<u8>, u64, bool)> {
    gst::init().unwrap();
    let text = format!(
        "videotestsrc num-buffers={count} pattern=ball ! video/x-raw,width=320,height=180,\
         framerate=30/1 ! x264enc bframes=3 b-adapt=false key-int-max=30 speed-preset=veryfast ! \
         h264parse config-interval=-1 ! video/x-h264,stream-format=byte-stream,alignment=au ! \
         appsink name=out sync=false"
    );
    let pipeline = gst::parse::launch(&text).unwrap().downcast::<gst::Pipeline>().unwrap();
    let sink = pipeline.by_name("out").unwrap().downcast::<gst_app::AppSink>().unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let mut units = Vec::new();
    let mut first = None;
    while let Ok(sample) = sink.pull_sample() {
        let buffer = sample.buffer().unwrap();
        let pts = buffer.pts().unwrap().nseconds();
        let data = buffer.map_readable().unwrap().to_vec();
        let keyframe = !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT);
        units.push((data, pts - *first.get_or_insert(pts), keyframe));
    }
    pipeline.set_state(gst::State::Null).unwrap();
    units
}
