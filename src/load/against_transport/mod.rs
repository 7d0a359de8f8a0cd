//! Runs against a small server made of the fan-out's transport and signalling.

mod server;

use std::sync::atomic::Ordering;
use std::time::Duration;

use server::{Faults, Server};
use stentor_protocol::Secret;

#[test]
fn viewers_join_play_and_leave() {
    let server = Server::start(Faults::default());
    let summary = server.run(5, 4.0, |options| {
        options.threads = 2;
        options.rendition = Some("720p".into());
        options.token = Some(Secret("abc".into()));
    });
    assert_eq!((summary.connected, summary.played), (5, 5), "{summary}");
    assert!(summary.failed.is_empty(), "{summary}");
    assert_eq!((summary.packets_lost, summary.freezes), (0, 0), "{summary}");
    assert!(summary.pictures > 5 * 100, "{summary}");
    assert_eq!(server.left.load(Ordering::Relaxed), 5);
    let requests = server.requests.lock().unwrap();
    assert!(requests[0].starts_with("POST /whep/test?rendition=720p HTTP"), "{}", requests[0]);
    assert!(requests[0].contains("authorization: Bearer abc"), "{}", requests[0]);
    // 4 packets of 400 bytes, headers and tags, 50 times a second.
    let bitrate = summary.bitrate_bps_per_viewer;
    assert!((600_000.0..800_000.0).contains(&bitrate), "{summary}");
    let latency = summary.latency_ms.unwrap().quantiles.p50.unwrap();
    assert!((39.0..80.0).contains(&latency), "{summary}");
}

#[test]
fn what_is_dropped_on_purpose_is_recovered() {
    let server = Server::start(Faults::default());
    let summary = server.run(2, 5.0, |options| options.loss_percent = 5.0);
    assert_eq!(summary.played, 2, "{summary}");
    assert!(summary.packets_dropped_on_purpose > 50, "{summary}");
    assert!(summary.packets_recovered > 40, "{summary}");
    assert!(summary.packets_lost < 10, "{summary}");
}

#[test]
fn without_retransmission_loss_is_seen_as_freezes_and_keyframe_requests() {
    let server = Server::start(Faults { deaf: true, ..Faults::default() });
    let summary = server.run(2, 5.0, |options| options.loss_percent = 5.0);
    assert!(summary.packets_lost > 40, "{summary}");
    assert!(summary.keyframe_requests > 0 && summary.freezes > 0, "{summary}");
}

#[test]
fn a_pause_is_one_freeze_of_its_length() {
    let pause = (Duration::from_millis(1500), Duration::from_millis(2500));
    let server = Server::start(Faults { pause: Some(pause), ..Faults::default() });
    let summary = server.run(1, 4.0, |_| {});
    assert_eq!(summary.freezes, 1, "{summary}");
    assert!((900.0..1300.0).contains(&summary.longest_freeze_ms), "{summary}");
}

#[test]
fn a_viewer_without_a_keyframe_has_failed() {
    let server = Server::start(Faults { headless: true, ..Faults::default() });
    let summary = server.run(1, 3.0, |o| o.join_timeout = Duration::from_secs(1));
    assert_eq!((summary.connected, summary.played), (1, 0), "{summary}");
    assert_eq!(summary.failed.get("no keyframe in time"), Some(&1), "{summary}");
}

#[test]
fn refusals_are_counted_by_status() {
    let server = Server::start(Faults { status: Some(503), ..Faults::default() });
    let summary = server.run(3, 0.5, |_| {});
    assert_eq!(summary.failed.get("status 503"), Some(&3), "{summary}");
}
