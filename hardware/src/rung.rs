//! Frames of any size in, one rung's encoded units out.

use std::sync::Arc;
use std::thread;
use std::time::Instant;

use stentor_protocol::{Backend, BitsPerSecond, Choice, Codec, FrameRate, Resolution};

use crate::backend::{EncoderRow, Engine, engine};
use crate::clock::Clock;
use crate::decoder::open_device;
use crate::error::{EncodeError, OpenError};
use crate::ffi::device::{Device, DeviceKind};
use crate::ffi::encoder::{EncoderContext, EncoderShape, Rate};
use crate::ffi::log;
use crate::ffi::picture::{Colour, Picture, PictureKind};
use crate::ffi::pixel::PixelFormat;
use crate::frame::Frame;
use crate::stage::{Stage, Target};

/// What one rung is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncoderConfig {
    /// H.264, VP8 or AV1.
    pub codec: Codec,
    /// The size of every picture that comes out. Even sides.
    pub resolution: Resolution,
    /// What the rate control reckons with. Fewer frames make a lower bit rate.
    pub frame_rate: FrameRate,
    pub bitrate: BitsPerSecond,
}

/// One encoded picture: Annex B with parameter sets in front of each IDR for H.264, a frame
/// for VP8, a temporal unit for AV1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedUnit {
    pub data: Vec<u8>,
    /// The frame's, in 90 kHz ticks.
    pub pts: i64,
    pub keyframe: bool,
}

/// Scales and encodes for one rung. Lives on the rung's own thread.
pub struct RungEncoder {
    config: EncoderConfig,
    engine: &'static dyn Engine,
    row: &'static EncoderRow,
    stage: Stage,
    encoder: EncoderContext,
    clock: Clock,
    /// How the bit stream says that colours are meant.
    colour: Colour,
    /// The rate or the colours changed in a way that takes a new session.
    stale: bool,
    rebuilds: u64,
    scale_seconds: f64,
    encode_seconds: f64,
}

// === impl RungEncoder ===

impl RungEncoder {
    pub fn open(config: EncoderConfig, choice: &Choice) -> Result<Self, OpenError> {
        let engine = engine(choice.backend);
        let row = engine.encoder(config.codec).ok_or(OpenError::NoImplementation {
            backend: choice.backend,
            codec: config.codec,
            what: "encoder",
        })?;
        check_size(row, config.resolution)?;
        let kind = engine.device_kind();
        let device = open_device(choice, kind)?;
        let target = match (kind, device) {
            (Some(kind), Some(device)) => Some(make_target(choice, kind, device, &config)?),
            _ => None,
        };
        let stage = Stage::new(config.resolution, target);
        let encoder = open_encoder(row, engine, &config, &stage, Colour::UNSAID)?;
        Ok(Self {
            config,
            engine,
            row,
            stage,
            encoder,
            clock: Clock::new(config.frame_rate),
            colour: Colour::UNSAID,
            stale: false,
            rebuilds: 0,
            scale_seconds: 0.0,
            encode_seconds: 0.0,
        })
    }

    /// Encodes one frame. The unit of the same frame comes back with it: nothing is held.
    ///
    /// A new session (after a change of colours, or of the rate where the encoder can't change
    /// it) begins with a keyframe that nobody asked for.
    pub fn encode(
        &mut self,
        frame: &Frame,
        force_keyframe: bool,
    ) -> Result<Vec<EncodedUnit>, EncodeError> {
        let start = Instant::now();
        let scaled = self.stage.run(frame);
        self.scale_seconds += start.elapsed().as_secs_f64();
        let name = self.row.name;
        let mut picture =
            scaled.map_err(|reason| EncodeError::Scale { name: name.to_owned(), reason })?;
        let start = Instant::now();
        let units = self.encode_picture(&mut picture, frame.pts, force_keyframe);
        self.encode_seconds += start.elapsed().as_secs_f64();
        units
    }

    /// A new target rate, from the next frame on. Where that takes a new session, and so a
    /// keyframe, changes below a fifth are left alone.
    pub fn set_bitrate(&mut self, bitrate: BitsPerSecond) {
        let (old, new) = (self.config.bitrate.0, bitrate.0);
        if !self.row.live_rate && old.abs_diff(new) * 5 < old {
            return;
        }
        self.config.bitrate = bitrate;
        if self.row.live_rate {
            self.encoder.set_rate(rate_of(self.row, bitrate));
        } else {
            self.stale |= old != new;
        }
    }

    pub fn config(&self) -> EncoderConfig {
        self.config
    }

    pub fn backend(&self) -> Backend {
        self.engine.backend()
    }

