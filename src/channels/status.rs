//! What is known of a channel, in the shape that the API gives it.

use std::collections::VecDeque;
use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;
use stentor_protocol::control::{AudioFormat, SourceState, VideoFormat};
use stentor_protocol::spec::{Backend, Codec, SourceSpec};
use stentor_protocol::units::{BitsPerSecond, FrameRate, Resolution};

use super::meter::RungRate;
use super::rungs::{Entry, RungState};
use super::settings::{ChannelSettings, Rung};

/// Fall-backs that a channel remembers.
const MAX_FALLBACKS: usize = 16;

#[derive(Debug, Clone, Serialize)]
pub struct ChannelStatus {
    pub name: String,
    /// From the configuration file: the API can't change it.
    #[serde(rename = "static")]
    pub is_static: bool,
    /// Without secrets.
    pub source: SourceSpec,
    pub ladder: Option<Vec<Rung>>,
    pub state: ChannelState,
    /// Why it is in that state, where that needs a word.
    pub reason: Option<String>,
    pub source_state: Option<SourceState>,
    pub source_detail: String,
    pub format: Option<Format>,
    pub renditions: Vec<RenditionStatus>,
    pub viewers: usize,
    pub worker: WorkerStatus,
    /// The latest ones, oldest first.
    pub fallbacks: VecDeque<Fallback>,
    /// From capture to the packets' hand-over, in the worker.
    pub latency_ms: Option<f64>,
    /// What the source sends, in bits per second.
    pub bitrate: Option<u64>,
    /// Path of the latest picture; changes with it.
    pub thumbnail: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChannelState {
    Starting,
    Running,
    Restarting,
    Refused,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Format {
    pub video: Option<VideoFormat>,
    pub audio: Option<AudioFormat>,
}

#[derive(Debug, Clone, Serialize)]
pub struct RenditionStatus {
    pub name: String,
    pub codec: Codec,
    pub resolution: Resolution,
    /// None: the source's.
    pub frame_rate: Option<FrameRate>,
    /// Target.
    pub bitrate: BitsPerSecond,
    pub measured_bitrate: Option<u64>,
    /// Encoding of one frame, lately.
    pub encode_ms: Option<f64>,
    pub pass_through: bool,
    pub state: &'static str,
    pub viewers: u32,
    pub backend: Option<Backend>,
    pub encoder: Option<String>,
    pub error: Option<String>,
}

#[derive(Debug, Clone, Serialize)]
pub struct WorkerStatus {
    /// None between two workers.
    pub pid: Option<u32>,
    pub restarts: u64,
    #[serde(rename = "uptime_seconds", serialize_with = "uptime")]
    pub since: Option<Instant>,
}

#[derive(Debug, Clone, Serialize)]
pub struct Fallback {
    #[serde(serialize_with = "crate::rfc3339::serialize")]
    pub at: SystemTime,
    pub rendition: Option<String>,
    pub from: Backend,
    pub to: Backend,
    pub reason: String,
}

/// A total that grows, as a rate.
#[derive(Debug, Default, Clone, Copy)]
pub struct RateMeter {
    last: Option<(Instant, u64)>,
    rate: Option<u64>,
}

fn uptime<S: serde::Serializer>(since: &Option<Instant>, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_f64(since.map_or(Duration::ZERO, |at| at.elapsed()).as_secs_f64())
}

// === impl ChannelStatus ===

impl ChannelStatus {
    pub fn new(name: &str, is_static: bool, settings: &ChannelSettings) -> Self {
        let mut status = Self {
            name: name.to_owned(),
            is_static,
            source: settings.source.clone(),
            ladder: None,
            state: ChannelState::Starting,
            reason: None,
            source_state: None,
            source_detail: String::new(),
            format: None,
            renditions: Vec::new(),
            viewers: 0,
            worker: WorkerStatus { pid: None, restarts: 0, since: None },
            fallbacks: VecDeque::new(),
            latency_ms: None,
            bitrate: None,
            thumbnail: None,
        };
        status.set_settings(settings);
        status
    }

    pub fn set_settings(&mut self, settings: &ChannelSettings) {
        let shown = settings.redacted();
        self.source = shown.source;
        self.ladder = shown.ladder;
    }

    /// What only a running worker can tell is no longer so.
    pub fn forget_worker(&mut self) {
        self.worker.pid = None;
        self.worker.since = None;
        self.source_state = None;
        self.source_detail.clear();
        self.latency_ms = None;
        self.bitrate = None;
    }

    pub fn add_fallback(&mut self, fallback: Fallback) {
        if self.fallbacks.len() == MAX_FALLBACKS {
            self.fallbacks.pop_front();
        }
        self.fallbacks.push_back(fallback);
    }
}

// === impl RenditionStatus ===

impl RenditionStatus {
    pub fn of(entry: &Entry, measured: Option<RungRate>) -> Self {
        let measured = measured.filter(|_| entry.state == RungState::Running);
        let encoded = measured.filter(|_| !entry.planned.is_pass_through());
        Self {
            name: entry.planned.name.clone(),
            codec: entry.planned.codec,
            resolution: entry.planned.resolution,
            frame_rate: entry.planned.frame_rate,
            bitrate: entry.planned.bitrate,
            measured_bitrate: measured.and_then(|m| m.bitrate),
            encode_ms: encoded.and_then(|m| m.encode_ms),
            pass_through: entry.planned.is_pass_through(),
            state: entry.state.as_str(),
            viewers: entry.viewers,
            backend: entry.backend,
            encoder: entry.encoder.clone(),
            error: entry.error.clone(),
        }
    }
}

// === impl RateMeter ===

impl RateMeter {
    /// Takes the total in bytes as it stands; gives bits per second.
    pub fn handle_total(&mut self, bytes: u64, now: Instant) -> Option<u64> {
        if let Some((at, before)) = self.last {
            let seconds = now.duration_since(at).as_secs_f64();
            if seconds < 0.2 {
                return self.rate;
            }
            self.rate = bytes.checked_sub(before).map(|b| (b as f64 * 8.0 / seconds) as u64);
        }
        self.last = Some((now, bytes));
        self.rate
    }

    pub fn rate(&self) -> Option<u64> {
        self.rate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_total_that_grows_is_a_rate_and_one_that_starts_anew_is_none() {
        let t0 = Instant::now();
        let mut meter = RateMeter::default();
        assert_eq!(meter.handle_total(1000, t0), None);
        assert_eq!(meter.handle_total(2000, t0 + Duration::from_secs(1)), Some(8000));
        assert_eq!(meter.handle_total(500, t0 + Duration::from_secs(2)), None);
    }
}
