//! `stentor-worker compile`: a process that knows about media, and may crash.

use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;

use super::WorkError;
use crate::channels::{Groups, enter};
use crate::child::restrict;
use crate::recording::papers::{Gap, LeftOut};

/// What is to be made, as the worker reads it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    form: &'static str,
    pub output: PathBuf,
    sources: Vec<PlanSource>,
    speakers: Vec<Speaker>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resolution: Option<Size>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frame_rate: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlanSource {
    pub name: String,
    pub chunks: Vec<PathBuf>,
}

/// From when on somebody talks.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
struct Speaker {
    at_us: i64,
    source: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
struct Size {
    width: u32,
    height: u32,
}

/// What the worker says of a file.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Outcome {
    pub duration_ms: u64,
    #[serde(default)]
    pub begin_ms: i64,
    #[serde(default)]
    pub video: Option<String>,
    #[serde(default)]
    pub audio: Option<String>,
    #[serde(default)]
    pub width: Option<u32>,
    #[serde(default)]
    pub height: Option<u32>,
    #[serde(default)]
    pub left_out: Vec<LeftOut>,
    #[serde(default)]
    pub gaps: Vec<Gap>,
}

pub enum Made {
    File(Outcome),
    /// No chunk is good for anything, or it would take too long.
    Nothing(String),
}

/// By how much than the daemon.
const LESS_URGENT: i32 = 10;
/// The exit status that says so.
const NOTHING: i32 = 3;
/// And the one that says that the disk is full.
const NO_ROOM: i32 = 4;
/// Signals of one who fell over what was read. All others come from outside.
const FAULTS: [i32; 7] = [
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGILL,
    libc::SIGFPE,
    libc::SIGABRT,
    libc::SIGSYS,
    libc::SIGTRAP,
];
/// What is read of what the worker says.
const MOST_OUTPUT: u64 = 8 << 20;
const MOST_REASON: usize = 500;

/// Has a file made, by a process with limits of its own where there are `groups`.
pub async fn compile(
    program: &Path,
    groups: Option<&Groups>,
    plan: &Plan,
    scratch: &Path,
    timeout: Duration,
) -> Result<Made, WorkError> {
    let paper = scratch.join("plan.json");
    let text = serde_json::to_vec(plan).unwrap_or_default();
    tokio::fs::write(&paper, text).await.map_err(WorkError::Scratch)?;
    let running = run(program, groups, &paper);
    let media = |reason: String| WorkError::Media(reason);
    let ended = tokio::time::timeout(timeout, running).await;
    // Once more would take as long.
    let Ok(ended) = ended else {
        return Ok(Made::Nothing(format!("it took longer than {timeout:?}")));
    };
    let interrupted = |reason: String| WorkError::Interrupted(reason);
    let Ended { status, output, complaint, ran_out_of_memory } =
        ended.map_err(|error| interrupted(format!("{}: {error}", program.display())))?;
    match status.code() {
        // Once more would take as much.
        None if ran_out_of_memory => {
            Err(media("it took more memory than `worker.memory_max`".to_owned()))
        }
        Some(0) => {
            let line = output.lines().last().unwrap_or_default();
            let outcome = serde_json::from_str(line);
            let outcome = outcome.map_err(|error| media(format!("no result: {error}")))?;
            Ok(Made::File(outcome))
        }
        Some(NOTHING) => Ok(Made::Nothing(last_line(&complaint))),
        Some(NO_ROOM) => Err(interrupted(last_line(&complaint))),
        Some(code) => Err(media(format!("status {code}: {}", last_line(&complaint)))),
        None => {
            let reason = format!("{status}: {}", last_line(&complaint));
            let is_fault = status.signal().is_some_and(|signal| FAULTS.contains(&signal));
            Err(if is_fault { media(reason) } else { interrupted(reason) })
        }
    }
}

struct Ended {
    status: ExitStatus,
    output: String,
    complaint: String,
    ran_out_of_memory: bool,
}

async fn run(program: &Path, groups: Option<&Groups>, paper: &Path) -> io::Result<Ended> {
    let group = groups.map(Groups::make).transpose()?;
    let entrance = group.as_ref().map(|group| group.entrance.as_raw_fd());
    let mut command = Command::new(program);
    restrict(&mut command)
        .arg("compile")
        .arg(paper)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    // SAFETY: neither nice nor prctl with these arguments touches memory, nor does entering.
    unsafe {
        command.pre_exec(move || {
            entrance.map_or(Ok(()), enter)?;
            // Calls go first. Where it can't be, files are made as fast.
            let _ = libc::nice(LESS_URGENT);
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) < 0 {
                return Err(io::Error::last_os_error());
            }
            Ok(())
        });
    }
    let mut child = command.spawn()?;
    let (output, complaint) = (child.stdout.take(), child.stderr.take());
    let (output, complaint) = tokio::join!(read(output), read(complaint));
    let status = child.wait().await?;
    let ran_out_of_memory = group.is_some_and(|group| group.ran_out_of_memory());
    Ok(Ended { status, output: output?, complaint: complaint?, ran_out_of_memory })
}

/// All of it, so that nobody waits to get rid of it; what is too much is passed over.
async fn read(from: Option<impl AsyncRead + Unpin>) -> io::Result<String> {
    let Some(mut from) = from else { return Ok(String::new()) };
    let mut bytes = Vec::new();
    (&mut from).take(MOST_OUTPUT).read_to_end(&mut bytes).await?;
    tokio::io::copy(&mut from, &mut tokio::io::sink()).await?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn last_line(text: &str) -> String {
    let line = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    line.trim().chars().take(MOST_REASON).collect()
}

// === impl Plan ===

impl Plan {
    /// One sender's tracks.
    pub fn new(output: PathBuf, sources: Vec<PlanSource>) -> Self {
        let (speakers, resolution, frame_rate) = (Vec::new(), None, None);
        Self { form: "track", output, sources, speakers, resolution, frame_rate }
    }

    /// One picture of all instead: width, height and pictures a second; and who talks when, by
    /// their places in the sources.
    pub fn composite(
        mut self,
        (width, height, rate): (u32, u32, u32),
        turns: impl Iterator<Item = (i64, usize)>,
    ) -> Self {
        self.form = "composite";
        self.resolution = Some(Size { width, height });
        self.frame_rate = Some(rate);
        self.speakers = turns.map(|(at_us, source)| Speaker { at_us, source }).collect();
        self
    }
}