    /// FFmpeg's name of the encoder, such as "libx264".
    pub fn name(&self) -> &'static str {
        self.row.name
    }

    /// Sessions opened after the first.
    pub fn rebuilds(&self) -> u64 {
        self.rebuilds
    }

    /// Time spent scaling.
    pub fn scale_seconds(&self) -> f64 {
        self.scale_seconds
    }

    /// Time spent encoding.
    pub fn encode_seconds(&self) -> f64 {
        self.encode_seconds
    }

    /// Bytes of raw pictures that this rung moved between device and host memory.
    pub fn bus_bytes(&self) -> u64 {
        self.stage.bus_bytes()
    }

    fn encode_picture(
        &mut self,
        picture: &mut Picture,
        pts: i64,
        force_keyframe: bool,
    ) -> Result<Vec<EncodedUnit>, EncodeError> {
        let colour = Colour { range: Colour::UNSAID.range, ..picture.colour() };
        if self.row.tells_colour && colour != self.colour {
            self.colour = colour;
            self.stale = true;
        }
        if self.stale {
            self.encoder =
                open_encoder(self.row, self.engine, &self.config, &self.stage, self.colour)?;
            self.stale = false;
            self.rebuilds += 1;
        }
        picture.set_pts(self.clock.enter(pts));
        picture.set_kind(if force_keyframe { PictureKind::Key } else { PictureKind::Any });
        log::forget();
        let failed = |error| EncodeError::Encode {
            name: self.row.name.to_owned(),
            reason: log::explain(error),
        };
        self.encoder.send(picture).map_err(failed)?;
        let mut units = Vec::with_capacity(1);
        while let Some(encoded) = self.encoder.receive().map_err(failed)? {
            let pts = self.clock.leave(encoded.pts).unwrap_or(pts);
            units.push(EncodedUnit { data: encoded.data, pts, keyframe: encoded.keyframe });
        }
        Ok(units)
    }
}

fn check_size(row: &EncoderRow, resolution: Resolution) -> Result<(), OpenError> {
    let Resolution { width, height } = resolution;
    let within = (row.least.width..=row.most.width).contains(&width)
        && (row.least.height..=row.most.height).contains(&height);
    if within && width % 2 == 0 && height % 2 == 0 {
        return Ok(());
    }
    let (least, most) = (row.least, row.most);
    Err(OpenError::Size { name: row.name.to_owned(), resolution, least, most })
}

fn make_target(
    choice: &Choice,
    kind: DeviceKind,
    device: Arc<Device>,
    config: &EncoderConfig,
) -> Result<Target, OpenError> {
    Target::new(device, kind, config.resolution).map_err(|error| OpenError::Device {
        backend: choice.backend,
        device: choice.device.clone().unwrap_or_default(),
        reason: log::explain(error),
    })
}

fn open_encoder(
    row: &EncoderRow,
    engine: &dyn Engine,
    config: &EncoderConfig,
    stage: &Stage,
    colour: Colour,
) -> Result<EncoderContext, OpenError> {
    let FrameRate { numerator, denominator } = config.frame_rate;
    let shape = EncoderShape {
        width: config.resolution.width,
        height: config.resolution.height,
        format: engine.device_kind().map_or(PixelFormat::YUV420P, DeviceKind::pixel_format),
        frame_rate: (numerator.max(1), denominator.max(1)),
        colour: row.tells_colour.then_some(colour),
        pool: stage.pool(),
    };
    let rate = rate_of(row, config.bitrate);
    let threads = threads_for(row, config);
    let mut reasons = Vec::new();
    for variant in row.variants {
        match EncoderContext::open(row.name, variant.iter().copied(), threads, Some(rate), &shape) {
            Ok(encoder) => return Ok(encoder),
            Err(reason) if reasons.contains(&reason) => {}
            Err(reason) => reasons.push(reason),
        }
    }
    Err(OpenError::Refused { name: row.name.to_owned(), reason: reasons.join("; then: ") })
}

fn rate_of(row: &EncoderRow, bitrate: BitsPerSecond) -> Rate {
    let buffer = bitrate.0.saturating_mul(u64::from(row.buffer_ms)) / 1000;
    Rate {
        target: i64::try_from(bitrate.0).unwrap_or(i64::MAX),
        buffer: i32::try_from(buffer).unwrap_or(i32::MAX),
        constant: row.constant_rate,
    }
}

/// One thread until a rung is too large for one: threads cost, and rungs run beside each other.
fn threads_for(row: &EncoderRow, config: &EncoderConfig) -> u32 {
    if row.pixels_per_second_per_thread == 0 {
        return 1;
    }
    let rate = (config.resolution.pixels() as f64 * config.frame_rate.as_f64()) as u64;
    let wanted = rate.div_ceil(row.pixels_per_second_per_thread);
    let cores = thread::available_parallelism().map_or(1, usize::from) as u64;
    wanted.clamp(1, cores.clamp(1, 8)) as u32
}
