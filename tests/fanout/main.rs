//! The fan-out over real sockets: a fabricated worker on one side, str0m's full stack as viewers
//! on the other.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod ends;
mod feeder;
mod viewer;
mod world;

use std::time::{Duration, SystemTime};

use stentor::fanout::{FanoutEvent, JoinError, RenditionChoice, SessionState};
use stentor_protocol::TrackId;
use viewer::{Offering, Viewer};
use world::{DEADLINE, World, assert_continuous, eventually, pinned};

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_gets_picture_and_sound_without_a_gap() {
    let world = World::new();
    let _feeder = world.feed(u32::MAX - 50_000, 30);
    let viewer = Viewer::join(&world.fanout, "one").await;
    eventually("video comes", || viewer.frames().len() > 60).await;
    assert_continuous(&viewer);
    assert!(viewer.frames().windows(2).all(|pair| pair[1].1 == pair[0].1 + 1));
    let audio = viewer.audio();
    assert!(audio.len() > 50, "{}", audio.len());
    assert!(audio.windows(2).all(|pair| pair[1].sequence == pair[0].sequence + 1));
    let reports = world.fanout.viewers(Some("one")).await;
    assert_eq!(reports.len(), 1);
    assert_eq!(reports[0].active.as_deref(), Some("high"));
    assert_eq!(reports[0].state, SessionState::Connected);
    assert!(reports[0].first_frame.unwrap() < Duration::from_millis(500), "{reports:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_joiner_starts_from_the_cached_group_of_pictures_at_the_live_edge() {
    let mut world = World::new();
    let feeder = world.feed(0, 1000);
    let first = Viewer::join(&world.fanout, "one").await;
    eventually("live", || feeder.frames() > 40).await;
    let viewer = Viewer::join(&world.fanout, "one").await;
    eventually("video comes", || viewer.frames().len() > 60).await;
    assert_continuous(&viewer);
    let frames = viewer.frames();
    assert_eq!(frames[0], (1, 0, true), "from the keyframe on");
    let video = viewer.sorted_video();
    // What is 40 frames of 33 ms in truth takes a fraction of that in the viewer's time.
    let of_frame = |n: u32| video.iter().find(|s| s.mark.unwrap().frame == n).unwrap().timestamp;
    assert!(of_frame(38) - of_frame(0) <= 38 * 90, "{}", of_frame(38) - of_frame(0));
    assert_eq!(of_frame(58) - of_frame(57), 2970);
    assert_eq!(world.keyframes_wanted(), 0);
    drop(first);
}

#[tokio::test(flavor = "multi_thread")]
async fn joiners_of_a_long_group_of_pictures_share_one_keyframe() {
    let mut world = World::new();
    let feeder = world.feed(0, 1000);
    let first = Viewer::join(&world.fanout, "one").await;
    eventually("the group of pictures grows long", || feeder.frames() > 70).await;
    let mut viewers = Vec::new();
    for _ in 0..5 {
        viewers.push(Viewer::join(&world.fanout, "one").await);
    }
    world.event(|e| matches!(e, FanoutEvent::KeyframeWanted { track: TrackId(1), .. })).await;
    feeder.force_keyframe(1);
    for viewer in &viewers {
        eventually("video comes", || viewer.frames().len() > 10).await;
        assert_continuous(viewer);
        assert!(viewer.frames()[0].1 > 60);
    }
    assert_eq!(world.keyframes_wanted(), 1);
    drop(first);
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_packets_are_sent_again() {
    let world = World::new();
    let _feeder = world.feed(0, 30);
    let viewer = Viewer::join(&world.fanout, "one").await;
    eventually("video comes", || viewer.frames().len() > 5).await;
    viewer.set_loss(5);
    let begun = viewer.video().len();
    eventually("video goes on", || viewer.video().len() > begun + 900).await;
    viewer.set_loss(0);
    let whole = |viewer: &Viewer| {
        let video = viewer.sorted_video();
        let (first, last) = (video[0].sequence, video[video.len() - 1].sequence);
        (last - first + 1) as usize - video.len()
    };
    eventually("holes are filled", || whole(&viewer) == 0).await;
    assert_continuous(&viewer);
    let report = &world.fanout.viewers(None).await[0];
    assert!(report.retransmissions > 10, "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_switch_of_rendition_is_at_a_keyframe_and_without_a_gap() {
    let mut world = World::new();
    let feeder = world.feed(0, 1000);
    let offering = Offering::new("127.0.0.1");
    let viewer = offering.join(&world.fanout, "one", pinned("high")).await.unwrap();
    eventually("video comes", || viewer.frames().len() > 10).await;
    let mut watched = world.fanout.watch(viewer.session).unwrap();
    world.fanout.select(viewer.session, pinned("low")).await.unwrap();
    world.event(|e| matches!(e, FanoutEvent::KeyframeWanted { track: TrackId(2), .. })).await;
    feeder.force_keyframe(2);
    eventually("the low rendition comes", || {
        viewer.frames().iter().filter(|(track, ..)| *track == 2).count() > 10
    })
    .await;
    assert_continuous(&viewer);
    let frames = viewer.frames();
    let switch = frames.iter().position(|(track, ..)| *track == 2).unwrap();
    assert!(frames[switch].2, "begins with a keyframe");
    assert!(frames[..switch].iter().all(|(track, ..)| *track == 1));
    assert!(frames[switch].1.abs_diff(frames[switch - 1].1) <= 1, "{:?}", &frames[switch - 1..]);
    let told = watched.wait_for(|report| report.active.as_deref() == Some("low"));
    tokio::time::timeout(DEADLINE, told).await.unwrap().unwrap();
    let demand = |track, viewers| {
        move |e: &FanoutEvent| {
            *e == FanoutEvent::Demand { channel: "one".into(), track: TrackId(track), viewers }
        }
    };
    world.event(demand(1, 0)).await;
    assert!(world.seen.iter().any(demand(2, 1)));
    let unknown = world.fanout.select(viewer.session, pinned("huge")).await;
    assert!(unknown.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn viewers_live_through_a_new_worker_without_a_gap_in_numbers_or_time() {
    let world = World::new();
    let feeder = world.feed(1_000_000, 30);
    let viewer = Viewer::join(&world.fanout, "one").await;
    eventually("video comes", || viewer.frames().len() > 40).await;
    drop(feeder);
    let before = viewer.video().len();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let _feeder = world.feed(3_999_000_000, 30);
    eventually("video comes again", || viewer.video().len() > before + 200).await;
    assert_continuous(&viewer);
    let video = viewer.sorted_video();
    let jump = video
        .windows(2)
        .map(|pair| pair[1].timestamp - pair[0].timestamp)
        .max()
        .unwrap_or_default();
    assert!((25_000..60_000).contains(&jump), "the pause took {jump} ticks");
    assert!(viewer.is_connected() && !viewer.is_closed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keyframe_request_is_answered_from_the_cache() {
    let mut world = World::new();
    let _feeder = world.feed(0, 1000);
    let viewer = Viewer::join(&world.fanout, "one").await;
    eventually("video comes", || viewer.frames().len() > 5).await;
    viewer.ask_keyframe();
    eventually("the keyframe comes again", || {
        viewer.frames().iter().filter(|(.., keyframe)| *keyframe).count() == 2
    })
    .await;
    eventually("video goes on", || viewer.frames().len() > 60).await;
    assert_continuous(&viewer);
    assert_eq!(world.keyframes_wanted(), 0);
    assert_eq!(world.fanout.viewers(None).await[0].plis, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rendition_that_is_not_running_is_asked_for_and_comes() {
    let mut world = World::new();
    let offering = Offering::new("127.0.0.1");
    let viewer = offering.join(&world.fanout, "one", pinned("low")).await.unwrap();
    let demand =
        |e: &FanoutEvent| matches!(e, FanoutEvent::Demand { track: TrackId(2), viewers: 1, .. });
    world.event(demand).await;
    let _feeder = world.feed(0, 1000);
    eventually("video comes", || viewer.frames().len() > 5).await;
    assert_continuous(&viewer);
    assert_eq!(viewer.frames()[0], (2, 0, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn viewers_come_over_ipv6_too() {
    let world = World::with(|config| {
        config.bind = vec!["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()];
    });
    let _feeder = world.feed(0, 30);
    let auto = RenditionChoice::Auto;
    let viewer = Offering::new("::1").join(&world.fanout, "one", auto).await.unwrap();
    eventually("video comes", || viewer.frames().len() > 30).await;
    assert_continuous(&viewer);
    let remote = world.fanout.viewers(None).await[0].remote.unwrap();
    assert!(remote.is_ipv6());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_without_our_codec_is_refused() {
    let world = World::new();
    let offering = Offering::with("127.0.0.1", |config| config.enable_h264(false).enable_vp8(true));
    let refused = offering.join(&world.fanout, "one", RenditionChoice::Auto).await;
    assert!(matches!(refused, Err(JoinError::NoCommonCodec(_))));
    let offering = Offering::new("127.0.0.1");
    let refused = offering.join(&world.fanout, "one", pinned("huge")).await;
    assert!(matches!(refused, Err(JoinError::NoRendition { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn sender_reports_keep_picture_and_sound_together() {
    let world = World::new();
    let _feeder = world.feed(12_345, 30);
    let viewer = Viewer::join(&world.fanout, "one").await;
    let reported = |viewer: &Viewer| {
        let video = viewer.video().iter().rev().find_map(|seen| seen.sender_info);
        let audio = viewer.audio().iter().rev().find_map(|seen| seen.sender_info);
        video.zip(audio)
    };
    eventually("sender reports come", || reported(&viewer).is_some()).await;
    eventually("video goes on", || viewer.frames().len() > 60).await;
    let ((video_ntp, video_rtp), (audio_ntp, audio_rtp)) = reported(&viewer).unwrap();
    // The feeder sends audio and video of one moment together: their capture times, as the
    // sender reports tell them, must agree.
    let video = *viewer.video().last().unwrap();
    let audio = viewer.audio();
    let audio = audio
        .iter()
        .min_by_key(|a| if a.at > video.at { a.at - video.at } else { video.at - a.at });
    let audio = audio.unwrap();
    let at = |ntp: SystemTime, rtp: u64, time: u64, rate: f64| {
        let after = (time as f64 - rtp as f64) / rate;
        ntp + Duration::from_secs_f64(after + 100.0)
    };
    let video_at = at(video_ntp, video_rtp, video.timestamp, 90_000.0);
    let audio_at = at(audio_ntp, audio_rtp, audio.timestamp, 48_000.0);
    let apart = video_at.duration_since(audio_at).unwrap_or_else(|error| error.duration());
    assert!(apart < Duration::from_millis(50), "{apart:?}");
}
