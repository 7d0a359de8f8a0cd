//! Publishers that are not ours, over HTTP.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use stentor_protocol::control::SourceState;
use stentor_protocol::spec::{Codec, SecondPublisher};

use super::super::{open, shim};
use super::spec;
use crate::contribution::testing::{Seen, decode_h264};

/// Runs aiortc's publisher against a source; None where aiortc isn't installed.
fn aiortc(arguments: &[&str]) -> Option<(Arc<Seen>, String)> {
    let python = std::env::var("STENTOR_TEST_PYTHON").unwrap_or_else(|_| "python3".into());
    let found = std::process::Command::new(&python)
        .args(["-c", "import aiortc"])
        .output()
        .is_ok_and(|output| output.status.success());
    if !found {
        println!("SKIPPED: {python} has no aiortc (STENTOR_TEST_PYTHON names one that has)");
        return None;
    }
    let (seen, sink) = Seen::new();
    let mut spec = spec();
    // aiortc has no candidates on loopback.
    spec.whip.local_addresses = Vec::new();
    let source = open(&spec, SecondPublisher::Refuse, sink).unwrap();
    let url = shim::serve(Arc::new(Mutex::new(source)), Arc::clone(&seen));
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/peers/aiortc_publish.py");
    let output = std::process::Command::new(python)
        .args([script, &url, "--seconds", "4"])
        .args(arguments)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    Some((seen, text))
}

#[test]
fn aiortc_publishes_h264_and_opus() {
    let Some((seen, said)) = aiortc(&[]) else { return };
    assert!(seen.video().len() > 50 && seen.audio().len() > 100, "{said}");
    assert_eq!(decode_h264(&seen.video()).len(), seen.video().len());
    assert!(seen.video_formats()[0].pass_through);
    assert_eq!(seen.states().last(), Some(&SourceState::Waiting));
}

#[test]
fn aiortc_publishes_vp8_with_trickled_candidates() {
    let Some((seen, said)) = aiortc(&["--codec", "vp8", "--trickle"]) else { return };
    assert!(seen.video().len() > 50 && seen.audio().len() > 100, "{said}");
    assert_eq!(seen.video_formats()[0].codec, Codec::Vp8);
}

#[test]
#[ignore = "a server for peers by hand: prints its URL and what comes, for WHIP_SECONDS"]
fn serve_for_peers() {
    let (seen, sink) = Seen::new();
    let mut spec = spec();
    if std::env::var("WHIP_LOOPBACK").is_err() {
        spec.whip.local_addresses = Vec::new();
    }
    let source = Arc::new(Mutex::new(open(&spec, SecondPublisher::TakeOver, sink).unwrap()));
    println!("{}", shim::serve(Arc::clone(&source), Arc::clone(&seen)));
    let seconds = std::env::var("WHIP_SECONDS").map_or(60, |n| n.parse().unwrap());
    for _ in 0..seconds {
        let before = source.lock().unwrap().stats().bytes;
        let pictures = seen.video().len();
        std::thread::sleep(Duration::from_secs(1));
        let kbps = (source.lock().unwrap().stats().bytes - before) * 8 / 1000;
        println!(
            "{kbps} kb/s, {} pictures, {} packets of sound, {:?}, {:?}",
            seen.video().len() - pictures,
            seen.audio().len(),
            seen.states().last(),
            seen.video_formats().last()
        );
    }
}
