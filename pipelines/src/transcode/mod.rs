//! Decode once, encode each rung.
//!
//! The decoder and every rung have a thread each, started only while they are needed; the
//! program's thread owns what is here, watches them, and waits for none. Pictures go from the
//! decoder to the rungs through the [`ladder`].

mod decode;
mod decoder;
mod encode;
mod keyframes;
mod ladder;
mod machine;
mod pace;
mod pulse;
mod recovery;
mod rung;
mod stage;

use std::collections::BTreeMap;
use std::sync::Arc;

use stentor_hardware::{Choice, Frame};
use stentor_protocol::control::{Event, RungStats, VideoFormat};
use stentor_protocol::{BitsPerSecond, TrackId};

use crate::output::{Outlet, Output};
use crate::program::Placed;
use crate::program::time::ProgramTime;
use crate::thumbnails::Thumbnails;

use decoder::ChannelDecoder;
use ladder::Ladder;
use rung::{Hopeless, Rung};

pub use decode::SHORT_GROUP;
pub use machine::Machine;
pub use rung::RungPlan;
pub use stage::{Reports, Stage, StageEnd, StageFault};

pub struct Transcode {
    machine: Arc<Machine>,
    outlet: Arc<Outlet>,
    reports: Reports,
    ladder: Arc<Ladder>,
    decoder: ChannelDecoder,
    rungs: BTreeMap<TrackId, Rung>,
}

// === impl Transcode ===

impl Transcode {
    pub fn new(
        machine: Arc<Machine>,
        outlet: Arc<Outlet>,
        reports: Reports,
        thumbnails: Arc<Thumbnails>,
    ) -> Self {
        let ladder = Arc::new(Ladder::new(thumbnails));
        let decoder = ChannelDecoder::new(
            Arc::clone(&machine),
            Arc::clone(&outlet),
            Arc::clone(&reports),
            Arc::clone(&ladder),
        );
        Self { machine, outlet, reports, ladder, decoder, rungs: BTreeMap::new() }
    }

    pub fn contains(&self, track: TrackId) -> bool {
        self.rungs.contains_key(&track)
    }

    /// Where the source's pictures are decoded.
    pub fn decoder_choice(&self) -> Option<Choice> {
        self.decoder.choice()
    }

    pub fn decodes(&self) -> bool {
        self.decoder.is_running()
    }

    pub fn start(&mut self, plan: RungPlan, output: Arc<Output>) {
        let track = output.track();
        let slate_only = plan.slate_only;
        let near = self.decoder.choice();
        let started =
            Rung::start(plan, output, near.as_ref(), &self.machine, &self.ladder, &self.reports);
        match started {
            Ok(rung) => {
                self.rungs.insert(track, rung);
            }
            Err(hopeless) => self.give_up(track, slate_only, hopeless),
        }
    }

    /// Gives whether there was such a rung.
    pub fn stop(&mut self, track: TrackId) -> bool {
        let was = self.rungs.remove(&track).is_some();
        if !self.needs_decoder() {
            self.decoder.stop();
        }
        was
    }

    pub fn set_bitrate(&mut self, track: TrackId, bitrate: BitsPerSecond) {
        if let Some(rung) = self.rungs.get_mut(&track) {
            rung.set_bitrate(bitrate);
        }
    }

    /// A keyframe in all encoded rungs, soon.
    pub fn want_keyframe(&self) {
        self.ladder.want_keyframe();
    }

    pub fn handle_format(&mut self, format: &VideoFormat) {
        self.decoder.handle_format(format);
    }

    /// A unit of the source that is shown; see [`ChannelDecoder::handle_unit`].
    pub fn handle_unit(&mut self, placed: &Placed, cached: &[Placed], now: ProgramTime) -> bool {
        self.needs_decoder() && self.decoder.handle_unit(placed, cached, now)
    }

    /// Starts the decoder, where a rung needs it, without waiting for the source's next unit.
    /// Gives whether it takes a keyframe first.
    pub fn catch_up(&mut self, cached: &[Placed], now: ProgramTime) -> bool {
        self.needs_decoder() && self.decoder.start(cached, now)
    }

    pub fn handle_slate(&self, frame: &Frame) {
        self.ladder.present(frame, false, &self.outlet.meters);
    }

    pub fn handle_stage_end(&mut self, end: StageEnd, now: ProgramTime) {
        match end.stage {
            Stage::Decoder => self.decoder.handle_fault(end.incarnation, &end.fault, now),
            Stage::Rung(track) => {
                let Some(rung) = self.rungs.get_mut(&track) else { return };
                let result = rung.handle_fault(end.incarnation, &end.fault, now);
                self.settle(track, result);
            }
        }
    }

    pub fn handle_time(&mut self, now: ProgramTime) {
        self.decoder.handle_time(now);
        let tracks: Vec<TrackId> = self.rungs.keys().copied().collect();
        for track in tracks {
            let Some(rung) = self.rungs.get_mut(&track) else { continue };
            let result = rung.handle_time(now);
            self.settle(track, result);
        }
    }

    /// Of the rungs that are encoded from the source.
    pub fn stats(&self) -> impl Iterator<Item = RungStats> {
        self.rungs.values().filter(|rung| !rung.plan().slate_only).map(|r| r.output().stats())
    }

    fn needs_decoder(&self) -> bool {
        self.rungs.values().any(|rung| !rung.plan().slate_only)
    }

    fn settle(&mut self, track: TrackId, result: Result<(), Hopeless>) {
        let Err(hopeless) = result else { return };
        let slate_only = self.rungs.get(&track).is_some_and(|rung| rung.plan().slate_only);
        self.stop(track);
        self.give_up(track, slate_only, hopeless);
    }

    fn give_up(&self, track: TrackId, slate_only: bool, Hopeless(reason): Hopeless) {
        tracing::error!(%track, reason, slate_only, "the encoder is given up");
        if !slate_only {
            self.outlet.events.send(Event::RungFailed { track, reason });
        }
    }
}
