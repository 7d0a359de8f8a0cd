//! How viewers end, and that nothing of them stays.

use std::time::Duration;

use stentor::fanout::{EndReason, FanoutEvent, JoinError, JoinRequest, RenditionChoice};

use crate::viewer::{Offering, Viewer};
use crate::world::{World, eventually, rendition};

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_that_vanishes_ends_and_one_that_stays_does_not() {
    let mut world = World::with(|config| config.dead_after = Duration::from_secs(4));
    let _feeder = world.feed(0, 30);
    let stays = Viewer::join(&world.fanout, "one").await;
    let goes = Viewer::join(&world.fanout, "one").await;
    eventually("video comes", || goes.frames().len() > 5 && stays.frames().len() > 5).await;
    let gone = goes.session;
    goes.vanish();
    let ended = |e: &FanoutEvent| matches!(e, FanoutEvent::Ended { .. });
    let event = world.event(ended).await;
    let expected =
        FanoutEvent::Ended { channel: "one".into(), session: gone, reason: EndReason::Dead };
    assert_eq!(event, expected);
    assert_eq!(world.fanout.viewers(None).await.len(), 1);
    assert!(!stays.is_closed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_that_never_connects_ends() {
    let mut world = World::with(|config| config.dead_after = Duration::from_millis(500));
    let _feeder = world.feed(0, 30);
    let mut offering = Offering::new("127.0.0.1");
    // Nobody will ever check this path.
    offering.offer = offering.offer.replace("a=candidate", "a=x-candidate");
    let viewer = offering.join(&world.fanout, "one", RenditionChoice::Auto).await.unwrap();
    viewer.vanish();
    let ended = |e: &FanoutEvent| {
        matches!(e, FanoutEvent::Ended { reason: EndReason::NeverConnected | EndReason::Dead, .. })
    };
    world.event(ended).await;
    assert!(world.fanout.viewers(None).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_leaves_before_connecting_takes_nobodys_sound_away() {
    let world = World::new();
    let _feeder = world.feed(0, 30);
    let viewer = Viewer::join(&world.fanout, "one").await;
    eventually("sound comes", || viewer.audio().len() > 10).await;
    for _ in 0..3 {
        let (channel, offer) = ("one".to_owned(), Offering::new("127.0.0.1").offer);
        let choice = RenditionChoice::Auto;
        let request = JoinRequest { channel, offer, choice, despite_drain: false };
        let other = world.fanout.join(request).await.unwrap().session;
        assert!(world.fanout.leave(other).await);
    }
    let before = viewer.audio().len();
    eventually("sound goes on", || viewer.audio().len() > before + 50).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn leaving_ends_at_once_and_can_be_repeated() {
    let mut world = World::new();
    let _feeder = world.feed(0, 30);
    let viewer = Viewer::join(&world.fanout, "one").await;
    eventually("video comes", || viewer.frames().len() > 5).await;
    assert!(world.fanout.leave(viewer.session).await);
    assert!(!world.fanout.leave(viewer.session).await);
    assert!(world.fanout.watch(viewer.session).is_none());
    eventually("the viewer is told", || viewer.is_closed()).await;
    let demand = |e: &FanoutEvent| matches!(e, FanoutEvent::Demand { viewers: 0, .. });
    world.event(demand).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn draining_refuses_new_viewers_and_tells_the_present_ones() {
    let world = World::new();
    let _feeder = world.feed(0, 30);
    let viewer = Viewer::join(&world.fanout, "one").await;
    eventually("video comes", || viewer.frames().len() > 5).await;
    world.fanout.set_draining(true);
    let refused = Offering::new("127.0.0.1").join(&world.fanout, "one", RenditionChoice::Auto);
    assert!(matches!(refused.await, Err(JoinError::Draining)));
    assert!(!viewer.is_closed());
    world.fanout.drain().await;
    eventually("the viewer is told", || viewer.is_closed()).await;
    assert!(world.fanout.viewers(None).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_a_channel_ends_its_viewers_and_no_others() {
    let mut world = World::new();
    let _feeder = world.feed(0, 30);
    let other = world.fanout.open_channel("other");
    other.set_renditions(vec![rendition(1, "high", 1500)]);
    let viewer = Viewer::join(&world.fanout, "one").await;
    let doomed = Viewer::join(&world.fanout, "other").await;
    eventually("both are connected", || viewer.is_connected() && doomed.is_connected()).await;
    drop(other);
    let reason = EndReason::ChannelClosed;
    let event = world.event(|e| matches!(e, FanoutEvent::Ended { .. })).await;
    let channel = "other".into();
    assert_eq!(event, FanoutEvent::Ended { channel, session: doomed.session, reason });
    let late = Offering::new("127.0.0.1").join(&world.fanout, "other", RenditionChoice::Auto);
    assert!(matches!(late.await, Err(JoinError::NoChannel(_))));
    assert!(!viewer.is_closed());
}

fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_ascii_whitespace().nth(1).unwrap().parse().unwrap()
}

fn count(directory: &str) -> usize {
    std::fs::read_dir(directory).unwrap().count()
}

#[test]
fn a_thousand_viewers_come_and_go_and_leave_nothing() {
    // In a process of its own, so that other tests' threads and sockets don't count.
    let name = "FANOUT_CYCLES";
    if std::env::var_os(name).is_none() {
        let this = "ends::a_thousand_viewers_come_and_go_and_leave_nothing";
        let status = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", this, "--nocapture"])
            .env(name, "1")
            .status()
            .unwrap();
        assert!(status.success());
        return;
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let mut world = World::new();
        let _feeder = world.feed(0, 30);
        let mut base = None;
        for cycle in 0..1000 {
            let viewer = Viewer::join(&world.fanout, "one").await;
            let has_video = || !viewer.video().is_empty();
            eventually("video comes", has_video).await;
            assert!(world.fanout.leave(viewer.session).await);
            drop(viewer);
            world.drain_events();
            world.seen.clear();
            if cycle == 200 {
                base = Some((resident_kb(), count("/proc/self/fd"), count("/proc/self/task")));
            }
        }
        let (memory, fds, threads) = base.unwrap();
        assert_eq!(world.fanout.viewers(None).await.len(), 0);
        assert_eq!(count("/proc/self/fd"), fds);
        eventually("threads end", || count("/proc/self/task") <= threads).await;
        let grown = resident_kb().saturating_sub(memory);
        // 800 viewers at 0.1 MB would be 80 MB.
        assert!(grown < 8_000, "{memory} kB grew by {grown} kB");
    });
}
