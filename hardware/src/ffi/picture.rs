//! One `AVFrame`: a picture in host memory or on a device.

use std::ptr::{self, NonNull};

use ffmpeg::ffi as sys;

use super::pixel::PixelFormat;
use super::{Error, check, out_of_memory};

/// An owned `AVFrame`. Its buffers are shared by reference counts; only `&mut self` changes it.
pub(crate) struct Picture {
    pub(super) ptr: NonNull<sys::AVFrame>,
}

/// A plane of a picture in host memory.
pub(crate) struct Plane<'a> {
    pub data: &'a [u8],
    /// Bytes from one row to the next.
    pub stride: usize,
}

/// A plane of a picture in host memory that nobody else refers to.
pub(crate) struct PlaneMut<'a> {
    pub data: &'a mut [u8],
    /// Bytes from one row to the next.
    pub stride: usize,
}

/// How an encoder should treat a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PictureKind {
    Any,
    Key,
}

/// Colour description, as numbers of ITU-T H.273.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Colour {
    pub range: u32,
    pub primaries: u32,
    pub transfer: u32,
    pub matrix: u32,
}

// SAFETY: an AVFrame has no thread of its own and its buffers are counted atomically.
unsafe impl Send for Picture {}
// SAFETY: through `&Picture` nothing is written: planes are read, references are taken.
unsafe impl Sync for Picture {}

// === impl Colour ===

impl Colour {
    /// Limited range, and nothing said about the rest.
    pub const UNSAID: Self = Self { range: 1, primaries: 2, transfer: 2, matrix: 2 };
}

// === impl Picture ===

impl Picture {
    /// A frame that holds nothing yet.
    pub fn empty() -> Result<Self, Error> {
        // SAFETY: takes nothing; null is the only failure.
        let ptr = unsafe { sys::av_frame_alloc() };
        Ok(Self { ptr: NonNull::new(ptr).ok_or_else(out_of_memory)? })
    }

    /// A new picture in host memory, its samples undefined.
    pub fn host(format: PixelFormat, width: u32, height: u32) -> Result<Self, Error> {
        let mut picture = Self::empty()?;
        let frame = picture.frame_mut();
        frame.format = format.0;
        frame.width = i32::try_from(width).map_err(|_| Error::InvalidData)?;
        frame.height = i32::try_from(height).map_err(|_| Error::InvalidData)?;
        // SAFETY: the frame is ours, has format and size, and no buffers yet.
        check(unsafe { sys::av_frame_get_buffer(picture.ptr.as_ptr(), 0) })?;
        Ok(picture)
    }

    /// Another frame that refers to the same samples.
    pub fn reference(&self) -> Result<Self, Error> {
        // SAFETY: the frame lives as long as self; av_frame_clone only adds references.
        let ptr = unsafe { sys::av_frame_clone(self.ptr.as_ptr()) };
        Ok(Self { ptr: NonNull::new(ptr).ok_or_else(out_of_memory)? })
    }

    /// A copy in host memory of a picture on a device.
    pub fn download(&self) -> Result<Self, Error> {
        let host = Self::empty()?;
        // SAFETY: both frames are alive; the target is empty, so FFmpeg allocates it.
        check(unsafe { sys::av_hwframe_transfer_data(host.ptr.as_ptr(), self.ptr.as_ptr(), 0) })?;
        // SAFETY: both frames are alive; properties only are copied.
        check(unsafe { sys::av_frame_copy_props(host.ptr.as_ptr(), self.ptr.as_ptr()) })?;
        Ok(host)
    }

    /// Copies a host picture into this one, which lies on a device and has the same size.
    pub fn upload_from(&mut self, host: &Picture) -> Result<(), Error> {
        // SAFETY: both frames are alive, and FFmpeg checks format and size.
        check(unsafe { sys::av_hwframe_transfer_data(self.ptr.as_ptr(), host.ptr.as_ptr(), 0) })?;
        // SAFETY: both frames are alive; properties only are copied.
        check(unsafe { sys::av_frame_copy_props(self.ptr.as_ptr(), host.ptr.as_ptr()) })?;
        Ok(())
    }

    pub fn width(&self) -> u32 {
        self.frame().width.unsigned_abs()
    }

    pub fn height(&self) -> u32 {
        self.frame().height.unsigned_abs()
    }

    pub fn format(&self) -> PixelFormat {
        PixelFormat(self.frame().format)
    }

    /// Time stamp, if it has one.
    pub fn pts(&self) -> Option<i64> {
        let pts = self.frame().pts;
        (pts != sys::AV_NOPTS_VALUE).then_some(pts)
    }

    pub fn set_pts(&mut self, pts: i64) {
        self.frame_mut().pts = pts;
    }

    pub fn set_kind(&mut self, kind: PictureKind) {
        self.frame_mut().pict_type = match kind {
            PictureKind::Any => sys::AVPictureType::AV_PICTURE_TYPE_NONE,
            PictureKind::Key => sys::AVPictureType::AV_PICTURE_TYPE_I,
        };
    }

    /// The quantiser that an encoder of single pictures shall use, in units of lambda.
    pub fn set_quality(&mut self, lambda: u32) {
        self.frame_mut().quality = lambda.min(1 << 20) as i32;
    }

    /// Whether the decoder could begin here.
    pub fn is_key(&self) -> bool {
        self.frame().key_frame != 0
    }

