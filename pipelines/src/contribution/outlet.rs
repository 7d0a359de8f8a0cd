//! The end of every source's pipeline: samples become access units and go to the sink.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use stentor_protocol::control::AudioFormat;
use stentor_protocol::spec::Codec;
use stentor_protocol::units::{FrameRate, Resolution};

use super::bitstream::tracker::{Hint, VideoTracker};
use super::timeline::Placed;
use super::{AccessUnit, Contributed, ContributionStats, Sink};

/// Where units go, and what is counted on the way. Shared by all streams of a source.
pub struct Tap {
    sink: Sink,
    bytes: AtomicU64,
    reconnects: AtomicU64,
    dropped: AtomicU64,
}

/// One video stream's way out.
pub struct VideoOutlet {
    tap: Arc<Tap>,
    tracker: VideoTracker,
    formatted: bool,
    /// Something is missing in front of the next unit: it is the first, or some were dropped.
    gap: bool,
}

/// One Opus stream's way out.
pub struct AudioOutlet {
    tap: Arc<Tap>,
    /// What the source sends, as far as it isn't told yet.
    format: Option<AudioFormat>,
}

// === impl Tap ===

impl Tap {
    pub fn new(sink: Sink) -> Arc<Self> {
        Arc::new(Self {
            sink,
            bytes: AtomicU64::new(0),
            reconnects: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        })
    }

    pub fn tell(&self, what: Contributed) {
        (self.sink)(what);
    }

    pub fn count_drop(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    pub fn count_reconnect(&self) {
        self.reconnects.fetch_add(1, Ordering::Relaxed);
    }

    pub fn stats(&self) -> ContributionStats {
        ContributionStats {
            bytes: self.bytes.load(Ordering::Relaxed),
            reconnects: self.reconnects.load(Ordering::Relaxed),
            dropped: self.dropped.load(Ordering::Relaxed),
        }
    }

    fn count_bytes(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

// === impl VideoOutlet ===

impl VideoOutlet {
    pub fn new(tap: Arc<Tap>, codec: Codec) -> Self {
        Self { tap, tracker: VideoTracker::new(codec), formatted: false, gap: true }
    }

    /// Takes a sample as it comes out of the pipeline. Gives whether it was delivered.
    pub fn deliver(&mut self, sample: &gst::Sample, placed: Placed) -> bool {
        let Some(buffer) = sample.buffer() else { return false };
        let delta = buffer.flags().contains(gst::BufferFlags::DELTA_UNIT);
        let data = single_memory(buffer);
        let seen = data.as_ref().and_then(|data| {
            let map = data.map_readable().ok()?;
            Some(self.tracker.observe(&map, hint(sample, !delta)))
        });
        let Some((data, seen)) = data.zip(seen) else { return self.drop_unit() };
        if let Some(format) = seen.format {
            self.formatted = true;
            self.tap.tell(Contributed::VideoFormat(format));
        }
        if !self.formatted {
            return self.drop_unit();
        }
        let lossy = buffer.flags().contains(gst::BufferFlags::DISCONT);
        let discontinuity = placed.jumped || self.gap || lossy;
        self.gap = false;
        self.tap.count_bytes(data.size());
        self.tap.tell(Contributed::Video(AccessUnit {
            data,
            pts_ns: placed.pts_ns,
            keyframe: seen.keyframe,
            discontinuity,
        }));
        true
    }

    /// Whether the stream shows its pictures in the order they come in.
    pub fn is_in_order(&self) -> bool {
        self.tracker.is_in_order()
    }

    fn drop_unit(&mut self) -> bool {
        self.gap = true;
        self.tap.count_drop();
        false
    }
}

// === impl AudioOutlet ===

impl AudioOutlet {
    pub fn new(tap: Arc<Tap>, format: AudioFormat) -> Self {
        Self { tap, format: Some(format) }
    }

    /// Takes a sample as it comes out of the pipeline. Gives whether it was delivered.
    pub fn deliver(&mut self, sample: &gst::Sample, placed: Placed) -> bool {
        let Some(buffer) = sample.buffer() else { return false };
        let Some(data) = single_memory(buffer) else {
            self.tap.count_drop();
            return false;
        };
        let first = self.format.take();
        let lossy = buffer.flags().contains(gst::BufferFlags::DISCONT);
        let discontinuity = placed.jumped || lossy || first.is_some();
        if let Some(format) = first {
            self.tap.tell(Contributed::AudioFormat(format));
        }
        self.tap.count_bytes(data.size());
        self.tap.tell(Contributed::Audio(AccessUnit {
            data,
            pts_ns: placed.pts_ns,
            keyframe: true,
            discontinuity,
        }));
        true
    }
}

/// The buffer itself where it is one memory, which is the rule; else a copy that is.
fn single_memory(buffer: &gst::BufferRef) -> Option<gst::Buffer> {
    if buffer.size() == 0 {
        return None;
    }
    if buffer.n_memory() == 1 {
        return Some(buffer.to_owned());
    }
    Some(gst::Buffer::from_slice(buffer.map_readable().ok()?.to_vec()))
}

fn hint(sample: &gst::Sample, keyframe: bool) -> Hint {
    // Only keyframes can change the format: no need to look at the caps for others.
    let Some(structure) = sample.caps().and_then(|c| c.structure(0)).filter(|_| keyframe) else {
        return Hint { keyframe, ..Hint::default() };
    };
    let side = |name| structure.get::<i32>(name).ok().and_then(|n| u32::try_from(n).ok());
    let resolution = side("width").zip(side("height")).map(|(w, h)| Resolution::new(w, h));
    let frame_rate = structure
        .get::<gst::Fraction>("framerate")
        .ok()
        .filter(|f| f.numer() > 0 && f.denom() > 0)
        .map(|f| FrameRate::new(f.numer() as u32, f.denom() as u32));
    Hint { resolution, frame_rate, keyframe }
}
