//! One recording's thread: units in, files out. It waits for the disk, and nobody waits for it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use stentor_protocol::control::Event;
use stentor_protocol::recording::RecordingSpec;
use stentor_protocol::{Codec, Resolution};

use super::chunk::{OpenChunk, Unit};
use super::cut::{self, Decision, Limits, Next};
use super::file::next_sequence;
use super::{Item, Shared};
use crate::container::avc::{self, VideoEntry};
use crate::container::matroska::Kind;
use crate::contribution::AccessUnit;
use crate::program::Message;
use crate::queue::{Popped, Queue};
use crate::stats::Meters;

/// How long nothing comes before what waits is written down.
const IDLE: Duration = Duration::from_millis(500);
/// After a fault it is tried again this often.
const TRY_AGAIN: Duration = Duration::from_secs(1);
/// The source is asked for a keyframe this often at most; the program coalesces further.
const ASK_AGAIN: Duration = Duration::from_secs(1);

pub(super) struct Writer {
    spec: RecordingSpec,
    limits: Limits,
    shared: Arc<Shared>,
    /// Where a keyframe is asked for.
    program: Arc<Queue<Message>>,
    chunk: Option<OpenChunk>,
    next_sequence: u32,
    /// Chunks in a row that ended early.
    short_before: u32,
    /// What the source sends now; None before the first keyframe.
    video: Option<VideoEntry>,
    told_video: Option<(Codec, Resolution)>,
    /// Sound is expected. What comes against the expectation ends a chunk.
    has_audio: bool,
    last_video_us: Option<i64>,
    /// Pictures are of no use before one.
    needs_keyframe: bool,
    asked: Option<Instant>,
    /// After a fault.
    try_at: Option<Instant>,
}

// === impl Writer ===

impl Writer {
    pub fn new(spec: RecordingSpec, shared: Arc<Shared>, program: Arc<Queue<Message>>) -> Self {
        let limits = Limits {
            chunk_us: i64::from(spec.chunk_ms.clamp(100, 60_000)) * 1_000,
            max_bytes: spec.max_bytes.max(64 * 1024),
        };
        Self {
            spec,
            limits,
            shared,
            program,
            chunk: None,
            next_sequence: 0,
            short_before: 0,
            video: None,
            told_video: None,
            has_audio: true,
            last_video_us: None,
            needs_keyframe: true,
            asked: None,
            try_at: None,
        }
    }

    /// Writes until the queue is closed.
    pub fn run(mut self) {
        self.ask();
        loop {
            match self.shared.queue.pop_until(Instant::now() + IDLE) {
                Popped::Item(Item::Video(unit)) => self.handle_video(&unit),
                Popped::Item(Item::Audio(unit)) => self.handle_audio(&unit),
                Popped::Item(Item::VideoFormat(codec, size)) => {
                    self.told_video = Some((codec, size))
                }
                Popped::TimedOut => self.flush(),
                Popped::Closed => break,
            }
        }
        self.end_chunk();
        tracing::info!(recording = self.spec.recording, "recording ends");
    }

    fn handle_video(&mut self, unit: &AccessUnit) {
        self.shared.waiting_bytes.fetch_sub(unit.data.size(), Relaxed);
        let time_us = self.time_us(unit);
        // A gap, or of before the recording: what follows can't be decoded.
        if unit.discontinuity || time_us < 0 {
            self.needs_keyframe = true;
        }
        let Ok(data) = unit.data.map_readable() else { return self.leave_out() };
        let mut changed = false;
        if unit.keyframe && time_us >= 0 {
            let told = self.told_video.unwrap_or((Codec::H264, Resolution::new(0, 0)));
            let Some(entry) = avc::entry(told.0, &data, told.1) else { return self.leave_out() };
            let open = self.chunk.as_ref().and_then(|chunk| chunk.video.as_ref());
            changed = open.is_some_and(|open| *open != entry);
            self.video = Some(entry);
            self.needs_keyframe = false;
        }
        if self.needs_keyframe {
            return self.leave_out();
        }
        self.last_video_us = Some(time_us);
        let next = Next::Picture { keyframe: unit.keyframe, changed };
        let unit = Unit { kind: Kind::Video, time_us, keyframe: unit.keyframe, data: &data };
        self.handle(unit, next);
    }

    fn handle_audio(&mut self, unit: &AccessUnit) {
        self.shared.waiting_bytes.fetch_sub(unit.data.size(), Relaxed);
        let time_us = self.time_us(unit);
        let Ok(data) = unit.data.map_readable() else { return };
        if time_us < 0 || data.is_empty() {
            return;
        }
        self.has_audio = true;
        let unit = Unit { kind: Kind::Audio, time_us, keyframe: true, data: &data };
        self.handle(unit, Next::Sound);
    }

