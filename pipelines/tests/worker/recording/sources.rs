//! Recordings of real sources.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use stentor_protocol::control::Event;
use stentor_protocol::recording::Chunk;
use stentor_protocol::spec::RtspTransport;
use stentor_protocol::{Codec, Resolution, Secret, SourceSpec};

use super::media::{Folder, assert_in_order, probe, start, stop, wait_chunks};
use crate::harness::{Worker, channel, synthetic};

const SIZE: Resolution = Resolution::new(640, 360);

/// Every chunk is a file that plays by itself. Gives how many pictures there are.
fn assert_self_contained(folder: &Folder, chunks: &[Chunk], size: Resolution) -> usize {
    let mut pictures = 0;
    for chunk in chunks {
        let (streams, decoded) = probe(&folder.file(&chunk.file));
        assert_eq!(chunk.bytes, folder.file(&chunk.file).metadata().unwrap().len());
        if chunk.video.is_some() {
            assert!(chunk.starts_with_keyframe, "{chunk:?}");
            assert_eq!(streams[0], format!("h264,{},{}", size.width, size.height));
            assert!(decoded > 0);
        }
        if chunk.audio.is_some() {
            assert_eq!(streams.last().map(String::as_str), Some("opus"));
        }
        pictures += decoded;
    }
    assert_in_order(chunks);
    pictures
}

#[test]
fn a_source_that_sends_keyframes_when_asked_is_cut_at_them() {
    let folder = Folder::new();
    let mut worker = Worker::start(channel(synthetic(SIZE)));
    start(&mut worker, &folder.0, 1_000);
    start(&mut worker, &folder.0, 1_000);
    wait_chunks(&worker, 4);
    let chunks = stop(&mut worker);
    let pictures = assert_self_contained(&folder, &chunks, SIZE);
    let seconds = chunks.iter().map(|chunk| chunk.duration_us).sum::<u64>() as f64 / 1e6;
    assert!((pictures as f64 - seconds * 30.0).abs() < 8.0, "{pictures} in {seconds} s");
    let full = chunks.iter().filter(|chunk| chunk.video.is_some());
    let lengths: Vec<u64> = full.map(|chunk| chunk.duration_us / 1_000).collect();
    assert!(lengths[..lengths.len() - 1].iter().all(|ms| (850..1_700).contains(ms)), "{lengths:?}");
    let names: Vec<String> = chunks.iter().map(|chunk| chunk.file.clone()).collect();
    assert_eq!(folder.names(), names, "and nothing else is left");
    let started = worker.events();
    let started = started.iter().filter(|event| matches!(event, Event::RecordingStarted { .. }));
    assert_eq!(started.count(), 2, "starting again is answered and starts nothing");
}

/// Ten seconds with B-frames and AAC.
fn clip(folder: &Folder) -> String {
    let path = folder.file("clip.mp4").to_str().unwrap().to_owned();
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=30"])
        .args(["-f", "lavfi", "-i", "sine=sample_rate=44100", "-t", "6", "-c:v", "libx264"])
        .args(["-preset", "veryfast", "-bf", "3", "-g", "30", "-pix_fmt", "yuv420p"])
        .args(["-c:a", "aac", &path])
        .status();
    assert!(made.unwrap().success());
    path
}

#[test]
fn a_source_with_b_frames_and_aac_is_recorded_as_it_comes() {
    let (folder, clips) = (Folder::new(), Folder::new());
    let path = clip(&clips);
    let mut worker = Worker::start(channel(SourceSpec::File { path, repeat: true }));
    start(&mut worker, &folder.0, 1_000);
    wait_chunks(&worker, 4);
    let chunks = stop(&mut worker);
    let pictures = assert_self_contained(&folder, &chunks, SIZE);
    assert!(pictures > 60, "{pictures}");
    assert!(chunks[1..3].iter().all(|chunk| chunk.audio == Some(Codec::Opus)));
}

/// A camera behind an RTSP server; gone with the test.
struct Camera {
    server: Child,
    url: String,
}

impl Camera {
    fn start() -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/peers/rtsp_camera.py");
        assert!(Path::new(script).exists());
        let mut server =
            Command::new("/usr/bin/python3").arg(script).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let said: serde_json::Value = serde_json::from_str(&line).unwrap();
        let url = format!("rtsp://127.0.0.1:{}/camera", said["port"]);
        Self { server, url }
    }
}

impl Drop for Camera {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

#[test]
fn a_camera_behind_rtsp_is_recorded() {
    let folder = Folder::new();
    let camera = Camera::start();
    let mut worker = Worker::start(channel(SourceSpec::Rtsp {
        url: camera.url.clone(),
        transport: RtspTransport::Tcp,
        user: Some("viewer".into()),
        password: Some(Secret("secret".into())),
    }));
    start(&mut worker, &folder.0, 1_000);
    wait_chunks(&worker, 3);
    let chunks = stop(&mut worker);
    assert!(assert_self_contained(&folder, &chunks, SIZE) > 30);
}
