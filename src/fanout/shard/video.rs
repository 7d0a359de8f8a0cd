//! A viewer's video: which rendition it has, which one it moves to, and how it catches up.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::burst::Burst;
use super::super::channel::{Track, TrackKey};
use super::super::join::{VideoFormat, VideoParams};
use super::super::switch::{Placement, VIDEO_STEP};
use super::retransmit::Retransmitter;
use super::stream::{Outlet, SentAmount, Stream};
use super::thin::Thinning;

/// The video half of a session. What each burst needs comes first.
#[repr(C)]
pub struct Video {
    /// What is being sent.
    pub current: Option<Current>,
    pub stream: Stream,
    /// What takes its place at its next keyframe.
    pub target: Option<Target>,
    /// The path carries less than what is being sent.
    pub thinning: Option<Box<Thinning>>,
    /// Pictures that were left out for that.
    pub left_out: u64,
    pub params: VideoParams,
    pub again: Box<Retransmitter>,
    /// A rendition that didn't start, and until when it is left alone.
    pub avoid: Option<(TrackKey, Instant)>,
    /// When a keyframe was last made good for the viewer on its request.
    pub refreshed: Option<Instant>,
}

/// The rendition that is being sent.
pub struct Current {
    pub track: Arc<Track>,
    pub format: VideoFormat,
    /// Index of the next burst to send.
    pub next: u64,
    /// The viewer is behind the present.
    pub catch_up: Option<Box<CatchUp>>,
}

/// The rendition that the viewer moves to.
pub struct Target {
    pub track: Arc<Track>,
    pub since: Instant,
    /// When to look at the plan again.
    pub until: Instant,
}

/// Sending the past at a bounded rate.
pub struct CatchUp {
    /// The burst that is being sent, and how much of it was.
    part: Option<(Arc<Burst>, Placement, usize)>,
    bytes_per_second: f64,
    /// Bytes that may be sent now.
    allowance: f64,
    refilled: Instant,
}

/// What a turn of catching up came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CaughtUp {
    pub sent: SentAmount,
    /// The whole of a keyframe was sent.
    pub keyframe: bool,
    /// The viewer has reached the present.
    pub done: bool,
}

/// How fast the past is sent where nothing is known of the path, in bytes per second.
const START_RATE: f64 = 20e6 / 8.0;
/// Above the estimate, so that the present is reached.
const RATE_OVER_ESTIMATE: f64 = 2.5;
const MIN_RATE: f64 = 2e6 / 8.0;
/// What may be sent at once, in bytes: the first picture shouldn't wait.
const ALLOWANCE: f64 = 16_000.0;

// === impl Video ===

impl Video {
    pub fn new(params: VideoParams, now: Instant) -> Self {
        Self {
            stream: Stream::new(params.stream, 90_000, VIDEO_STEP),
            again: Box::new(Retransmitter::new(params.rtx_first_sequence, now)),
            params,
            current: None,
            target: None,
            thinning: None,
            left_out: 0,
            avoid: None,
            refreshed: None,
        }
    }

    /// The rendition that the viewer has or is moving to.
    pub fn wanted(&self) -> Option<&Arc<Track>> {
        let current = self.current.as_ref().map(|c| &c.track);
        self.target.as_ref().map(|t| &t.track).or(current)
    }

    pub fn is_current(&self, key: TrackKey) -> bool {
        self.current.as_ref().is_some_and(|c| c.track.key == key)
    }

    pub fn is_target(&self, key: TrackKey) -> bool {
        self.target.as_ref().is_some_and(|t| t.track.key == key)
    }

    /// Sends a burst of the present. None: it isn't this viewer's turn for it.
    pub fn send_live(&mut self, outlet: &mut Outlet<'_>, burst: &Burst) -> Option<SentAmount> {
        let current = self.current.as_mut()?;
        if current.catch_up.is_some() || burst.index < current.next {
            return None;
        }
        current.next = burst.index + 1;
        if let Some(thinning) = &mut self.thinning
            && !thinning.admits(burst.bytes(), burst.keyframe, outlet.now)
        {
            self.left_out += 1;
            return None;
        }
        let placement = self.stream.out.place(burst, burst.time);
        let payload_type = current.format.payload_type;
        Some(self.stream.send(outlet, payload_type, burst, &placement, 0..burst.len()))
    }

    /// Begins to send a rendition from the cached burst `first` on. False where it is gone.
    pub fn begin_catch_up(
        &mut self,
        track: Arc<Track>,
        first: u64,
        estimate_bps: Option<f64>,
        now: Instant,
    ) -> bool {
        let Some(format) = self.params.format(track.codec).copied() else { return false };
        let Some(last) = track.last() else { return false };
        if track.burst(first).is_none() || last.index < first {
            return false;
        }
        let rate = estimate_bps.map_or(START_RATE, |bps| bps / 8.0 * RATE_OVER_ESTIMATE);
        self.stream.out.start_backlog(last.index - first + 1);
        let catch_up = Some(Box::new(CatchUp::new(rate, now)));
        self.current = Some(Current { track, format, next: first, catch_up });
        true
    }

    /// Sends as much of the past as the rate allows.
    pub fn catch_up(&mut self, outlet: &mut Outlet<'_>) -> CaughtUp {
        let mut result = CaughtUp { sent: SentAmount::default(), keyframe: false, done: true };
        let Some(current) = &mut self.current else { return result };
        let Some(catch_up) = &mut current.catch_up else { return result };
        catch_up.refill(outlet.now);
        while catch_up.allowance > 0.0 {
            if catch_up.part.is_none() {
                let Some(burst) = current.track.burst(current.next) else {
                    // The present is reached, or the history has moved past us: then the next
                    // burst leaves a gap, and the viewer will ask for a keyframe.
                    current.catch_up = None;
                    return result;
                };
                let edge = current.track.last().map_or(burst.time, |last| last.time);
                let placement = self.stream.out.place(&burst, edge);
                catch_up.part = Some((burst, placement, 0));
            }
            let Some((burst, placement, at)) = &mut catch_up.part else { break };
            let chunk = burst
                .packets_in(*at..burst.len())
                .scan(0.0, |sum, (_, payload)| {
                    let fits = *sum < catch_up.allowance;
                    *sum += payload.len() as f64;
                    fits.then_some(())
                })
                .count()
                .max(1);
            let range = *at..(*at + chunk).min(burst.len());
            let payload_type = current.format.payload_type;
            let sent = self.stream.send(outlet, payload_type, burst, placement, range.clone());
            result.sent += sent;
            catch_up.allowance -= sent.bytes as f64;
            *at = range.end;
            if *at >= burst.len() {
                result.keyframe |= burst.keyframe;
                current.next = burst.index + 1;
                catch_up.part = None;
            }
        }
        result.done = false;
        result
    }
}

// === impl CatchUp ===

impl CatchUp {
    fn new(bytes_per_second: f64, now: Instant) -> Self {
        Self {
            part: None,
            bytes_per_second: bytes_per_second.max(MIN_RATE),
            allowance: ALLOWANCE,
            refilled: now,
        }
    }

    fn refill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.refilled).min(Duration::from_millis(50));
        self.refilled = now;
        let most = ALLOWANCE.max(self.bytes_per_second * 0.05);
        self.allowance = (self.allowance + self.bytes_per_second * elapsed.as_secs_f64()).min(most);
    }
}
