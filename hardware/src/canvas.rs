//! A picture made of pictures: tiles, names, marks.

use std::io::Write as _;
use std::os::fd::AsRawFd as _;

use rustix::fs::{MemfdFlags, memfd_create};
use stentor_protocol::Resolution;

use crate::error::FrameError;
use crate::ffi::graph::Graph;
use crate::ffi::log;
use crate::ffi::picture::Picture;
use crate::ffi::pixel::PixelFormat;
use crate::frame::Frame;
use crate::stage::Stage;

/// Debian's fonts-dejavu-core.
const FONT: &str = "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf";
/// Letters of a name that are drawn.
const MOST_LETTERS: usize = 48;

/// Luma and both chromas, limited range.
pub type Colour = [u8; 3];

/// A part of the picture; even numbers throughout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Area {
    pub left: u32,
    pub top: u32,
    pub width: u32,
    pub height: u32,
}

/// The picture that is made. Between two [`frame`](Self::frame)s what isn't drawn anew stays.
pub struct Canvas {
    picture: Picture,
}

/// Brings frames to a tile's size: the aspect ratio is kept, bars fill the rest.
pub struct Tile {
    stage: Stage,
}

/// Text as coverage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    width: usize,
    coverage: Vec<u8>,
}

// === impl Canvas ===

impl Canvas {
    pub fn new(resolution: Resolution) -> Result<Self, FrameError> {
        crate::ffi::prepare();
        Ok(Self { picture: blank(resolution)? })
    }

    pub fn resolution(&self) -> Resolution {
        Resolution::new(self.picture.width(), self.picture.height())
    }

    pub fn fill(&mut self, area: Area, colour: Colour) -> Result<(), FrameError> {
        let area = self.clipped(area);
        self.each_plane(|index, plane, stride, shift| {
            let (left, width) = (area.left as usize >> shift, area.width as usize >> shift);
            for row in area.top as usize >> shift..(area.top + area.height) as usize >> shift {
                plane[row * stride + left..][..width].fill(colour[index]);
            }
        })
    }

    /// A frame around the inside of an area.
    pub fn outline(&mut self, area: Area, pen: u32, colour: Colour) -> Result<(), FrameError> {
        let pen = pen.max(2) & !1;
        let (right, bottom) = (area.left + area.width - pen, area.top + area.height - pen);
        self.fill(Area { height: pen, ..area }, colour)?;
        self.fill(Area { top: bottom, height: pen, ..area }, colour)?;
        self.fill(Area { width: pen, ..area }, colour)?;
        self.fill(Area { left: right, width: pen, ..area }, colour)
    }

    /// Puts a picture of a tile's size there.
    pub fn put(&mut self, frame: &Frame, left: u32, top: u32) -> Result<(), FrameError> {
        let from = frame.picture();
        let (width, height) = (from.width(), from.height());
        let area = self.clipped(Area { left, top, width, height });
        let mut whole = true;
        self.each_plane(|index, plane, stride, shift| {
            let Some(from) = from.plane(index) else {
                whole = false;
                return;
            };
            let (left, width) = (area.left as usize >> shift, area.width as usize >> shift);
            let top = area.top as usize >> shift;
            for row in 0..area.height as usize >> shift {
                plane[(top + row) * stride + left..][..width]
                    .copy_from_slice(&from.data[row * from.stride..][..width]);
            }
        })?;
        if whole { Ok(()) } else { Err(FrameError::NotHost) }
    }

