//! `stentor-worker compile`: the media half of the file creator. Chunks in, one MP4 out.
//!
//! A process without sockets, which may crash: a plan goes in, a file comes out whole or not at
//! all (written as `.part`, then renamed), and one line of JSON says what it became.

mod composite;
mod convert;
mod index;
mod output;
mod plan;
mod timing;
mod track;

use std::io;
use std::path::Path;

pub use plan::{Done, Form, Gap, LeftOut, Plan, Source};

/// Why there is no file.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    #[error("the plan can't be read: {0}")]
    Plan(String),
    #[error("no chunk is of any use{0}")]
    NothingUsable(String),
    #[error("{path}: {reason}")]
    File { path: String, reason: String },
    #[error("{0}: there is no room")]
    NoRoom(String),
    #[error("can't transcode: {0}")]
    Transcode(String),
}

/// Does what the plan in this file says.
pub fn run(plan: &Path) -> Result<Done, CompileError> {
    let plan = Plan::read(plan)?;
    match plan.form {
        Form::Track => track::compile(&plan),
        Form::Composite => composite::compile(&plan),
    }
}

// === impl CompileError ===

impl CompileError {
    fn file(path: &Path, error: impl std::fmt::Display) -> Self {
        Self::File { path: path.display().to_string(), reason: error.to_string() }
    }

    /// Of what is written. A full disk is no fault of what was recorded.
    fn written(path: &Path, error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::NoRoom(path.display().to_string())
            }
            _ => Self::file(path, error),
        }
    }

    /// Of what was left out.
    fn nothing(done: &Done) -> Self {
        let why = done.left_out.first();
        let why = why.map(|first| format!(": {}: {}", first.file, first.reason));
        Self::NothingUsable(why.unwrap_or_default())
    }

    /// The process's exit status.
    pub fn status(&self) -> u8 {
        match self {
            Self::Plan(_) => 2,
            Self::NothingUsable(_) => 3,
            Self::NoRoom(_) => 4,
            Self::File { .. } | Self::Transcode(_) => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_from_what_cannot_be_made() {
        let of = |kind: io::ErrorKind| CompileError::written(Path::new("/f"), &kind.into());
        let statuses = [io::ErrorKind::StorageFull, io::ErrorKind::Other].map(|k| of(k).status());
        assert_eq!(statuses, [4, 1]);
    }
}
