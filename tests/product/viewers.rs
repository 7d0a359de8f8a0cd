//! Viewers of other makes see and hear a channel.

use std::time::Duration;

use serde_json::Value;

use crate::support::scene::SOON;
use crate::support::{Peer, Scene};

/// Pictures follow one another, each later than the last, as the camera's stamp has it.
async fn sees_moving_pictures(viewer: &mut Peer) -> Value {
    let first = viewer.expect_where("frame", SOON, |f| f["number"].is_u64()).await;
    let number = |f: &Value| f["number"].as_u64().unwrap_or(0);
    viewer.expect_where("frame", SOON, |f| number(f) > number(&first) + 30).await
}

#[tokio::test]
async fn aiortc_watches_h264_and_hears_opus() {
    let scene = Scene::demo().await;
    let mut viewer = scene.aiortc_viewer("demo", &["--codec", "h264"]);
    let answered = viewer.expect("answered", SOON).await;
    assert!(answered["sdp"].as_str().unwrap().contains("H264/90000"));
    sees_moving_pictures(&mut viewer).await;
    let sound = viewer.expect("audio", SOON).await;
    assert_eq!((sound["rate"].as_u64(), sound["channels"].as_u64()), (Some(48_000), Some(2)));
    viewer.interrupt(SOON).await;
}

#[tokio::test]
async fn aiortc_watches_vp8() {
    let scene = Scene::demo().await;
    let mut viewer = scene.aiortc_viewer("demo", &["--codec", "vp8"]);
    let answered = viewer.expect("answered", SOON).await;
    assert!(!answered["sdp"].as_str().unwrap().contains("H264/90000"));
    sees_moving_pictures(&mut viewer).await;
}

#[tokio::test]
async fn gstreamer_watches_with_its_whep_client() {
    let scene = Scene::demo().await;
    let mut viewer = scene.gstreamer_viewer("demo", 60);
    sees_moving_pictures(&mut viewer).await;
}

#[tokio::test]
async fn a_viewer_gets_the_rendition_that_it_asks_for() {
    let scene = Scene::demo().await;
    let url = format!("{}?rendition=180p", scene.daemon.whep("demo"));
    let mut viewer = Peer::python(
        &scene.network,
        "whep.py",
        &[&url, "--token", scene.token(), "--codec", "h264"],
    );
    let frame = viewer.expect("frame", SOON).await;
    assert_eq!((frame["width"].as_u64(), frame["height"].as_u64()), (Some(320), Some(180)));
    viewer.interrupt(SOON).await;
    // Both of its ends are events.
    for (kind, cause) in [("viewer.joined", None), ("viewer.left", Some("left"))] {
        crate::support::until(&format!("{kind} is logged"), SOON, async || {
            let logged = scene.daemon.events();
            let found = logged.iter().find(|event| event["type"] == kind);
            let fits = |event: &&Value| {
                event["channel"] == "demo"
                    && event["data"]["rendition"] == "180p"
                    && event["cause"].as_str() == cause
            };
            if found.filter(fits).is_some() { Ok(()) } else { Err(Value::from(logged)) }
        })
        .await;
    }
}

#[tokio::test]
async fn a_rung_runs_only_while_it_is_watched() {
    let config = "[ladder]\nlinger = \"1s\"\nrungs = [{ height = 180 }]\n\
                  [[channels]]\nname = \"one\"\nsource = { kind = \"synthetic\" }\n";
    let scene = Scene::with_config(config).await;
    scene.daemon.source_state("one", "live", SOON).await;
    let state = async |wanted: &str| {
        crate::support::until(&format!("180p is {wanted}"), SOON, async || {
            let channel = scene.daemon.get("/api/v1/channels/one").await;
            let renditions = channel["renditions"].as_array().cloned().unwrap_or_default();
            let is = renditions
                .iter()
                .any(|r| r["name"] == "180p" && r["codec"] == "h264" && r["state"] == wanted);
            if is { Ok(()) } else { Err(channel) }
        })
        .await;
    };
    state("idle").await;
    let url = format!("{}?rendition=180p", scene.daemon.whep("one"));
    let mut viewer = Peer::python(
        &scene.network,
        "whep.py",
        &[&url, "--token", scene.token(), "--codec", "h264"],
    );
    let joined = std::time::Instant::now();
    viewer.expect("frame", SOON).await;
    println!("first picture of a rung that did not run: {:?}", joined.elapsed());
    state("running").await;
    viewer.interrupt(SOON).await;
    state("idle").await;
}

#[tokio::test]
async fn a_viewer_that_vanishes_is_gone_within_thirty_seconds() {
    let scene = Scene::demo().await;
    let mut viewer = scene.aiortc_viewer("demo", &[]);
    viewer.expect("frame", SOON).await;
    viewer.kill();
    let deadline = Duration::from_secs(30);
    crate::support::until("the viewer has gone", deadline, async || {
        let server = scene.daemon.get("/api/v1/server").await;
        if server["viewers"] == 0 { Ok(()) } else { Err(server) }
    })
    .await;
}
