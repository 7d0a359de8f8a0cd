//! Everybody in one picture.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use stentor_pipelines::container::matroska::Kind;
use stentor_protocol::Resolution;

use super::tool::{compile, entry, pictures, write_chunk};
use crate::harness::{Worker, channel, synthetic};
use crate::recording::media::{Folder, probe, start, stop, wait_chunks};

const SIZE: Resolution = Resolution::new(640, 360);
const SILENCE: [u8; 3] = [0xfc, 0xff, 0xfe];

/// A few seconds of the test card and its tone.
fn card(folder: &Folder) -> Vec<PathBuf> {
    let mut worker = Worker::start(channel(synthetic(SIZE)));
    start(&mut worker, &folder.0, 1_000);
    // The first may be short: four seconds in all.
    wait_chunks(&worker, 5);
    stop(&mut worker).iter().map(|chunk| folder.file(&chunk.file)).collect()
}

/// The luma of the composite's picture at this second.
fn luma(file: &Path, second: &str, size: Resolution) -> Vec<u8> {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-ss", second, "-i"])
        .arg(file)
        .args(["-frames:v", "1", "-pix_fmt", "yuv420p", "-f", "rawvideo", "-"])
        .output()
        .unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout[..(size.width * size.height) as usize].to_vec()
}

/// The mean volume in dB.
fn volume(file: &Path) -> f64 {
    let output = Command::new("ffmpeg")
        .args(["-i"])
        .arg(file)
        .args(["-af", "volumedetect", "-vn", "-f", "null", "-"])
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    let after = words.split("mean_volume: ").nth(1).unwrap_or_else(|| panic!("{words}"));
    after.split(' ').next().unwrap().parse().unwrap()
}

fn plan(output: &Path, sources: &[(&str, &[PathBuf])], speakers: Value) -> Value {
    let sources: Vec<Value> =
        sources.iter().map(|(name, chunks)| json!({ "name": name, "chunks": chunks })).collect();
    json!({
        "form": "composite", "output": output, "sources": sources, "speakers": speakers,
        "resolution": { "width": 640, "height": 360 }, "frame_rate": 30,
    })
}

#[test]
fn all_are_seen_with_their_names_and_heard_and_who_speaks_is_marked() {
    let (folder, made) = (Folder::new(), Folder::new());
    let ann = card(&folder);
    // Ben has no camera, Cleo's is dark.
    let dark = pictures(SIZE, 60);
    let entry = entry(&dark);
    let sound: Vec<(Kind, i64, bool, &[u8])> =
        (0..300).map(|packet| (Kind::Audio, packet * 200, true, &SILENCE[..])).collect();
    let ben = vec![made.file("00000001.mkv")];
    write_chunk(&ben[0], &entry, &sound);
    let cleo = vec![made.file("00000002.mkv")];
    let shown: Vec<(Kind, i64, bool, &[u8])> = (0..180)
        .map(|index: i64| (index, &dark[index as usize % dark.len()]))
        .map(|(index, unit)| (Kind::Video, index * 1_000 / 3, unit.keyframe, &unit.data[..]))
        .collect();
    write_chunk(&cleo[0], &entry, &shown);

    let output = made.file("out.mp4");
    let speakers = json!([{ "at_us": 0, "source": 1 }]);
    let sources = [("Ann", &ann[..]), ("Бен", &ben[..]), ("Cleo: 100% 'x'", &cleo[..])];
    let done = compile(&made.0, &plan(&output, &sources, speakers)).unwrap();
    assert_eq!((&done["video"], &done["audio"]), (&json!("h264"), &json!("aac")));
    let (streams, pictures) = probe(&output);
    assert_eq!(streams, ["h264,640,360", "aac"]);
    let seconds = done["duration_ms"].as_f64().unwrap() / 1_000.0;
    assert!((pictures as f64 - seconds * 30.0).abs() < 2.0, "{pictures} {seconds}");

    let luma = luma(&output, "3.0", SIZE);
    let part = |left: usize, top: usize, width: usize, height: usize| -> Vec<u8> {
        let rows = (top..top + height).map(|row| &luma[row * 640 + left..][..width]);
        rows.flatten().copied().collect()
    };
    let mean =
        |part: &[u8]| part.iter().map(|luma| u64::from(*luma)).sum::<u64>() / part.len() as u64;
    let spread = |part: &[u8]| part.iter().max().unwrap() - part.iter().min().unwrap();
    assert!(spread(&part(40, 20, 240, 120)) > 100, "Ann's card");
    // Ben's tile: its ground, his name in the middle, and the mark around it.
    assert!((44..54).contains(&mean(&part(340, 10, 80, 40))), "{}", mean(&part(340, 10, 80, 40)));
    assert!(*part(400, 60, 160, 60).iter().max().unwrap() > 130, "Ben's name");
    assert!(mean(&part(340, 0, 280, 3)) > 120, "the mark: {}", mean(&part(340, 0, 280, 3)));
    assert!(*part(170, 335, 60, 20).iter().max().unwrap() > 130, "Cleo's name");
    let volume = volume(&output);
    assert!((-60.0..-3.0).contains(&volume), "Ann's tone: {volume} dB");
    assert!(made.names().iter().all(|name| !name.ends_with(".part")));
}

#[test]
fn who_comes_later_and_leaves_earlier_is_in_the_picture_meanwhile() {
    let folder = Folder::new();
    let units = pictures(SIZE, 30);
    let entry = entry(&units);
    let second = |path: &str, begin: i64| {
        let blocks: Vec<(Kind, i64, bool, &[u8])> = (0..)
            .zip(&units)
            .map(|(index, unit)| {
                (Kind::Video, begin + index * 1_000 / 3, index == 0, &unit.data[..])
            })
            .collect();
        let path = folder.file(path);
        write_chunk(&path, &entry, &blocks);
        path
    };
    let ann = [second("00000001.mkv", 0)];
    // Ten seconds later, when Ann is long gone.
    let ben = [second("00000011.mkv", 100_000)];
    let output = folder.file("out.mp4");
    let done = compile(&folder.0, &plan(&output, &[("", &ann), ("", &ben)], json!([]))).unwrap();
    assert_eq!(done["gaps"], json!([{ "from_ms": 966, "to_ms": 10_000 }]));
    assert_eq!(probe(&output).1, 330);
    let alone = luma(&output, "0.5", SIZE);
    let again = luma(&output, "10.5", SIZE);
    let nobody = luma(&output, "5", SIZE);
    assert!(nobody.iter().all(|luma| (16..34).contains(luma)), "the ground alone");
    assert!(*alone.iter().max().unwrap() > 60 && *again.iter().max().unwrap() > 60);
}
