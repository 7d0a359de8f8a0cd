//! Moving pictures made by arithmetic: what the probe measures with and the tests run on.

use stentor_protocol::Resolution;

use crate::error::FrameError;
use crate::frame::Frame;

/// Picture `index` of an endless sequence: a gradient that drifts, grain that changes, and a
/// bright square on its way. Hard enough that an encoder has to work.
pub(crate) fn frame(resolution: Resolution, index: u32, pts: i64) -> Result<Frame, FrameError> {
    let Resolution { width, height } = resolution;
    let (half_width, half_height) = (width.div_ceil(2), height.div_ceil(2));
    let mut y = Vec::with_capacity((width * height) as usize);
    let mut grain = index.wrapping_mul(0x9e37_79b9) | 1;
    let side = (height / 6).max(2);
    let square_x = (index * 5) % (width - side.min(width - 1)).max(1);
    let square_y = (index * 3) % (height - side.min(height - 1)).max(1);
    for row in 0..height {
        for column in 0..width {
            // xorshift: cheap and the same everywhere.
            grain ^= grain << 13;
            grain ^= grain >> 17;
            grain ^= grain << 5;
            let inside = (square_x..square_x + side).contains(&column)
                && (square_y..square_y + side).contains(&row);
            let slope = (column + row + 2 * index) / 4 % 160;
            let base = if inside { 225 } else { 30 + slope };
            y.push((base + (grain & 7)) as u8);
        }
    }
    let chroma = |shift: u32| {
        let sample = move |i: u32| (96 + (i % half_width + shift + index) / 8 % 64) as u8;
        (0..half_width * half_height).map(sample).collect::<Vec<u8>>()
    };
    Frame::from_i420(resolution, pts, &y, &chroma(0), &chroma(77))
}
