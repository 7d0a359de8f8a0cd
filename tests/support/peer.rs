//! Programs that are not ours and speak to the daemon: they print one JSON object a line.

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;

use super::network::Namespace;

/// A running peer. Dropping it ends its process group.
pub struct Peer {
    name: String,
    child: std::process::Child,
    lines: mpsc::Receiver<String>,
    said: Vec<String>,
}

// === impl Peer ===

impl Peer {
    pub fn start(mut command: Command) -> Self {
        let name = format!("{command:?}");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        // SAFETY: one system call between fork and exec, which allocates nothing.
        unsafe {
            command.pre_exec(|| {
                rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
                    .map_err(Into::into)
            });
        }
        let mut child = command.spawn().unwrap_or_else(|e| panic!("{name}: {e}"));
        let (sender, lines) = mpsc::channel();
        read_lines(child.stdout.take().unwrap(), sender.clone());
        read_lines(child.stderr.take().unwrap(), sender);
        Self { name, child, lines, said: Vec::new() }
    }

    /// aiortc in the namespace, by one of the scripts of `tests/peers/`.
    pub fn python(network: &Namespace, script: &str, arguments: &[&str]) -> Self {
        let mut command = network.command(&super::python_tool("python"));
        command.arg(super::root().join("tests/peers").join(script)).args(arguments);
        Self::start(command)
    }

    /// A real browser in the namespace that watches: `chromium` or `firefox`. It ends with a
    /// process namespace of its own, since a browser outlives the program that drives it.
    pub fn browser(network: &Namespace, name: &str, arguments: &[&str]) -> Self {
        let mut command = network.command("unshare".as_ref());
        command.args(["--pid", "--fork", "--kill-child", "--mount-proc", "node"]);
        command.arg(super::root().join("tests/peers/browser_watch.mjs")).arg(name).args(arguments);
        Self::start(command)
    }

    /// A GStreamer pipeline in the namespace, with GStreamer's own WHIP and WHEP elements.
    pub fn pipeline(network: &Namespace, seconds: u32, description: &str) -> Self {
        let mut command = network.command(&super::program("gst-peer"));
        command.arg(seconds.to_string()).arg(description);
        Self::start(command)
    }

    /// The next object whose `event` is this one. Fails the test past the deadline, with all
    /// that the peer said.
    pub async fn expect(&mut self, event: &str, deadline: Duration) -> Value {
        self.expect_where(event, deadline, |_| true).await
    }

    pub async fn expect_where(
        &mut self,
        event: &str,
        deadline: Duration,
        mut accept: impl FnMut(&Value) -> bool,
    ) -> Value {
        let until = Instant::now() + deadline;
        loop {
            match self.lines.try_recv() {
                Ok(line) => {
                    self.said.push(line);
                    let last = self.said.last().map(String::as_str).unwrap_or_default();
                    let Ok(json) = serde_json::from_str::<Value>(last) else { continue };
                    if (json["event"] == event || !json[event].is_null()) && accept(&json) {
                        return json;
                    }
                }
                Err(error) => {
                    let ended = error == mpsc::TryRecvError::Disconnected;
                    let why = if ended { "it ended" } else { "no such line in time" };
                    assert!(
                        !ended && Instant::now() < until,
                        "{}: {event}: {why}; it said:\n{}",
                        self.name,
                        self.said.join("\n")
                    );
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
        }
    }

    /// Forgets what was said up to now.
    pub fn skip(&mut self) {
        self.said.extend(self.lines.try_iter());
    }

    pub fn ended(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_some())
    }

    pub fn kill(&mut self) {
        if let Some(group) = Pid::from_raw(self.child.id().cast_signed()) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.wait();
    }

    /// Asks it to end as a user would, by SIGINT, and waits for that.
    pub async fn interrupt(&mut self, deadline: Duration) {
        super::process::signal(self.child.id(), Signal::INT);
        super::until(&format!("{} ends", self.name), deadline, async || {
            self.child.try_wait().unwrap().ok_or("it runs on")
        })
        .await;
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.kill();
    }
}

fn read_lines(from: impl std::io::Read + Send + 'static, to: mpsc::Sender<String>) {
    std::thread::spawn(move || {
        use std::io::BufRead as _;
        for line in std::io::BufReader::new(from).lines().map_while(Result::ok) {
            if to.send(line).is_err() {
                return;
            }
        }
    });
}
