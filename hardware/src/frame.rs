//! A decoded picture, shared by every rung that scales and encodes it.

use std::sync::{Arc, OnceLock};

use stentor_protocol::Resolution;

use crate::error::FrameError;
use crate::ffi::picture::Picture;
use crate::ffi::pixel::PixelFormat;
use crate::ffi::{self, log};
use crate::halve;

/// A picture and its time. Clones share the samples.
#[derive(Clone)]
pub struct Frame {
    /// Presentation time in ticks of 90 kHz.
    pub pts: i64,
    shared: Arc<Shared>,
}

/// Where a frame's samples lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Memory {
    Host,
    Cuda,
    Vaapi,
}

/// Samples of a frame, tightly packed: luma, then both chroma planes at half the sides,
/// rounded up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct I420 {
    pub resolution: Resolution,
    pub y: Vec<u8>,
    pub u: Vec<u8>,
    pub v: Vec<u8>,
}

struct Shared {
    picture: Picture,
    /// Half the size, made by the first rung that wants it.
    half: OnceLock<Option<Frame>>,
}

// === impl Frame ===

impl Frame {
    /// A frame of planar 4:2:0 samples, limited range, without padding between rows: `y` is
    /// width × height, `u` and `v` half the sides, rounded up.
    pub fn from_i420(
        resolution: Resolution,
        pts: i64,
        y: &[u8],
        u: &[u8],
        v: &[u8],
    ) -> Result<Self, FrameError> {
        ffi::prepare();
        let (width, height) = (resolution.width as usize, resolution.height as usize);
        let (half_width, half_height) = (width.div_ceil(2), height.div_ceil(2));
        let mut picture = Picture::host(PixelFormat::YUV420P, resolution.width, resolution.height)
            .map_err(|error| FrameError::Allocate { resolution, reason: error.to_string() })?;
        let planes =
            [(y, width, height), (u, half_width, half_height), (v, half_width, half_height)];
        for (index, (from, width, height)) in planes.into_iter().enumerate() {
            if width == 0 || height == 0 || from.len() != width * height {
                return Err(FrameError::PlaneSize {
                    resolution,
                    plane: ["y", "u", "v"][index],
                    expected: width * height,
                    given: from.len(),
                });
            }
            let to = picture.plane_mut(index).ok_or(FrameError::NotHost)?;
            for (from, to) in from.chunks_exact(width).zip(to.data.chunks_mut(to.stride)) {
                to[..width].copy_from_slice(from);
            }
        }
        picture.set_limited_range();
        Ok(Self::new(picture, pts))
    }

    pub(crate) fn new(picture: Picture, pts: i64) -> Self {
        Self { pts, shared: Arc::new(Shared { picture, half: OnceLock::new() }) }
    }

    /// The same picture at another time.
    pub fn with_pts(&self, pts: i64) -> Self {
        Self { pts, shared: Arc::clone(&self.shared) }
    }

    pub fn resolution(&self) -> Resolution {
        Resolution::new(self.shared.picture.width(), self.shared.picture.height())
    }

    pub fn memory(&self) -> Memory {
        match self.shared.picture.format() {
            PixelFormat::CUDA => Memory::Cuda,
            PixelFormat::VAAPI => Memory::Vaapi,
            _ => Memory::Host,
        }
    }

    /// The samples, brought to host memory and to 4:2:0 where they are something else.
    pub fn to_i420(&self) -> Result<I420, FrameError> {
        let resolution = self.resolution();
        let picture = crate::scale::to_host_yuv420p(&self.shared.picture, resolution)
            .map_err(|error| FrameError::Convert { reason: log::explain(error) })?;
        let (width, height) = (resolution.width as usize, resolution.height as usize);
        let copy = |index: usize, width: usize, height: usize| {
            let plane = picture.plane(index).ok_or(FrameError::NotHost)?;
            let mut bytes = Vec::with_capacity(width * height);
            for row in plane.data.chunks(plane.stride).take(height) {
                bytes.extend_from_slice(&row[..width]);
            }
            Ok(bytes)
        };
        Ok(I420 {
            resolution,
            y: copy(0, width, height)?,
            u: copy(1, width.div_ceil(2), height.div_ceil(2))?,
            v: copy(2, width.div_ceil(2), height.div_ceil(2))?,
        })
    }

    /// A JPEG of the frame, at most `max_width` wide and never enlarged. `quality` goes from 1
    /// to 100, larger is better.
    pub fn to_jpeg(&self, max_width: u32, quality: u8) -> Result<Vec<u8>, FrameError> {
        crate::jpeg::encode(&self.shared.picture, max_width, quality)
    }

    pub(crate) fn picture(&self) -> &Picture {
        &self.shared.picture
    }

    /// The frame at half its size; None where that isn't a whole number of chroma samples or
    /// the frame is not in host memory.
    pub(crate) fn half(&self) -> Option<Frame> {
        let half = self.shared.half.get_or_init(|| {
            halve::can_halve(&self.shared.picture)
                .then(|| halve::halve(&self.shared.picture).ok())
                .flatten()
                .map(|picture| Frame::new(picture, self.pts))
        });
        Some(half.as_ref()?.with_pts(self.pts))
    }
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Frame")
            .field("pts", &self.pts)
            .field("resolution", &self.resolution())
            .field("memory", &self.memory())
            .finish()
    }
}
