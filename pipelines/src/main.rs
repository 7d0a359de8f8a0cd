//! The media worker's command line: `run` and `compile`, as the daemon starts them, and `probe`.

use std::io::{self, IsTerminal as _, Write as _};
use std::os::fd::{FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, ExitCode};

use rustix::io::{FdFlags, fcntl_setfd};
use rustix::net::{SocketType, sockopt};
use stentor_pipelines::{lifeline, worker};
use stentor_protocol::{CONTROL_FD, MEDIA_FD};
use tracing_subscriber::EnvFilter;

const USAGE: &str =
    "usage: stentor-worker run            (started by stentor, sockets on descriptors 3 and 4)
       stentor-worker probe [--json]  (tries every decoder and encoder of this machine)
       stentor-worker compile PLAN    (makes one file of a recording's chunks, for stentor)";

fn main() -> ExitCode {
    // CUDA counts the fastest GPU first unless told to go by slots, as the driver's list does,
    // which names them to operators.
    // SAFETY: nothing ran before this, so no other thread reads the environment.
    unsafe { std::env::set_var("CUDA_DEVICE_ORDER", "PCI_BUS_ID") };
    trace();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["run"] => run(),
        ["probe"] => probe(false),
        ["probe", "--json"] => probe(true),
        ["compile", plan] => compile(Path::new(plan)),
        // How `probe` calls itself, once a device.
        ["probe", "--device", backend, id] => probe_device(backend, id),
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn run() -> ExitCode {
    let sockets = inherited(CONTROL_FD, SocketType::STREAM)
        .and_then(|control| Ok((control, inherited(MEDIA_FD, SocketType::SEQPACKET)?)));
    match sockets {
        Ok((control, media)) => {
            lifeline::tie_to_parent();
            worker::run(UnixStream::from(control), media)
        }
        Err(error) => {
            eprintln!("stentor-worker: not started by stentor: {error}\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

/// Tries every device, each in a process of its own, since drivers crash.
fn probe(json: bool) -> ExitCode {
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(error) => {
            eprintln!("stentor-worker: can't find itself to probe with: {error}");
            return ExitCode::FAILURE;
        }
    };
    let report = stentor_hardware::probe::run_apart(|backend, id| {
        let mut command = Command::new(&program);
        command.args(["probe", "--device", backend, id]);
        command
    });
    if json { print_json(&report) } else { print(&report.to_string()) }
}

fn probe_device(backend: &str, id: &str) -> ExitCode {
    match stentor_hardware::probe::run_device(backend, id) {
        Some(device) => print_json(&device),
        None => {
            eprintln!("stentor-worker: no {backend} device {id}");
            ExitCode::FAILURE
        }
    }
}

/// One line of JSON where it is done; a sentence and a status where it isn't.
fn compile(plan: &Path) -> ExitCode {
    match stentor_pipelines::compile::run(plan) {
        Ok(done) => print_json(&done),
        Err(error) => {
            eprintln!("stentor-worker: {error}");
            ExitCode::from(error.status())
        }
    }
}

fn print_json(value: &impl serde::Serialize) -> ExitCode {
    match serde_json::to_string(value) {
        Ok(text) => print(&format!("{text}\n")),
        Err(error) => {
            eprintln!("stentor-worker: {error}");
            ExitCode::FAILURE
        }
    }
}

fn print(text: &str) -> ExitCode {
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        // The reader is gone: nobody to tell.
        Err(_) => ExitCode::FAILURE,
    }
}

/// A socket that the daemon left us under a fixed number.
fn inherited(number: RawFd, kind: SocketType) -> io::Result<OwnedFd> {
    // SAFETY: fcntl with F_GETFD only asks whether the descriptor is open.
    if unsafe { libc::fcntl(number, libc::F_GETFD) } < 0 {
        let what = format!("descriptor {number} is not open");
        return Err(io::Error::new(io::ErrorKind::NotFound, what));
    }
    // SAFETY: it is open, and nothing in this process has used it yet: each number is asked for
    // once, at the start of main.
    let fd = unsafe { OwnedFd::from_raw_fd(number) };
    if sockopt::socket_type(&fd) != Ok(kind) {
        let what = format!("descriptor {number} is not the socket it should be");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    fcntl_setfd(&fd, FdFlags::CLOEXEC)?;
    Ok(fd)
}

/// Logs go to stderr, which the daemon reads.
fn trace() {
    let filter = EnvFilter::try_from_env("STENTOR_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
}
