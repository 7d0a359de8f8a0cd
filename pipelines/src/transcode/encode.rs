//! The body of a rung's thread: pictures in, packets out.

use std::sync::Arc;

use stentor_hardware::{Choice, EncoderConfig, RungEncoder};
use stentor_protocol::BitsPerSecond;

use crate::fault;
use crate::output::{Coded, Emitted, Output, Producer, Turn};
use crate::program::time::ProgramTime;
use crate::stats::Meters;
use crate::transcode::ladder::{Feed, Ladder, Work};
use crate::transcode::stage::StageFault;

/// What a rung's thread works with.
pub struct Encode {
    pub config: EncoderConfig,
    pub choice: Choice,
    pub feed: Arc<Feed>,
    pub ladder: Arc<Ladder>,
    pub output: Arc<Output>,
    pub turn: Turn,
}

/// Totals of an encoder at the last look.
#[derive(Default)]
struct Seen {
    scale: f64,
    encode: f64,
    bus_bytes: u64,
}

// === impl Encode ===

impl Encode {
    /// Encodes until the feed is closed or someone else has the turn.
    pub fn run(self) -> Result<(), StageFault> {
        let mut encoder = RungEncoder::open(self.config, &self.choice)?;
        let producer = Producer {
            backend: Some(encoder.backend()),
            encoder: encoder.name().to_owned(),
            resolution: self.config.resolution,
        };
        if !self.output.announce(self.turn, producer) {
            return Ok(());
        }
        self.feed.pulse.opened(ProgramTime::now());
        let mut seen = Seen::default();
        while let Some(Work { frame, force_keyframe }) = self.feed.frames.pop() {
            if let Some(bitrate) = self.feed.take_bitrate() {
                encoder.set_bitrate(BitsPerSecond(bitrate));
            }
            let mut units = encoder.encode(&frame, force_keyframe)?;
            drop(frame);
            if fault::strikes_encoder(self.output.track()) {
                units.clear();
            }
            self.record(&encoder, &mut seen);
            if !units.is_empty() {
                self.feed.pulse.gave();
            }
            for unit in units {
                let coded = Coded { data: &unit.data, ticks: unit.pts, keyframe: unit.keyframe };
                match self.output.emit(self.turn, coded) {
                    Emitted::Sent => {}
                    Emitted::Stale => return Ok(()),
                    Emitted::WaitsForKeyframe => self.ladder.want_keyframe(),
                }
            }
        }
        Ok(())
    }

    fn record(&self, encoder: &RungEncoder, seen: &mut Seen) {
        let new = Seen {
            scale: encoder.scale_seconds(),
            encode: encoder.encode_seconds(),
            bus_bytes: encoder.bus_bytes(),
        };
        let ns = |seconds: f64| (seconds * 1e9) as u64;
        self.output.record_work(ns(new.scale - seen.scale), ns(new.encode - seen.encode));
        Meters::add(&self.output.meters().bus_bytes, new.bus_bytes - seen.bus_bytes);
        *seen = new;
    }
}
