//! Where a picture lies inside a rung: the aspect ratio is kept, bars fill the rest.

use stentor_protocol::Resolution;

/// Aspect ratios this close are one: a rung's size was rounded to even numbers when it was
/// computed from its source, and bars two pixels wide would only cost.
const TOLERANCE: f64 = 0.02;

/// The content's rectangle inside the rung, in even numbers of pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fit {
    pub content: Resolution,
    pub left: u32,
    pub top: u32,
}

// === impl Fit ===

impl Fit {
    /// Fits a source, whose samples have the aspect `sample_aspect` (width, height), into
    /// `rung`.
    pub fn new(source: Resolution, sample_aspect: (u32, u32), rung: Resolution) -> Self {
        let whole = Self { content: rung, left: 0, top: 0 };
        let shown = f64::from(source.width.max(1)) * f64::from(sample_aspect.0.max(1))
            / (f64::from(source.height.max(1)) * f64::from(sample_aspect.1.max(1)));
        let wanted = f64::from(rung.width.max(1)) / f64::from(rung.height.max(1));
        if (shown / wanted - 1.0).abs() <= TOLERANCE {
            return whole;
        }
        let content = if shown > wanted {
            Resolution::new(rung.width, even(f64::from(rung.width) / shown, rung.height))
        } else {
            Resolution::new(even(f64::from(rung.height) * shown, rung.width), rung.height)
        };
        Self {
            content,
            left: ((rung.width - content.width) / 2) & !1,
            top: ((rung.height - content.height) / 2) & !1,
        }
    }

    /// Whether there are bars.
    pub fn has_bars(&self, rung: Resolution) -> bool {
        self.content != rung
    }
}

fn even(length: f64, most: u32) -> u32 {
    // A positive, finite number: the source's sides are at least 1.
    ((length / 2.0).round() as u32 * 2).clamp(2, most.max(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_keep_their_shape() {
        let square = (1, 1);
        // source, sample aspect, rung, content, left, top
        let table = [
            ((1280, 720), square, (640, 360), (640, 360), 0, 0),
            ((1280, 720), square, (426, 240), (426, 240), 0, 0),
            ((640, 480), square, (640, 360), (480, 360), 80, 0),
            ((720, 1280), square, (640, 360), (202, 360), 218, 0),
            ((1920, 800), square, (640, 360), (640, 266), 0, 46),
            // PAL widescreen: 720x576 samples shown as 1024x576.
            ((720, 576), (64, 45), (640, 360), (640, 360), 0, 0),
            ((1, 4000), square, (640, 360), (2, 360), 318, 0),
            ((4000, 1), square, (640, 360), (640, 2), 0, 178),
        ];
        for (source, aspect, rung, content, left, top) in table {
            let size = |(w, h)| Resolution::new(w, h);
            let fit = Fit::new(size(source), aspect, size(rung));
            assert_eq!(fit, Fit { content: size(content), left, top }, "{source:?} in {rung:?}");
        }
    }

    #[test]
    fn content_never_leaves_the_rung() {
        for width in (2..2000).step_by(61) {
            for height in (2..2000).step_by(67) {
                let rung = Resolution::new(426, 240);
                let fit = Fit::new(Resolution::new(width, height), (1, 1), rung);
                assert!(fit.left + fit.content.width <= rung.width);
                assert!(fit.top + fit.content.height <= rung.height);
                assert_eq!((fit.left | fit.top | fit.content.width | fit.content.height) & 1, 0);
            }
        }
    }
}
