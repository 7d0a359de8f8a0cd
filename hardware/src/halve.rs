//! Half-size pictures by averaging two by two samples.
//!
//! Ladders mostly go down by two, and a box of two by two is what a bilinear scaler computes at
//! that ratio, at a fifth of swscale's cost. Halves are shared: the 180p rung starts from the
//! 360p picture that the rung above it made.

use crate::ffi::Error;
use crate::ffi::picture::Picture;
use crate::ffi::pixel::PixelFormat;

/// Whether half of this picture has whole chroma samples.
pub(crate) fn can_halve(picture: &Picture) -> bool {
    let (width, height) = (picture.width(), picture.height());
    picture.format() == PixelFormat::YUV420P
        && width.is_multiple_of(4)
        && height.is_multiple_of(4)
        && width >= 8
        && height >= 8
}

/// The picture at half its width and height.
pub(crate) fn halve(picture: &Picture) -> Result<Picture, Error> {
    if !can_halve(picture) {
        return Err(Error::InvalidData);
    }
    let (width, height) = (picture.width() as usize / 2, picture.height() as usize / 2);
    let mut half = Picture::host(PixelFormat::YUV420P, width as u32, height as u32)?;
    for plane in 0..3 {
        let shift = usize::from(plane > 0);
        let (width, height) = (width >> shift, height >> shift);
        let from = picture.plane(plane).ok_or(Error::InvalidData)?;
        let to = half.plane_mut(plane).ok_or(Error::InvalidData)?;
        for row in 0..height {
            let upper = &from.data[2 * row * from.stride..][..2 * width];
            let lower = &from.data[(2 * row + 1) * from.stride..][..2 * width];
            average_rows(upper, lower, &mut to.data[row * to.stride..][..width]);
        }
    }
    half.copy_colour(picture);
    half.set_sample_aspect(picture.sample_aspect());
    Ok(half)
}

fn average_rows(upper: &[u8], lower: &[u8], out: &mut [u8]) {
    // Pairs of samples read as one 16-bit number: the compiler then takes them apart in vectors
    // by masks and shifts. Read as two bytes they cost it five times as much in shuffles.
    let pairs = upper.as_chunks::<2>().0.iter().zip(lower.as_chunks::<2>().0);
    for (out, (upper, lower)) in out.iter_mut().zip(pairs) {
        let (upper, lower) = (u16::from_le_bytes(*upper), u16::from_le_bytes(*lower));
        let sum = (upper & 0xff) + (upper >> 8) + (lower & 0xff) + (lower >> 8);
        *out = ((sum + 2) >> 2) as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_picture_is_the_mean_of_its_samples() {
        let mut picture = Picture::host(PixelFormat::YUV420P, 16, 8).unwrap();
        for plane in 0..3 {
            let target = picture.plane_mut(plane).unwrap();
            for (index, sample) in target.data.iter_mut().enumerate() {
                *sample = (index * 7 + plane * 31) as u8;
            }
        }
        let half = halve(&picture).unwrap();
        assert_eq!((half.width(), half.height()), (8, 4));
        for plane in 0..3 {
            let (from, to) = (picture.plane(plane).unwrap(), half.plane(plane).unwrap());
            let (width, height) = if plane == 0 { (8, 4) } else { (4, 2) };
            for row in 0..height {
                for column in 0..width {
                    let at = |r: usize, c: usize| u32::from(from.data[r * from.stride + c]);
                    let sum = at(2 * row, 2 * column)
                        + at(2 * row, 2 * column + 1)
                        + at(2 * row + 1, 2 * column)
                        + at(2 * row + 1, 2 * column + 1);
                    let mean = (sum + 2) / 4;
                    assert_eq!(u32::from(to.data[row * to.stride + column]), mean);
                }
            }
        }
    }

    #[test]
    fn odd_chroma_is_not_halved() {
        for (width, height) in [(642, 360), (640, 362), (4, 4)] {
            let picture = Picture::host(PixelFormat::YUV420P, width, height).unwrap();
            assert!(!can_halve(&picture), "{width}x{height}");
        }
    }
}
