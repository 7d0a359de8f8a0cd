//! Recordings: the source's own units, written down as they come.
//!
//! The program hands each unit to every recording and never waits: a recording has a queue and a
//! thread of its own. Where the disk is slower than the source, the queue fills, and what comes
//! is left out up to the next keyframe, counted, and told once.
//!
//! A chunk is on the disk (fdatasync, rename, fsync of the folder) before it is told of. What a
//! killed worker leaves is its `.part`, whole up to half a second before; what a machine that
//! loses power leaves is every chunk that was told of.

mod chunk;
mod cut;
mod file;
#[cfg(test)]
mod tests;
mod writer;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread::{self, JoinHandle};

use stentor_protocol::control::{Event, VideoFormat};
use stentor_protocol::recording::{MAX_RECORDINGS, RecordingSpec};
use stentor_protocol::{Codec, Resolution};

use crate::contribution::AccessUnit;
use crate::output::Outlet;
use crate::program::Message;
use crate::queue::Queue;
use crate::stats::Meters;

/// Units that wait for the disk: ten seconds and more of one sender.
const WAITING_UNITS: usize = 1_024;
/// And their bytes.
const WAITING_BYTES: usize = 32 << 20;

/// The recordings of a worker.
#[derive(Debug)]
pub struct Recordings {
    outlet: Arc<Outlet>,
    program: Arc<Queue<Message>>,
    running: Vec<Recording>,
    /// Told to stop, and writing their last chunk.
    ending: Vec<JoinHandle<()>>,
    video: Option<(Codec, Resolution)>,
}

#[derive(Debug)]
struct Recording {
    name: String,
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
    /// A picture found the queue full: the rest of its group is of no use.
    broken: bool,
}

/// What the program and a recording's thread have in common.
#[derive(Debug)]
struct Shared {
    queue: Queue<Item>,
    waiting_bytes: AtomicUsize,
    /// Told already, and no chunk was written since.
    in_trouble: AtomicBool,
    outlet: Arc<Outlet>,
}

#[derive(Debug)]
enum Item {
    VideoFormat(Codec, Resolution),
    Video(AccessUnit),
    Audio(AccessUnit),
}

// === impl Recordings ===

impl Recordings {
    /// `program` is where keyframes are asked for.
    pub fn new(outlet: Arc<Outlet>, program: Arc<Queue<Message>>) -> Self {
        Self { outlet, program, running: Vec::new(), ending: Vec::new(), video: None }
    }

    pub fn start(&mut self, spec: RecordingSpec) {
        let recording = spec.recording.clone();
        self.sort_out();
        if !self.running.iter().any(|running| running.name == recording) {
            if self.running.len() + self.ending.len() >= MAX_RECORDINGS {
                let reason = format!("this worker has {MAX_RECORDINGS} recordings already");
                return self.refuse(recording, reason);
            }
            match self.begin(spec) {
                Ok(running) => self.running.push(running),
                Err(error) => {
                    return self.refuse(recording, format!("can't start a thread: {error}"));
                }
            }
        }
        self.outlet.events.send(Event::RecordingStarted { recording });
    }

    /// Its thread tells when it is over.
    pub fn stop(&mut self, recording: String) {
        self.sort_out();
        match self.running.iter().position(|running| running.name == recording) {
            Some(index) => {
                let stopped = self.running.swap_remove(index);
                stopped.shared.queue.close();
                self.ending.push(stopped.thread);
            }
            // What was never begun, or ended by itself, is over already.
            None => self.outlet.events.send(Event::RecordingStopped { recording }),
        }
    }

    pub fn handle_format(&mut self, format: &VideoFormat) {
        let told = (format.codec, format.resolution);
        self.video = Some(told);
        for recording in &mut self.running {
            recording.tell(Item::VideoFormat(told.0, told.1));
        }
    }

    pub fn handle_video(&mut self, unit: &AccessUnit) {
        for recording in &mut self.running {
            recording.push_video(unit.clone());
        }
    }

    pub fn handle_audio(&mut self, unit: &AccessUnit) {
        for recording in &mut self.running {
            recording.push_audio(unit.clone());
        }
    }

    /// Ends all, and waits for their last chunks.
    pub fn close(mut self) {
        for recording in self.running.drain(..) {
            recording.shared.queue.close();
            self.ending.push(recording.thread);
        }
        for thread in self.ending {
            // A panic was caught inside.
            let _ = thread.join();
        }
    }

    /// Puts those whose thread ended by itself where they are in nobody's way.
    fn sort_out(&mut self) {
        let is_over = |recording: &mut Recording| recording.shared.queue.is_closed();
        self.ending.extend(self.running.extract_if(.., is_over).map(|over| over.thread));
        self.ending.retain(|thread| !thread.is_finished());
    }