    /// Writes in white, on a ground that is darkened by half where `shade` is set.
    pub fn write(
        &mut self,
        label: &Label,
        left: u32,
        top: u32,
        shade: bool,
    ) -> Result<(), FrameError> {
        let height = label.coverage.len().checked_div(label.width).unwrap_or(0) as u32;
        let area = Area { left: left & !1, top: top & !1, width: label.width as u32, height };
        let area = self.clipped(area);
        self.each_plane(|index, plane, stride, shift| {
            let (left, top) = (area.left as usize >> shift, area.top as usize >> shift);
            for row in 0..area.height as usize >> shift {
                let line =
                    &mut plane[(top + row) * stride + left..][..area.width as usize >> shift];
                let covers = &label.coverage[(row << shift) * label.width..];
                for (column, sample) in line.iter_mut().enumerate() {
                    let cover = u32::from(covers[column << shift]);
                    let (ground, text) = if index == 0 { (16, 235) } else { (128, 128) };
                    let under = u32::from(*sample);
                    let under = if shade { (under + ground) / 2 } else { under };
                    *sample = ((under * (255 - cover) + text * cover) / 255) as u8;
                }
            }
        })
    }

    /// The picture as it is now, without a copy.
    pub fn frame(&self, pts: i64) -> Result<Frame, FrameError> {
        let picture =
            self.picture.reference().map_err(|error| allocate(self.resolution(), error))?;
        Ok(Frame::new(picture, pts))
    }

    fn clipped(&self, area: Area) -> Area {
        let size = self.resolution();
        let (left, top) = (area.left.min(size.width) & !1, area.top.min(size.height) & !1);
        let width = area.width.min(size.width - left) & !1;
        Area { left, top, width, height: area.height.min(size.height - top) & !1 }
    }

    /// Calls for each plane with its index, samples, stride, and the shift of its sides.
    fn each_plane(
        &mut self,
        mut draw: impl FnMut(usize, &mut [u8], usize, usize),
    ) -> Result<(), FrameError> {
        if self.picture.plane_mut(0).is_none() {
            // An encoder still looks at it.
            self.picture = copied(&self.picture)?;
        }
        for index in 0..3 {
            let plane = self.picture.plane_mut(index).ok_or(FrameError::NotHost)?;
            draw(index, plane.data, plane.stride, usize::from(index > 0));
        }
        Ok(())
    }
}

fn blank(resolution: Resolution) -> Result<Picture, FrameError> {
    let (width, height) = (resolution.width, resolution.height);
    let mut picture = Picture::host(PixelFormat::YUV420P, width, height)
        .map_err(|error| allocate(resolution, error))?;
    for (index, black) in [16, 128, 128].into_iter().enumerate() {
        picture.plane_mut(index).ok_or(FrameError::NotHost)?.data.fill(black);
    }
    picture.set_limited_range();
    Ok(picture)
}

fn copied(from: &Picture) -> Result<Picture, FrameError> {
    let mut to = blank(Resolution::new(from.width(), from.height()))?;
    for index in 0..3 {
        let (Some(from), Some(to)) = (from.plane(index), to.plane_mut(index)) else {
            return Err(FrameError::NotHost);
        };
        let row = from.stride.min(to.stride);
        for (from, to) in from.data.chunks(from.stride).zip(to.data.chunks_mut(to.stride)) {
            let row = row.min(from.len()).min(to.len());
            to[..row].copy_from_slice(&from[..row]);
        }
    }
    Ok(to)
}

fn allocate(resolution: Resolution, error: crate::ffi::Error) -> FrameError {
    FrameError::Allocate { resolution, reason: error.to_string() }
}

// === impl Tile ===

impl Tile {
    pub fn new(resolution: Resolution) -> Self {
        Self { stage: Stage::new(resolution, None) }
    }

    pub fn fit(&mut self, frame: &Frame) -> Result<Frame, FrameError> {
        let picture = self.stage.run(frame).map_err(|reason| FrameError::Convert { reason })?;
        Ok(Frame::new(picture, frame.pts))
    }
}

// === impl Label ===

