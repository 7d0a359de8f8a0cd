//! Draws the picture: a tile for each who is there, with a name, and a mark on who speaks.

use std::collections::BTreeMap;

use stentor_hardware::{Area, Canvas, Frame, FrameError, Label, Tile};
use stentor_protocol::Resolution;

use super::layout::grid;
use crate::container::mp4::TIMESCALE;

/// Without a picture for so long the camera is off, in ticks of 90 kHz.
pub const PATIENCE: i64 = 3 * TIMESCALE as i64;

const GROUND: [u8; 3] = [24, 130, 126];
/// Of a tile whose camera is off.
const CARD: [u8; 3] = [48, 132, 124];
const MARK: [u8; 3] = [170, 80, 60];

pub struct Scene {
    canvas: Canvas,
    names: Vec<String>,
    there: Vec<usize>,
    tiles: BTreeMap<usize, Place>,
    speaker: Option<usize>,
}

/// Where a source is, and what it takes to draw it there.
struct Place {
    area: Area,
    tile: Tile,
    /// None where it can't be drawn.
    name: Option<Label>,
    title: Option<Label>,
    stale: bool,
    card: bool,
}

// === impl Scene ===

impl Scene {
    pub fn new(size: Resolution, names: Vec<String>) -> Result<Self, FrameError> {
        let canvas = Canvas::new(size)?;
        Ok(Self { canvas, names, there: Vec::new(), tiles: BTreeMap::new(), speaker: None })
    }

    /// Says who is there and who of them speaks.
    pub fn arrange(&mut self, there: &[usize], speaker: Option<usize>) -> Result<(), FrameError> {
        if there != self.there || self.tiles.is_empty() && !there.is_empty() {
            let Resolution { width, height } = self.canvas.resolution();
            self.canvas.fill(Area { left: 0, top: 0, width, height }, GROUND)?;
            self.there = there.to_vec();
            let areas = grid(there.len(), self.canvas.resolution());
            let places = there.iter().zip(areas);
            self.tiles =
                places.map(|(source, area)| (*source, self.place(*source, area))).collect();
        }
        if speaker != self.speaker {
            for changed in [speaker, self.speaker].into_iter().flatten() {
                if let Some(place) = self.tiles.get_mut(&changed) {
                    place.stale = true;
                }
            }
            self.speaker = speaker;
        }
        Ok(())
    }

    /// Draws a source as it is now, where that differs from before.
    pub fn draw(
        &mut self,
        source: usize,
        frame: Option<&Frame>,
        new: bool,
    ) -> Result<(), FrameError> {
        let Some(place) = self.tiles.get_mut(&source) else { return Ok(()) };
        if !(new && frame.is_some() || place.stale || place.card != frame.is_none()) {
            return Ok(());
        }
        (place.stale, place.card) = (false, frame.is_none());
        let area = place.area;
        match frame {
            Some(frame) => {
                self.canvas.put(&place.tile.fit(frame)?, area.left, area.top)?;
                if let Some(name) = &place.name {
                    let top = (area.top + area.height).saturating_sub(name.height() + 8);
                    self.canvas.write(name, area.left + 8, top, true)?;
                }
            }
            None => {
                self.canvas.fill(area, CARD)?;
                if let Some(title) = &place.title {
                    let left = area.left + area.width.saturating_sub(title.width()) / 2;
                    let top = area.top + area.height.saturating_sub(title.height()) / 2;
                    self.canvas.write(title, left, top, false)?;
                }
            }
        }
        if self.speaker == Some(source) && self.there.len() > 1 {
            self.canvas.outline(area, 4, MARK)?;
        }
        Ok(())
    }

    pub fn frame(&self, pts: i64) -> Result<Frame, FrameError> {
        self.canvas.frame(pts)
    }

    fn place(&self, source: usize, area: Area) -> Place {
        let text = self.names.get(source).map_or("", String::as_str);
        let label = |size: u32| {
            let label = Label::new(text, size.max(10), area.width.saturating_sub(16));
            label.inspect_err(|error| tracing::warn!(%error, "a name can't be drawn")).ok()
        };
        let named = !text.is_empty();
        let name = named.then(|| label(area.height / 20)).flatten();
        let title = named.then(|| label(area.height / 10)).flatten();
        let tile = Tile::new(Resolution::new(area.width, area.height));
        Place { area, tile, name, title, stale: true, card: false }
    }
}
