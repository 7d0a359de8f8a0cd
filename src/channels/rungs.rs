//! Which renditions run: those that someone watches, and for a while those that someone watched.
//!
//! Sans-I/O: `handle_*` takes what happened, [`Rungs::poll_command`] gives what the worker is to
//! be told, [`Rungs::poll_timeout`] says when to call [`Rungs::handle_timeout`].

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use stentor_protocol::control::{Command, Event};
use stentor_protocol::spec::{Backend, RungKind, RungSpec};
use stentor_protocol::units::TrackId;

use super::ladder::Planned;

/// A rendition that failed is offered again after this, then after twice as long, and so on.
const RETRY: Duration = Duration::from_secs(2);
const RETRY_MAX: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub struct Rungs {
    /// What is offered, in the plan's order.
    entries: Vec<Entry>,
    /// No longer offered, still running until their viewers have been moved.
    retired: Vec<Entry>,
    linger: Duration,
    next_track: u16,
    /// Every number was used in this worker's life.
    worn_out: bool,
    worker_ready: bool,
    commands: VecDeque<Command>,
}

/// One rendition and how it does.
#[derive(Debug, Clone)]
pub struct Entry {
    pub track: TrackId,
    pub planned: Planned,
    pub state: RungState,
    pub viewers: u32,
    /// What encodes it; None while it doesn't run, and for what passes through.
    pub backend: Option<Backend>,
    pub encoder: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
    /// When it ends, once nobody watches.
    stop_at: Option<Instant>,
    retry_at: Option<Instant>,
    failures: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RungState {
    Idle,
    Starting,
    Running,
    Failed,
}

// === impl RungState ===

impl RungState {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Failed => "failed",
        }
    }
}

// === impl Rungs ===

impl Rungs {
    pub fn new(linger: Duration) -> Self {
        Self {
            entries: Vec::new(),
            retired: Vec::new(),
            linger,
            next_track: 1,
            worn_out: false,
            worker_ready: false,
            commands: VecDeque::new(),
        }
    }

    /// What is offered, failed ones included.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// What viewers may be given. One that failed is withheld, so that its viewers get another,
    /// unless nothing else of its codec is left.
    pub fn offered(&self) -> impl Iterator<Item = &Entry> {
        let works = |e: &Entry| e.state != RungState::Failed;
        self.entries.iter().filter(move |e| {
            works(e) || !self.entries.iter().any(|o| o.planned.codec == e.planned.codec && works(o))
        })
    }

    /// What the worker has to produce now.
    pub fn wanted(&self) -> impl Iterator<Item = &Planned> {
        self.entries
            .iter()
            .chain(&self.retired)
            .filter(|e| e.is_wanted_of_worker())
            .map(|e| &e.planned)
    }

    /// The worker must be replaced: no track number is left.
    pub fn is_worn_out(&self) -> bool {
        self.worn_out
    }

    /// Takes a new plan. Renditions that stay the same keep their track. True: what is offered
    /// has changed.
    pub fn handle_plan(&mut self, plan: Vec<Planned>, now: Instant) -> bool {
        let same = self.entries.iter().map(|e| &e.planned).eq(plan.iter());
        if same {
            return false;
        }
        let mut old = std::mem::take(&mut self.entries);
        let mut entries = Vec::with_capacity(plan.len());
        for planned in plan {
            if let Some(index) = old.iter().position(|e| is_same_track(&e.planned, &planned)) {
                let mut entry = old.swap_remove(index);
                self.change_bitrate(&entry, &planned);
                entry.planned = planned;
                entries.push(entry);
            } else {
                let in_use = old.iter().chain(&entries).chain(&self.retired);
                let in_use: BTreeSet<u16> = in_use.map(|e| e.track.0).collect();
                entries.push(Entry::new(self.new_track(&in_use), planned));
            }
        }
        self.entries = entries;
        for mut entry in old {
            if entry.is_wanted_of_worker() {
                // Its viewers are moved once their next rendition's keyframe is there.
                entry.stop_at.get_or_insert(now + self.linger);
                self.retired.push(entry);
            }
        }
        true
    }

    /// How many viewers a track has now.
    pub fn handle_demand(&mut self, track: TrackId, viewers: u32, now: Instant) {
        let linger = self.linger;
        let is_retired = self.retired.iter().any(|e| e.track == track);
        let Some(entry) =
            self.entries.iter_mut().chain(&mut self.retired).find(|e| e.track == track)
        else {
            return;
        };
        entry.viewers = viewers;
        if viewers == 0 {
            if entry.is_wanted_of_worker() {
                entry.stop_at.get_or_insert(now + linger);
            }
            return;
        }
        if is_retired {
            return;
        }
        entry.stop_at = None;
        if entry.state == RungState::Idle {
            entry.state = RungState::Starting;
            if self.worker_ready {
                let start = Command::StartRung(entry.spec());
                self.commands.push_back(start);
            }
        }
    }

