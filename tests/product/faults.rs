//! What breaks in the field, done on purpose.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use rustix::process::Signal;
use serde_json::json;

use crate::support::daemon::Options;
use crate::support::scene::SOON;
use crate::support::wait::check;
use crate::support::{Scene, process, until};

#[tokio::test]
async fn a_killed_worker_leaves_every_viewer_connected_and_seeing_again_within_two_seconds() {
    let scene = Scene::demo_alone().await;
    let mut passed = scene.aiortc_viewer("demo", &["--codec", "h264"]);
    let mut coded = scene.aiortc_viewer("demo", &["--codec", "vp8"]);
    for viewer in [&mut passed, &mut coded] {
        viewer.expect("frame", SOON).await;
    }
    let before = sessions(&scene).await;
    assert_eq!(before.len(), 2);

    let [worker] = scene.daemon.workers()[..] else { panic!("one worker is expected") };
    let at = unix_ms();
    assert!(process::signal(worker, Signal::KILL));
    for (name, viewer) in [("passed through", &mut passed), ("transcoded", &mut coded)] {
        // A new worker's camera counts its frames from 0 again.
        let again = viewer
            .expect_where("frame", SOON, |f| {
                f["at_ms"].as_f64() > Some(at + 50.0) && f["number"].as_u64() < Some(60)
            })
            .await;
        let gap = again["at_ms"].as_f64().unwrap() - at;
        println!("{name}: pictures again after {gap:.0} ms");
        assert!(gap < 2000.0, "{name}: pictures again after {gap:.0} ms");
    }
    assert_eq!(sessions(&scene).await, before, "the same sessions go on");
    assert!(scene.daemon.metric("stentor_worker_restarts_total", &[]).await >= 1.0);
    assert_ne!(scene.daemon.workers(), [worker]);
}

#[tokio::test]
async fn a_frozen_worker_is_seen_and_replaced() {
    let config = "[worker]\nsilence_timeout = \"3s\"\n\
                  [[channels]]\nname = \"demo\"\nsource = { kind = \"synthetic\" }\n";
    let scene = Scene::with_config_alone(config).await;
    scene.daemon.source_state("demo", "live", SOON).await;
    let [worker] = scene.daemon.workers()[..] else { panic!("one worker is expected") };
    assert!(process::signal(worker, Signal::STOP));
    until("another worker runs", Duration::from_secs(10), async || {
        let workers = scene.daemon.workers();
        check(!workers.is_empty() && !workers.contains(&worker), format!("{workers:?}"))
    })
    .await;
    scene.daemon.source_state("demo", "live", SOON).await;
}

#[tokio::test]
async fn a_camera_that_goes_away_shows_a_slate_within_a_second_and_comes_back() {
    let scene = Scene::with_config_alone("").await;
    // The namespace is the camera's own, and so are all its ports.
    let port = 9710;
    let camera = || {
        let mut command = scene.network.command("/usr/bin/ffmpeg".as_ref());
        let to = format!(
            "srt://{}:{port}?mode=listener&passphrase=correct horse&pbkeylen=16",
            scene.network.far
        );
        command.args(["-v", "error", "-re", "-f", "lavfi", "-i", "testsrc2=s=640x360:r=30"]);
        command.args(["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency"]);
        command.args(["-g", "30", "-f", "mpegts", "-t", "120"]).arg(to);
        crate::support::Peer::start(command)
    };
    let mut sender = camera();
    let address = format!("{}:{port}", scene.network.far);
    let source = json!({
        "kind": "srt", "mode": "caller", "address": address, "passphrase": "correct horse",
    });
    let (status, answer) = scene
        .daemon
        .call(Method::PUT, "/api/v1/channels/cam", Some(json!({ "source": source })))
        .await;
    assert_eq!(status, StatusCode::CREATED, "{answer}");
    scene.daemon.source_state("cam", "live", SOON).await;
    let mut viewer = scene.aiortc_viewer("cam", &["--codec", "h264"]);
    viewer.expect("frame", SOON).await;
    let before = sessions(&scene).await;

    let frames = async || scene.daemon.metric("stentor_slate_frames_total", &[]).await;
    let shown = frames().await;
    viewer.skip();
    let at = viewer.expect("frame", SOON).await["at_ms"].as_f64().unwrap();
    sender.kill();
    // What SRT and the server still hold comes first; then nothing until the slate.
    let (mut last, mut longest) = (at, 0.0_f64);
    while last < at + 3000.0 {
        let next = viewer.expect("frame", SOON).await["at_ms"].as_f64().unwrap();
        longest = longest.max(next - last);
        last = next;
    }
    println!("longest without a picture: {longest:.0} ms");
    assert!(longest < 1200.0, "the slate came after {longest:.0} ms");
    until("the slate is counted", Duration::from_secs(3), async || {
        let now = frames().await;
        check(now > shown, now)
    })
    .await;

    let _again = camera();
    scene.daemon.source_state("cam", "live", SOON).await;
    viewer.skip();
    viewer.expect("frame", SOON).await;
    assert_eq!(sessions(&scene).await, before, "the same session throughout");
}

