//! Viewers find their way: over IPv6, to one of several interfaces, through a static NAT, and
//! after they have moved.

use std::time::Duration;

use serde_json::Value;

use crate::support::daemon::Options;
use crate::support::network::Namespace;
use crate::support::scene::SOON;
use crate::support::{Peer, Scene, program, until};

/// The picture goes on from here.
async fn sees_moving_pictures(viewer: &mut Peer) -> Value {
    viewer.skip();
    let decoded = |seen: &Value| seen["decoded"].as_u64().unwrap_or(0);
    let first = viewer.expect_where("seen", SOON, |seen| decoded(seen) > 0).await;
    viewer.expect_where("seen", SOON, |seen| decoded(seen) > decoded(&first) + 30).await
}

/// The demo channel with its media at these addresses.
async fn scene(network: Namespace, media: &[&str], fanout: &str) -> Scene {
    let media = media.iter().map(|address| (*address).to_owned()).collect();
    let options = Options { demo: true, media, fanout: fanout.to_owned(), ..Options::default() };
    let scene = Scene::start_at(network, options).await;
    scene.daemon.source_state("demo", "live", SOON).await;
    scene
}

/// Session and address of the one viewer.
async fn viewer(scene: &Scene) -> (String, String) {
    let viewers = scene.daemon.get("/api/v1/channels/demo/viewers").await;
    let [viewer] = &viewers["viewers"].as_array().unwrap()[..] else { panic!("{viewers}") };
    let text = |name: &str| viewer[name].as_str().unwrap_or_default().to_owned();
    (text("session"), text("address"))
}

#[tokio::test]
async fn a_viewer_is_served_over_ipv6() {
    let network = Namespace::new();
    let (near, far) = (network.near6.clone(), network.far6.clone());
    let scene = scene(network, &[&near], "").await;
    let mut viewer_ = scene.browser_viewer("chromium", "demo", &[]);
    let seen = sees_moving_pictures(&mut viewer_).await;
    assert_eq!(seen["remote"].as_str().map(|ip| ip.trim_matches(['[', ']'])), Some(&*near));
    let (_, address) = viewer(&scene).await;
    assert!(address.starts_with(&format!("[{far}]")), "{address}");
}

#[tokio::test]
async fn with_several_interfaces_each_viewer_takes_the_one_that_it_reaches() {
    let (first, second) = (Namespace::new(), Namespace::new());
    let (near, other) = (first.near.clone(), second.near.clone());
    first.block(&other);
    second.block(&near);
    let scene = scene(first, &[&near, &other], "").await;
    let mut here = scene.browser_viewer("chromium", "demo", &[]);
    let there = [&*scene.daemon.whep("demo"), "--token", scene.token()];
    let mut there = Peer::browser(&second, "chromium", &there);
    assert_eq!(sees_moving_pictures(&mut here).await["remote"], near);
    assert_eq!(sees_moving_pictures(&mut there).await["remote"], other);
}

#[tokio::test]
async fn behind_a_static_nat_viewers_are_told_the_public_address_alone() {
    const PUBLIC: &str = "198.51.100.7";
    let network = Namespace::new();
    network.translate(PUBLIC);
    let near = network.near.clone();
    let public = format!("public_addresses = [\"{PUBLIC}\"]");
    let scene = scene(network, &[&near], &public).await;
    let mut viewer = scene.browser_viewer("chromium", "demo", &[]);
    let watching = viewer.expect("watching", SOON).await;
    let answer = watching["answer"].as_str().unwrap();
    let candidates: Vec<_> = answer.lines().filter(|l| l.starts_with("a=candidate")).collect();
    assert!(!candidates.is_empty() && candidates.iter().all(|l| l.contains(PUBLIC)), "{answer}");
    assert_eq!(sees_moving_pictures(&mut viewer).await["remote"], PUBLIC);
}

#[tokio::test]
async fn a_viewer_that_moves_to_another_address_goes_on_seeing() {
    let scene = Scene::demo().await;
    let mut peer = scene.browser_viewer("chromium", "demo", &[]);
    sees_moving_pictures(&mut peer).await;
    let (session, _) = viewer(&scene).await;
    let moved = scene.network.move_client();
    until("the server follows", Duration::from_secs(15), async || {
        let (_, address) = viewer(&scene).await;
        if address.starts_with(&moved) { Ok(()) } else { Err(address) }
    })
    .await;
    sees_moving_pictures(&mut peer).await;
    assert_eq!(viewer(&scene).await.0, session, "the same session goes on");
}

#[tokio::test]
async fn a_viewer_that_restarts_ice_keeps_its_session_and_its_picture() {
    let scene = Scene::demo().await;
    let mut peer = scene.browser_viewer("chromium", "demo", &["--restart-after", "4"]);
    sees_moving_pictures(&mut peer).await;
    let (session, _) = viewer(&scene).await;
    peer.expect("restarted", SOON).await;
    // Beyond the time that a path without consent would live.
    for _ in 0..40 {
        let seen = peer.expect("seen", SOON).await;
        assert_eq!(seen["connection"], "connected", "{seen}");
        assert!(seen["longest_ms"].as_f64() < Some(1000.0), "{seen}");
    }
    sees_moving_pictures(&mut peer).await;
    assert_eq!(viewer(&scene).await.0, session, "the same session goes on");
}

/// What `make run` and a browser on the same machine are: no configuration, loopback alone.
#[tokio::test]
async fn firefox_watches_a_server_that_listens_on_loopback_alone() {
    let network = Namespace::new();
    let mut serve = network.command(&program("stentor"));
    serve.args(["serve", "--demo"]);
    let _server = Peer::start(serve);
    let url = "http://127.0.0.1:8080/whep/demo";
    let mut viewer = Peer::browser(&network, "firefox", &[url]);
    viewer.expect("watching", Duration::from_secs(90)).await;
    let seen = sees_moving_pictures(&mut viewer).await;
    assert_eq!(seen["remote"], network.far);
}