    /// Takes what the worker says of a rung. True: what is offered has changed.
    pub fn handle_event(&mut self, event: &Event, now: Instant) -> bool {
        match event {
            Event::RungStarted { track, backend, encoder, .. } => {
                if let Some(entry) = self.find(*track) {
                    entry.state = RungState::Running;
                    entry.backend = *backend;
                    entry.encoder = (!encoder.is_empty()).then(|| encoder.clone());
                    entry.error = None;
                    entry.failures = 0;
                }
                false
            }
            Event::RungStopped { track } => {
                self.retired.retain(|e| e.track != *track);
                if let Some(entry) = self.find(*track)
                    && entry.state == RungState::Running
                    && entry.viewers == 0
                {
                    entry.rest();
                }
                false
            }
            Event::RungFailed { track, reason } => {
                self.retired.retain(|e| e.track != *track);
                let Some(entry) = self.find(*track) else {
                    return false;
                };
                entry.rest();
                entry.state = RungState::Failed;
                entry.error = Some(reason.clone());
                let pause = RETRY.saturating_mul(1 << entry.failures.min(10)).min(RETRY_MAX);
                entry.failures += 1;
                entry.retry_at = Some(now + pause);
                true
            }
            _ => false,
        }
    }

    /// A new worker takes commands: tell it everything that is to run.
    pub fn handle_worker_ready(&mut self) {
        self.worker_ready = true;
        self.commands.clear();
        for entry in &mut self.entries {
            if entry.is_wanted_of_worker() {
                entry.state = RungState::Starting;
                self.commands.push_back(Command::StartRung(entry.spec()));
            }
        }
    }

    /// The worker is gone, and with it everything that ran.
    pub fn handle_worker_end(&mut self) {
        self.worker_ready = false;
        self.worn_out = false;
        self.commands.clear();
        self.retired.clear();
        for entry in &mut self.entries {
            if entry.is_wanted_of_worker() {
                entry.state = RungState::Starting;
                entry.backend = None;
                entry.encoder = None;
            }
        }
    }

    /// Passes on a viewer's wish for a keyframe, where the rendition runs.
    pub fn handle_keyframe_wanted(&mut self, track: TrackId) {
        let runs = |e: &Entry| e.track == track && e.state == RungState::Running;
        if self.worker_ready && self.entries.iter().chain(&self.retired).any(runs) {
            self.commands.push_back(Command::Keyframe { track });
        }
    }

    /// True: what is offered has changed.
    pub fn handle_timeout(&mut self, now: Instant) -> bool {
        let mut changed = false;
        for entry in &mut self.entries {
            if entry.stop_at.is_some_and(|at| at <= now) {
                self.commands.push_back(Command::StopRung { track: entry.track });
                entry.rest();
            }
            if entry.retry_at.is_some_and(|at| at <= now) {
                entry.retry_at = None;
                entry.state = RungState::Idle;
                changed = true;
                if entry.viewers > 0 {
                    entry.state = RungState::Starting;
                    if self.worker_ready {
                        self.commands.push_back(Command::StartRung(entry.spec()));
                    }
                }
            }
        }
        let commands = &mut self.commands;
        self.retired.retain(|entry| {
            let over = entry.stop_at.is_none_or(|at| at <= now);
            if over {
                commands.push_back(Command::StopRung { track: entry.track });
            }
            !over
        });
        if !self.worker_ready {
            self.commands.clear();
        }
        changed
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        let entries = self.entries.iter().chain(&self.retired);
        entries.flat_map(|e| [e.stop_at, e.retry_at]).flatten().min()
    }

    /// Call until None after each `handle_*`.
    pub fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    fn find(&mut self, track: TrackId) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|e| e.track == track)
    }

    fn change_bitrate(&mut self, entry: &Entry, planned: &Planned) {
        let runs = self.worker_ready && entry.is_wanted_of_worker();
        let encoded = matches!(planned.kind, RungKind::Encode { .. });
        if runs && encoded && entry.planned.bitrate != planned.bitrate {
            let bitrate = planned.bitrate;
            self.commands.push_back(Command::SetBitrate { track: entry.track, bitrate });
        }
    }

    fn new_track(&mut self, in_use: &BTreeSet<u16>) -> TrackId {
        loop {
            let track = self.next_track;
            self.next_track = track.checked_add(1).unwrap_or_else(|| {
                self.worn_out = true;
                1
            });
            if !in_use.contains(&track) {
                return TrackId(track);
            }
        }
    }
}

/// Whether viewers of one may be given the other without noticing: a passed-through source may
/// change its size and an encoded rendition its rate.
fn is_same_track(a: &Planned, b: &Planned) -> bool {
    let kind = match (&a.kind, &b.kind) {
        (RungKind::PassThrough, RungKind::PassThrough) => true,
        (
            RungKind::Encode { resolution: a_size, frame_rate: a_rate, .. },
            RungKind::Encode { resolution: b_size, frame_rate: b_rate, .. },
        ) => a_size == b_size && a_rate == b_rate,
        _ => false,
    };
    kind && a.name == b.name && a.codec == b.codec
}

// === impl Entry ===

impl Entry {
    fn new(track: TrackId, planned: Planned) -> Self {
        Self {
            track,
            planned,
            state: RungState::Idle,
            viewers: 0,
            backend: None,
            encoder: None,
            error: None,
            stop_at: None,
            retry_at: None,
            failures: 0,
        }
    }

    fn spec(&self) -> RungSpec {
        RungSpec {
            track: self.track,
            name: self.planned.name.clone(),
            codec: self.planned.codec,
            kind: self.planned.kind.clone(),
        }
    }

    fn is_wanted_of_worker(&self) -> bool {
        matches!(self.state, RungState::Starting | RungState::Running)
    }

    fn rest(&mut self) {
        self.state = RungState::Idle;
        self.backend = None;
        self.encoder = None;
        self.stop_at = None;
    }
}

#[cfg(test)]
mod tests;
