//! Viewers behind a bad line: every 20th packet to them is lost.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::scene::SOON;
use crate::support::{Scene, program, soak_is_long};

/// No freeze may be longer.
const LONGEST: Duration = Duration::from_millis(500);
const LOSS_PERCENT: u32 = 5;

fn span() -> Duration {
    Duration::from_secs(if soak_is_long() { 60 } else { 12 })
}

/// Of what is counted over the whole span, so many a second.
fn at_least(a_second: f64) -> u64 {
    (span().as_secs_f64() * a_second) as u64
}

#[tokio::test]
async fn five_percent_loss_freezes_no_browser_for_longer_than_half_a_second() {
    let scene = Scene::demo_alone().await;
    let mut viewer = scene.browser_viewer("chromium", "demo", &[]);
    let decoded = |seen: &Value| seen["decoded"].as_u64().unwrap_or(0);
    // The browser's own warm-up is no freeze.
    let before = viewer.expect_where("seen", SOON, |seen| decoded(seen) > 60).await;
    scene.network.lose(LOSS_PERCENT);
    let (until, mut longest) = (Instant::now() + span(), 0.0_f64);
    let mut last = before.clone();
    while Instant::now() < until {
        last = viewer.expect("seen", SOON).await;
        let gap = last["longest_ms"].as_f64().unwrap();
        longest = longest.max(gap).max(last["since_ms"].as_f64().unwrap());
    }
    let pictures = decoded(&last) - decoded(&before);
    println!(
        "{} packets lost, {pictures} pictures in {:?}, longest gap {longest:.0} ms; {last}",
        scene.network.lost(),
        span()
    );
    assert!(scene.network.lost() > at_least(2.0));
    assert!(last["repaired"].as_u64() > Some(at_least(0.8)), "nothing was sent again: {last}");
    assert!(longest <= LONGEST.as_secs_f64() * 1000.0, "a freeze of {longest:.0} ms");
    assert!(pictures as f64 > span().as_secs_f64() * 25.0, "{pictures} pictures");
}

#[tokio::test]
async fn five_percent_loss_freezes_none_of_five_viewers_for_longer_than_half_a_second() {
    let scene = Scene::demo_alone().await;
    scene.network.lose(LOSS_PERCENT);
    let seconds = format!("{}s", span().as_secs());
    let mut command = scene.network.command(&program("stentor"));
    command.args(["load", "whep", &scene.daemon.whep("demo"), "--token", scene.token()]);
    command.args(["--viewers", "5", "--for", &seconds, "--json"]);
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let summary: Value = serde_json::from_str(&said).unwrap();
    println!("{} packets lost; {summary}", scene.network.lost());
    assert!(scene.network.lost() > at_least(10.0));
    assert_eq!(summary["played"], 5);
    assert!(summary["packets_recovered"].as_u64() > Some(at_least(4.0)));
    let longest = summary["longest_freeze_ms"].as_f64().unwrap();
    assert!(longest <= LONGEST.as_secs_f64() * 1000.0, "a freeze of {longest:.0} ms");
}

/// aiortc asks for a packet only when it notices a gap: one whose repetition is lost, too, it
/// misses until its next gap, however long that takes. So its freezes say little of the server,
/// and what it asked for is looked at instead.
#[tokio::test]
async fn what_a_viewer_without_rtx_asks_for_again_it_gets() {
    let scene = Scene::demo_alone().await;
    let mut viewer = scene.aiortc_viewer("demo", &["--codec", "h264", "--seconds", "120"]);
    viewer.expect("frame", SOON).await;
    scene.network.lose(LOSS_PERCENT);
    let (until, mut frames) = (Instant::now() + span(), 0);
    while Instant::now() < until {
        viewer.expect("frame", SOON).await;
        frames += 1;
    }
    let viewers = scene.daemon.get("/api/v1/channels/demo/viewers").await;
    let count = |name: &str| viewers["viewers"][0][name].as_u64().unwrap();
    let (nacks, again) = (count("nacks"), count("retransmissions"));
    println!(
        "{} packets lost, {frames} pictures in {:?}, {again} of {nacks} packets sent again",
        scene.network.lost(),
        span()
    );
    assert!(scene.network.lost() > at_least(2.0));
    assert!(again > at_least(1.5), "{again} of {nacks} packets were sent again");
    // Of those that are asked for twice in a moment, one will do.
    assert!(again * 2 > nacks, "{again} of {nacks} packets were sent again");
    assert!(f64::from(frames) > span().as_secs_f64() * 25.0, "{frames} pictures");
}
