//! Each device in a process of its own: a driver that crashes or hangs takes nothing along.

use std::io::Read as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use stentor_protocol::ProbeReport;
use stentor_protocol::probe::Device;

use super::{report, untried};
use crate::backend::{ENGINES, Engine, FoundDevice};

/// A driver that takes longer hangs.
const TIMEOUT: Duration = Duration::from_secs(20);

const POLL: Duration = Duration::from_millis(10);

/// Tries everything, each device in a process made by `command`, which is given the backend's
/// name and the device's id and must print what [`super::run_device`] gives, as JSON. GPUs are
/// tried side by side, the CPU after them, so that its figures are undisturbed.
pub fn run_apart(command: impl Fn(&str, &str) -> Command + Sync) -> ProbeReport {
    let found: Vec<(&dyn Engine, FoundDevice)> = ENGINES
        .iter()
        .flat_map(|engine| engine.devices().into_iter().map(move |device| (*engine, device)))
        .collect();
    let (gpus, cpus): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|(engine, _)| engine.device_kind().is_some());
    let command = &command;
    let try_apart = |(engine, found): (&'static dyn Engine, FoundDevice)| {
        let command = command(engine.backend().as_str(), &found.id);
        ask(command, TIMEOUT).unwrap_or_else(|reason| untried(engine, found, &reason))
    };
    let try_apart = &try_apart;
    let mut devices: Vec<Device> = thread::scope(|scope| {
        let threads: Vec<_> =
            gpus.into_iter().map(|gpu| scope.spawn(move || try_apart(gpu))).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
    });
    devices.extend(cpus.into_iter().map(try_apart));
    report(devices)
}

fn ask(mut command: Command, timeout: Duration) -> Result<Device, String> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("not tried: no process could be started: {error}"))?;
    let output = child.stdout.take();
    // Read beside waiting: a full pipe would stop the child for ever.
    let reader = thread::spawn(move || {
        let mut text = String::new();
        output.map(|mut output| output.read_to_string(&mut text));
        text
    });
    let status = wait(&mut child, timeout);
    let text = reader.join().unwrap_or_default();
    match status {
        Err(error) => Err(format!("not tried: {error}")),
        Ok(None) => Err(format!("the driver hangs: no answer within {} s", timeout.as_secs())),
        Ok(Some(status)) => match (status.signal(), status.success()) {
            (Some(signal), _) => Err(format!("the driver crashed the probe: signal {signal}")),
            (None, false) => Err(format!("the probe of this device failed: {status}")),
            (None, true) => serde_json::from_str(&text)
                .map_err(|error| format!("the probe's answer can't be read: {error}")),
        },
    }
}

/// The child's status, or None after it was killed for taking too long.
fn wait(child: &mut Child, timeout: Duration) -> std::io::Result<Option<ExitStatus>> {
    let deadline = Instant::now() + timeout;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(POLL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]).stderr(Stdio::null());
        command
    }

    #[test]
    fn a_device_whose_driver_crashes_is_reported_with_the_signal() {
        let report = run_apart(|_, _| shell("kill -SEGV $$"));
        let cpu = report.devices.last().unwrap();
        assert_eq!(cpu.id, "cpu");
        assert!(cpu.entries.len() >= 6);
        for entry in &cpu.entries {
            assert!(!entry.works);
            assert_eq!(entry.reason, "the driver crashed the probe: signal 11");
        }
    }

    #[test]
    fn a_driver_that_hangs_is_given_up() {
        let reason = ask(shell("exec sleep 60"), Duration::from_millis(100)).unwrap_err();
        assert!(reason.starts_with("the driver hangs"), "{reason}");
    }

    #[test]
    fn an_answer_that_is_none_is_an_error() {
        let timeout = Duration::from_secs(20);
        assert!(ask(shell("echo nonsense"), timeout).unwrap_err().contains("can't be read"));
        assert!(ask(shell("exit 3"), timeout).unwrap_err().contains("exit status: 3"));
        let missing = ask(Command::new("/nowhere/stentor"), timeout).unwrap_err();
        assert!(missing.contains("no process could be started"), "{missing}");
    }

    #[test]
    fn a_long_answer_does_not_block() {
        let device = crate::probe::report(vec![]);
        let text = serde_json::to_string(&device).unwrap();
        let script = format!("head -c 300000 /dev/zero | tr '\\0' ' '; echo '{text}'");
        let reason = ask(shell(&script), Duration::from_secs(20)).unwrap_err();
        assert!(reason.contains("can't be read"), "{reason}");
    }
}