    fn handle(&mut self, unit: Unit<'_>, next: Next) {
        if let Some(chunk) = &self.chunk {
            let open = chunk.open(self.last_video_us, self.short_before);
            match cut::decide(&open, next, unit.time_us, &self.limits) {
                Decision::GoOn => {}
                Decision::Ask => self.ask(),
                Decision::Cut => {
                    let is_short = cut::is_short(&open, unit.time_us, &self.limits);
                    self.short_before = if is_short { self.short_before + 1 } else { 0 };
                    self.end_chunk();
                }
                Decision::LeaveOut => return self.leave_out(),
            }
        }
        if self.try_at.is_some_and(|at| Instant::now() < at) {
            return self.leave_out_after_fault(unit.kind);
        }
        if let Err(error) = self.write(unit) {
            self.fail(&error);
            self.leave_out_after_fault(unit.kind);
        }
    }

    fn write(&mut self, unit: Unit<'_>) -> io::Result<()> {
        let chunk = match &mut self.chunk {
            Some(chunk) => chunk,
            none => {
                if self.next_sequence == 0 {
                    self.next_sequence = next_sequence(&self.spec.folder)?;
                }
                let expected = unit.kind == Kind::Video
                    || !self.needs_keyframe && cut::expects_video(self.last_video_us, unit.time_us);
                let video = self.video.clone().filter(|_| expected);
                let (folder, sequence) = (&self.spec.folder, self.next_sequence);
                let chunk =
                    OpenChunk::create(folder, sequence, video, self.has_audio, unit.time_us)?;
                self.next_sequence = chunk.sequence().saturating_add(1);
                none.insert(chunk)
            }
        };
        chunk.write(unit)
    }

    fn flush(&mut self) {
        if let Some(chunk) = &mut self.chunk
            && let Err(error) = chunk.flush()
        {
            self.fail(&error);
        }
    }

    fn end_chunk(&mut self) {
        self.flush();
        // A fault in that has ended it.
        let Some(chunk) = self.chunk.take() else { return };
        match chunk.finish() {
            Ok(Some(chunk)) => self.tell_chunk(chunk),
            Ok(None) => {}
            Err(error) => self.tell_trouble(&error),
        }
    }

    /// Ends the chunk with what was written before the fault.
    fn fail(&mut self, error: &io::Error) {
        self.tell_trouble(error);
        if let Some(Ok(Some(chunk))) = self.chunk.take().map(OpenChunk::finish) {
            let recording = self.spec.recording.clone();
            self.shared.outlet.events.send(Event::ChunkWritten { recording, chunk });
        }
    }

    fn tell_chunk(&mut self, chunk: stentor_protocol::Chunk) {
        self.has_audio = chunk.audio.is_some();
        Meters::add(&self.shared.outlet.meters.recorded_bytes, chunk.bytes);
        self.try_at = None;
        // A nearly full disk still takes crumbs.
        if chunk.duration_us as i64 * 2 >= self.limits.chunk_us {
            self.shared.in_trouble.store(false, Relaxed);
        }
        let recording = self.spec.recording.clone();
        self.shared.outlet.events.send(Event::ChunkWritten { recording, chunk });
    }

    fn tell_trouble(&mut self, error: &io::Error) {
        self.needs_keyframe = true;
        self.try_at = Some(Instant::now() + TRY_AGAIN);
        let full = is_full(error);
        self.shared.tell_trouble(&self.spec.recording, full, error.to_string());
    }

    fn leave_out_after_fault(&mut self, kind: Kind) {
        self.needs_keyframe = true;
        match kind {
            Kind::Video => self.leave_out(),
            Kind::Audio => Meters::add(&self.shared.outlet.meters.recording_dropped, 1),
        }
    }

    /// A picture that can't be recorded: the next that can is a keyframe.
    fn leave_out(&mut self) {
        Meters::add(&self.shared.outlet.meters.recording_dropped, 1);
        self.needs_keyframe = true;
        if self.try_at.is_none_or(|at| Instant::now() >= at) {
            self.ask();
        }
    }

    fn ask(&mut self) {
        if self.asked.is_none_or(|at| at.elapsed() >= ASK_AGAIN) {
            self.asked = Some(Instant::now());
            // A program that is so busy is asked again in a second.
            let _ = self.program.push(Message::WantSourceKeyframe);
        }
    }

    fn time_us(&self, unit: &AccessUnit) -> i64 {
        (unit.pts_ns / 1_000) as i64 - self.spec.epoch_us
    }
}

/// Whether it is for want of room.
fn is_full(error: &io::Error) -> bool {
    let number = error.raw_os_error();
    [Errno::NOSPC, Errno::DQUOT, Errno::FBIG].iter().any(|e| Some(e.raw_os_error()) == number)
}
