//! A call of a hundred, by the load generator.

use std::process::Command;

use serde_json::Value;

use crate::support::daemon::Options;
use crate::support::{Daemon, program, soak_is_long};

/// Seven in a hundred have cameras where there is time for it.
fn cameras() -> u32 {
    if soak_is_long() { 6 } else { 2 }
}

/// What a test machine that is busy with others' tests may need.
const JOIN_MS: f64 = 5000.0;
const FIRST_FRAME_MS: f64 = 10_000.0;

fn call(daemon: &Daemon, more: &[&str]) -> Value {
    let mut load = Command::new(program("stentor"));
    load.args(["load", "call", &daemon.url, "--json", "--cameras", &cameras().to_string()]);
    let output = load.args(more).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    let mut summary: Value = serde_json::from_slice(&output.stdout).expect(&errors);
    let receivers = summary["receivers"].take();
    println!("{summary:#}");
    assert!(output.status.success(), "{}: {summary:#}", output.status);
    summary["receivers"] = receivers;
    summary
}

#[tokio::test]
async fn a_hundred_people_are_in_one_call_and_see_every_camera() {
    let daemon = Daemon::start(Options { alone: true, ..Options::default() }).await;
    let video = daemon.folder().join("small.h264");
    let small = "testsrc2=size=320x180:rate=10";
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i", small, "-t", "2", "-c:v", "libx264"])
        .args(["-preset", "ultrafast", "-tune", "zerolatency", "-profile:v", "baseline"])
        .args(["-pix_fmt", "yuv420p", "-g", "20", "-b:v", "60k", "-f", "h264"])
        .arg(&video)
        .status();
    assert!(made.unwrap().success());
    let length = if soak_is_long() { "60s" } else { "15s" };
    let file = video.to_str().unwrap();
    let summary = call(
        &daemon,
        &["--for", length, "--video", file, "--size", "320x180", "--frame-rate", "10"],
    );
    assert_eq!((&summary["joined"], &summary["complete"]), (&100.into(), &100.into()));
    let receivers = summary["receivers"].as_array().unwrap();
    for (number, receiver) in receivers.iter().enumerate() {
        let expected = if number < cameras() as usize { cameras() - 1 } else { cameras() };
        assert_eq!(receiver["received"], expected, "{receiver}");
        assert_eq!(receiver["lost"], 0, "{receiver}");
    }
    let most = |of: &str| summary[of]["p95"].as_f64().unwrap();
    assert!(most("time_to_join_ms") < JOIN_MS);
    assert!(most("time_to_first_frame_ms") < FIRST_FRAME_MS);
    let moved = daemon.metric("stentor_calls_topology_changes_total", &["to=\"server\""]).await;
    assert_eq!(moved, 1.0, "it goes through the server");
}

/// Nothing of it is there afterwards, whatever ended the call.
#[tokio::test]
async fn a_call_that_is_ended_early_is_summed_up_and_leaves_nothing() {
    let daemon = Daemon::start(Options {
        config: "[calls]\nmesh_most = 2\nmax_participants = 4\n".to_owned(),
        ..Options::default()
    })
    .await;
    let mut load = Command::new(program("stentor"));
    let few = ["load", "call", &daemon.url, "--json", "--participants", "4", "--cameras", "1"];
    load.args(few).args(["--for", "60s"]).stdout(std::process::Stdio::piped());
    let child = load.spawn().unwrap();
    let sessions = "stentor_fanout_viewers";
    crate::support::until("three watch", crate::support::scene::SOON, async || {
        let watching = daemon.metric(sessions, &[]).await;
        if watching == 3.0 { Ok(()) } else { Err(watching) }
    })
    .await;
    crate::support::process::signal(child.id(), rustix::process::Signal::TERM);
    let output = child.wait_with_output().unwrap();
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&summary["participants"], &summary["joined"]), (&4.into(), &4.into()));
    crate::support::until("nothing is left", crate::support::scene::SOON, async || {
        let left =
            [daemon.metric(sessions, &[]).await, daemon.metric("stentor_calls_current", &[]).await];
        if left == [0.0, 0.0] { Ok(()) } else { Err(format!("{left:?}")) }
    })
    .await;

    let mut load = Command::new(program("stentor"));
    let five =
        ["load", "call", &daemon.url, "--participants", "5", "--cameras", "1", "--for", "2s"];
    let output = load.args(five).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "the call is full with four");

    let mut load = Command::new(program("stentor"));
    let output =
        load.args(["load", "call", &daemon.url, "--participants", "101"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("participants must be from 2 to 100"));

    drop(daemon);
    // Who has rung many of late may ring nobody: then there is nothing to wait for.
    let config = "[calls]\nrings_per_minute = 1\n".to_owned();
    let daemon = Daemon::start(Options { config, ..Options::default() }).await;
    let load = |length: &str| {
        let mut load = Command::new(program("stentor"));
        load.args(["load", "call", &daemon.url, "--participants", "5", "--cameras", "1"]);
        let output = load.args(["--for", length]).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let first = load("1s");
    let begin = std::time::Instant::now();
    let (status, said) = load("60s");
    assert_eq!(status, Some(1), "{first:?} {said}");
    assert!(said.contains("too many were rung"), "{said}");
    assert!(begin.elapsed().as_secs() < 40, "{said}");
}
