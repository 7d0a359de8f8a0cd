//! One `SwsContext`: scaling and format conversion on the CPU.

use std::ptr::NonNull;

use ffmpeg::ffi as sys;
use ffmpeg::software::scaling::Flags;

use super::Error;
use super::picture::Picture;
use super::pixel::PixelFormat;

/// What a scaler was made for. It has to be made anew when any of it changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    pub format: PixelFormat,
    pub width: u32,
    pub height: u32,
}

/// Converts pictures of one shape to another.
pub(crate) struct Scaler {
    ptr: NonNull<sys::SwsContext>,
    from: Shape,
    to: Shape,
}

// SAFETY: a SwsContext is memory without thread affinity, and `run` takes `&mut self`.
unsafe impl Send for Scaler {}

// === impl Shape ===

impl Shape {
    pub fn of(picture: &Picture) -> Self {
        Self { format: picture.format(), width: picture.width(), height: picture.height() }
    }
}

// === impl Scaler ===

impl Scaler {
    pub fn new(from: Shape, to: Shape, flags: Flags) -> Result<Self, Error> {
        let size = |n: u32| i32::try_from(n).map_err(|_| Error::InvalidData);
        let (from_width, from_height) = (size(from.width)?, size(from.height)?);
        let (to_width, to_height) = (size(to.width)?, size(to.height)?);
        // SAFETY: plain numbers, and null for the optional filters and parameters; null is
        // the only failure.
        let ptr = unsafe {
            sys::sws_getContext(
                from_width,
                from_height,
                from.format.raw(),
                to_width,
                to_height,
                to.format.raw(),
                flags.bits(),
                std::ptr::null_mut(),
                std::ptr::null_mut(),
                std::ptr::null(),
            )
        };
        Ok(Self { ptr: NonNull::new(ptr).ok_or(Error::InvalidData)?, from, to })
    }

    pub fn fits(&self, from: Shape, to: Shape) -> bool {
        self.from == from && self.to == to
    }

    /// Writes `input`, converted, into `output`. Both have the shapes this was made for.
    pub fn run(&mut self, input: &Picture, output: &mut Picture) -> Result<(), Error> {
        if Shape::of(input) != self.from {
            return Err(Error::InputChanged);
        }
        // Also makes sure that `output` is in host memory and has no other owner.
        if Shape::of(output) != self.to || output.plane_mut(0).is_none() {
            return Err(Error::OutputChanged);
        }
        let (source, target) = (input.frame(), output.frame());
        // SAFETY: both frames are in host memory with the formats and sizes the context was
        // made for, so their planes hold what it reads and writes.
        let rows = unsafe {
            sys::sws_scale(
                self.ptr.as_ptr(),
                source.data.as_ptr().cast(),
                source.linesize.as_ptr(),
                0,
                source.height,
                target.data.as_ptr(),
                target.linesize.as_ptr(),
            )
        };
        super::check(rows).map(drop)
    }
}

impl Drop for Scaler {
    fn drop(&mut self) {
        // SAFETY: the context is ours and not used after this.
        unsafe { sys::sws_freeContext(self.ptr.as_ptr()) }
    }
}
