//! Decoders, scalers and encoders on NVENC, VAAPI and the CPU: the only crate that names FFmpeg.
//!
//! 1. [`choose`] decides from a probe report which device decodes and which encodes, and gives
//!    the reason for every fall-back.
//! 2. [`Decoder`] turns access units into [`Frame`]s, which stay where they were decoded.
//! 3. Each rung's [`RungEncoder`] takes the same frames, scales them where they lie, and gives
//!    encoded units.
//!
//! 4. For files: a [`Canvas`] puts frames together, [`OpusDecoder`] and [`AacEncoder`] do their sound.
//!
//! Time stamps are ticks of 90 kHz throughout. `unsafe` stays in the `ffi` module.

mod backend;
mod canvas;
mod clock;
mod decoder;
mod error;
mod ffi;
mod fit;
mod frame;
mod halve;
mod jpeg;
pub mod probe;
mod profiles;
mod rung;
mod scale;
mod sound;
mod stage;
mod synthetic;
#[cfg(test)]
mod tests;

pub use canvas::{Area, Canvas, Colour, Label, Tile};
pub use decoder::Decoder;
pub use error::{DecodeError, EncodeError, FrameError, OpenError};
pub use frame::{Frame, I420, Memory};
pub use profiles::{Class, Profile, ProfileCodec, Vendor};
pub use rung::{EncodedUnit, EncoderConfig, RungEncoder};
pub use sound::{AacEncoder, OpusDecoder, SOUND_RATE_HZ};
pub use stentor_protocol::choice::{Choice, Failed, Fallback, Refusal, Task, choose};
