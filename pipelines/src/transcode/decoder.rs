//! The channel's one decoder, as the program's thread sees it: when it runs, on what, and what is
//! done about it when it fails.

use std::sync::Arc;

use stentor_hardware::{Choice, Failed, Refusal, Task};
use stentor_protocol::control::VideoFormat;
use stentor_protocol::{Codec, Resolution};

use crate::output::Outlet;
use crate::program::Placed;
use crate::program::time::ProgramTime;
use crate::transcode::decode::{Decode, UnitFeed};
use crate::transcode::ladder::Ladder;
use crate::transcode::machine::Machine;
use crate::transcode::recovery::{Recovery, Step};
use crate::transcode::stage::{Reports, Stage, StageFault, spawn};

/// A source that no decoder gets on with is tried again after this long, in ms.
const PAUSE_MS: u64 = 5_000;

pub struct ChannelDecoder {
    machine: Arc<Machine>,
    outlet: Arc<Outlet>,
    reports: Reports,
    ladder: Arc<Ladder>,
    source: Option<(Codec, Resolution)>,
    running: Option<Running>,
    recovery: Recovery,
    failed: Vec<Failed>,
    not_before: ProgramTime,
    incarnation: u64,
}

struct Running {
    feed: Arc<UnitFeed>,
    choice: Choice,
    /// Units were dropped: only a keyframe may come next.
    broken: bool,
}

// === impl ChannelDecoder ===

impl ChannelDecoder {
    pub fn new(
        machine: Arc<Machine>,
        outlet: Arc<Outlet>,
        reports: Reports,
        ladder: Arc<Ladder>,
    ) -> Self {
        Self {
            machine,
            outlet,
            reports,
            ladder,
            source: None,
            running: None,
            recovery: Recovery::default(),
            failed: Vec::new(),
            not_before: ProgramTime::default(),
            incarnation: 0,
        }
    }

    pub fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Where the pictures are decoded, or will be.
    pub fn choice(&self) -> Option<Choice> {
        let (codec, _) = self.source?;
        self.place(codec).ok()
    }

    pub fn handle_format(&mut self, format: &VideoFormat) {
        let codec = self.source.map(|(codec, _)| codec);
        self.source = Some((format.codec, format.resolution));
        if codec.is_some_and(|codec| codec != format.codec) {
            self.stop();
            self.failed.clear();
            self.recovery = Recovery::default();
        }
    }

    /// A unit of the source; `cached` is what came since its last keyframe, this one included.
    /// Starts the decoder where it doesn't run. Gives whether it can't go on without a keyframe.
    pub fn handle_unit(&mut self, placed: &Placed, cached: &[Placed], now: ProgramTime) -> bool {
        let Some(running) = &mut self.running else { return self.start(cached, now) };
        if running.broken && !placed.unit.keyframe {
            return true;
        }
        running.broken = !running.feed.push(placed.clone(), now);
        if running.broken {
            // Late pictures would only stay late.
            let dropped = running.feed.units.clear() as u64 + 1;
            crate::stats::Meters::add(&self.outlet.meters.frames_dropped, dropped);
        }
        running.broken
    }

    /// Gives whether it can't be started for want of a keyframe.
    pub fn start(&mut self, cached: &[Placed], now: ProgramTime) -> bool {
        let Some((codec, resolution)) = self.source else { return false };
        if self.running.is_some() || now < self.not_before {
            return false;
        }
        if cached.is_empty() {
            return true;
        }
        let task = Task { failed: &self.failed, ..Task::decode(codec) };
        let choice = match self.machine.choose(None, &task) {
            Ok(choice) => choice,
            Err(reason) => {
                tracing::error!(%reason, "the source can't be decoded");
                self.not_before = now.plus_ms(PAUSE_MS);
                return false;
            }
        };
        self.incarnation += 1;
        let feed = Arc::new(UnitFeed::new(cached.len()));
        let decode = Decode {
            codec,
            resolution,
            choice: choice.clone(),
            cached: cached.to_vec(),
            feed: Arc::clone(&feed),
            ladder: Arc::clone(&self.ladder),
            outlet: Arc::clone(&self.outlet),
            reports: Arc::clone(&self.reports),
        };
        self.running = Some(Running { feed, choice, broken: false });
        let spawned = spawn(Stage::Decoder, self.incarnation, &self.reports, move || decode.run());
        if let Err(fault) = spawned {
            self.handle_fault(self.incarnation, &fault, now);
        }
        false
    }

    pub fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.feed.units.close();
            running.feed.units.clear();
            self.outlet.meters.set_decoder("");
        }
    }

    pub fn handle_time(&mut self, now: ProgramTime) {
        let stalled = |running: &Running| running.feed.pulse.has_stopped(now);
        if self.running.as_ref().is_some_and(stalled) {
            self.handle_fault(self.incarnation, &StageFault::Stalled, now);
        }
    }

    /// The next unit starts another, on the backend that is decided here.
    pub fn handle_fault(&mut self, incarnation: u64, fault: &StageFault, now: ProgramTime) {
        if incarnation != self.incarnation {
            return;
        }
        let Some(running) = self.running.take() else { return };
        running.feed.units.close();
        tracing::warn!(%fault, backend = running.choice.backend.as_str(), "the decoder failed");
        let Some((codec, _)) = self.source else { return };
        let this = Failed {
            backend: running.choice.backend,
            device: running.choice.device.clone(),
            reason: fault.to_string(),
        };
        self.failed.push(this.clone());
        let other = self.place(codec);
        match self.recovery.handle_failure(now, fault.is_open(), other.is_err()) {
            Step::Rebuild(at) => {
                self.failed.pop();
                self.not_before = at;
            }
            Step::FallBack => {
                if let Ok(other) = other {
                    self.machine.tell(None, this.backend, other.backend, &this.reason);
                }
            }
            Step::GiveUp => {
                self.failed.pop();
                self.not_before = now.plus_ms(PAUSE_MS);
            }
        }
    }

    fn place(&self, codec: Codec) -> Result<Choice, Refusal> {
        self.machine.place(&Task { failed: &self.failed, ..Task::decode(codec) })
    }
}

impl Drop for ChannelDecoder {
    fn drop(&mut self) {
        self.stop();
    }
}
