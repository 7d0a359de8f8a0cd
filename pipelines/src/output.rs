//! A rung's way out, which several producers take turns at: the source's own units, an encoder,
//! the encoder that replaces it, the slate's.
//!
//! Whoever takes over gets a turn, and what an earlier turn still sends goes nowhere: an encoder
//! that hung and wakes up disturbs nobody.
//!
//! One lock, `inner`, held while a unit is packetised and handed to the socket, which never
//! blocks. Events are sent after it is released.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stentor_protocol::control::{Event, RungStats};
use stentor_protocol::{Backend, Codec, Resolution, TrackId};

use crate::control::Events;
use crate::media::{MediaSocket, Sent, TrackSender};
use crate::packetise::{NoFormat, Unit};
use crate::program::time::{ProgramTime, WallClock};
use crate::stats::Meters;

/// What everything that produces has in common: where it tells, sends and counts.
#[derive(Debug)]
pub struct Outlet {
    pub events: Events,
    pub socket: Arc<MediaSocket>,
    pub wall: WallClock,
    pub meters: Meters,
}

/// The output of one video rung.
#[derive(Debug)]
pub struct Output {
    track: TrackId,
    outlet: Arc<Outlet>,
    inner: Mutex<Inner>,
    totals: Totals,
}

#[derive(Debug)]
struct Inner {
    turn: Turn,
    sender: TrackSender,
    producer: Producer,
    /// What the daemon was last told of.
    told: Option<Producer>,
    last_ticks: i64,
}

#[derive(Debug, Default)]
struct Totals {
    frames: AtomicU64,
    keyframes: AtomicU64,
    bytes: AtomicU64,
    encode_ns: AtomicU64,
    scale_ns: AtomicU64,
}

/// The right to send, until the next one is given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn(u64);

/// Who sends, as the daemon is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Producer {
    /// None where nothing is encoded.
    pub backend: Option<Backend>,
    /// FFmpeg's name for the encoder; empty where nothing is encoded.
    pub encoder: String,
    pub resolution: Resolution,
}

/// A coded picture.
#[derive(Debug, Clone, Copy)]
pub struct Coded<'a> {
    pub data: &'a [u8],
    /// Program time in 90 kHz ticks.
    pub ticks: i64,
    pub keyframe: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Emitted {
    Sent,
    /// Not this producer's turn any more.
    Stale,
    /// Not sent, and nothing will be before a keyframe.
    WaitsForKeyframe,
}

// === impl Output ===

impl Output {
    pub fn new(outlet: &Arc<Outlet>, track: TrackId, codec: Codec) -> Result<Self, NoFormat> {
        let nobody =
            Producer { backend: None, encoder: String::new(), resolution: Resolution::new(0, 0) };
        Ok(Self {
            track,
            outlet: Arc::clone(outlet),
            inner: Mutex::new(Inner {
                turn: Turn(0),
                sender: TrackSender::new(&outlet.socket, track, codec)?,
                producer: nobody,
                told: None,
                last_ticks: i64::MIN,
            }),
            totals: Totals::default(),
        })
    }

    pub fn track(&self) -> TrackId {
        self.track
    }

    /// Gives out the turn: from now on nobody else's units are sent.
    pub fn take_over(&self) -> Turn {
        let mut inner = self.lock();
        inner.turn.0 += 1;
        inner.turn
    }

    /// Says who has the turn. Gives false where it is over.
    #[must_use]
    pub fn announce(&self, turn: Turn, producer: Producer) -> bool {
        let mut inner = self.lock();
        let current = inner.turn == turn;
        if current {
            inner.producer = producer;
        }
        current
    }

    /// Ends the turn that is: nobody's units are sent.
    pub fn silence(&self) {
        self.lock().turn.0 += 1;
    }

    pub fn emit(&self, turn: Turn, coded: Coded<'_>) -> Emitted {
        let time = ProgramTime::from_video_ticks(coded.ticks);
        let mut inner = self.lock();
        if inner.turn != turn {
            return Emitted::Stale;
        }
        // Across a change of producer only: each is in order by itself.
        let ticks = coded.ticks.max(inner.last_ticks.saturating_add(1));
        let sent = inner.sender.send(Unit {
            data: coded.data,
            timestamp: ticks as u32,
            keyframe: coded.keyframe,
            capture_unix_us: self.outlet.wall.unix_us(time),
        });
        if sent == Sent::WaitsForKeyframe {
            return Emitted::WaitsForKeyframe;
        }
        inner.last_ticks = ticks;
        let news = (inner.told.as_ref() != Some(&inner.producer)).then(|| inner.producer.clone());
        if news.is_some() {
            inner.told.clone_from(&news);
        }
        drop(inner);

        self.totals.frames.fetch_add(1, Relaxed);
        self.totals.keyframes.fetch_add(u64::from(coded.keyframe), Relaxed);
        self.totals.bytes.fetch_add(coded.data.len() as u64, Relaxed);
        self.outlet.meters.record_latency(ProgramTime::now().since_ns(time));
        if let Some(Producer { backend, encoder, resolution }) = news {
            tracing::info!(track = %self.track, ?backend, encoder, %resolution, "rung started");
            let track = self.track;
            self.outlet.events.send(Event::RungStarted { track, backend, encoder, resolution });
        }
        Emitted::Sent
    }

    pub fn meters(&self) -> &Meters {
        &self.outlet.meters
    }

    pub fn record_work(&self, scale_ns: u64, encode_ns: u64) {
        self.totals.scale_ns.fetch_add(scale_ns, Relaxed);
        self.totals.encode_ns.fetch_add(encode_ns, Relaxed);
    }

    pub fn stats(&self) -> RungStats {
        let backend = self.lock().producer.backend;
        let totals = &self.totals;
        RungStats {
            track: self.track,
            backend,
            frames: totals.frames.load(Relaxed),
            keyframes: totals.keyframes.load(Relaxed),
            bytes: totals.bytes.load(Relaxed),
            encode_seconds: totals.encode_ns.load(Relaxed) as f64 / 1e9,
            scale_seconds: totals.scale_ns.load(Relaxed) as f64 / 1e9,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
