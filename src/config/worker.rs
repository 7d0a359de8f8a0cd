//! The section `[worker]`: how workers are started, watched, bounded and ended.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::units::{Period, Size};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Worker {
    /// The worker's program. Default: `stentor-worker` next to the daemon's own, or in
    /// `/usr/lib/stentor`.
    pub path: Option<PathBuf>,
    /// The longest pause before a worker that keeps ending is started again. Default 30 s.
    pub restart_backoff_max: Period,
    /// A worker that says nothing for this long is killed. It speaks once a second. Default 5 s.
    pub silence_timeout: Period,
    /// A source silent for longer shows the slate. Default 700 ms.
    pub loss_timeout: Period,
    /// How often a thumbnail is made; 0 s turns them off. Default 2 s.
    pub thumbnail_interval: Period,
    /// How long a worker may take to end before it is killed. Default 2 s.
    pub stop_grace: Period,
    /// Memory of one worker, or of one process that makes a recording's file; the kernel kills one
    /// that takes more. Holds where the service manager delegates a control group, as the unit
    /// asks. Default 4 GiB.
    pub memory_max: Size,
    /// Processes and threads of one of them, likewise. Default 1000.
    pub tasks_max: u32,
}

// === impl Worker ===

impl Default for Worker {
    fn default() -> Self {
        Self {
            path: None,
            restart_backoff_max: Period::from_secs(30),
            silence_timeout: Period::from_secs(5),
            loss_timeout: Period::from_millis(700),
            thumbnail_interval: Period::from_secs(2),
            stop_grace: Period::from_secs(2),
            memory_max: Size::from_gib(4),
            tasks_max: 1000,
        }
    }
}
