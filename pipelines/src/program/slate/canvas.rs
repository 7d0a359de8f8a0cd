//! Light strokes on a dark ground, in planar 4:2:0.

use stentor_protocol::Resolution;

use super::font::{self, Glyph};

/// Luma at the top and at the bottom of the ground.
const GROUND: (f32, f32) = (30.0, 20.0);
/// A cool grey.
const CHROMA: (u8, u8) = (131, 126);

pub struct Canvas {
    pub resolution: Resolution,
    pub y: Vec<u8>,
    pub u: Vec<u8>,
    pub v: Vec<u8>,
}

/// How a line of text is set.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    /// Height of a capital, in pixels.
    pub height: f32,
    /// Of the pen, in units of the font: a capital is 12 high.
    pub pen: f32,
    pub luma: f32,
}

// === impl Canvas ===

impl Canvas {
    pub fn new(resolution: Resolution) -> Self {
        let (width, height) = (resolution.width as usize, resolution.height as usize);
        let chroma = width.div_ceil(2) * height.div_ceil(2);
        let mut y = Vec::with_capacity(width * height);
        for row in 0..height {
            y.resize(y.len() + width, ground(row, height) as u8);
        }
        Self { resolution, y, u: vec![CHROMA.0; chroma], v: vec![CHROMA.1; chroma] }
    }

    /// Sets a line of text with its baseline at `baseline`, centred, made smaller where it is
    /// wider than `most`.
    pub fn text(&mut self, text: &str, baseline: f32, most: f32, style: Style) {
        let glyphs: Vec<Glyph> = text.chars().map(font::glyph).collect();
        let units: f32 = glyphs.iter().map(|glyph| glyph.width + font::SPACING).sum();
        let units = (units - font::SPACING).max(1.0);
        let scale = (style.height / font::CAP_HEIGHT).min(most / units);
        let mut left = (self.resolution.width as f32 - units * scale) / 2.0;
        for glyph in &glyphs {
            for stroke in &glyph.strokes {
                let place = |(x, y): (f32, f32)| {
                    (left + x * scale, baseline - (y - font::BASELINE) * scale)
                };
                let points: Vec<_> = stroke.iter().copied().map(place).collect();
                self.stroke(&points, style.pen * scale, style.luma);
            }
            left += (glyph.width + font::SPACING) * scale;
        }
    }

    /// A pen's way along the points, round at its ends.
    pub fn stroke(&mut self, points: &[(f32, f32)], pen: f32, luma: f32) {
        let radius = pen.max(1.0) / 2.0;
        for pair in points.windows(2) {
            self.segment(pair[0], pair[1], radius, luma);
        }
    }

    fn segment(&mut self, a: (f32, f32), b: (f32, f32), radius: f32, luma: f32) {
        let (width, height) = (self.resolution.width as usize, self.resolution.height as usize);
        let reach = radius + 1.0;
        let span = |a: f32, b: f32, limit: usize| {
            let from = (a.min(b) - reach).floor().max(0.0) as usize;
            from..((a.max(b) + reach).ceil().max(0.0) as usize).min(limit)
        };
        for row in span(a.1, b.1, height) {
            let ground = ground(row, height);
            for column in span(a.0, b.0, width) {
                let away = distance((column as f32 + 0.5, row as f32 + 0.5), a, b);
                let cover = (radius + 0.5 - away).clamp(0.0, 1.0);
                let sample = &mut self.y[row * width + column];
                *sample = (*sample).max((ground + cover * (luma - ground)) as u8);
            }
        }
    }
}

fn ground(row: usize, height: usize) -> f32 {
    GROUND.0 + (GROUND.1 - GROUND.0) * row as f32 / height as f32
}

fn distance(p: (f32, f32), a: (f32, f32), b: (f32, f32)) -> f32 {
    let (along, from) = ((b.0 - a.0, b.1 - a.1), (p.0 - a.0, p.1 - a.1));
    let length = along.0 * along.0 + along.1 * along.1;
    let t = if length > 0.0 {
        ((from.0 * along.0 + from.1 * along.1) / length).clamp(0.0, 1.0)
    } else {
        0.0
    };
    (from.0 - t * along.0).hypot(from.1 - t * along.1)
}
