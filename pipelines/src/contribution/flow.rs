//! One connection of a source, from the pipeline's appsinks to the sink: its streams share a
//! timeline, a pulse and an end.
//!
//! Locks, never two at once nor across a call out: the timeline's, held for a few additions; the
//! pulse's `shut`, which paced streams wait on.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use gst::prelude::*;
use stentor_protocol::control::AudioFormat;
use stentor_protocol::spec::Codec;

use super::outlet::{AudioOutlet, Tap, VideoOutlet};
use super::timeline::{Placed, Position, Timeline};

/// Tells whether units flow, and who wants to know when they do.
pub struct Pulse {
    last_video_ns: AtomicU64,
    last_audio_ns: AtomicU64,
    /// Nobody wants units of this connection any more.
    shut: Mutex<bool>,
    shutting: Condvar,
    /// The next unit wakes the watcher.
    awaited: AtomicBool,
    wake: Box<dyn Fn() + Send + Sync>,
}

/// A connection's way out. Cloned for each of its streams.
#[derive(Clone)]
pub struct Flow {
    pub tap: Arc<Tap>,
    pub pulse: Arc<Pulse>,
    timeline: Arc<Mutex<Timeline>>,
    /// Units are let out at their time; else when they come.
    paced: bool,
}

/// Now in ns on `CLOCK_MONOTONIC`, the clock of [`AccessUnit::pts_ns`](super::AccessUnit).
pub fn monotonic_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

// === impl Pulse ===

impl Pulse {
    /// `wake` is called on a streaming thread when the first unit comes, and when one comes
    /// after [`Pulse::expect`].
    pub fn new(wake: impl Fn() + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            last_video_ns: AtomicU64::new(0),
            last_audio_ns: AtomicU64::new(0),
            shut: Mutex::new(false),
            shutting: Condvar::new(),
            awaited: AtomicBool::new(true),
            wake: Box::new(wake),
        })
    }

    /// Nothing is delivered from now on.
    pub fn shut(&self) {
        *self.shut.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.shutting.notify_all();
    }

    pub fn is_shut(&self) -> bool {
        *self.shut.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a moment of the monotonic clock; false where the connection ends before.
    fn wait_until(&self, at_ns: u64) -> bool {
        let mut shut = self.shut.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let left = at_ns.saturating_sub(monotonic_ns());
            if *shut || left == 0 {
                return !*shut;
            }
            let wait = Duration::from_nanos(left);
            shut = self.shutting.wait_timeout(shut, wait).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    pub fn expect(&self) {
        self.awaited.store(true, Ordering::Release);
    }

    /// When the last unit came that matters: of video where there is video, for a source whose
    /// picture stands still is lost even while it sounds. 0 before the first.
    pub fn last_ns(&self) -> u64 {
        match self.last_video_ns.load(Ordering::Relaxed) {
            0 => self.last_audio_ns.load(Ordering::Relaxed),
            video => video,
        }
    }

    pub fn has_video(&self) -> bool {
        self.last_video_ns.load(Ordering::Relaxed) != 0
    }

    fn beat(&self, last: &AtomicU64, now_ns: u64) {
        last.store(now_ns, Ordering::Relaxed);
        if self.awaited.load(Ordering::Relaxed) && self.awaited.swap(false, Ordering::AcqRel) {
            (self.wake)();
        }
    }
}

// === impl Flow ===

impl Flow {
    pub fn new(tap: Arc<Tap>, pulse: Arc<Pulse>) -> Self {
        Self { tap, pulse, timeline: Arc::default(), paced: false }
    }

    /// Holds units back until their time, for sources that don't come in real time by themselves.
    pub fn paced(self, paced: bool) -> Self {
        let timeline = if paced { Timeline::seamless() } else { Timeline::default() };
        Self { paced, timeline: Arc::new(Mutex::new(timeline)), ..self }
    }

    /// The source begins again from its start; all it had is delivered.
    pub fn restart(&self) {
        self.timeline.lock().unwrap_or_else(PoisonError::into_inner).restart();
    }

    pub fn is_paced(&self) -> bool {
        self.paced
    }

    /// Delivers what the appsink gets as video units.
    pub fn video(&self, sink: &gst_app::AppSink, codec: Codec) {
        let flow = self.clone();
        let mut outlet = VideoOutlet::new(Arc::clone(&self.tap), codec);
        self.connect(sink, move |sample, placed, now| {
            if outlet.deliver(sample, placed) {
                flow.pulse.beat(&flow.pulse.last_video_ns, now);
            }
            outlet.is_in_order()
        });
    }

    /// Delivers what the appsink gets as Opus packets; `format` is what the source sends.
    pub fn audio(&self, sink: &gst_app::AppSink, format: AudioFormat) {
        let flow = self.clone();
        let mut outlet = AudioOutlet::new(Arc::clone(&self.tap), format);
        self.connect(sink, move |sample, placed, now| {
            if outlet.deliver(sample, placed) {
                flow.pulse.beat(&flow.pulse.last_audio_ns, now);
                if flow.paced && flow.pulse.has_video() {
                    // A file's sound may well be longer than its picture.
                    flow.pulse.last_video_ns.store(now, Ordering::Relaxed);
                }
            }
            true
        });
    }

    /// `take` gives whether the stream's timestamps only ever grow.
    fn connect(
        &self,
        sink: &gst_app::AppSink,
        mut take: impl FnMut(&gst::Sample, Placed, u64) -> bool + Send + 'static,
    ) {
        let pulse = Arc::clone(&self.pulse);
        let timeline = Arc::clone(&self.timeline);
        let paced = self.paced;
        let mut position = Position::default();
        let new_sample = move |sink: &gst_app::AppSink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            if pulse.is_shut() {
                return Err(gst::FlowError::Flushing);
            }
            let now = monotonic_ns();
            let base = sink.base_time().unwrap_or_default().nseconds() as i64;
            let pts = running_time(&sample).map_or(now as i64, |running| base + running);
            let placed = timeline.lock().unwrap_or_else(PoisonError::into_inner).place(
                &mut position,
                pts,
                now,
            );
            if paced && !pulse.wait_until(placed.pts_ns) {
                return Err(gst::FlowError::Flushing);
            }
            let now = if paced { monotonic_ns() } else { now };
            position.in_order = take(&sample, placed, now);
            Ok(gst::FlowSuccess::Ok)
        };
        let callbacks = gst_app::AppSinkCallbacks::builder().new_sample(new_sample).build();
        sink.set_callbacks(callbacks);
    }
}

/// The sample's running time; B-frames at a segment's start may be before it.
fn running_time(sample: &gst::Sample) -> Option<i64> {
    let buffer = sample.buffer()?;
    let pts = buffer.pts().or_else(|| buffer.dts())?;
    let segment = sample.segment()?.downcast_ref::<gst::ClockTime>()?;
    match segment.to_running_time_full(pts)? {
        gst::Signed::Positive(time) => Some(time.nseconds() as i64),
        gst::Signed::Negative(time) => Some(-(time.nseconds() as i64)),
    }
}
