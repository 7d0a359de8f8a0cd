//! Access units in, frames out.

use std::sync::Arc;
use std::time::Instant;

use stentor_protocol::{Backend, Choice, Codec, Resolution};

use crate::backend::{DecoderRow, engine};
use crate::error::{DecodeError, OpenError};
use crate::ffi::decoder::DecoderContext;
use crate::ffi::device::{Device, DeviceKind};
use crate::ffi::log;
use crate::ffi::picture::Picture;
use crate::frame::Frame;

/// After a fault pictures are held back until a keyframe, but no longer than this many access
/// units: a stream may refresh itself without ever sending one.
const MOST_UNITS_WITHOUT_KEYFRAME: u32 = 150;

/// From this size on, pictures that come in slices are decoded by two threads.
const SLICED_FROM: Resolution = Resolution::new(1920, 1080);

/// Frames this much earlier than the last, in 90 kHz ticks, came out of order; earlier ones
/// are a clock that was set back.
const LATE_TICKS: i64 = 45_000;

/// No decoder holds more than 16 pictures; a bound for the loop that empties it.
const MOST_PICTURES_PER_UNIT: u32 = 64;

/// An open decoder for one stream.
///
/// Decoding never crosses the bus: a hardware decoder's frames stay on its device, and
/// whoever brings them to host memory counts the bytes.
pub struct Decoder {
    backend: Backend,
    row: &'static DecoderRow,
    context: DecoderContext,
    /// Kept open as long as its decoder.
    _device: Option<Arc<Device>>,
    /// Access units since a fault, while no keyframe has come.
    since_fault: Option<u32>,
    last_pts: Option<i64>,
    /// Good frames that came out together with an error; given with the next access unit.
    held: Vec<Frame>,
    frames: u64,
    errors: u64,
    late: u64,
    seconds: f64,
}

// === impl Decoder ===

impl Decoder {
    pub fn open(codec: Codec, choice: &Choice) -> Result<Self, OpenError> {
        Self::open_sized(codec, choice, None)
    }

    /// The same for a stream whose size is known: large pictures get slice threads.
    pub fn open_sized(
        codec: Codec,
        choice: &Choice,
        size: Option<Resolution>,
    ) -> Result<Self, OpenError> {
        let engine = engine(choice.backend);
        let row = engine.decoder(codec).ok_or(OpenError::NoImplementation {
            backend: choice.backend,
            codec,
            what: "decoder",
        })?;
        let device = open_device(choice, engine.device_kind())?;
        let large = size.is_some_and(|size| size.pixels() >= SLICED_FROM.pixels());
        let threads = if large && choice.backend == Backend::Software { 2 } else { 1 };
        let on = engine.device_kind().zip(device.as_deref());
        let context = DecoderContext::open(row.library, row.options, threads, on)
            .map_err(|reason| OpenError::Refused { name: row.name.to_owned(), reason })?;
        Ok(Self {
            backend: choice.backend,
            row,
            context,
            _device: device,
            since_fault: None,
            last_pts: None,
            held: Vec::new(),
            frames: 0,
            errors: 0,
            late: 0,
            seconds: 0.0,
        })
    }

    /// Decodes one access unit (H.264 and H.265 in Annex B, VP8 frames, AV1 temporal units).
    /// `pts` is in 90 kHz ticks. Gives the frames that are ready, in the order of showing.
    ///
    /// After an error frames are held back until the next keyframe; the decoder stays of use.
    pub fn decode(&mut self, access_unit: &[u8], pts: i64) -> Result<Vec<Frame>, DecodeError> {
        if access_unit.is_empty() {
            return Err(DecodeError::Empty);
        }
        let start = Instant::now();
        log::forget();
        let sent = self.context.send(access_unit, pts);
        let mut frames = std::mem::take(&mut self.held);
        let received = self.receive(&mut frames);
        self.seconds += start.elapsed().as_secs_f64();
        if let Some(units) = &mut self.since_fault {
            *units += 1;
            if *units > MOST_UNITS_WITHOUT_KEYFRAME {
                self.since_fault = None;
            }
        }
        match sent.map_err(log::explain).and(received) {
            Ok(()) => Ok(frames),
            Err(reason) => {
                self.errors += 1;
                self.held = frames;
                self.since_fault = Some(0);
                Err(DecodeError::Damaged { name: self.row.name.to_owned(), reason })
            }
        }
    }

    /// Gives the frames still held for reordering, and is then ready for a new stream.
    pub fn flush(&mut self) -> Vec<Frame> {
        let start = Instant::now();
        let mut frames = std::mem::take(&mut self.held);
        if self.context.finish().is_ok() {
            // A fault in the last pictures has nobody left to tell.
            let _ = self.receive(&mut frames);
        }
        self.context.reset();
        self.since_fault = None;
        self.last_pts = None;
        self.seconds += start.elapsed().as_secs_f64();
        frames
    }

    pub fn backend(&self) -> Backend {
        self.backend
    }

    /// Such as "h264" or "h264 (nvdec)".
    pub fn name(&self) -> &'static str {
        self.row.name
    }

    /// Frames given so far.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Access units that could not be decoded.
    pub fn errors(&self) -> u64 {
        self.errors
    }

    /// Frames dropped because they came after their time.
    pub fn late(&self) -> u64 {
        self.late
    }

    /// Time spent decoding.
    pub fn seconds(&self) -> f64 {
        self.seconds
    }

    /// Bytes of raw pictures that decoding moved between device and host memory.
    pub fn bus_bytes(&self) -> u64 {
        0
    }

    /// Takes every picture that is ready. A fault doesn't end it: what lies behind would
    /// otherwise block the next access unit.
    fn receive(&mut self, frames: &mut Vec<Frame>) -> Result<(), String> {
        let mut result = Ok(());
        for _ in 0..MOST_PICTURES_PER_UNIT {
            match self.context.receive() {
                Ok(Some(picture)) if picture.is_damaged() => {
                    self.since_fault = Some(0);
                    result = Err("parts of the picture are missing".to_owned());
                }
                Ok(Some(picture)) => frames.extend(self.admit(picture)),
                Ok(None) => break,
                Err(error) => result = Err(log::explain(error)),
            }
        }
        result
    }

    fn admit(&mut self, picture: Picture) -> Option<Frame> {
        if picture.is_key() {
            self.since_fault = None;
        }
        if self.since_fault.is_some() {
            return None;
        }
        let pts = picture.pts()?;
        if self.last_pts.is_some_and(|last| pts <= last && last - pts < LATE_TICKS) {
            self.late += 1;
            return None;
        }
        self.last_pts = Some(pts);
        self.frames += 1;
        Some(Frame::new(picture, pts))
    }
}

/// The device of a choice; None for the CPU.
pub(crate) fn open_device(
    choice: &Choice,
    kind: Option<DeviceKind>,
) -> Result<Option<Arc<Device>>, OpenError> {
    let Some(kind) = kind else { return Ok(None) };
    let id = choice.device.as_deref().unwrap_or_default();
    log::forget();
    Device::shared(kind, id).map(Some).map_err(|error| OpenError::Device {
        backend: choice.backend,
        device: id.to_owned(),
        reason: log::explain(error),
    })
}
