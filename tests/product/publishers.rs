//! Cameras and callers of other makes feed a channel.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::support::scene::SOON;
use crate::support::{Peer, Scene};

const CAMERA: &str = "[[channels]]\nname = \"cam\"\nsource = { kind = \"whip\" }\n";

async fn is_live_as(scene: &Scene, codec: &str) {
    scene.daemon.source_state("cam", "live", SOON).await;
    crate::support::until("the format is known", SOON, async || {
        let channel = scene.daemon.get("/api/v1/channels/cam").await;
        if channel["format"]["video"]["codec"] == codec { Ok(()) } else { Err(channel) }
    })
    .await;
}

#[tokio::test]
async fn gstreamers_whip_client_publishes_h264_that_passes_through() {
    let scene = Scene::with_config(CAMERA).await;
    let _publisher = scene.gstreamer_publisher("cam", 60, "video/x-h264");
    is_live_as(&scene, "h264").await;
    let channel = scene.daemon.get("/api/v1/channels/cam").await;
    assert_eq!(channel["format"]["video"]["pass_through"], true, "{channel}");
    assert_eq!(channel["format"]["audio"]["codec"], "opus");
    let mut viewer = scene.aiortc_viewer("cam", &["--codec", "h264"]);
    let frame = viewer.expect_where("frame", SOON, |f| f["width"] == 640).await;
    assert_eq!(frame["height"], 360);
    let labels = ["channel=\"cam\"", "rendition=\"source\""];
    crate::support::until("its latency is measured", SOON, async || {
        let count = scene.daemon.metric("stentor_rendition_latency_seconds_count", &labels).await;
        if count > 30.0 { Ok(()) } else { Err(count) }
    })
    .await;
    let prompt = [&labels[..], &["le=\"1\""]].concat();
    let bucket = scene.daemon.metric("stentor_rendition_latency_seconds_bucket", &prompt).await;
    assert!(bucket > 0.0, "no picture was sent within a second of its capture");
}

#[tokio::test]
async fn gstreamers_whip_client_publishes_vp8() {
    let scene = Scene::with_config(CAMERA).await;
    let _publisher = scene.gstreamer_publisher("cam", 60, "video/x-vp8");
    is_live_as(&scene, "vp8").await;
    let mut viewer = scene.aiortc_viewer("cam", &["--codec", "vp8"]);
    viewer.expect_where("frame", SOON, |f| f["width"] == 640).await;
}

#[tokio::test]
async fn aiortc_publishes_and_is_transcoded_for_who_has_another_codec() {
    let scene = Scene::with_config(CAMERA).await;
    let mut publisher = scene.aiortc_publisher("cam", &["--codec", "vp8", "--seconds", "60"]);
    publisher.expect("connected", SOON).await;
    is_live_as(&scene, "vp8").await;
    let mut viewer = scene.aiortc_viewer("cam", &["--codec", "h264"]);
    viewer.expect("frame", SOON).await;
}

#[tokio::test]
async fn what_a_publisher_loses_on_the_way_is_asked_for_again() {
    let scene = Scene::with_config_alone(CAMERA).await;
    let arguments = ["--codec", "h264", "--seconds", "15", "--lose", "5"];
    let mut publisher = scene.aiortc_publisher("cam", &arguments);
    publisher.expect("connected", SOON).await;
    is_live_as(&scene, "h264").await;
    let mut viewer = scene.aiortc_viewer("cam", &["--codec", "h264"]);
    let mut last = viewer.expect("frame", SOON).await["at_ms"].as_f64().unwrap();
    let until = last + 8000.0;
    let mut longest = 0.0_f64;
    while last < until {
        let at = viewer.expect("frame", SOON).await["at_ms"].as_f64().unwrap();
        longest = longest.max(at - last);
        last = at;
    }
    let ended = publisher.expect("ended", SOON).await;
    println!("longest freeze {longest:.0} ms: {ended}");
    assert!(ended["dropped"].as_u64() > Some(20), "{ended}");
    assert!(ended["sent_again"].as_u64() > Some(10), "{ended}");
    assert!(longest < 1500.0, "the picture stood still for {longest:.0} ms: {ended}");
}

#[tokio::test]
async fn a_second_publisher_is_refused_or_takes_over_as_configured() {
    let config = format!(
        "{CAMERA}[[channels]]\nname = \"open\"\n\
         source = {{ kind = \"whip\", second_publisher = \"take_over\" }}\n"
    );
    let scene = Scene::with_config(&config).await;
    for (channel, expected) in [("cam", "refused"), ("open", "connected")] {
        let mut first = scene.aiortc_publisher(channel, &["--seconds", "60"]);
        first.expect("connected", SOON).await;
        let mut second = scene.aiortc_publisher(channel, &["--seconds", "60"]);
        let outcome = second.expect(expected, SOON).await;
        if expected == "refused" {
            assert_eq!(outcome["refused"], 409, "{outcome}");
        }
    }
}

