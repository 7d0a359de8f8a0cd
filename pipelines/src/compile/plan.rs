//! What is asked for, and what became of it.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use stentor_hardware::{Choice, Task, choose};
use stentor_protocol::probe::{Direction, ProbeReport};
use stentor_protocol::spec::HardwarePolicy;
use stentor_protocol::{Codec, FrameRate, Resolution};

use super::CompileError;

/// Senders of one file: more than a call has at a time.
const MOST_SOURCES: usize = 128;
/// A plan with the chunks of a day is smaller.
const MOST_PLAN_BYTES: u64 = 64 << 20;
const MOST_PIXELS: u64 = 3840 * 2160;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// One sender's own pictures and sound.
    Track,
    /// All in one picture, and their sound mixed.
    Composite,
}

/// Times are in µs since the recording began.
#[derive(Debug, Clone, Deserialize)]
pub struct Plan {
    pub form: Form,
    /// Absolute. Written as `.part` beside it first.
    pub output: PathBuf,
    pub sources: Vec<Source>,
    /// Who speaks from when on. Composite only.
    #[serde(default)]
    pub speakers: Vec<Speaker>,
    /// Composite only. Default 1280x720.
    #[serde(default = "default_resolution")]
    pub resolution: Resolution,
    /// Composite only, in frames a second. Default 30.
    #[serde(default = "default_frame_rate")]
    pub frame_rate: u32,
    /// What the machine has, and what of it may be used. Default: the CPU.
    #[serde(default)]
    pub probe: ProbeReport,
    #[serde(default)]
    pub hardware: HardwarePolicy,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Source {
    #[serde(default)]
    pub name: String,
    /// In order.
    pub chunks: Vec<PathBuf>,
}

/// From this moment on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Speaker {
    pub at_us: i64,
    /// Index of the source; None when nobody speaks.
    pub source: Option<usize>,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Done {
    /// Where in the recording the file begins.
    pub begin_ms: i64,
    pub duration_ms: u64,
    pub bytes: u64,
    pub video: Option<Codec>,
    pub audio: Option<Codec>,
    /// The largest picture's; 0 where there is none.
    pub width: u32,
    pub height: u32,
    pub left_out: Vec<LeftOut>,
    /// Spans of the file of which there is nothing.
    pub gaps: Vec<Gap>,
}

/// A chunk that is of no use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    pub file: String,
    pub reason: String,
}

/// From the file's begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Gap {
    pub from_ms: u64,
    pub to_ms: u64,
}

fn default_resolution() -> Resolution {
    Resolution::new(1280, 720)
}

fn default_frame_rate() -> u32 {
    30
}

// === impl Plan ===

impl Plan {
    pub fn read(path: &Path) -> Result<Self, CompileError> {
        let wrong = |reason: String| CompileError::Plan(reason);
        let length = fs::metadata(path).map_err(|error| wrong(error.to_string()))?.len();
        if length > MOST_PLAN_BYTES {
            return Err(wrong(format!("{length} bytes are too many")));
        }
        let text = fs::read(path).map_err(|error| wrong(error.to_string()))?;
        let plan: Self = serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
        plan.check().map_err(wrong)?;
        Ok(plan)
    }

    pub fn frame_rate(&self) -> FrameRate {
        FrameRate::new(self.frame_rate, 1)
    }

    /// Where to decode or encode.
    pub fn choice(&self, direction: Direction, codec: Codec) -> Choice {
        let task = Task { direction, codec, near: None, failed: &[] };
        choose(&self.probe, &self.hardware, &task).unwrap_or_else(|_| Choice::software())
    }

    fn check(&self) -> Result<(), String> {
        let sources = self.sources.len();
        if !(1..=MOST_SOURCES).contains(&sources) {
            return Err(format!("{sources} sources: there are 1 to {MOST_SOURCES}"));
        }
        if self.form == Form::Track && sources != 1 {
            return Err(format!("a track has one source, not {sources}"));
        }
        let Resolution { width, height } = self.resolution;
        let fits = (160..=7680).contains(&width) && (90..=4320).contains(&height);
        if !fits || self.resolution.pixels() > MOST_PIXELS || width % 2 + height % 2 != 0 {
            return Err(format!("{width}x{height} is no size for a picture"));
        }
        if !(1..=60).contains(&self.frame_rate) {
            return Err(format!("{} frames a second", self.frame_rate));
        }
        if self.output.file_name().is_none() || !self.output.is_absolute() {
            return Err("the output is no absolute path".to_owned());
        }
        Ok(())
    }
}
