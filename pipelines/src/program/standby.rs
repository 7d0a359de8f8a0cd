//! While there is no source: the slate's pictures, and silence.

use stentor_protocol::{Resolution, SourceState};

use crate::program::audio::SILENCE_MS;
use crate::program::selector::Showing;
use crate::program::slate::{self, Reason, Slate};
use crate::program::time::ProgramTime;
use crate::program::{Input, Program};
use crate::stats::Meters;

/// Where no source has said its size yet.
const USUAL_RESOLUTION: Resolution = Resolution::new(1280, 720);
/// A program that was held up for longer than this doesn't make up for it, in ms.
const MOST_BEHIND_MS: u64 = 200;

pub(super) struct Standby {
    slate: Slate,
    next_picture: ProgramTime,
    next_silence: ProgramTime,
}

// === impl Standby ===

impl Standby {
    pub(super) fn new(channel: &str, now: ProgramTime) -> Self {
        Self { slate: Slate::new(channel), next_picture: now, next_silence: now }
    }

    /// The slate is shown from now on.
    pub(super) fn begin(&mut self, now: ProgramTime) {
        self.next_picture = now;
        self.next_silence = now;
    }
}

impl<I: Input> Program<I> {
    /// Makes what is due.
    pub(super) fn stand_by(&mut self, now: ProgramTime) {
        if self.told != Showing::Slate {
            return;
        }
        if now >= self.standby.next_picture {
            self.standby.next_picture = now.plus_ms(slate::INTERVAL_MS);
            self.show_slate(now);
        }
        // A live source without pictures may still have sound.
        if self.selector.state() == SourceState::Live {
            self.standby.next_silence = now;
            return;
        }
        let standby = &mut self.standby;
        if now.since_ns(standby.next_silence) > MOST_BEHIND_MS * 1_000_000 {
            standby.next_silence = now;
        }
        while standby.next_silence <= now {
            self.audio.handle_silence(self.clock.silence(standby.next_silence));
            standby.next_silence = standby.next_silence.plus_ms(SILENCE_MS);
        }
    }

    /// The last source's size, or what is usual. Encoders want even sides.
    pub(super) fn slate_resolution(&self) -> Resolution {
        let Resolution { width, height } =
            self.video.as_ref().map_or(USUAL_RESOLUTION, |format| format.resolution);
        Resolution::new((width & !1).max(2), (height & !1).max(2))
    }

    fn show_slate(&mut self, now: ProgramTime) {
        let reason = if self.video.is_some() { Reason::Gone } else { Reason::Waiting };
        let resolution = self.slate_resolution();
        let ticks = self.clock.slate(now).video_ticks();
        match self.standby.slate.frame(resolution, reason, ticks) {
            Ok(frame) => {
                self.transcode.handle_slate(&frame);
                Meters::add(&self.outlet.meters.slate_frames, 1);
            }
            Err(error) => tracing::warn!(%error, "no slate"),
        }
    }
}