#[tokio::test]
async fn a_publisher_that_vanishes_leaves_a_slate_and_may_come_back() {
    let scene = Scene::with_config(CAMERA).await;
    let mut publisher = scene.gstreamer_publisher("cam", 60, "video/x-h264");
    is_live_as(&scene, "h264").await;
    let mut viewer = scene.aiortc_viewer("cam", &["--codec", "h264"]);
    viewer.expect("frame", SOON).await;
    publisher.kill();
    let slate = scene.daemon.metric("stentor_slate_frames_total", &[]).await;
    crate::support::until("the slate is shown", Duration::from_secs(3), async || {
        let now = scene.daemon.metric("stentor_slate_frames_total", &[]).await;
        if now > slate { Ok(()) } else { Err(now) }
    })
    .await;
    viewer.skip();
    viewer.expect("frame", SOON).await;
    let _again = scene.gstreamer_publisher("cam", 60, "video/x-h264");
    is_live_as(&scene, "h264").await;
    viewer.skip();
    viewer.expect("frame", SOON).await;
}

#[tokio::test]
async fn an_rtsp_camera_is_pulled_from_a_server_that_is_not_ours() {
    let scene = Scene::with_config("").await;
    // gst-rtsp-server, by its own Python binding.
    let mut command = scene.network.command("/usr/bin/python3".as_ref());
    command.arg(crate::support::root().join("tests/peers/rtsp_camera.py"));
    let mut server = Peer::start(command);
    let port = server.expect("serving", SOON).await["port"].as_u64().unwrap();
    let url = format!("rtsp://{}:{port}/camera", scene.network.far);
    for transport in ["tcp", "udp"] {
        let source = json!({
            "kind": "rtsp", "url": url, "transport": transport,
            "user": "viewer", "password": "secret",
        });
        let body = json!({ "source": source });
        let path = format!("/api/v1/channels/rtsp-{transport}");
        let (status, answer) = scene.daemon.call(Method::PUT, &path, Some(body)).await;
        assert_eq!(status, StatusCode::CREATED, "{answer}");
        assert!(!answer.to_string().contains("secret"), "{answer}");
        scene.daemon.source_state(&format!("rtsp-{transport}"), "live", SOON).await;
        let mut viewer = scene.aiortc_viewer(&format!("rtsp-{transport}"), &["--codec", "h264"]);
        viewer.expect("frame", SOON).await;
    }
    assert!(!scene.daemon.log().contains("secret"));
}

#[tokio::test]
async fn an_srt_sender_feeds_a_listening_channel_and_a_wrong_passphrase_does_not() {
    let scene = Scene::with_config("").await;
    let port = crate::support::daemon::free_port(&scene.network.near);
    let address = format!("{}:{port}", scene.network.near);
    let source = json!({
        "kind": "srt", "mode": "listener", "address": address, "passphrase": "correct horse",
    });
    let (status, answer) = scene
        .daemon
        .call(Method::PUT, "/api/v1/channels/srt", Some(json!({ "source": source })))
        .await;
    assert_eq!(status, StatusCode::CREATED, "{answer}");
    let send = |passphrase: &str| {
        let mut command = scene.network.command("/usr/bin/ffmpeg".as_ref());
        command.args(["-v", "error", "-re", "-f", "lavfi", "-i", "testsrc2=s=640x360:r=30"]);
        command.args(["-f", "lavfi", "-i", "sine=r=48000", "-c:v", "libx264", "-preset"]);
        command.args(["ultrafast", "-g", "30", "-bf", "2", "-c:a", "aac", "-f", "mpegts", "-t"]);
        command.arg("120").arg(format!("srt://{address}?passphrase={passphrase}&pbkeylen=16"));
        Peer::start(command)
    };
    let mut stranger = send("battery staple");
    crate::support::until("the stranger is turned away", SOON, async || {
        if stranger.ended() { Ok(()) } else { Err("it goes on") }
    })
    .await;
    let _sender = send("correct horse");
    scene.daemon.source_state("srt", "live", SOON).await;
    let mut viewer = scene.aiortc_viewer("srt", &["--codec", "h264"]);
    viewer.expect("frame", SOON).await;
}

#[tokio::test]
async fn a_file_plays_in_a_loop() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("clip.mp4");
    let mut make = std::process::Command::new("ffmpeg");
    make.args(["-v", "error", "-f", "lavfi", "-i", "testsrc2=s=640x360:r=30", "-t", "2"]);
    make.args(["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"]).arg(&file);
    crate::support::machine::succeed(&mut make);
    let config =
        format!("[[channels]]\nname = \"file\"\nsource = {{ kind = \"file\", path = {file:?} }}\n");
    let scene = Scene::with_config(&config).await;
    scene.daemon.source_state("file", "live", SOON).await;
    let mut viewer = scene.aiortc_viewer("file", &["--codec", "h264"]);
    // Longer than the file is, so that it was begun again.
    let first = viewer.expect("frame", SOON).await["at_ms"].as_f64().unwrap();
    viewer
        .expect_where("frame", SOON, |f| f["at_ms"].as_f64().unwrap_or(0.0) > first + 5000.0)
        .await;
}
