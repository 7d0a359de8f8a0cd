//! A fan-out with one channel, and what tests ask of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use stentor::fanout::transport::Certificate;
use stentor::fanout::{ChannelFeed, Fanout, FanoutConfig, FanoutEvent, Rendition, RenditionChoice};
use stentor::telemetry::fanout::FanoutMetrics;
use stentor_protocol::{BitsPerSecond, Codec, Resolution, TrackId};
use tokio::sync::mpsc;

use crate::feeder::{Feeder, Rung, media_socket};
use crate::viewer::Viewer;

const HIGH: Rung = Rung { track: 1, packets: 5 };
const LOW: Rung = Rung { track: 2, packets: 1 };
pub const DEADLINE: Duration = Duration::from_secs(10);

/// A fan-out with one channel, named "one".
pub struct World {
    pub fanout: Fanout,
    pub events: mpsc::Receiver<FanoutEvent>,
    pub feed: ChannelFeed,
    pub seen: Vec<FanoutEvent>,
}

impl World {
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut FanoutConfig)) -> Self {
        let certificate = Arc::new(Certificate::generate().unwrap());
        let mut config = FanoutConfig { shards: 2, ..FanoutConfig::new(certificate) };
        change(&mut config);
        let metrics = FanoutMetrics::register(&prometheus::Registry::new()).unwrap();
        let (fanout, events) = Fanout::start(config, metrics).unwrap();
        let feed = fanout.open_channel("one");
        feed.set_renditions(vec![rendition(1, "high", 1500), rendition(2, "low", 250)]);
        Self { fanout, events, feed, seen: Vec::new() }
    }

    pub fn feed(&self, clock: u32, gop: u32) -> Feeder {
        let (daemon, worker) = media_socket();
        self.feed.attach(daemon);
        Feeder::start(worker, &[HIGH, LOW], clock, gop)
    }

    /// Reads events until one fits.
    pub async fn event(&mut self, fits: impl Fn(&FanoutEvent) -> bool) -> FanoutEvent {
        let deadline = tokio::time::Instant::now() + DEADLINE;
        loop {
            let event = tokio::time::timeout_at(deadline, self.events.recv()).await;
            let event = event.expect("event comes in time").expect("fan-out runs");
            self.seen.push(event.clone());
            if fits(&event) {
                return event;
            }
        }
    }

    pub fn drain_events(&mut self) {
        while let Ok(event) = self.events.try_recv() {
            self.seen.push(event);
        }
    }

    pub fn keyframes_wanted(&mut self) -> usize {
        self.drain_events();
        self.seen.iter().filter(|e| matches!(e, FanoutEvent::KeyframeWanted { .. })).count()
    }
}

pub fn rendition(track: u16, name: &str, kbps: u64) -> Rendition {
    Rendition {
        track: TrackId(track),
        name: name.into(),
        codec: Codec::H264,
        resolution: Resolution::new(1280, 720),
        bitrate: BitsPerSecond::from_kilo(kbps),
        pass_through: false,
    }
}

pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub fn pinned(name: &str) -> RenditionChoice {
    RenditionChoice::Pinned(name.into())
}

/// Sequence numbers without a hole or a repetition, timestamps that rise from frame to frame,
/// whole frames that begin with a keyframe.
pub fn assert_continuous(viewer: &Viewer) {
    let video = viewer.sorted_video();
    for pair in video.windows(2) {
        let (a, b) = (pair[0], pair[1]);
        assert_eq!(b.sequence, a.sequence + 1, "{a:?} {b:?}");
        if a.marker {
            assert!(b.timestamp > a.timestamp, "{a:?} {b:?}");
        } else {
            assert_eq!(b.timestamp, a.timestamp, "{a:?} {b:?}");
        }
    }
    let first = video[0].mark.unwrap();
    assert!(first.keyframe && first.packet == 0, "{first:?}");
}
