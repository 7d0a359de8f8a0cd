//! Rungs that start because somebody watches.

use std::time::Instant;

use crate::support::scene::SOON;
use crate::support::{Peer, Scene, until};

const CONFIG: &str = "[ladder]\nlinger = \"200ms\"\nrungs = [{ height = 180 }]\n\
                      [[channels]]\nname = \"one\"\nsource = { kind = \"synthetic\" }\n";

#[tokio::test]
async fn a_rung_that_starts_again_and_again_is_seen_within_a_second_each_time() {
    let scene = Scene::with_config_alone(CONFIG).await;
    scene.daemon.source_state("one", "live", SOON).await;
    let url = format!("{}?rendition=180p", scene.daemon.whep("one"));
    for start in 0..4 {
        until("180p is idle", SOON, async || {
            let channel = scene.daemon.get("/api/v1/channels/one").await;
            let mut renditions = channel["renditions"].as_array().into_iter().flatten();
            let idle = renditions
                .any(|r| r["name"] == "180p" && r["codec"] == "h264" && r["state"] == "idle");
            if idle { Ok(()) } else { Err(channel) }
        })
        .await;
        let arguments = [url.as_str(), "--token", scene.token(), "--codec", "h264"];
        let mut viewer = Peer::python(&scene.network, "whep.py", &arguments);
        viewer.expect("connected", SOON).await;
        let connected = Instant::now();
        viewer.expect("frame", SOON).await;
        let took = connected.elapsed();
        println!("start {start}: seen {} ms after the connection", took.as_millis());
        assert!(took.as_millis() < 1000, "start {start}: {took:?}");
        viewer.interrupt(SOON).await;
    }
}
