//! Tests of `rungs`.

use stentor_protocol::control::VideoFormat;
use stentor_protocol::spec::Codec;
use stentor_protocol::units::Resolution;

use super::*;
use crate::channels::ladder::plan;
use crate::channels::settings::Rung;

const LINGER: Duration = Duration::from_secs(5);

fn planned(height: u32, pass_through: bool) -> Vec<Planned> {
    let format = VideoFormat {
        codec: Codec::H264,
        resolution: Resolution::new(height * 16 / 9, height),
        frame_rate: None,
        pass_through,
        profile_level_id: None,
    };
    let rungs = [360, 180].map(|height| Rung { name: None, height, bitrate: None });
    plan(Some(&format), &rungs, &[Codec::H264])
}

fn board(now: Instant) -> Rungs {
    let mut rungs = Rungs::new(LINGER);
    rungs.handle_plan(planned(720, true), now);
    rungs.handle_worker_ready();
    rungs
}

fn commands(rungs: &mut Rungs) -> Vec<String> {
    std::iter::from_fn(|| rungs.poll_command())
        .map(|c| match c {
            Command::StartRung(spec) => format!("start {} {}", spec.track, spec.name),
            Command::StopRung { track } => format!("stop {track}"),
            Command::SetBitrate { track, bitrate } => format!("bitrate {track} {bitrate}"),
            Command::Keyframe { track } => format!("keyframe {track}"),
            other => format!("{other:?}"),
        })
        .collect()
}

fn started(track: u16) -> Event {
    Event::RungStarted {
        track: TrackId(track),
        backend: Some(Backend::Software),
        encoder: "libx264".into(),
        resolution: Resolution::new(640, 360),
    }
}

fn failed(track: u16) -> Event {
    Event::RungFailed { track: TrackId(track), reason: "no luck".into() }
}

#[test]
fn a_rung_starts_with_its_first_viewer_and_ends_some_time_after_the_last() {
    let t0 = Instant::now();
    let mut rungs = board(t0);
    assert!(commands(&mut rungs).is_empty());
    rungs.handle_demand(TrackId(2), 1, t0);
    rungs.handle_demand(TrackId(2), 2, t0);
    assert_eq!(commands(&mut rungs), ["start 2 360p"]);
    rungs.handle_event(&started(2), t0);
    assert_eq!(rungs.entries()[1].state, RungState::Running);

    rungs.handle_demand(TrackId(2), 0, t0);
    assert_eq!(rungs.poll_timeout(), Some(t0 + LINGER));
    rungs.handle_timeout(t0 + LINGER / 2);
    assert!(commands(&mut rungs).is_empty());
    rungs.handle_timeout(t0 + LINGER);
    assert_eq!(commands(&mut rungs), ["stop 2"]);
    assert_eq!(rungs.entries()[1].state, RungState::Idle);
    assert_eq!(rungs.poll_timeout(), None);
}

#[test]
fn a_viewer_who_comes_back_in_time_finds_the_rung_running() {
    let t0 = Instant::now();
    let mut rungs = board(t0);
    rungs.handle_demand(TrackId(2), 1, t0);
    rungs.handle_demand(TrackId(2), 0, t0);
    rungs.handle_demand(TrackId(2), 1, t0 + LINGER / 2);
    rungs.handle_timeout(t0 + LINGER * 2);
    assert_eq!(commands(&mut rungs), ["start 2 360p"]);
}

#[test]
fn a_new_worker_is_told_all_that_is_watched_under_the_same_numbers() {
    let t0 = Instant::now();
    let mut rungs = board(t0);
    rungs.handle_demand(TrackId(1), 3, t0);
    rungs.handle_demand(TrackId(3), 1, t0);
    commands(&mut rungs);
    rungs.handle_event(&started(1), t0);
    rungs.handle_worker_end();
    rungs.handle_demand(TrackId(2), 1, t0);
    assert!(commands(&mut rungs).is_empty(), "nobody is there to be told");
    rungs.handle_worker_ready();
    assert_eq!(commands(&mut rungs), ["start 1 source", "start 2 360p", "start 3 180p"]);
}

