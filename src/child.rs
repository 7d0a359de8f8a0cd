//! What a process that we start has of ours: less than we have.

use tokio::process::Command;

/// The daemon's way to systemd.
const OURS: [&str; 3] = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"];
/// The stores' credentials begin so: whoever reads strangers' media has no use for them.
const SECRETS: &str = "AWS_";

/// Keeps from a worker what is none of its business.
pub fn restrict(command: &mut Command) -> &mut Command {
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| OURS.contains(&name) || name.starts_with(SECRETS)) {
            command.env_remove(name);
        }
    }
    command
}
