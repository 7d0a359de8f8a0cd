//! Hands each picture of the program to the rungs that encode it.
//!
//! Pictures come from the decoder's thread or, while the slate is shown, from the program's. What
//! must be the same for all rungs is decided here, once per picture.
//!
//! One lock, `inner`, for the decisions; pictures are queued after it is released.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stentor_hardware::Frame;
use stentor_protocol::{FrameRate, TrackId};

use crate::program::time::ProgramTime;
use crate::queue::Queue;
use crate::stats::Meters;
use crate::thumbnails::Thumbnails;
use crate::transcode::keyframes::KeyframePlan;
use crate::transcode::pace::Pace;
use crate::transcode::pulse::Pulse;

/// Pictures that wait in front of a rung. More would only be late, and hold the decoder's
/// surfaces.
const WAITING_FRAMES: usize = 3;

/// The pictures that one rung's thread has to encode.
#[derive(Debug)]
pub struct Feed {
    pub frames: Queue<Work>,
    pub pulse: Pulse,
    /// Told to the thread with the next picture; 0: unchanged.
    bitrate: AtomicU64,
}

#[derive(Debug)]
pub struct Work {
    pub frame: Frame,
    pub force_keyframe: bool,
}

pub struct Ladder {
    inner: Mutex<Inner>,
    thumbnails: Arc<Thumbnails>,
    /// A keyframe that was asked for from outside the lock.
    wanted: AtomicBool,
}

#[derive(Default)]
struct Inner {
    rungs: Vec<Entry>,
    plan: KeyframePlan,
    last_ticks: Option<i64>,
}

struct Entry {
    track: TrackId,
    feed: Arc<Feed>,
    pace: Pace,
}

// === impl Feed ===

impl Default for Feed {
    fn default() -> Self {
        Self {
            frames: Queue::new(WAITING_FRAMES),
            pulse: Pulse::default(),
            bitrate: AtomicU64::new(0),
        }
    }
}

impl Feed {
    /// Gives how many pictures were dropped.
    fn push(&self, work: Work, now: ProgramTime) -> u64 {
        self.pulse.fed(now);
        let dropped = self.frames.push_evicting(work, |waiting| !waiting.force_keyframe);
        u64::from(dropped.is_some())
    }

    pub fn set_bitrate(&self, bits_per_second: u64) {
        self.bitrate.store(bits_per_second, Relaxed);
    }

    pub fn take_bitrate(&self) -> Option<u64> {
        Some(self.bitrate.swap(0, Relaxed)).filter(|bitrate| *bitrate > 0)
    }
}

// === impl Ladder ===

impl Ladder {
    pub fn new(thumbnails: Arc<Thumbnails>) -> Self {
        Self { inner: Mutex::default(), thumbnails, wanted: AtomicBool::new(false) }
    }

    /// Adds a rung, or gives it another feed. Its first picture is a keyframe in all rungs, if
    /// the last one is long enough ago.
    pub fn add(&self, track: TrackId, feed: Arc<Feed>, frame_rate: Option<FrameRate>) {
        let mut inner = self.lock();
        inner.rungs.retain(|rung| rung.track != track);
        inner.rungs.push(Entry { track, feed, pace: Pace::new(frame_rate) });
        inner.plan.want();
    }

    pub fn remove(&self, track: TrackId) {
        self.lock().rungs.retain(|rung| rung.track != track);
    }

    /// Asks for a keyframe in all rungs.
    pub fn want_keyframe(&self) {
        self.wanted.store(true, Relaxed);
    }

    /// A picture of the program.
    pub fn present(&self, frame: &Frame, source_keyframe: bool, meters: &Meters) {
        let ticks = frame.pts;
        let mut inner = self.lock();
        if inner.last_ticks.is_some_and(|last| ticks <= last) {
            drop(inner);
            return Meters::add(&meters.frames_dropped, 1);
        }
        inner.last_ticks = Some(ticks);
        if self.wanted.swap(false, Relaxed) {
            inner.plan.want();
        }
        let force_keyframe = inner.plan.decide(ticks, source_keyframe);
        let feeds: Vec<Arc<Feed>> = inner
            .rungs
            .iter_mut()
            .filter_map(|rung| {
                rung.pace.take(ticks, force_keyframe).then(|| Arc::clone(&rung.feed))
            })
            .collect();
        drop(inner);

        let now = ProgramTime::now();
        let mut dropped = 0;
        for feed in feeds {
            dropped += feed.push(Work { frame: frame.clone(), force_keyframe }, now);
        }
        Meters::add(&meters.frames_dropped, dropped);
        self.thumbnails.offer_frame(frame, now);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
