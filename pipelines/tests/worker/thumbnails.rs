//! Small pictures of the program.

use stentor_protocol::control::Event;
use stentor_protocol::{Codec, Resolution};

use crate::harness::{Worker, channel, encoded, synthetic};
use crate::packets::wait_for;

fn jpegs(worker: &Worker) -> Vec<Vec<u8>> {
    let events = worker.events();
    let jpegs = events.into_iter().filter_map(|event| match event {
        Event::Thumbnail { jpeg } => Some(jpeg),
        _ => None,
    });
    jpegs.collect()
}

fn start() -> Worker {
    let mut spec = channel(synthetic(Resolution::new(1280, 720)));
    spec.thumbnail_interval_ms = 300;
    Worker::start(spec)
}

#[test]
fn a_channel_nobody_watches_has_thumbnails_and_no_running_decoder() {
    let worker = start();
    let jpegs = wait_for("two thumbnails", || Some(jpegs(&worker)).filter(|all| all.len() > 1));
    assert_eq!(jpegs[0][..3], [0xff, 0xd8, 0xff]);
    let stats = worker.wait_event("stats", |event| match event {
        Event::Stats(stats) => Some(stats.clone()),
        _ => None,
    });
    assert_eq!(stats.frames_decoded, 0);
}

#[test]
fn a_channel_with_rungs_has_thumbnails_of_what_they_show() {
    let mut worker = start();
    worker.send(&encoded(2, Codec::H264, 360, 800));
    worker.media().wait_units(2, 10);
    let before = jpegs(&worker).len();
    wait_for("more thumbnails", || (jpegs(&worker).len() > before + 2).then_some(()));
}
