//! A small picture of the program every few seconds.
//!
//! While rungs are encoded, their decoded pictures are there for the taking. Otherwise one
//! keyframe is decoded each time, and nothing in between.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;

use stentor_hardware::{Choice, Decoder, Frame};
use stentor_protocol::control::Event;
use stentor_protocol::{Codec, Resolution};

use crate::control::Events;
use crate::program::time::ProgramTime;
use crate::queue::Queue;

/// Pixels. Smaller pictures are left as they are.
const MAX_WIDTH: u32 = 320;
/// 1 to 100.
const QUALITY: u8 = 70;

/// Takes pictures when one is due. Never waits.
pub struct Thumbnails {
    jobs: Queue<Job>,
    interval_ns: u64,
    due: AtomicU64,
}

enum Job {
    Frame(Frame),
    Keyframe(Keyframe),
}

/// A coded picture that decodes by itself.
pub struct Keyframe {
    pub codec: Codec,
    pub resolution: Resolution,
    pub data: gst::Buffer,
    pub choice: Choice,
}

// === impl Thumbnails ===

impl Thumbnails {
    /// `interval_ms` 0 makes none.
    pub fn start(interval_ms: u32, events: Events) -> io::Result<Arc<Self>> {
        let thumbnails = Arc::new(Self {
            jobs: Queue::new(1),
            interval_ns: u64::from(interval_ms) * 1_000_000,
            due: AtomicU64::new(0),
        });
        if interval_ms > 0 {
            let shared = Arc::clone(&thumbnails);
            thread::Builder::new().name("thumbnails".into()).spawn(move || {
                let mut decoder = None;
                while let Some(job) = shared.jobs.pop() {
                    let made = catch_unwind(AssertUnwindSafe(|| make(job, &mut decoder)));
                    match made {
                        Ok(Ok(jpeg)) => events.send(Event::Thumbnail { jpeg }),
                        Ok(Err(reason)) => tracing::debug!(reason, "no thumbnail"),
                        Err(_) => decoder = None,
                    }
                }
            })?;
        }
        Ok(thumbnails)
    }

    pub fn is_due(&self, now: ProgramTime) -> bool {
        self.interval_ns > 0 && now.0 >= self.due.load(Relaxed)
    }

    pub fn offer_frame(&self, frame: &Frame, now: ProgramTime) {
        if self.claim(now) {
            self.jobs.push_evicting(Job::Frame(frame.clone()), |_| true);
        }
    }

    pub fn offer_keyframe(&self, keyframe: Keyframe, now: ProgramTime) {
        if self.claim(now) {
            self.jobs.push_evicting(Job::Keyframe(keyframe), |_| true);
        }
    }

    pub fn close(&self) {
        self.jobs.close();
    }

    /// Whether the caller's picture is the one to take.
    fn claim(&self, now: ProgramTime) -> bool {
        let due = self.due.load(Relaxed);
        self.interval_ns > 0
            && now.0 >= due
            && self.due.compare_exchange(due, now.0 + self.interval_ns, Relaxed, Relaxed).is_ok()
    }
}

fn make(job: Job, decoder: &mut Option<(Codec, Decoder)>) -> Result<Vec<u8>, String> {
    let frame = match job {
        Job::Frame(frame) => {
            // The rungs' decoder runs: this one has had its time.
            *decoder = None;
            frame
        }
        Job::Keyframe(keyframe) => decode(&keyframe, decoder)?,
    };
    frame.to_jpeg(MAX_WIDTH, QUALITY).map_err(|error| error.to_string())
}

fn decode(keyframe: &Keyframe, decoder: &mut Option<(Codec, Decoder)>) -> Result<Frame, String> {
    if decoder.as_ref().is_none_or(|(codec, _)| *codec != keyframe.codec) {
        let size = Some(keyframe.resolution);
        let open = Decoder::open_sized(keyframe.codec, &keyframe.choice, size);
        *decoder = Some((keyframe.codec, open.map_err(|error| error.to_string())?));
    }
    let Some((_, open)) = decoder else { return Err("no decoder".into()) };
    let data = keyframe.data.map_readable().map_err(|error| error.to_string())?;
    let decoded = open.decode(&data, 0);
    // Some decoders hold a picture until they know that there's no more.
    let last = open.flush().pop();
    let frame = decoded.map_err(|error| error.to_string())?.pop().or(last);
    frame.ok_or_else(|| "the keyframe gave no picture".into())
}
