//! What is shared of a channel: its renditions and, per track, the history and who wants it.
//!
//! Lock order: `Channel::state`, then `Track::state`; neither is held while anything is pushed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use stentor_protocol::{BitsPerSecond, Codec, TrackId};

use super::Rendition;
use super::burst::{Burst, BurstBuilder, BurstInfo};
use super::gop::{KeyframeRequests, Start};
use super::history::History;
use super::timeline::{Ticks, Timeline};

/// Names a channel for the fan-out's life, whatever it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelKey(pub u32);

/// Names a track for the fan-out's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrackKey(pub u32);

/// A channel as shards and its reader share it.
pub struct Channel {
    pub key: ChannelKey,
    pub name: Arc<str>,
    pub audio: Arc<Track>,
    pub video_clock: Mutex<Option<Timeline>>,
    pub audio_clock: Mutex<Option<Timeline>>,
    state: Mutex<State>,
    closed: AtomicBool,
    /// Grows with each change of the renditions.
    version: AtomicU32,
    keys: Arc<AtomicU32>,
}

#[derive(Default)]
struct State {
    /// As listed, with their tracks.
    renditions: Arc<[Offered]>,
    tracks: BTreeMap<TrackId, Arc<Track>>,
}

/// A rendition that the channel offers.
#[derive(Clone)]
pub struct Offered {
    pub rendition: Arc<Rendition>,
    pub track: Arc<Track>,
}

/// One track of a channel.
pub struct Track {
    pub key: TrackKey,
    pub id: TrackId,
    pub codec: Codec,
    pub channel: Arc<str>,
    /// The rendition's name; sound is `audio`.
    pub rendition: Arc<str>,
    state: Mutex<TrackState>,
    /// Shards that have viewers of it, one bit each.
    interest: AtomicU64,
    viewers: AtomicU32,
    /// Bits per second lately, payload only; 0 while unknown.
    rate_bps: AtomicU64,
    /// Milliseconds after `started` when the last burst came in; 0 for never.
    last_ms: AtomicU64,
    started: Instant,
}

#[derive(Default)]
struct TrackState {
    history: History,
    requests: KeyframeRequests,
    window: Option<RateWindow>,
    /// Where positions go on when the history is empty.
    next_position: u64,
}

/// Bytes since a moment.
struct RateWindow {
    since: Instant,
    bytes: u64,
}

/// A burst without its numbers.
pub struct Unnumbered {
    pub time: Ticks,
    pub capture_us: u64,
    pub keyframe: bool,
    pub gap: bool,
    pub arrived: Instant,
}

/// A rendition without a burst for this long isn't running.
const RUNNING: Duration = Duration::from_millis(1000);
const RATE_WINDOW: Duration = Duration::from_millis(500);

// === impl Channel ===

impl Channel {
    pub fn new(key: ChannelKey, name: &str, keys: Arc<AtomicU32>) -> Self {
        let name: Arc<str> = name.into();
        let audio_key = TrackKey(keys.fetch_add(1, Ordering::Relaxed));
        let audio =
            Track::new(audio_key, TrackId::AUDIO, Codec::Opus, name.clone(), "audio".into());
        Self {
            key,
            name,
            audio: Arc::new(audio),
            video_clock: Mutex::new(None),
            audio_clock: Mutex::new(None),
            state: Mutex::default(),
            closed: AtomicBool::new(false),
            version: AtomicU32::new(0),
            keys,
        }
    }

    /// Replaces the list. Tracks that stay keep their history.
    pub fn set_renditions(&self, renditions: Vec<Rendition>) {
        let mut state = self.lock();
        let mut tracks = BTreeMap::new();
        let offered = renditions
            .into_iter()
            .filter(|r| r.track != TrackId::AUDIO)
            .map(|rendition| {
                let same = state
                    .tracks
                    .get(&rendition.track)
                    .filter(|track| track.codec == rendition.codec)
                    .cloned();
                let track = same.unwrap_or_else(|| {
                    let key = TrackKey(self.keys.fetch_add(1, Ordering::Relaxed));
                    let (channel, name) = (self.name.clone(), rendition.name.as_str().into());
                    Arc::new(Track::new(key, rendition.track, rendition.codec, channel, name))
                });
                tracks.insert(rendition.track, track.clone());
                Offered { rendition: Arc::new(rendition), track }
            })
            .collect();
        state.renditions = offered;
        state.tracks = tracks;
        drop(state);
        self.version.fetch_add(1, Ordering::Release);
    }

    pub fn renditions(&self) -> Arc<[Offered]> {
        self.lock().renditions.clone()
    }

    /// A number that changes when the renditions do.
    pub fn version(&self) -> u32 {
        self.version.load(Ordering::Acquire)
    }

    pub fn track(&self, id: TrackId) -> Option<Arc<Track>> {
        if id == TrackId::AUDIO {
            return Some(self.audio.clone());
        }
        self.lock().tracks.get(&id).cloned()
    }

