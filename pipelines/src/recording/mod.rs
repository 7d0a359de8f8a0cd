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
        self.ending.retain(|thread| !thread.is_finished());
        if !self.running.iter().any(|running| running.name == recording) {
            if self.running.len() + self.ending.len() >= MAX_RECORDINGS {
                let reason = format!("this worker has {MAX_RECORDINGS} recordings already");
                let trouble = Event::RecordingTrouble { recording, full: false, reason };
                return self.outlet.events.send(trouble);
            }
            match self.begin(spec) {
                Ok(running) => self.running.push(running),
                Err(error) => {
                    let reason = format!("can't start a thread: {error}");
                    let trouble = Event::RecordingTrouble { recording, full: false, reason };
                    return self.outlet.events.send(trouble);
                }
            }
        }
        self.outlet.events.send(Event::RecordingStarted { recording });
    }

    /// Its thread tells when it is over.
    pub fn stop(&mut self, recording: String) {
        match self.running.iter().position(|running| running.name == recording) {
            Some(index) => {
                let stopped = self.running.swap_remove(index);
                stopped.shared.queue.close();
                self.ending.push(stopped.thread);
            }
            // What was never begun is over already.
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
        let thread = thread::Builder::new().name("recording".into()).spawn({
            let (name, shared) = (name.clone(), Arc::clone(&shared));
            move || {
                if catch_unwind(AssertUnwindSafe(|| writer.run())).is_err() {
                    shared.queue.close();
                    shared.tell_trouble(&name, false, "the recorder panicked".to_owned());
                }
            }
        })?;
        let mut recording = Recording { name, shared, thread, broken: false };
        if let Some(told) = self.video {
            recording.tell(Item::VideoFormat(told.0, told.1));
        }
        Ok(recording)
    }
}

// === impl Recording ===

impl Recording {
    fn tell(&mut self, item: Item) {
        let may_go = |item: &Item| matches!(item, Item::Video(_) | Item::Audio(_));
        self.broken |= self.shared.queue.push_evicting(item, may_go).is_some();
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

#[cfg(test)]
mod tests {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    use super::*;
    use crate::media::MediaSocket;
    use crate::program::time::WallClock;

    fn recording() -> Recording {
        let (_, media) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .unwrap();
        let outlet = Outlet {
            events: crate::control::Events::detached(),
            socket: Arc::new(MediaSocket::new(media)),
            wall: WallClock::default(),
            meters: Meters::default(),
        };
        let shared = Shared {
            queue: Queue::new(WAITING_UNITS),
            waiting_bytes: AtomicUsize::new(0),
            in_trouble: AtomicBool::new(false),
            outlet: Arc::new(outlet),
        };
        // A disk that hangs: nobody takes anything.
        let thread = thread::spawn(|| ());
        Recording { name: "r".into(), shared: Arc::new(shared), thread, broken: false }
    }

    fn unit(bytes: usize, keyframe: bool) -> AccessUnit {
        gst::init().unwrap();
        let data = gst::Buffer::from_slice(vec![0; bytes]);
        AccessUnit { data, pts_ns: 0, keyframe, discontinuity: false }
    }

    fn dropped(recording: &Recording) -> u64 {
        recording.shared.outlet.meters.recording_dropped.load(Relaxed)
    }

    #[test]
    fn a_disk_that_hangs_costs_what_came_up_to_the_next_keyframe_and_is_told_once() {
        let mut recording = recording();
        for _ in 0..WAITING_UNITS {
            recording.push_video(unit(10, false));
        }
        assert_eq!(dropped(&recording), 0);
        recording.push_video(unit(10, false));
        recording.push_audio(unit(10, true));
        assert_eq!(dropped(&recording), 2);
        // There is room again, and it is of no use to a picture that refers to a lost one.
        recording.shared.queue.clear();
        recording.push_video(unit(10, false));
        assert_eq!(dropped(&recording), 3);
        recording.push_video(unit(10, true));
        assert_eq!(dropped(&recording), 3);
        let Some(Item::Video(first)) = recording.shared.queue.pop() else { panic!("no picture") };
        assert!(first.keyframe && first.discontinuity);
        let told = recording.shared.outlet.events.take();
        assert!(matches!(told[..], [Event::RecordingTrouble { full: false, .. }]), "{told:?}");
    }

    #[test]
    fn what_waits_for_the_disk_is_bounded_in_bytes_too() {
        let mut recording = recording();
        for _ in 0..40 {
            recording.push_video(unit(1 << 20, true));
        }
        assert_eq!(dropped(&recording), 8);
        assert_eq!(recording.shared.waiting_bytes.load(Relaxed), WAITING_BYTES);
    }
}
