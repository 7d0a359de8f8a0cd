//! The body of the decoder's thread: access units in, pictures to the ladder.

use std::collections::VecDeque;
use std::sync::Arc;

use stentor_hardware::{Choice, Decoder, Frame};
use stentor_protocol::{Codec, Resolution};

use crate::fault;
use crate::output::Outlet;
use crate::program::time::ProgramTime;
use crate::program::{Message, Placed};
use crate::queue::Queue;
use crate::stats::Meters;
use crate::transcode::ladder::Ladder;
use crate::transcode::pulse::Pulse;
use crate::transcode::stage::{Reports, StageFault};

/// Access units that wait for the decoder: two seconds. Past that, what is newer matters more.
/// While it decodes what was cached, as many again as there are of those.
const WAITING_UNITS: usize = 60;
/// Units in a row that may fail before the decoder itself is suspected.
const MOST_FAILURES: u32 = 90;
/// No decoder holds back more pictures than this.
const MOST_HELD: usize = 32;

/// A decoder runs through so many cached units in the time that a keyframe takes to come.
pub const SHORT_GROUP: usize = 15;
/// Where the picture stands that is shown while a longer group is decoded, in ticks before the
/// first that is shown in its own time.
const PREVIEW_BEFORE: i64 = 1_500;

/// What the decoder's thread has to decode.
#[derive(Debug)]
pub struct UnitFeed {
    pub units: Queue<Placed>,
    /// Fed by keyframes: what comes before one may well give nothing.
    pub pulse: Pulse,
}

/// What the decoder's thread works with.
pub struct Decode {
    pub codec: Codec,
    pub resolution: Resolution,
    pub choice: Choice,
    /// What came since the last keyframe; only its last picture is shown.
    pub cached: Vec<Placed>,
    pub feed: Arc<UnitFeed>,
    pub ladder: Arc<Ladder>,
    pub outlet: Arc<Outlet>,
    pub reports: Reports,
}

/// How far the decoder has come.
struct Progress {
    /// Pictures before this time are of the cache and not shown.
    show_from: i64,
    /// The first picture of a long cache is: rungs then start with it and not when the whole
    /// cache is decoded.
    preview: bool,
    /// Times of keyframes whose pictures haven't come out yet.
    keyframes: VecDeque<i64>,
    failures: u32,
    seconds: f64,
    frames: u64,
    late: u64,
}

// === impl UnitFeed ===

impl UnitFeed {
    /// For a decoder that has so many cached units to go through first.
    pub fn new(cached: usize) -> Self {
        Self { units: Queue::new(WAITING_UNITS + cached), pulse: Pulse::default() }
    }

    /// Gives false where the decoder is too far behind to take more.
    pub fn push(&self, placed: Placed, now: ProgramTime) -> bool {
        if placed.unit.keyframe {
            self.pulse.fed(now);
        }
        self.units.push(placed).is_none()
    }
}

// === impl Decode ===

impl Decode {
    /// Decodes until the feed is closed.
    pub fn run(mut self) -> Result<(), StageFault> {
        let mut decoder = Decoder::open_sized(self.codec, &self.choice, Some(self.resolution))?;
        self.outlet.meters.set_decoder(decoder.name());
        tracing::info!(decoder = decoder.name(), "decoder started");
        let cached = std::mem::take(&mut self.cached);
        let mut progress = Progress {
            show_from: cached.iter().map(|p| p.time.video_ticks()).max().unwrap_or(i64::MIN),
            preview: cached.len() > SHORT_GROUP,
            keyframes: VecDeque::new(),
            failures: 0,
            seconds: 0.0,
            frames: 0,
            late: 0,
        };
        self.feed.pulse.opened(ProgramTime::now());
        self.feed.pulse.fed(ProgramTime::now());
        for placed in cached {
            if self.feed.units.is_closed() {
                break;
            }
            if let Some(late) = self.feed.units.skip_to_newest(|unit| unit.unit.keyframe) {
                // Nothing before a keyframe is of use any more.
                Meters::add(&self.outlet.meters.frames_dropped, late as u64);
                break;
            }
            self.decode(&mut decoder, &placed, &mut progress)?;
        }
        while let Some(placed) = self.feed.units.pop() {
            self.decode(&mut decoder, &placed, &mut progress)?;
        }
        tracing::info!("decoder stopped");
        Ok(())
    }

    fn decode(
        &self,
        decoder: &mut Decoder,
        placed: &Placed,
        progress: &mut Progress,
    ) -> Result<(), StageFault> {
        let meters = &self.outlet.meters;
        let ticks = placed.time.video_ticks();
        if placed.unit.keyframe {
            progress.keyframes.push_back(ticks);
            if progress.keyframes.len() > MOST_HELD {
                progress.keyframes.pop_front();
            }
        }
        let decoded = match placed.unit.data.map_readable() {
            Ok(data) => decoder.decode(&data, ticks).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        let (seconds, frames, late) = (decoder.seconds(), decoder.frames(), decoder.late());
        Meters::add(&meters.decode_ns, ((seconds - progress.seconds) * 1e9) as u64);
        Meters::add(&meters.frames_decoded, frames - progress.frames);
        Meters::add(&meters.frames_dropped, late - progress.late);
        (progress.seconds, progress.frames, progress.late) = (seconds, frames, late);

        match decoded {
            Ok(_) if fault::strikes_decoder() => {}
            Ok(frames) => {
                if !frames.is_empty() {
                    progress.failures = 0;
                    self.feed.pulse.gave();
                }
                for frame in frames {
                    self.show(&frame, progress);
                }
            }
            Err(reason) => {
                Meters::add(&meters.decode_errors, 1);
                // It is alive: the fault is in what it was given.
                self.feed.pulse.gave();
                progress.failures += 1;
                if progress.failures == MOST_FAILURES {
                    return Err(StageFault::Decode { count: MOST_FAILURES, reason });
                }
                tracing::debug!(reason, "an access unit can't be decoded");
                let ask = Message::WantSourceKeyframe;
                self.reports.push_evicting(ask, Message::is_media);
            }
        }
        Ok(())
    }

    fn show(&self, frame: &Frame, progress: &mut Progress) {
        let mut keyframe = false;
        while progress.keyframes.front().is_some_and(|key| *key <= frame.pts) {
            keyframe = progress.keyframes.pop_front() == Some(frame.pts);
        }
        if frame.pts >= progress.show_from {
            self.ladder.present(frame, keyframe, &self.outlet.meters);
        } else if std::mem::take(&mut progress.preview) {
            let at = progress.show_from - PREVIEW_BEFORE;
            self.ladder.present(&frame.with_pts(at), false, &self.outlet.meters);
        }
    }
}
