//! Owners for FFmpeg's objects: the only place in this crate with `unsafe`.
//!
//! Each type owns one FFmpeg object, frees it in Drop and offers safe methods. What ffmpeg-next
//! offers safely is used from there (errors, dictionaries, codec look-up); the types here exist
//! because it has none for hardware frames, or copies where a reference is enough.

mod codec;
pub(crate) mod decoder;
pub(crate) mod device;
pub(crate) mod encoder;
pub(crate) mod graph;
pub(crate) mod log;
pub(crate) mod packet;
pub(crate) mod picture;
pub(crate) mod pixel;
pub(crate) mod scaler;
pub(crate) mod sound;

use std::os::raw::c_int;
use std::sync::Once;

pub(crate) use ffmpeg::Error;
use ffmpeg::ffi as sys;

/// The clock of every time stamp in this crate.
pub(crate) const TICKS_PER_SECOND: i32 = 90_000;

/// Prepares FFmpeg once a process: error texts, and its log to where [`log`] wants it.
pub(crate) fn prepare() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // ffmpeg-next fills its table of error texts here; without it they are empty.
        let _ = ffmpeg::init();
        log::install();
    });
}

fn check(code: c_int) -> Result<c_int, Error> {
    if code < 0 { Err(Error::from(code)) } else { Ok(code) }
}

fn out_of_memory() -> Error {
    Error::Other { errno: libc::ENOMEM }
}

fn again(error: &Error) -> bool {
    *error == Error::Other { errno: libc::EAGAIN }
}

/// libavcodec's version, such as "59.37.100".
pub(crate) fn libavcodec_version() -> String {
    // SAFETY: takes nothing and reads a constant.
    let version = unsafe { sys::avcodec_version() };
    format!("{}.{}.{}", version >> 16, (version >> 8) & 0xff, version & 0xff)
}
