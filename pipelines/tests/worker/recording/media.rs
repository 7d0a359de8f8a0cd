//! Folders, recordings and what other programs say about their files.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use rustix::time::{ClockId, clock_gettime};
use stentor_protocol::control::{self, Event};
use stentor_protocol::recording::{Chunk, RecordingSpec};

use crate::harness::Worker;
use crate::packets::wait_for;

pub const NAME: &str = "r1";

/// A folder of the test's own; gone with it.
pub struct Folder(pub PathBuf);

// === impl Folder ===

impl Folder {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Relaxed);
        let name = format!("stentor-recording-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub fn spec(folder: &Path, chunk_ms: u32) -> RecordingSpec {
    let now = clock_gettime(ClockId::Monotonic);
    RecordingSpec {
        recording: NAME.into(),
        folder: folder.to_owned(),
        epoch_us: now.tv_sec * 1_000_000 + now.tv_nsec / 1_000,
        chunk_ms,
        max_bytes: 64 << 20,
    }
}

pub fn start(worker: &mut Worker, folder: &Path, chunk_ms: u32) {
    worker.send(&control::Command::StartRecording(spec(folder, chunk_ms)));
}

/// Stops the recording and gives its chunks.
pub fn stop(worker: &mut Worker) -> Vec<Chunk> {
    worker.send(&control::Command::StopRecording { recording: NAME.into() });
    worker.wait_event("the end", |event| {
        matches!(event, Event::RecordingStopped { .. }).then_some(())
    });
    chunks(&worker.events())
}

pub fn chunks(events: &[Event]) -> Vec<Chunk> {
    let chunks = events.iter().filter_map(|event| match event {
        Event::ChunkWritten { recording, chunk } if recording == NAME => Some(chunk.clone()),
        _ => None,
    });
    chunks.collect()
}

pub fn wait_chunks(worker: &Worker, count: usize) {
    wait_for(&format!("{count} chunks"), || {
        (chunks(&worker.events()).len() >= count).then_some(())
    });
}

/// What ffprobe finds: each stream's codec, width and height, and how many pictures ffmpeg
/// decodes. Not a word of complaint from either.
pub fn probe(file: &Path) -> (Vec<String>, usize) {
    let file = file.to_str().unwrap();
    let entries = "stream=codec_name,width,height";
    let streams =
        quiet("ffprobe", &["-v", "error", "-of", "csv=p=0", "-show_entries", entries, file]);
    // Each picture at its own time: rounded to a frame rate, two may fall on one.
    let output = ["-fps_mode", "passthrough", "-enc_time_base", "-1", "-f", "framemd5", "-"];
    let frames = quiet("ffmpeg", &[&["-v", "error", "-xerror", "-i", file][..], &output].concat());
    let of_video = frames.lines().filter(|line| line.starts_with("0,")).count();
    let pictures = if streams.contains(',') { of_video } else { 0 };
    (streams.lines().map(str::to_owned).collect(), pictures)
}

fn quiet(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && words.is_empty(), "{program} {arguments:?}: {words}");
    String::from_utf8(output.stdout).unwrap()
}

/// Numbers without a hole, and times that follow on one another.
pub fn assert_in_order(chunks: &[Chunk]) {
    for pair in chunks.windows(2) {
        let (a, b) = (&pair[0], &pair[1]);
        assert_eq!(a.sequence + 1, b.sequence);
        let hole = b.begin_us - (a.begin_us + a.duration_us as i64);
        // A file's sound may be read ahead of its pictures.
        assert!((-700_000..150_000).contains(&hole), "{hole} us between {a:?} and {b:?}");
    }
}
