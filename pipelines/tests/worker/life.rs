//! How a worker starts and ends.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use stentor_protocol::Resolution;
use stentor_protocol::control::{Command, Event};

use crate::harness::{Worker, channel, pass_through, synthetic};

const TWO_SECONDS: Duration = Duration::from_secs(2);

fn playing() -> Worker {
    let mut worker = Worker::start(channel(synthetic(Resolution::new(640, 360))));
    worker.send(&pass_through(1));
    worker.media().wait_units(1, 3);
    worker
}

#[test]
fn a_worker_says_that_it_is_ready_and_who_it_is() {
    let worker = Worker::spawn(&[]);
    let pid = worker.wait_event("ready", |event| match event {
        Event::Ready { pid, .. } => Some(*pid),
        _ => None,
    });
    assert_eq!(pid, worker.id());
}

#[test]
fn shutdown_ends_a_playing_worker_within_two_seconds_with_status_0() {
    let mut worker = playing();
    worker.send(&Command::Shutdown);
    let status = worker.wait_exit(TWO_SECONDS).expect("still there");
    assert_eq!(status.code(), Some(0));
}

#[test]
fn a_worker_does_not_outlive_its_control_socket() {
    let mut worker = playing();
    worker.hang_up();
    assert_eq!(worker.wait_exit(TWO_SECONDS).expect("still there").code(), Some(0));
}

#[test]
fn garbage_on_the_control_socket_ends_the_worker_with_an_error() {
    let mut worker = playing();
    worker.send_bytes(&[0xff; 64]);
    assert_eq!(worker.wait_exit(TWO_SECONDS).expect("still there").code(), Some(1));
}

#[test]
fn a_worker_leaves_termination_to_its_daemon() {
    let mut worker = playing();
    let pid = Pid::from_raw(worker.id() as i32).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    worker.media().forget();
    worker.media().wait_units(1, 10);
    assert!(worker.wait_exit(Duration::ZERO).is_none());
}

#[test]
fn a_worker_that_is_not_started_by_the_daemon_says_so() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_stentor-worker"))
        .arg("run")
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("not started by stentor"), "{text}");
}
