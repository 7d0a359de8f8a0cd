//! One encoded rung, as the program's thread sees it: its thread, and what is done about it when
//! it fails.

use std::sync::Arc;

use stentor_hardware::{Choice, EncoderConfig, Failed, Task};
use stentor_protocol::{BitsPerSecond, FrameRate};

use crate::output::Output;
use crate::program::time::ProgramTime;
use crate::stats::Meters;
use crate::transcode::encode::Encode;
use crate::transcode::ladder::{Feed, Ladder};
use crate::transcode::machine::Machine;
use crate::transcode::recovery::{Recovery, Step};
use crate::transcode::stage::{Reports, Stage, StageFault, spawn};

/// What a rung is to be.
#[derive(Debug, Clone)]
pub struct RungPlan {
    pub config: EncoderConfig,
    /// Fewer frames than the source's; None takes all.
    pub frame_rate: Option<FrameRate>,
    /// Stands in for a passed-through source while the slate is shown: needs no decoder.
    pub slate_only: bool,
}

pub struct Rung {
    plan: RungPlan,
    output: Arc<Output>,
    machine: Arc<Machine>,
    ladder: Arc<Ladder>,
    reports: Reports,
    choice: Choice,
    feed: Arc<Feed>,
    incarnation: u64,
    recovery: Recovery,
    failed: Vec<Failed>,
    /// When the next thread is started; None while one runs.
    restart_at: Option<ProgramTime>,
}

/// The rung is beyond help.
#[derive(Debug)]
pub struct Hopeless(pub String);

// === impl Rung ===

impl Rung {
    pub fn start(
        plan: RungPlan,
        output: Arc<Output>,
        near: Option<&Choice>,
        machine: &Arc<Machine>,
        ladder: &Arc<Ladder>,
        reports: &Reports,
    ) -> Result<Self, Hopeless> {
        let task = Task { near, ..Task::encode(plan.config.codec) };
        let choice = machine
            .choose(Some(output.track()), &task)
            .map_err(|refusal| Hopeless(refusal.to_string()))?;
        let mut rung = Self {
            plan,
            output,
            machine: Arc::clone(machine),
            ladder: Arc::clone(ladder),
            reports: Arc::clone(reports),
            choice,
            feed: Arc::default(),
            incarnation: 0,
            recovery: Recovery::default(),
            failed: Vec::new(),
            restart_at: None,
        };
        match rung.launch() {
            Ok(()) => Ok(rung),
            Err(fault) => Err(Hopeless(fault.to_string())),
        }
    }

    pub fn plan(&self) -> &RungPlan {
        &self.plan
    }

    pub fn output(&self) -> &Arc<Output> {
        &self.output
    }

    pub fn set_bitrate(&mut self, bitrate: BitsPerSecond) {
        self.plan.config.bitrate = bitrate;
        self.feed.set_bitrate(bitrate.0);
    }

    /// Watches the thread, and starts one whose time has come.
    pub fn handle_time(&mut self, now: ProgramTime) -> Result<(), Hopeless> {
        if self.restart_at.is_some_and(|at| now >= at) {
            if let Err(fault) = self.launch() {
                return self.handle_fault(self.incarnation, &fault, now);
            }
        } else if self.restart_at.is_none() && self.feed.pulse.has_stopped(now) {
            return self.handle_fault(self.incarnation, &StageFault::Stalled, now);
        }
        Ok(())
    }

    pub fn handle_fault(
        &mut self,
        incarnation: u64,
        fault: &StageFault,
        now: ProgramTime,
    ) -> Result<(), Hopeless> {
        if incarnation != self.incarnation || self.restart_at.is_some() {
            return Ok(());
        }
        let track = self.output.track();
        let from = self.choice.backend;
        tracing::warn!(%track, %fault, backend = from.as_str(), "the encoder failed");
        // Whatever the thread still does is of no account.
        self.retire();
        let reason = fault.to_string();
        let device = self.choice.device.clone();
        self.failed.push(Failed { backend: from, device, reason: reason.clone() });
        let task = Task { failed: &self.failed, ..Task::encode(self.plan.config.codec) };
        let other = self.machine.place(&task);
        match self.recovery.handle_failure(now, fault.is_open(), other.is_err()) {
            Step::Rebuild(at) => {
                self.failed.pop();
                self.restart_at = Some(at);
            }
            Step::FallBack => {
                if let Ok(other) = other {
                    self.machine.tell(Some(track), from, other.backend, &reason);
                    self.choice = other;
                }
                self.restart_at = Some(now);
            }
            Step::GiveUp => return Err(Hopeless(reason)),
        }
        Meters::add(&self.output.meters().encoder_rebuilds, 1);
        Ok(())
    }

    fn launch(&mut self) -> Result<(), StageFault> {
        self.restart_at = None;
        self.incarnation += 1;
        self.feed = Arc::default();
        let encode = Encode {
            config: self.plan.config,
            choice: self.choice.clone(),
            feed: Arc::clone(&self.feed),
            ladder: Arc::clone(&self.ladder),
            output: Arc::clone(&self.output),
            turn: self.output.take_over(),
        };
        let track = self.output.track();
        spawn(Stage::Rung(track), self.incarnation, &self.reports, move || encode.run())?;
        self.ladder.add(track, Arc::clone(&self.feed), self.plan.frame_rate);
        Ok(())
    }

    fn retire(&self) {
        self.output.silence();
        self.ladder.remove(self.output.track());
        self.feed.frames.close();
        self.feed.frames.clear();
    }
}

impl Drop for Rung {
    fn drop(&mut self) {
        self.retire();
    }
}
