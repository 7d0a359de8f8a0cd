//! How fast a decoder, a scaler or an encoder is, and whether its pictures are right.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use stentor_protocol::{Backend, Choice, Codec, Resolution};

use super::clip::{self, Clip, SIZE};
use crate::backend::{Landing, engine};
use crate::ffi::graph::Graph;
use crate::ffi::log;
use crate::scale::HostScaler;
use crate::{Decoder, EncodedUnit, Frame, I420, Memory, RungEncoder};

/// How long one thing is measured.
const TIME: Duration = Duration::from_millis(150);

/// Enough for a figure, whatever the time.
const LEAST_PICTURES: u32 = 8;

/// Bounds the loops on hardware that does thousands a second.
const MOST_PICTURES: u32 = 400;

/// Frames kept of a decoder's, for the scaler and the encoder of the same device. Fewer than
/// its pool has.
const KEPT_FRAMES: usize = 4;

/// Below this a picture isn't a coarse copy any more but another picture, in dB.
const LEAST_PSNR: f64 = 24.0;

/// A size that no halving reaches, so that the scaler itself is measured.
const SCALED: Resolution = Resolution::new(854, 480);

pub(super) struct Measured {
    /// Of one engine.
    pub megapixels_per_second: f64,
}

/// A clock that says what work costs: CPU time for software, which is then right on a busy
/// machine as well; wall time for devices.
struct Meter {
    cpu: bool,
    start: f64,
    wall: Instant,
    pixels: u64,
    pictures: u32,
}

/// Plays a clip. Gives some of the frames as well.
pub(super) fn decode(choice: &Choice, clip: &Clip) -> Result<(Measured, Vec<Frame>), String> {
    let mut decoder = Decoder::open(clip.codec, choice).map_err(|error| error.to_string())?;
    let mut kept = Vec::new();
    let mut meter = Meter::new(choice.backend);
    let mut index = 0;
    while meter.goes_on() {
        let unit = &clip.units[index as usize % clip.units.len()];
        let frames = decoder
            .decode(&unit.data, i64::from(index) * 3000)
            .map_err(|error| error.to_string())?;
        for frame in frames {
            if frame.resolution() != clip.resolution {
                return Err(format!("gave pictures of {}", frame.resolution()));
            }
            meter.count(clip.resolution);
            if kept.len() < KEPT_FRAMES {
                kept.push(frame);
            }
        }
        index += 1;
        // Reordering may hold some back, but not more than this.
        if index > MOST_PICTURES + 32 || (index > 32 && meter.pictures == 0) {
            break;
        }
    }
    let measured = meter.result()?;
    let first = kept.first().ok_or("gave no picture")?;
    check(first, &clip.first)?;
    Ok((measured, kept))
}

/// Scales frames where they lie.
pub(super) fn scale(choice: &Choice, frames: &[Frame]) -> Result<Measured, String> {
    let first = frames.first().ok_or("no picture to scale")?;
    let mut meter = Meter::new(choice.backend);
    log::forget();
    if choice.backend == Backend::Software {
        let mut scaler = HostScaler::new(SCALED);
        while meter.goes_on() {
            scaler.run(first).map_err(log::explain)?;
            meter.count(SCALED);
        }
        return meter.result();
    }
    if first.memory() == Memory::Host {
        return Err("not tried: no decoder of this device can be opened".into());
    }
    let chain = engine(choice.backend).scale_chain(SCALED, Landing::Device);
    let mut graph = Graph::new(first.picture(), &chain)?;
    let mut last = None;
    while meter.goes_on() {
        last = Some(graph.run(first.picture()).map_err(log::explain)?);
        meter.count(SCALED);
    }
    let scaled = last.ok_or("gave no picture")?;
    // Also waits until the device is done.
    scaled.download().map_err(log::explain)?;
    meter.result()
}

/// Encodes frames, and looks at what came out with the CPU's decoder.
pub(super) fn encode(choice: &Choice, codec: Codec, frames: &[Frame]) -> Result<Measured, String> {
    let host;
    // Only frames of the same device are encoded in place; of the rest take the CPU's.
    let frames = match frames.first() {
        Some(first) if first.resolution() == SIZE => frames,
        _ => {
            host = clip::frames()?;
            &host
        }
    };
    let mut encoder =
        RungEncoder::open(clip::config(codec, SIZE), choice).map_err(|error| error.to_string())?;
    let mut first: Option<EncodedUnit> = None;
    let mut meter = Meter::new(choice.backend);
    let mut index = 0;
    while meter.goes_on() {
        let units = encoder
            .encode(&clip::stamped(frames, index), index == 0)
            .map_err(|error| error.to_string())?;
        for unit in units {
            meter.count(SIZE);
            first.get_or_insert(unit);
        }
        index += 1;
        if index > MOST_PICTURES + 32 || (index > 32 && meter.pictures == 0) {
            break;
        }
    }
    let measured = meter.result()?;
    let first = first.ok_or("gave nothing")?;
    if !first.keyframe {
        return Err("the first picture is no keyframe".into());
    }
    let mut decoder =
        Decoder::open(codec, &Choice::software()).map_err(|error| error.to_string())?;
    let mut seen = decoder.decode(&first.data, 0).map_err(|error| error.to_string())?;
    seen.extend(decoder.flush());
    let seen = seen.first().ok_or("what came out can't be decoded")?;
    check(seen, &frames[0])?;
    Ok(measured)
}

/// A driver may answer with success and a green picture.
fn check(seen: &Frame, shown: &Frame) -> Result<(), String> {
    let read = |frame: &Frame| frame.to_i420().map_err(|error| error.to_string());
    let likeness = psnr(&read(seen)?, &read(shown)?);
    if likeness < LEAST_PSNR {
        return Err(format!("the picture is wrong: {likeness:.0} dB from the original"));
    }
    Ok(())
}

fn psnr(a: &I420, b: &I420) -> f64 {
    if a.resolution != b.resolution {
        return 0.0;
    }
    let square = |(a, b): (&u8, &u8)| u64::from(a.abs_diff(*b)).pow(2);
    let sum: u64 = a.y.iter().zip(&b.y).map(square).sum();
    let mean = sum as f64 / a.y.len().max(1) as f64;
    10.0 * (255.0 * 255.0 / mean.max(1e-3)).log10()
}

// === impl Meter ===

impl Meter {
    fn new(backend: Backend) -> Self {
        let cpu = backend == Backend::Software;
        Self { cpu, start: Self::now(cpu), wall: Instant::now(), pixels: 0, pictures: 0 }
    }

    fn goes_on(&self) -> bool {
        self.pictures < MOST_PICTURES
            && (self.pictures < LEAST_PICTURES || self.wall.elapsed() < TIME)
    }

    fn count(&mut self, size: Resolution) {
        self.pixels += size.pixels();
        self.pictures += 1;
    }

    fn result(&self) -> Result<Measured, String> {
        if self.pictures == 0 {
            return Err("gave no picture".into());
        }
        let seconds = (Self::now(self.cpu) - self.start).max(1e-6);
        Ok(Measured { megapixels_per_second: self.pixels as f64 / seconds / 1e6 })
    }

    fn now(cpu: bool) -> f64 {
        let clock = if cpu { ClockId::ProcessCPUTime } else { ClockId::Monotonic };
        let time = clock_gettime(clock);
        time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
    }
}
