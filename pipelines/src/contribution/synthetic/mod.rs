//! The synthetic camera: a test card with a running clock, a stamp that machines read, and a
//! beep with a flash once a second.
//!
//! Pictures and tone are captured on a grid of UTC, so that full seconds begin with a picture at
//! every whole frame rate. The picture is constrained baseline without B-frames: fit to pass
//! through.

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use stentor_protocol::control::SourceState;
use stentor_protocol::units::{FrameRate, Resolution};

use super::elements::{self, internal};
use super::flow::{Flow, Pulse, monotonic_ns};
use super::outlet::Tap;
use super::{Contributed, Contribution, ContributionStats, OpenError, Sink, WhipCommand};

mod card;
mod font;
mod grid;
mod pipeline;
mod tone;

use card::{Card, Moment};
use grid::Grid;
use pipeline::Encoders;

/// Smaller pictures can't hold what is drawn on them.
const SMALLEST: Resolution = Resolution::new(96, 64);
const LARGEST: Resolution = Resolution::new(3840, 2160);
/// Pictures that may wait in front of the encoder, at most.
const WAITING_PICTURES: u64 = 2;
/// Sound that is later than this is left out, in blocks.
const LATE_BLOCKS: u64 = 25;

struct Synthetic {
    tap: Arc<Tap>,
    encoders: Arc<Encoders>,
    /// Dropped to end the thread.
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What the camera's thread owns.
struct Camera {
    tap: Arc<Tap>,
    encoders: Arc<Encoders>,
    card: Card,
    video: Grid,
    audio: Grid,
    next_picture: u64,
    first_picture: u64,
    next_block: u64,
}

pub fn open(
    title: &str,
    resolution: Resolution,
    frame_rate: FrameRate,
    sink: Sink,
) -> Result<Box<dyn Contribution>, OpenError> {
    elements::init()?;
    let rate = frame_rate.as_f64();
    let sides = [
        (resolution.width, SMALLEST.width, LARGEST.width),
        (resolution.height, SMALLEST.height, LARGEST.height),
    ];
    if sides.iter().any(|&(side, low, high)| side < low || side > high)
        || !(1.0..=120.0).contains(&rate)
    {
        return Err(OpenError::Source(format!(
            "a synthetic camera of {resolution} at {rate:.2} frames per second; it makes \
             {SMALLEST} to {LARGEST} at 1 to 120"
        )));
    }
    let resolution = Resolution::new(resolution.width & !1, resolution.height & !1);
    let tap = Tap::new(sink);
    let flow = Flow::new(Arc::clone(&tap), Pulse::new(|| {}));
    let encoders = Arc::new(Encoders::start(resolution, frame_rate, &flow)?);
    let unix_minus_monotonic = unix_ns().saturating_sub(monotonic_ns());
    let video = Grid::new(frame_rate, unix_minus_monotonic);
    let audio = Grid::new(FrameRate::new(tone::RATE_HZ, tone::BLOCK), unix_minus_monotonic);
    let now = monotonic_ns();
    let first_picture = video.next_index(now);
    let camera = Camera {
        tap: Arc::clone(&tap),
        card: Card::new(encoders.layout, title),
        encoders: Arc::clone(&encoders),
        next_picture: first_picture,
        first_picture,
        next_block: audio.next_index(now),
        video,
        audio,
    };
    let (stop, stopped) = mpsc::channel();
    let thread = std::thread::Builder::new()
        .name("synthetic".into())
        .spawn(move || camera.run(&stopped))
        .map_err(internal)?;
    Ok(Box::new(Synthetic { tap, encoders, stop: Some(stop), thread: Some(thread) }))
}

fn unix_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos() as u64)
}

// === impl Synthetic ===

impl Contribution for Synthetic {
    fn request_keyframe(&self) {
        self.encoders.request_keyframe();
    }

    fn handle(&mut self, _command: WhipCommand) {}

    fn close(self: Box<Self>) {}

    fn stats(&self) -> ContributionStats {
        self.tap.stats()
    }
}

impl Drop for Synthetic {
    fn drop(&mut self) {
        self.stop.take();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the synthetic camera's thread panicked");
        }
        self.encoders.stop();
    }
}

// === impl Camera ===

impl Camera {
    fn run(mut self, stopped: &mpsc::Receiver<()>) {
        self.tap.tell(Contributed::State { state: SourceState::Live, detail: String::new() });
        loop {
            let due = self.video.at(self.next_picture).min(self.audio.at(self.next_block));
            let wait = Duration::from_nanos(due.saturating_sub(monotonic_ns()));
            if stopped.recv_timeout(wait) != Err(RecvTimeoutError::Timeout) {
                return;
            }
            let now = monotonic_ns();
            self.sound_until(now);
            if self.video.at(self.next_picture) <= now {
                self.picture(now);
            }
            if let Some(error) = self.encoders.poll_error() {
                self.tap.tell(Contributed::State { state: SourceState::Lost, detail: error });
                return;
            }
        }
    }

    /// Takes the newest picture that is due; older ones are lost and counted.
    fn picture(&mut self, now: u64) {
        let newest = self.video.next_index(now + 1).saturating_sub(1).max(self.next_picture);
        for _ in self.next_picture..newest {
            self.tap.count_drop();
        }
        self.next_picture = newest + 1;
        if self.encoders.waiting_pictures() >= WAITING_PICTURES {
            return self.tap.count_drop();
        }
        let at = self.video.at(newest);
        // The clock on the card follows the system's, the grid does not.
        let unix_minus_monotonic = unix_ns().saturating_sub(monotonic_ns());
        let picture = self.card.draw(Moment {
            frame: (newest - self.first_picture) as u32,
            capture_unix_ms: (at + unix_minus_monotonic) / 1_000_000,
            since_beep_ms: self.video.since_second_ns(newest) / 1_000_000,
        });
        self.encoders.push_picture(picture, at);
    }

    fn sound_until(&mut self, now: u64) {
        let due = self.audio.next_index(now + 1);
        if due > self.next_block + LATE_BLOCKS {
            self.tap.count_drop();
            self.next_block = due - 1;
        }
        while self.next_block < due {
            let block = tone::block(self.audio.since_second_ns(self.next_block));
            self.encoders.push_sound(block, self.audio.at(self.next_block));
            self.next_block += 1;
        }
    }
}

#[cfg(test)]
mod tests;