    /// It is over before it began: whoever waits for its end has it.
    fn refuse(&self, recording: String, reason: String) {
        let (name, full) = (recording.clone(), false);
        self.outlet.events.send(Event::RecordingTrouble { recording: name, full, reason });
        self.outlet.events.send(Event::RecordingStopped { recording });
    }

    fn begin(&self, spec: RecordingSpec) -> io::Result<Recording> {
        let name = spec.recording.clone();
        tracing::info!(recording = name, folder = %spec.folder.display(), "recording starts");
        let shared = Arc::new(Shared {
            queue: Queue::new(WAITING_UNITS),
            waiting_bytes: AtomicUsize::new(0),
            in_trouble: AtomicBool::new(false),
            outlet: Arc::clone(&self.outlet),
        });
        let writer = writer::Writer::new(spec, Arc::clone(&shared), Arc::clone(&self.program));
        let thread = spawn(&name, &shared, move || writer.run())?;
        let mut recording = Recording { name, shared, thread, broken: false };
        if let Some(told) = self.video {
            recording.tell(Item::VideoFormat(told.0, told.1));
        }
        Ok(recording)
    }
}

/// Tells that the recording is over however its work ends.
fn spawn(
    name: &str,
    shared: &Arc<Shared>,
    work: impl FnOnce() + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let (recording, shared) = (name.to_owned(), Arc::clone(shared));
    thread::Builder::new().name("recording".into()).spawn(move || {
        if catch_unwind(AssertUnwindSafe(work)).is_err() {
            // Before it is told: who begins it anew finds it over.
            shared.queue.close();
            shared.tell_trouble(&recording, false, "the recorder panicked".to_owned());
        }
        shared.outlet.events.send(Event::RecordingStopped { recording });
    })
}

// === impl Recording ===

impl Recording {
    /// A full queue makes room for what is told: the oldest unit goes.
    fn tell(&mut self, item: Item) {
        let may_go = |item: &Item| item.unit().is_some();
        let mut is_last = false;
        let dropped = self.shared.queue.push_evicting_and(item, may_go, |gone, mut behind| {
            if let Item::Video(_) = gone {
                // What refers to it waits behind it, or comes next.
                match behind.find_map(Item::picture) {
                    Some(next) => next.discontinuity = true,
                    None => is_last = true,
                }
            }
        });
        self.broken |= is_last;
        // None: the queue is closed, and nobody is told anything.
        if let Some(unit) = dropped.as_ref().and_then(Item::unit) {
            self.shared.waiting_bytes.fetch_sub(unit.data.size(), Relaxed);
            self.count_dropped();
        }
    }

    fn push_video(&mut self, mut unit: AccessUnit) {
        if self.broken && !unit.keyframe {
            return self.count_dropped();
        }
        unit.discontinuity |= self.broken;
        self.broken = !self.push(unit, Item::Video);
    }

    fn push_audio(&mut self, unit: AccessUnit) {
        self.push(unit, Item::Audio);
    }

    /// Gives whether there was room.
    fn push(&self, unit: AccessUnit, item: impl FnOnce(AccessUnit) -> Item) -> bool {
        let bytes = unit.data.size();
        let before = self.shared.waiting_bytes.fetch_add(bytes, Relaxed);
        if before + bytes <= WAITING_BYTES && self.shared.queue.push(item(unit)).is_none() {
            return true;
        }
        self.shared.waiting_bytes.fetch_sub(bytes, Relaxed);
        self.count_dropped();
        let reason = "the disk is slower than the source".to_owned();
        self.shared.tell_trouble(&self.name, false, reason);
        false
    }

    fn count_dropped(&self) {
        Meters::add(&self.shared.outlet.meters.recording_dropped, 1);
    }
}

// === impl Item ===

impl Item {
    fn unit(&self) -> Option<&AccessUnit> {
        match self {
            Self::Video(unit) | Self::Audio(unit) => Some(unit),
            Self::VideoFormat(..) => None,
        }
    }

    fn picture(&mut self) -> Option<&mut AccessUnit> {
        match self {
            Self::Video(unit) => Some(unit),
            Self::Audio(_) | Self::VideoFormat(..) => None,
        }
    }
}

// === impl Shared ===

impl Shared {
    /// Once, until a chunk was written again.
    fn tell_trouble(&self, recording: &str, full: bool, reason: String) {
        if !self.in_trouble.swap(true, Relaxed) {
            tracing::warn!(recording, full, reason, "nothing is recorded");
            let recording = recording.to_owned();
            self.outlet.events.send(Event::RecordingTrouble { recording, full, reason });
        }
    }
}