#[tokio::test]
async fn a_term_signal_refuses_new_viewers_and_ends_within_the_grace_period() {
    let options = Options {
        demo: true,
        alone: true,
        server: "drain_grace = \"4s\"".to_owned(),
        ..Options::default()
    };
    let mut scene = Scene::start(options).await;
    scene.daemon.source_state("demo", "live", SOON).await;
    let mut viewer = scene.aiortc_viewer("demo", &["--codec", "h264"]);
    viewer.expect("frame", SOON).await;
    process::signal(scene.daemon.pid(), Signal::TERM);
    let begin = Instant::now();
    let (status, after) = until("new viewers are refused", Duration::from_secs(3), async || {
        let request = scene.daemon.http.post(scene.daemon.whep("demo"));
        let answer = request
            .header("content-type", "application/sdp")
            .body("v=0\r\n")
            .send()
            .await
            .map_err(|e| e.to_string())?;
        let status = answer.status();
        let after = answer.headers().get("retry-after").cloned();
        check(status == StatusCode::SERVICE_UNAVAILABLE, status).map(|()| (status, after))
    })
    .await;
    assert!(after.is_some(), "{status} without Retry-After");
    let pid = scene.daemon.pid();
    // The old viewer goes on seeing until the end.
    viewer.skip();
    viewer.expect("frame", Duration::from_secs(2)).await;
    let workers = scene.daemon.workers();
    let ended = scene.daemon.terminate(Duration::from_secs(10)).await;
    println!("ended {:?} after the signal", begin.elapsed());
    assert!(ended.success(), "{pid}: {ended}");
    assert!(begin.elapsed() < Duration::from_secs(7));
    for worker in workers {
        assert!(!process::lives(worker), "worker {worker} lives on");
    }
}

#[tokio::test]
async fn channels_made_over_the_api_survive_a_daemon_that_is_killed() {
    let scene = Scene::with_config("").await;
    let body = json!({ "source": { "kind": "synthetic" } });
    let (status, answer) =
        scene.daemon.call(Method::PUT, "/api/v1/channels/kept", Some(body)).await;
    assert_eq!(status, StatusCode::CREATED, "{answer}");
    scene.daemon.source_state("kept", "live", SOON).await;
    let workers = scene.daemon.workers();
    let mut daemon = scene.daemon;
    daemon.kill_and_start_again().await;
    daemon.source_state("kept", "live", SOON).await;
    for worker in workers {
        assert!(!process::lives(worker), "worker {worker} outlived its daemon");
    }
}

/// The sessions that watch, by id.
async fn sessions(scene: &Scene) -> Vec<String> {
    let channels = scene.daemon.get("/api/v1/channels").await;
    let mut ids = Vec::new();
    for channel in channels["channels"].as_array().unwrap() {
        let name = channel["name"].as_str().unwrap();
        let viewers = scene.daemon.get(&format!("/api/v1/channels/{name}/viewers")).await;
        for viewer in viewers["viewers"].as_array().unwrap() {
            ids.push(viewer["session"].as_str().unwrap().to_owned());
        }
    }
    ids.sort();
    ids
}

fn unix_ms() -> f64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.unwrap_or_default().as_secs_f64() * 1000.0
}
