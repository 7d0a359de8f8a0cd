//! What is shown while there is no source: a dark still with the channel's name.

mod canvas;
mod font;

use stentor_hardware::{Frame, FrameError};
use stentor_protocol::Resolution;

use canvas::{Canvas, Style};

/// A picture this often, in ms: enough for a joiner to start at once.
pub const INTERVAL_MS: u64 = 200;
/// Frames a second of the above.
pub const FRAMES_PER_SECOND: u32 = 5;

/// Why there is no picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// There was none yet.
    Waiting,
    /// There was one, and it will be back.
    Gone,
}

/// Draws the still once, and again when something about it changes.
pub struct Slate {
    channel: String,
    drawn: Option<(Resolution, Reason, Frame)>,
}

// === impl Slate ===

impl Slate {
    pub fn new(channel: &str) -> Self {
        Self { channel: channel.to_owned(), drawn: None }
    }

    /// The still at the given time, in 90 kHz ticks.
    pub fn frame(
        &mut self,
        resolution: Resolution,
        reason: Reason,
        ticks: i64,
    ) -> Result<Frame, FrameError> {
        if let Some((size, why, frame)) = &self.drawn
            && (*size, *why) == (resolution, reason)
        {
            return Ok(frame.with_pts(ticks));
        }
        let canvas = draw(&self.channel, resolution, reason);
        let frame = Frame::from_i420(resolution, ticks, &canvas.y, &canvas.u, &canvas.v)?;
        self.drawn = Some((resolution, reason, frame.clone()));
        Ok(frame)
    }
}

fn draw(channel: &str, resolution: Resolution, reason: Reason) -> Canvas {
    let (width, height) = (resolution.width as f32, resolution.height as f32);
    let text = match reason {
        Reason::Waiting => "Waiting for the camera",
        Reason::Gone => "We will be right back",
    };
    let mut canvas = Canvas::new(resolution);
    camera(&mut canvas, (width / 2.0, height * 0.31), height / 9.0);
    let name = Style { height: height / 11.0, pen: 1.3, luma: 222.0 };
    canvas.text(channel, height * 0.58, width * 0.84, name);
    let note = Style { height: height / 26.0, pen: 1.2, luma: 128.0 };
    canvas.text(text, height * 0.70, width * 0.84, note);
    canvas
}

/// A small video camera, crossed out.
fn camera(canvas: &mut Canvas, (x, y): (f32, f32), size: f32) {
    const BODY: [(f32, f32); 9] = [
        (-0.45, -0.35),
        (0.25, -0.35),
        (0.35, -0.25),
        (0.35, 0.25),
        (0.25, 0.35),
        (-0.45, 0.35),
        (-0.55, 0.25),
        (-0.55, -0.25),
        (-0.45, -0.35),
    ];
    const LENS: [(f32, f32); 4] = [(0.35, -0.08), (0.65, -0.28), (0.65, 0.28), (0.35, 0.08)];
    const BAR: [(f32, f32); 2] = [(-0.62, 0.52), (0.62, -0.52)];
    for (points, luma) in [(&BODY[..], 96.0), (&LENS[..], 96.0), (&BAR[..], 150.0)] {
        let placed: Vec<_> = points.iter().map(|(dx, dy)| (x + dx * size, y + dy * size)).collect();
        canvas.stroke(&placed, size / 16.0, luma);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_still_is_dark_with_something_light_on_it_at_every_size() {
        for (width, height) in [(1280, 720), (640, 360), (320, 180), (181, 99), (720, 1280), (2, 2)]
        {
            let resolution = Resolution::new(width, height);
            let canvas = draw("Main stage 2", resolution, Reason::Waiting);
            let light = canvas.y.iter().filter(|luma| **luma > 100).count();
            if width > 16 {
                assert!((1..canvas.y.len() / 4).contains(&light), "{resolution}: {light}");
            }
            assert!(canvas.y.iter().all(|luma| (16..=235).contains(luma)));
        }
    }

    #[test]
    fn a_name_that_is_too_long_is_made_smaller() {
        let resolution = Resolution::new(640, 360);
        let canvas = draw(&"W".repeat(60), resolution, Reason::Gone);
        let edge = |column: usize| (0..360).all(|row| canvas.y[row * 640 + column] < 40);
        assert!(edge(10) && edge(629));
    }

    #[test]
    fn the_still_is_drawn_once_and_shown_at_many_times() {
        let mut slate = Slate::new("x");
        let resolution = Resolution::new(320, 180);
        let first = slate.frame(resolution, Reason::Waiting, 1).unwrap();
        let second = slate.frame(resolution, Reason::Waiting, 2).unwrap();
        assert_eq!((first.pts, second.pts), (1, 2));
        let other = slate.frame(Resolution::new(640, 360), Reason::Waiting, 3).unwrap();
        assert_eq!(other.resolution(), Resolution::new(640, 360));
    }
}
