//! Turns of a source's life, each the end of a chunk and none an error.

use stentor_pipelines::program::Message;
use stentor_protocol::control::Event;
use stentor_protocol::recording::Chunk;
use stentor_protocol::{Codec, Resolution};

use super::media::{Folder, NAME, chunks, probe, spec};
use crate::packets::wait_for;
use crate::program::camera::{Camera, access_unit};
use crate::program::stage::{Stage, format};

const LARGE: Resolution = Resolution::new(320, 180);
const SMALL: Resolution = Resolution::new(160, 90);

fn record(stage: &Stage, folder: &Folder) {
    stage.tell(Message::StartRecording(spec(&folder.0, 60_000)));
}

fn stop(stage: &Stage) -> Vec<Chunk> {
    stage.tell(Message::StopRecording(NAME.into()));
    stage.wait_event("the end", |event| {
        matches!(event, Event::RecordingStopped { .. }).then_some(())
    });
    chunks(&stage.events())
}

/// Codec, size and sound of each chunk, as told and as ffprobe finds them.
fn shapes(folder: &Folder, chunks: &[Chunk]) -> Vec<String> {
    let shape = |chunk: &Chunk| {
        let (streams, _) = probe(&folder.file(&chunk.file));
        let told = chunk
            .video
            .zip(chunk.resolution)
            .map(|(codec, size)| format!("{},{},{}", codec.as_str(), size.width, size.height));
        let streams: Vec<_> = streams.into_iter().filter(|stream| stream != "opus").collect();
        assert_eq!(streams, told.clone().into_iter().collect::<Vec<_>>());
        told.unwrap_or_else(|| "sound".into())
    };
    chunks.iter().map(shape).collect()
}

#[test]
fn another_size_and_another_codec_begin_another_chunk() {
    let folder = Folder::new();
    let mut stage = Stage::new();
    stage.live(format(Codec::H264, LARGE));
    record(&stage, &folder);
    stage.play(&mut Camera::new(Codec::H264, LARGE), 10, |now| now);
    stage.live(format(Codec::H264, SMALL));
    stage.play(&mut Camera::new(Codec::H264, SMALL), 10, |now| now);
    stage.live(format(Codec::Vp8, SMALL));
    stage.play(&mut Camera::new(Codec::Vp8, SMALL), 10, |now| now);
    stage.live(format(Codec::Vp8, LARGE));
    stage.play(&mut Camera::new(Codec::Vp8, LARGE), 10, |now| now);
    let chunks = stop(&stage);
    let expected = ["h264,320,180", "h264,160,90", "vp8,160,90", "vp8,320,180"];
    assert_eq!(shapes(&folder, &chunks), expected);
    assert!(chunks.iter().all(|chunk| chunk.starts_with_keyframe));
}

#[test]
fn a_camera_that_goes_off_and_on_again_costs_neither_sound_nor_pictures() {
    let folder = Folder::new();
    let mut stage = Stage::new();
    let mut camera = Camera::new(Codec::H264, LARGE);
    stage.live(format(Codec::H264, LARGE));
    stage.tell(Message::StartRecording(stentor_protocol::RecordingSpec {
        chunk_ms: 400,
        ..spec(&folder.0, 400)
    }));
    stage.play(&mut camera, 10, |now| now);
    // Sound alone, for so long that no picture is expected any more.
    for _ in 0..100 {
        let now = stentor_pipelines::program::time::ProgramTime::now().0;
        stage.tell(Message::Audio(access_unit(vec![0xfc, 0xff, 0xfe], now, true)));
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    camera.ask_for_keyframe();
    stage.play(&mut camera, 10, |now| now);
    let chunks = stop(&stage);
    let shapes = shapes(&folder, &chunks);
    assert_eq!(
        (shapes[0].as_str(), shapes.last().unwrap().as_str()),
        ("h264,320,180", "h264,320,180")
    );
    assert!(shapes.iter().any(|shape| shape == "sound"), "{shapes:?}");
    let pictures: usize = chunks.iter().map(|chunk| probe(&folder.file(&chunk.file)).1).sum();
    assert_eq!(pictures, 20);
}

#[test]
fn at_most_four_recordings_are_made_at_once() {
    let folder = Folder::new();
    let stage = Stage::new();
    for number in 0..5 {
        let mut spec = spec(&folder.0, 1_000);
        spec.recording = format!("r{number}");
        stage.tell(Message::StartRecording(spec));
    }
    wait_for("four start and one doesn't", || {
        let events = stage.events();
        let started = events.iter().filter(|e| matches!(e, Event::RecordingStarted { .. }));
        let refused = events.iter().filter(|e| matches!(e, Event::RecordingTrouble { .. }));
        (started.count() == 4 && refused.count() == 1).then_some(())
    });
}