impl Label {
    /// A line of text in letters of this size, no wider than `most`. FFmpeg draws it, so that
    /// every script is there that the font has.
    pub fn new(text: &str, size: u32, most: u32) -> Result<Self, FrameError> {
        let failed = |reason: String| FrameError::Convert { reason };
        let text: String = text.chars().filter(|c| !c.is_control()).take(MOST_LETTERS).collect();
        // By a file, so that nothing in it is taken for FFmpeg's syntax.
        let file =
            memfd_create("name", MemfdFlags::CLOEXEC).map_err(|error| failed(error.to_string()))?;
        let mut file = std::fs::File::from(file);
        file.write_all(text.as_bytes()).map_err(|error| failed(error.to_string()))?;
        let (width, height) = (most.max(16) & !1, (size * 3 / 2).max(16) & !1);
        let ground = blank(Resolution::new(width, height))?;
        let chain = format!(
            "drawtext=fontfile={FONT}:textfile=/proc/self/fd/{}:expansion=none:fontsize={size}:\
             fontcolor=white:x={}:y=(h-text_h)/2",
            file.as_raw_fd(),
            size / 2,
        );
        let mut graph = Graph::new(&ground, &chain).map_err(failed)?;
        let drawn = graph.run(&ground).map_err(|error| failed(log::explain(error)))?;
        let plane = drawn.plane(0).ok_or(FrameError::NotHost)?;
        let rows = || plane.data.chunks(plane.stride).map(|row| &row[..width as usize]);
        let last = rows().filter_map(|row| row.iter().rposition(|luma| *luma > 24)).max();
        let used = ((last.unwrap_or(0) + size as usize / 2 + 2) & !1).min(width as usize);
        let cover = |luma: &u8| (u32::from(luma.saturating_sub(16)) * 255 / 219).min(255) as u8;
        let coverage = rows().flat_map(|row| row[..used].iter().map(cover)).collect();
        Ok(Self { width: used, coverage })
    }

    pub fn width(&self) -> u32 {
        self.width as u32
    }

    pub fn height(&self) -> u32 {
        self.coverage.len().checked_div(self.width).unwrap_or(0) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn luma(canvas: &Canvas, column: usize, row: usize) -> u8 {
        let plane = canvas.picture.plane(0).unwrap();
        plane.data[row * plane.stride + column]
    }

    #[test]
    fn what_is_drawn_stays_and_a_frame_that_was_given_out_does_not_change() {
        let mut canvas = Canvas::new(Resolution::new(64, 48)).unwrap();
        let area = Area { left: 8, top: 8, width: 16, height: 16 };
        canvas.fill(area, [200, 100, 90]).unwrap();
        let before = canvas.frame(1).unwrap();
        canvas.outline(area, 2, [50, 128, 128]).unwrap();
        assert_eq!(
            (luma(&canvas, 8, 8), luma(&canvas, 12, 12), luma(&canvas, 30, 30)),
            (50, 200, 16)
        );
        let kept = before.to_i420().unwrap();
        assert_eq!(kept.y[8 * 64 + 8], 200);
        // Beyond the edge nothing is drawn, and nothing breaks.
        canvas.fill(Area { left: 60, top: 40, width: 100, height: 100 }, [80, 1, 1]).unwrap();
        canvas.put(&before, 32, 24).unwrap();
        assert_eq!(luma(&canvas, 32 + 12, 24 + 12), 200);
    }

    #[test]
    fn names_of_many_scripts_are_drawn_and_none_is_syntax() {
        let mut canvas = Canvas::new(Resolution::new(320, 180)).unwrap();
        for name in ["Ann", "Олена", "Ελένη", "50% off: 'x' \\ %{pts}", "عائشة"] {
            let label = Label::new(name, 20, 300).unwrap();
            assert!(label.coverage.iter().any(|cover| *cover > 200), "{name}");
            assert!(label.width() > 20 && label.width() <= 300, "{name}: {}", label.width());
            canvas.write(&label, 10, 100, true).unwrap();
        }
        let narrow = Label::new("il", 20, 300).unwrap();
        assert!(narrow.width() < Label::new("WWWW", 20, 300).unwrap().width());
        assert!(Label::new("", 20, 300).is_ok());
    }
}
