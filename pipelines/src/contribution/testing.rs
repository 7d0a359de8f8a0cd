//! What the tests of every source share: a sink that remembers, waiting, and decoders.

use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use gst::prelude::*;
use gst_video::prelude::*;
use stentor_protocol::control::{AudioFormat, SourceState, VideoFormat};

use super::{AccessUnit, Contributed, Sink};

/// Collects what a source tells.
#[derive(Default)]
pub struct Seen {
    pub events: Mutex<Vec<Contributed>>,
}

/// A decoded picture's luma.
pub struct Picture {
    pub pts_ns: u64,
    pub width: usize,
    pub height: usize,
    pub stride: usize,
    pub luma: Vec<u8>,
}

/// Waits for a condition, 20 s at most.
pub fn wait(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < deadline, "waited 20 s for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Runs units through a decoder and gives what comes out. `tail` is what follows the appsrc in
/// gst-launch's language, and ends in front of the appsink.
fn decode(units: &[AccessUnit], caps: &str, tail: &str) -> Vec<gst::Sample> {
    gst::init().unwrap();
    let line =
        format!("appsrc name=in format=time caps={caps} ! {tail} ! appsink name=out sync=false");
    let pipeline = gst::parse::launch(&line).unwrap().downcast::<gst::Pipeline>().unwrap();
    let input = pipeline.by_name("in").unwrap().downcast::<gst_app::AppSrc>().unwrap();
    let output = pipeline.by_name("out").unwrap().downcast::<gst_app::AppSink>().unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    for unit in units {
        let mut buffer = unit.data.copy_deep().unwrap();
        let target = buffer.get_mut().unwrap();
        target.set_pts(gst::ClockTime::from_nseconds(unit.pts_ns));
        target.set_dts(gst::ClockTime::NONE);
        input.push_buffer(buffer).unwrap();
    }
    input.end_of_stream().unwrap();
    let mut samples = Vec::new();
    while let Ok(sample) = output.pull_sample() {
        samples.push(sample);
    }
    pipeline.set_state(gst::State::Null).unwrap();
    samples
}

/// Decodes H.264 units.
pub fn decode_h264(units: &[AccessUnit]) -> Vec<Picture> {
    decode(
        units,
        "video/x-h264,stream-format=byte-stream,alignment=au",
        "h264parse ! avdec_h264 ! videoconvert ! video/x-raw,format=I420",
    )
    .iter()
    .map(|sample| {
        let info = gst_video::VideoInfo::from_caps(sample.caps().unwrap()).unwrap();
        let buffer = sample.buffer().unwrap();
        let frame = gst_video::VideoFrameRef::from_buffer_ref_readable(buffer, &info).unwrap();
        Picture {
            pts_ns: buffer.pts().unwrap().nseconds(),
            width: info.width() as usize,
            height: info.height() as usize,
            stride: frame.plane_stride()[0] as usize,
            luma: frame.plane_data(0).unwrap().to_vec(),
        }
    })
    .collect()
}

/// Decodes Opus units: the time of each sample in ns, and the left channel.
pub fn decode_opus(units: &[AccessUnit]) -> Vec<(u64, i16)> {
    decode(
        units,
        "audio/x-opus,rate=48000,channels=2,channel-mapping-family=0",
        "opusdec ! audioconvert ! audio/x-raw,format=S16LE,rate=48000,channels=2",
    )
    .iter()
    .flat_map(|sample| {
        let buffer = sample.buffer().unwrap();
        let start = buffer.pts().unwrap().nseconds();
        let map = buffer.map_readable().unwrap();
        map.chunks_exact(4)
            .enumerate()
            .map(|(n, s)| (start + n as u64 * 1_000_000 / 48, i16::from_le_bytes([s[0], s[1]])))
            .collect::<Vec<_>>()
    })
    .collect()
}

// === impl Seen ===

impl Seen {
    pub fn new() -> (Arc<Self>, Sink) {
        let seen = Arc::new(Self::default());
        let into = Arc::clone(&seen);
        (seen, Arc::new(move |event| into.events.lock().unwrap().push(event)))
    }

    pub fn collect<T>(&self, pick: impl Fn(&Contributed) -> Option<T>) -> Vec<T> {
        self.events.lock().unwrap().iter().filter_map(pick).collect()
    }

    pub fn video(&self) -> Vec<AccessUnit> {
        self.collect(|e| match e {
            Contributed::Video(unit) => Some(unit.clone()),
            _ => None,
        })
    }

    pub fn audio(&self) -> Vec<AccessUnit> {
        self.collect(|e| match e {
            Contributed::Audio(unit) => Some(unit.clone()),
            _ => None,
        })
    }

    pub fn video_formats(&self) -> Vec<VideoFormat> {
        self.collect(|e| match e {
            Contributed::VideoFormat(format) => Some(format.clone()),
            _ => None,
        })
    }

    pub fn audio_formats(&self) -> Vec<AudioFormat> {
        self.collect(|e| match e {
            Contributed::AudioFormat(format) => Some(format.clone()),
            _ => None,
        })
    }

    pub fn states(&self) -> Vec<SourceState> {
        self.collect(|e| match e {
            Contributed::State { state, .. } => Some(*state),
            _ => None,
        })
    }
}

/// A folder of clips, gone when dropped.
pub struct Clips(PathBuf);

impl Clips {
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("stentor-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Makes a clip with ffmpeg.
    pub fn make(&self, name: &str, arguments: &str) -> PathBuf {
        let path = self.0.join(name);
        let output = Command::new("ffmpeg")
            .args(["-v", "error", "-y"])
            .args(arguments.split_ascii_whitespace())
            .arg(&path)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        path
    }

    /// Puts transport streams one after another, as a recorder that was interrupted does.
    pub fn join(&self, name: &str, parts: &[PathBuf]) -> PathBuf {
        let path = self.0.join(name);
        let bytes: Vec<u8> = parts.iter().flat_map(|p| std::fs::read(p).unwrap()).collect();
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Clips {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
