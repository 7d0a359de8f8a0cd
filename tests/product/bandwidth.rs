//! Rendition `auto` follows the line that a browser is at.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::scene::SOON;
use crate::support::{Peer, Scene};

/// From the first picture on. Where nothing is known of a path, a middle rung comes first.
const TO_THE_TOP: Duration = Duration::from_secs(10);

fn height(seen: &Value) -> u64 {
    seen["height"].as_u64().unwrap_or(0)
}

async fn first_picture(viewer: &mut Peer) {
    viewer.expect_where("seen", SOON, |seen| seen["decoded"].as_u64() > Some(0)).await;
}

#[tokio::test]
async fn every_browser_reaches_the_top_rung_of_a_wide_line() {
    let scene = Scene::demo_alone().await;
    for (browser, codec) in [("chromium", "video/H264"), ("firefox", "video/VP8")] {
        let mut viewer = scene.browser_viewer(browser, "demo", &[]);
        first_picture(&mut viewer).await;
        let begin = Instant::now();
        let top = viewer.expect_where("seen", TO_THE_TOP, |seen| height(seen) == 720).await;
        println!("{browser}: 720p after {:?}", begin.elapsed());
        assert_eq!(top["codec"], codec);
    }
}

/// A viewer at the top rung whose line takes less than that, more than the least rung.
async fn narrowed(scene: &Scene, kilobits: u32) -> Peer {
    let mut viewer = scene.browser_viewer("chromium", "demo", &[]);
    first_picture(&mut viewer).await;
    viewer.expect_where("seen", TO_THE_TOP, |seen| height(seen) == 720).await;
    scene.network.limit(Some(kilobits));
    let begin = Instant::now();
    let low = viewer.expect_where("seen", Duration::from_secs(6), |seen| height(seen) < 720).await;
    println!("{}p after {:?}", height(&low), begin.elapsed());
    viewer
}

#[tokio::test]
async fn a_line_that_gets_narrow_moves_the_viewer_down_at_once_and_up_again_later() {
    let scene = Scene::demo_alone().await;
    let mut viewer = narrowed(&scene, 400).await;
    let until = Instant::now() + Duration::from_secs(11);
    while Instant::now() < until {
        let seen = viewer.expect("seen", SOON).await;
        assert!(height(&seen) < 720, "{seen}");
    }
    scene.network.limit(None);
    let begin = Instant::now();
    viewer.expect_where("seen", Duration::from_secs(40), |seen| height(seen) == 720).await;
    println!("720p again after {:?}", begin.elapsed());
}

/// 500 kb/s carry the least rung. 300 kb/s don't: the beginning of each group of pictures is seen.
#[tokio::test]
async fn pictures_on_a_narrow_line_move() {
    for (kilobits, longest_ms) in [(500, 500.0), (300, 4000.0)] {
        let scene = Scene::demo_alone().await;
        let mut viewer = narrowed(&scene, kilobits).await;
        let settled = Instant::now() + Duration::from_secs(3);
        let until = settled + Duration::from_secs(10);
        let mut longest: f64 = 0.0;
        let mut last = Value::Null;
        while Instant::now() < until {
            let seen = viewer.expect("seen", SOON).await;
            let of = |key: &str| seen[key].as_f64().unwrap_or(0.0);
            if Instant::now() > settled {
                longest = longest.max(of("longest_ms")).max(of("since_ms"));
            }
            last = seen;
        }
        println!("{kilobits} kb/s: {longest} ms without a picture; {last}");
        assert!(longest <= longest_ms, "{kilobits} kb/s: {longest} ms; {last}");
    }
}
