//! Pixel formats as FFmpeg numbers them.
//!
//! A newtype over the number rather than the generated enum: a library may answer with a format
//! that these bindings have no name for, and an enum can't hold that.

use std::os::raw::c_int;

use ffmpeg::ffi::AVPixelFormat;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PixelFormat(pub(super) c_int);

// === impl PixelFormat ===

impl PixelFormat {
    pub const YUV420P: Self = Self(AVPixelFormat::AV_PIX_FMT_YUV420P as c_int);
    /// The same planes with full-range samples, as JPEG has them.
    pub const YUVJ420P: Self = Self(AVPixelFormat::AV_PIX_FMT_YUVJ420P as c_int);
    pub const NV12: Self = Self(AVPixelFormat::AV_PIX_FMT_NV12 as c_int);
    pub const CUDA: Self = Self(AVPixelFormat::AV_PIX_FMT_CUDA as c_int);
    pub const VAAPI: Self = Self(AVPixelFormat::AV_PIX_FMT_VAAPI as c_int);

    /// The generated enum, which FFmpeg's functions take.
    pub(super) fn raw(self) -> AVPixelFormat {
        // SAFETY: the number is one of the constants above or came out of this FFmpeg, from
        // whose headers the enum was generated at build time, so it is one of its variants.
        unsafe { std::mem::transmute::<c_int, AVPixelFormat>(self.0) }
    }
}
