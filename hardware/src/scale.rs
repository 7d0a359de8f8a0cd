//! Scaling on the CPU: halves where the ratio allows, swscale for the rest, bars around.

use ffmpeg::software::scaling::Flags;
use stentor_protocol::Resolution;

use crate::ffi::Error;
use crate::ffi::picture::Picture;
use crate::ffi::pixel::PixelFormat;
use crate::ffi::scaler::{Scaler, Shape};
use crate::fit::Fit;
use crate::frame::Frame;

/// Black in limited range.
const BLACK: [u8; 3] = [16, 128, 128];

/// Brings frames of any size and host format to one rung's size in planar 4:2:0.
pub(crate) struct HostScaler {
    rung: Resolution,
    /// Made for the last input; made anew when that changes.
    scaler: Option<Scaler>,
}

// === impl HostScaler ===

impl HostScaler {
    pub fn new(rung: Resolution) -> Self {
        Self { rung, scaler: None }
    }

    /// The frame's picture as the rung wants it. Gives a reference where nothing is to be done.
    pub fn run(&mut self, frame: &Frame) -> Result<Picture, Error> {
        let resolution = frame.resolution();
        let fit = Fit::new(resolution, frame.picture().sample_aspect(), self.rung);
        let mut nearest = frame.clone();
        while let Some(half) = self.worth_halving(&nearest, fit.content) {
            nearest = half;
        }
        let picture = nearest.picture();
        let content = if Shape::of(picture) == shape(fit.content) {
            picture.reference()?
        } else {
            self.convert(picture, fit.content)?
        };
        if fit.has_bars(self.rung) { with_bars(&content, &fit, self.rung) } else { Ok(content) }
    }

    /// A host picture that has the right size already, in planar 4:2:0.
    pub fn planar(&mut self, picture: Picture, size: Resolution) -> Result<Picture, Error> {
        if Shape::of(&picture) == shape(size) { Ok(picture) } else { self.convert(&picture, size) }
    }

    fn worth_halving(&self, frame: &Frame, content: Resolution) -> Option<Frame> {
        let resolution = frame.resolution();
        let twice =
            resolution.width >= 2 * content.width && resolution.height >= 2 * content.height;
        twice.then(|| frame.half()).flatten()
    }

    fn convert(&mut self, picture: &Picture, size: Resolution) -> Result<Picture, Error> {
        let (from, to) = (Shape::of(picture), shape(size));
        let scaler = match self.scaler.take().filter(|scaler| scaler.fits(from, to)) {
            Some(scaler) => self.scaler.insert(scaler),
            None => self.scaler.insert(Scaler::new(from, to, Flags::BILINEAR)?),
        };
        let mut scaled = Picture::host(PixelFormat::YUV420P, size.width, size.height)?;
        scaler.run(picture, &mut scaled)?;
        scaled.copy_colour(picture);
        if picture.format() == PixelFormat::YUVJ420P {
            scaled.set_limited_range();
        }
        Ok(scaled)
    }
}

/// Any picture, on a device or not, as planar 4:2:0 in host memory at this size.
pub(crate) fn to_host_yuv420p(picture: &Picture, size: Resolution) -> Result<Picture, Error> {
    let downloaded;
    let host = if picture.device_identity().is_some() {
        downloaded = picture.download()?;
        &downloaded
    } else {
        picture
    };
    if Shape::of(host) == shape(size) {
        return host.reference();
    }
    HostScaler::new(size).convert(host, size)
}

fn shape(size: Resolution) -> Shape {
    Shape { format: PixelFormat::YUV420P, width: size.width, height: size.height }
}

/// The content in the middle of a black picture.
pub(crate) fn with_bars(content: &Picture, fit: &Fit, rung: Resolution) -> Result<Picture, Error> {
    let mut canvas = Picture::host(PixelFormat::YUV420P, rung.width, rung.height)?;
    for (index, black) in BLACK.into_iter().enumerate() {
        let shift = usize::from(index > 0);
        let side = |n: u32| n as usize >> shift;
        let from = content.plane(index).ok_or(Error::InvalidData)?;
        let to = canvas.plane_mut(index).ok_or(Error::InvalidData)?;
        to.data.fill(black);
        for row in 0..side(fit.content.height) {
            let width = side(fit.content.width);
            let target = (side(fit.top) + row) * to.stride + side(fit.left);
            to.data[target..][..width].copy_from_slice(&from.data[row * from.stride..][..width]);
        }
    }
    canvas.copy_colour(content);
    Ok(canvas)
}