    pub fn track_of_key(&self, key: TrackKey) -> Option<Arc<Track>> {
        if key == self.audio.key {
            return Some(self.audio.clone());
        }
        self.lock().tracks.values().find(|track| track.key == key).cloned()
    }

    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Bytes that the histories take.
    pub fn history_bytes(&self) -> usize {
        let tracks: Vec<_> = self.lock().tracks.values().cloned().collect();
        tracks.iter().chain([&self.audio]).map(|track| track.lock().history.bytes()).sum()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Track ===

impl Track {
    fn new(
        key: TrackKey,
        id: TrackId,
        codec: Codec,
        channel: Arc<str>,
        rendition: Arc<str>,
    ) -> Self {
        Self {
            key,
            id,
            codec,
            channel,
            rendition,
            state: Mutex::default(),
            interest: AtomicU64::new(0),
            viewers: AtomicU32::new(0),
            rate_bps: AtomicU64::new(0),
            last_ms: AtomicU64::new(0),
            started: Instant::now(),
        }
    }

    pub fn is_audio(&self) -> bool {
        self.id == TrackId::AUDIO
    }

    /// Numbers a burst and puts it into the history.
    pub fn publish(&self, builder: &mut BurstBuilder, unnumbered: &Unnumbered) -> Arc<Burst> {
        let mut state = self.lock();
        let burst = Arc::new(builder.finish(BurstInfo {
            track: self.key,
            index: state.history.next_index(),
            position: state.next_position,
            time: unnumbered.time,
            capture_us: unnumbered.capture_us,
            keyframe: unnumbered.keyframe,
            gap: unnumbered.gap,
            arrived: unnumbered.arrived,
        }));
        state.next_position = burst.positions().end;
        if burst.keyframe {
            state.requests.handle_keyframe();
        }
        let rate = state.measure(burst.bytes(), unnumbered.arrived);
        state.history.push(burst.clone());
        drop(state);
        if let Some(rate) = rate {
            let before = self.rate_bps.load(Ordering::Relaxed);
            let smooth = if before == 0 { rate } else { (before + rate) / 2 };
            self.rate_bps.store(smooth, Ordering::Relaxed);
        }
        self.last_ms.store(self.millis(unnumbered.arrived).max(1), Ordering::Release);
        burst
    }

    /// A worker was replaced: what comes now doesn't follow what came.
    pub fn handle_restart(&self) {
        self.lock().history.clear_gop();
    }

    /// How to start a viewer who has waited since `since`. The flag says whether an encoder is
    /// to be asked for a keyframe.
    pub fn plan_start(&self, since: Instant, now: Instant) -> (Start, bool) {
        let mut state = self.lock();
        let gop = state.history.gop();
        state.requests.plan(gop, since, now)
    }

    /// The same for a viewer who has other pictures meanwhile: a fresh keyframe is worth the
    /// wait.
    pub fn plan_switch(&self, since: Instant, now: Instant) -> (Start, bool) {
        let mut state = self.lock();
        let gop = state.history.gop().filter(|_| super::gop::patience_is_over(since, now));
        state.requests.plan(gop, since, now)
    }

    pub fn burst(&self, index: u64) -> Option<Arc<Burst>> {
        self.lock().history.get(index).cloned()
    }

    pub fn at_position(&self, position: u64) -> Option<Arc<Burst>> {
        self.lock().history.at_position(position).cloned()
    }

    /// The newest burst.
    pub fn last(&self) -> Option<Arc<Burst>> {
        self.lock().history.last().cloned()
    }

    pub fn is_running(&self, now: Instant) -> bool {
        let last = self.last_ms.load(Ordering::Acquire);
        last != 0 && self.millis(now).saturating_sub(last) < RUNNING.as_millis() as u64
    }

    /// Measured rate; None while it isn't running or too young to tell.
    pub fn rate(&self, now: Instant) -> Option<BitsPerSecond> {
        let rate = self.rate_bps.load(Ordering::Relaxed);
        (rate != 0 && self.is_running(now)).then_some(BitsPerSecond(rate))
    }

    pub fn interest(&self) -> u64 {
        self.interest.load(Ordering::Acquire)
    }

    pub fn set_interest(&self, shard: usize, interested: bool) {
        if interested {
            self.interest.fetch_or(1 << shard, Ordering::AcqRel);
        } else {
            self.interest.fetch_and(!(1 << shard), Ordering::AcqRel);
        }
    }

    /// Viewers who have it or wait for it, in all shards.
    pub fn demand(&self) -> u32 {
        self.viewers.load(Ordering::Acquire)
    }

    pub fn add_viewer(&self) {
        self.viewers.fetch_add(1, Ordering::AcqRel);
    }

    pub fn remove_viewer(&self) {
        self.viewers.fetch_sub(1, Ordering::AcqRel);
    }

    fn millis(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.started).as_millis() as u64
    }

    fn lock(&self) -> MutexGuard<'_, TrackState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl TrackState ===

impl TrackState {
    /// Counts a burst; gives the rate when a window is full.
    fn measure(&mut self, bytes: usize, now: Instant) -> Option<u64> {
        let window = self.window.get_or_insert(RateWindow { since: now, bytes: 0 });
        let elapsed = now.saturating_duration_since(window.since);
        let mut rate = None;
        if elapsed >= RATE_WINDOW {
            // A pause isn't a rate.
            if elapsed < RATE_WINDOW * 4 {
                rate = Some((window.bytes as f64 * 8.0 / elapsed.as_secs_f64()) as u64);
            }
            *window = RateWindow { since: now, bytes: 0 };
        }
        window.bytes += bytes as u64;
        rate
    }
}
