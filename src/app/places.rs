//! Where things are on this machine: what must survive a restart, and the worker's program.

use std::path::{Path, PathBuf};

use crate::config::Config;

/// The folder for what must survive a restart: configured, systemd's, or the user's own.
pub fn state_folder(config: &Config) -> Option<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    config
        .server
        .state_directory
        .clone()
        .or_else(|| variable("STATE_DIRECTORY"))
        .or_else(|| variable("XDG_STATE_HOME").map(|home| home.join("stentor")))
        .or_else(|| variable("HOME").map(|home| home.join(".local/state/stentor")))
}

/// The worker: configured, next to the daemon, or where the package puts it.
pub fn worker_program(configured: Option<&Path>) -> PathBuf {
    const NAME: &str = "stentor-worker";
    if let Some(path) = configured {
        return path.to_owned();
    }
    let own = std::env::current_exe().ok();
    let beside = own.as_deref().and_then(Path::parent).map(|folder| folder.join(NAME));
    match beside {
        Some(path) if path.exists() => path,
        _ => Path::new("/usr/lib/stentor").join(NAME),
    }
}