    /// Whether the decoder had to guess parts of it.
    pub fn is_damaged(&self) -> bool {
        let frame = self.frame();
        frame.decode_error_flags != 0 || frame.flags & sys::AV_FRAME_FLAG_CORRUPT != 0
    }

    /// Width of a sample over its height; (1, 1) where unknown.
    pub fn sample_aspect(&self) -> (u32, u32) {
        let ratio = self.frame().sample_aspect_ratio;
        match (u32::try_from(ratio.num), u32::try_from(ratio.den)) {
            (Ok(num), Ok(den)) if num > 0 && den > 0 => (num, den),
            _ => (1, 1),
        }
    }

    pub fn set_sample_aspect(&mut self, (num, den): (u32, u32)) {
        self.frame_mut().sample_aspect_ratio =
            sys::AVRational { num: num.min(1 << 20) as i32, den: den.min(1 << 20) as i32 };
    }

    pub fn colour(&self) -> Colour {
        let frame = self.frame();
        Colour {
            range: frame.color_range as u32,
            primaries: frame.color_primaries as u32,
            transfer: frame.color_trc as u32,
            matrix: frame.colorspace as u32,
        }
    }

    /// Takes the colour description of another picture.
    pub fn copy_colour(&mut self, from: &Picture) {
        let (range, primaries, transfer, matrix) = {
            let frame = from.frame();
            (frame.color_range, frame.color_primaries, frame.color_trc, frame.colorspace)
        };
        let frame = self.frame_mut();
        frame.color_range = range;
        frame.color_primaries = primaries;
        frame.color_trc = transfer;
        frame.colorspace = matrix;
    }

    /// Says that the samples are limited range, as encoders want them.
    pub fn set_limited_range(&mut self) {
        self.frame_mut().color_range = sys::AVColorRange::AVCOL_RANGE_MPEG;
    }

    /// The device's context, as an identity to compare; None in host memory.
    pub fn device_identity(&self) -> Option<usize> {
        let frames = NonNull::new(self.frame().hw_frames_ctx)?;
        // SAFETY: a non-null hw_frames_ctx is a valid AVBufferRef whose data is an
        // AVHWFramesContext, which holds a valid reference to its device.
        unsafe {
            let context = (*frames.as_ptr()).data.cast::<sys::AVHWFramesContext>();
            Some((*(*context).device_ref).data.addr())
        }
    }

    /// The device pool it came from, as an identity to compare; None in host memory.
    pub fn pool_identity(&self) -> Option<usize> {
        let frames = NonNull::new(self.frame().hw_frames_ctx)?;
        // SAFETY: a non-null hw_frames_ctx is a valid AVBufferRef.
        Some(unsafe { frames.as_ref() }.data.addr())
    }

    /// Plane `index` of a planar 4:2:0 or NV12 picture in host memory.
    pub fn plane(&self, index: usize) -> Option<Plane<'_>> {
        let (data, length, stride) = self.plane_bounds(index)?;
        // SAFETY: plane_bounds gave a range inside the plane's buffer, which lives as long as
        // this frame refers to it, and nobody writes to a shared one.
        Some(Plane { data: unsafe { std::slice::from_raw_parts(data, length) }, stride })
    }

    /// The same for writing; None as well where others refer to the samples.
    pub fn plane_mut(&mut self, index: usize) -> Option<PlaneMut<'_>> {
        // SAFETY: the frame is alive; only reference counts are read.
        if unsafe { sys::av_frame_is_writable(self.ptr.as_ptr()) } == 0 {
            return None;
        }
        let (data, length, stride) = self.plane_bounds(index)?;
        // SAFETY: as in `plane`, and the count says that this frame is the only owner.
        Some(PlaneMut { data: unsafe { std::slice::from_raw_parts_mut(data, length) }, stride })
    }

    fn plane_bounds(&self, index: usize) -> Option<(*mut u8, usize, usize)> {
        let (width, height) = (self.width() as usize, self.height() as usize);
        let half = |n: usize| n.div_ceil(2);
        let (row, rows) = match (self.format(), index) {
            (PixelFormat::YUV420P | PixelFormat::YUVJ420P | PixelFormat::NV12, 0) => {
                (width, height)
            }
            (PixelFormat::YUV420P | PixelFormat::YUVJ420P, 1 | 2) => (half(width), half(height)),
            (PixelFormat::NV12, 1) => (half(width) * 2, half(height)),
            _ => return None,
        };
        let frame = self.frame();
        let stride = usize::try_from(frame.linesize[index]).ok()?;
        let data = frame.data[index];
        (!data.is_null() && rows > 0 && stride >= row)
            .then(|| (data, stride * (rows - 1) + row, stride))
    }

    pub(super) fn frame(&self) -> &sys::AVFrame {
        // SAFETY: the pointer is valid until Drop.
        unsafe { self.ptr.as_ref() }
    }

    fn frame_mut(&mut self) -> &mut sys::AVFrame {
        // SAFETY: the pointer is valid until Drop, and self is borrowed mutably.
        unsafe { self.ptr.as_mut() }
    }
}

impl Drop for Picture {
    fn drop(&mut self) {
        let mut ptr = self.ptr.as_ptr();
        // SAFETY: the frame is ours and not used after this.
        unsafe { sys::av_frame_free(ptr::from_mut(&mut ptr)) }
    }
}