#[test]
fn what_stays_the_same_in_a_new_plan_keeps_its_track_and_numbers_are_not_used_twice() {
    let t0 = Instant::now();
    let mut rungs = board(t0);
    rungs.handle_demand(TrackId(1), 1, t0);
    rungs.handle_demand(TrackId(2), 1, t0);
    commands(&mut rungs);
    // The source becomes 540p, then needs encoding.
    assert!(rungs.handle_plan(planned(540, true), t0));
    let tracks = |r: &Rungs| r.entries().iter().map(|e| e.track.0).collect::<Vec<_>>();
    assert_eq!(tracks(&rungs), [1, 2, 3]);
    assert!(rungs.handle_plan(planned(540, false), t0));
    assert_eq!(tracks(&rungs), [4, 2, 3]);
    assert!(!rungs.handle_plan(planned(540, false), t0), "nothing new");
    // Viewers of track 1 are being moved; it runs on for a while.
    assert!(commands(&mut rungs).is_empty());
    rungs.handle_demand(TrackId(4), 1, t0);
    rungs.handle_demand(TrackId(1), 0, t0);
    rungs.handle_timeout(t0 + LINGER);
    assert_eq!(commands(&mut rungs), ["start 4 source", "stop 1"]);
}

#[test]
fn a_new_rate_needs_no_new_encoder() {
    let t0 = Instant::now();
    let mut rungs = board(t0);
    rungs.handle_demand(TrackId(2), 1, t0);
    commands(&mut rungs);
    let mut plan = planned(720, true);
    for planned in &mut plan {
        if let RungKind::Encode { bitrate, .. } = &mut planned.kind {
            bitrate.0 = 500_000;
            planned.bitrate.0 = 500_000;
        }
    }
    assert!(rungs.handle_plan(plan, t0));
    assert_eq!(commands(&mut rungs), ["bitrate 2 500 kb/s"]);
}

#[test]
fn a_rung_that_fails_is_withheld_and_tried_again_later_and_later() {
    let t0 = Instant::now();
    let mut rungs = board(t0);
    rungs.handle_demand(TrackId(2), 1, t0);
    commands(&mut rungs);
    assert!(rungs.handle_event(&failed(2), t0));
    let offered = |r: &Rungs| r.offered().map(|e| e.track.0).collect::<Vec<_>>();
    assert_eq!(offered(&rungs), [1, 3]);
    assert!(rungs.handle_timeout(t0 + RETRY));
    assert_eq!(offered(&rungs), [1, 2, 3]);
    assert_eq!(commands(&mut rungs), ["start 2 360p"]);
    rungs.handle_event(&failed(2), t0 + RETRY);
    assert_eq!(rungs.poll_timeout(), Some(t0 + RETRY * 3));
}

#[test]
fn when_everything_fails_everything_stays_on_offer() {
    let t0 = Instant::now();
    let mut rungs = board(t0);
    for track in 1..=3 {
        rungs.handle_event(&failed(track), t0);
    }
    assert_eq!(rungs.offered().count(), 3);
}

#[test]
fn a_worker_whose_numbers_are_used_up_must_be_replaced() {
    let t0 = Instant::now();
    let mut rungs = board(t0);
    rungs.next_track = u16::MAX;
    rungs.handle_plan(planned(720, false), t0);
    assert!(rungs.is_worn_out());
    rungs.handle_plan(planned(540, false), t0);
    let mut tracks: Vec<u16> = rungs.entries().iter().map(|e| e.track.0).collect();
    tracks.sort_unstable();
    tracks.dedup();
    assert_eq!(tracks.len(), 3, "no number is in use twice");
    rungs.handle_worker_end();
    assert!(!rungs.is_worn_out());
}

#[test]
fn keyframes_are_asked_only_of_rungs_that_run() {
    let t0 = Instant::now();
    let mut rungs = board(t0);
    rungs.handle_keyframe_wanted(TrackId(1));
    rungs.handle_demand(TrackId(1), 1, t0);
    commands(&mut rungs);
    rungs.handle_event(&started(1), t0);
    rungs.handle_keyframe_wanted(TrackId(1));
    assert_eq!(commands(&mut rungs), ["keyframe 1"]);
}
