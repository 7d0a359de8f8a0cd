//! Asks `stentor-worker probe` what the hardware can do: a driver that crashes takes that
//! process along and nothing else.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use stentor_protocol::probe::ProbeReport;
use tokio::process::Command;

use crate::child::restrict;

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    #[error("the worker {} can't be started: {error}", program.display())]
    Program { program: PathBuf, error: std::io::Error },
    #[error("the hardware probe took longer than {0:?}")]
    Timeout(Duration),
    #[error("the hardware probe failed: {0}")]
    Failed(String),
    #[error("the hardware probe can't be understood: {0}")]
    Json(#[from] serde_json::Error),
}

/// Runs the probe, for `at_most` so long.
pub async fn probe(program: &Path, at_most: Duration) -> Result<ProbeReport, ProbeError> {
    let mut command = Command::new(program);
    let child = restrict(&mut command)
        .args(["probe", "--json"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| ProbeError::Program { program: program.to_owned(), error })?;
    let output = tokio::time::timeout(at_most, child.wait_with_output())
        .await
        .map_err(|_| ProbeError::Timeout(at_most))?
        .map_err(|error| ProbeError::Failed(error.to_string()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().last().unwrap_or_default();
        return Err(ProbeError::Failed(format!("{}: {last}", output.status)));
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}
