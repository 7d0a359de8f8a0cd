//! Thumbnails.

use stentor_protocol::Resolution;

use crate::backend::software;
use crate::error::FrameError;
use crate::ffi::encoder::{EncoderContext, EncoderShape};
use crate::ffi::picture::Picture;
use crate::ffi::scaler::{Scaler, Shape};
use crate::ffi::{Error, log};

/// libavcodec's quantiser scale goes from 1 to 31 and is given in units of this.
const LAMBDA_PER_STEP: u32 = 118;

/// One picture as a JPEG, at most `max_width` wide. `quality` from 1 to 100.
pub(crate) fn encode(
    picture: &Picture,
    max_width: u32,
    quality: u8,
) -> Result<Vec<u8>, FrameError> {
    let failed = |reason: String| FrameError::Jpeg { reason };
    let size = fitted(picture, max_width);
    let limited = crate::scale::to_host_yuv420p(picture, size)
        .map_err(|error| FrameError::Convert { reason: log::explain(error) })?;
    let mut full = full_range(&limited, size)
        .map_err(|error| FrameError::Convert { reason: log::explain(error) })?;
    let step = 31 - u32::from(quality.clamp(1, 100) - 1) * 29 / 99;
    full.set_quality(step * LAMBDA_PER_STEP);
    let options = software::JPEG.options.iter().copied();
    let shape = EncoderShape {
        width: size.width,
        height: size.height,
        format: full.format(),
        frame_rate: (1, 1),
        colour: None,
        pool: None,
    };
    let mut encoder =
        EncoderContext::open(software::JPEG.name, options, 1, None, &shape).map_err(failed)?;
    let explain = |error: Error| failed(log::explain(error));
    encoder.send(&full).map_err(explain)?;
    encoder.finish().map_err(explain)?;
    let encoded = encoder.receive().map_err(explain)?;
    encoded.map(|encoded| encoded.data).ok_or_else(|| failed("no picture came out".into()))
}

/// The picture's size as it is shown, at most `max_width` wide, in even numbers.
fn fitted(picture: &Picture, max_width: u32) -> Resolution {
    let (numerator, denominator) = picture.sample_aspect();
    let shown = f64::from(picture.width()) * f64::from(numerator) / f64::from(denominator);
    let width = shown.min(f64::from(max_width));
    let height = f64::from(picture.height()) * width / shown;
    let even = |n: f64| ((n / 2.0).round() as u32 * 2).max(2);
    Resolution::new(even(width), even(height))
}

fn full_range(picture: &Picture, size: Resolution) -> Result<Picture, Error> {
    let format = crate::ffi::pixel::PixelFormat::YUVJ420P;
    let to = Shape { format, width: size.width, height: size.height };
    let mut full = Picture::host(format, size.width, size.height)?;
    Scaler::new(Shape::of(picture), to, ffmpeg::software::scaling::Flags::BILINEAR)?
        .run(picture, &mut full)?;
    full.set_pts(0);
    Ok(full)
}
