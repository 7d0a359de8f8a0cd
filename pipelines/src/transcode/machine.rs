//! Which backend does what on this machine, and telling of every step down once.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use stentor_hardware::{Choice, Refusal, Task, choose};
use stentor_protocol::control::Event;
use stentor_protocol::probe::{Direction, ProbeReport};
use stentor_protocol::spec::HardwarePolicy;
use stentor_protocol::{Backend, Codec, TrackId};

use crate::control::Events;

pub struct Machine {
    report: ProbeReport,
    policy: HardwarePolicy,
    events: Events,
    /// Choices below the best that the daemon was told of.
    told: Mutex<HashSet<(Direction, Codec, Backend, Backend)>>,
}

// === impl Machine ===

impl Machine {
    pub fn new(report: ProbeReport, policy: HardwarePolicy, events: Events) -> Arc<Self> {
        Arc::new(Self { report, policy, events, told: Mutex::default() })
    }

    /// Places a task.
    pub fn place(&self, task: &Task<'_>) -> Result<Choice, Refusal> {
        choose(&self.report, &self.policy, task)
    }

    /// Places a task that is begun, and tells what better backend was passed over.
    pub fn choose(&self, track: Option<TrackId>, task: &Task<'_>) -> Result<Choice, Refusal> {
        let choice = self.place(task)?;
        // What failed while it ran is told by whoever saw it fail.
        let known = |backend| task.failed.iter().any(|failed| failed.backend == backend);
        for fallback in choice.fallbacks.iter().filter(|fallback| !known(fallback.from)) {
            let step = (task.direction, task.codec, fallback.from, fallback.to);
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            let news = told.insert(step);
            drop(told);
            if news {
                self.tell(track, fallback.from, fallback.to, &fallback.reason);
            }
        }
        Ok(choice)
    }

    pub fn tell(&self, track: Option<TrackId>, from: Backend, to: Backend, reason: &str) {
        tracing::warn!(?track, ?from, ?to, reason, "falling back");
        self.events.send(Event::Fallback { track, from, to, reason: reason.to_owned() });
    }
}
