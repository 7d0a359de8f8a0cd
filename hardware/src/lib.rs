//! Decoders, scalers and encoders on NVENC, VAAPI and the CPU: the only crate that names FFmpeg.
//!
//! 1. [`choose`] decides from a probe report which device decodes and which encodes, and gives
//!    the reason for every fall-back.
//! 2. [`Decoder`] turns access units into [`Frame`]s, which stay where they were decoded.
//! 3. Each rung's [`RungEncoder`] takes the same frames, scales them where they lie, and gives
//!    encoded units.
//!
//! Time stamps are ticks of 90 kHz throughout. `unsafe` stays in the `ffi` module.

mod backend;
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
mod stage;
mod synthetic;
#[cfg(test)]
mod tests;

pub use decoder::Decoder;
pub use error::{DecodeError, EncodeError, FrameError, OpenError};
pub use frame::{Frame, I420, Memory};
pub use profiles::{Class, Profile, ProfileCodec, Vendor};
pub use rung::{EncodedUnit, EncoderConfig, RungEncoder};
pub use stentor_protocol::choice::{Choice, Failed, Fallback, Refusal, Task, choose};
