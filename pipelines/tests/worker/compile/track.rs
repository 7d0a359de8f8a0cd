//! One sender's file: what changes, what is missing, what is damaged.

use std::fs;
use std::path::PathBuf;

use serde_json::json;
use stentor_hardware::EncodedUnit;
use stentor_pipelines::container::avc::VideoEntry;
use stentor_pipelines::container::matroska::Kind;
use stentor_pipelines::program::Message;
use stentor_protocol::control::Event;
use stentor_protocol::{Codec, Resolution};

use super::tool::{compile, entry, packets, pictures, track, write_chunk};
use crate::program::camera::{Camera, with_b_frames};
use crate::program::stage::{Stage, format};
use crate::recording::media::{Folder, NAME, chunks, probe, spec};

const LARGE: Resolution = Resolution::new(320, 180);
const SMALL: Resolution = Resolution::new(160, 90);
const SILENCE: [u8; 3] = [0xfc, 0xff, 0xfe];

/// Stops the stage's recording and gives the chunks' paths.
fn stop(stage: &Stage, folder: &Folder) -> Vec<PathBuf> {
    stage.tell(Message::StopRecording(NAME.into()));
    stage.wait_event("the end", |event| {
        matches!(event, Event::RecordingStopped { .. }).then_some(())
    });
    chunks(&stage.events()).iter().map(|chunk| folder.file(&chunk.file)).collect()
}

#[test]
fn sizes_and_codecs_that_change_become_one_file_that_decodes_to_its_end() {
    let folder = Folder::new();
    let mut stage = Stage::new();
    stage.live(format(Codec::H264, LARGE));
    // Shorter than any of these is a chunk that comes too soon.
    stage.tell(Message::StartRecording(spec(&folder.0, 500)));
    for (codec, size) in [
        (Codec::H264, LARGE),
        (Codec::H264, SMALL),
        (Codec::H264, LARGE),
        (Codec::Vp8, SMALL),
        (Codec::Vp8, LARGE),
    ] {
        stage.live(format(codec, size));
        stage.play(&mut Camera::new(codec, size), 10, |now| now);
    }
    let files = stop(&stage, &folder);
    assert_eq!(files.len(), 5);
    let output = folder.file("out.mp4");
    let done = compile(&folder.0, &track(&output, &files)).unwrap();
    assert_eq!((&done["video"], &done["audio"]), (&json!("h264"), &json!("opus")));
    assert_eq!((&done["width"], &done["height"]), (&json!(320), &json!(180)));
    let (streams, decoded) = probe(&output);
    assert_eq!((streams, decoded), (vec!["h264,320,180".to_owned(), "opus".to_owned()], 50));
    assert!(!folder.names().iter().any(|name| name.contains(".mp4.")), "{:?}", folder.names());
}

#[test]
fn pictures_with_b_frames_are_shown_when_they_were() {
    let folder = Folder::new();
    let units = with_b_frames(60);
    let encoded: Vec<EncodedUnit> = units
        .iter()
        .map(|(data, _, keyframe)| EncodedUnit { data: data.clone(), pts: 0, keyframe: *keyframe })
        .collect();
    let blocks: Vec<(Kind, i64, bool, &[u8])> = units
        .iter()
        .map(|(data, ns, keyframe)| (Kind::Video, *ns as i64 / 100_000, *keyframe, &data[..]))
        .collect();
    let path = folder.file("00000001.mkv");
    write_chunk(&path, &entry(&encoded), &blocks);
    let output = folder.file("out.mp4");
    compile(&folder.0, &track(&output, &[path])).unwrap();
    assert_eq!(probe(&output).1, 60);
    let mut shown: Vec<f64> = packets(&output, "v").iter().map(|packet| packet.0).collect();
    shown.sort_by(f64::total_cmp);
    for (index, time) in shown.iter().enumerate() {
        assert!((time - index as f64 / 30.0).abs() < 0.002, "{index}: {time}");
    }
}

/// Chunks of a second each: a picture a tenth of a second, and sound.
fn seconds(folder: &Folder, count: i64) -> Vec<PathBuf> {
    let units = pictures(SMALL, 10 * count as u32);
    let entry = entry(&units);
    let write = |second: i64| {
        let mut blocks: Vec<(Kind, i64, bool, &[u8])> = Vec::new();
        for picture in second * 10..second * 10 + 10 {
            let unit = &units[picture as usize];
            blocks.push((Kind::Video, picture * 1_000, unit.keyframe, &unit.data));
            for packet in 0..5 {
                blocks.push((Kind::Audio, picture * 1_000 + packet * 200, true, &SILENCE));
            }
        }
        let path = folder.file(&format!("{:08}.mkv", second + 1));
        write_chunk(&path, &entry, &blocks);
        path
    };
    (0..count).map(write).collect()
}

#[test]
fn damaged_chunks_are_left_out_and_named_and_a_killed_workers_part_is_used() {
    let folder = Folder::new();
    // One keyframe, in the first chunk: what follows a hole can't be decoded.
    let mut files = seconds(&folder, 4);
    let last = fs::read(&files[3]).unwrap();
    fs::write(&files[3], &last[..last.len() / 2]).unwrap();
    let output = folder.file("out.mp4");
    let done = compile(&folder.0, &track(&output, &files)).unwrap();
    assert_eq!(done["left_out"], json!([]));
    let pictures = probe(&output).1;
    assert!((31..40).contains(&pictures), "{pictures}");

    fs::write(&files[1], b"").unwrap();
    files[2] = folder.file("missing.mkv");
    let done = compile(&folder.0, &track(&output, &files)).unwrap();
    let names: Vec<&str> =
        done["left_out"].as_array().unwrap().iter().map(|l| l["file"].as_str().unwrap()).collect();
    assert_eq!(names, [files[1].to_str().unwrap(), files[2].to_str().unwrap()]);
    assert_eq!(probe(&output).1, 10, "without their keyframe the last are of no use");
    let gap = &done["gaps"][0];
    let (from, to) = (gap["from_ms"].as_i64().unwrap(), gap["to_ms"].as_i64().unwrap());
    assert!((900..1_000).contains(&from) && to == 3_000, "{gap}");
}

#[test]
fn chunks_that_come_in_another_order_are_shown_when_they_were() {
    let folder = Folder::new();
    let units = pictures(SMALL, 10);
    let write = |number: u32, begin: i64| {
        let mut blocks: Vec<(Kind, i64, bool, &[u8])> = Vec::new();
        for (picture, unit) in (0..).zip(&units) {
            let ticks = begin + picture * 1_000;
            blocks.push((Kind::Video, ticks, unit.keyframe, &unit.data));
            blocks.extend((0..5).map(|at| (Kind::Audio, ticks + at * 200, true, &SILENCE[..])));
        }
        let path = folder.file(&format!("{number:08}.mkv"));
        write_chunk(&path, &entry(&units), &blocks);
        path
    };
    let files = [write(1, 10_000), write(2, 0)];
    let output = folder.file("out.mp4");
    let done = compile(&folder.0, &track(&output, &files)).unwrap();
    assert_eq!((&done["gaps"], &done["duration_ms"]), (&json!([]), &json!(2_000)));
    assert_eq!(probe(&output).1, 20);
    let times: Vec<f64> = packets(&output, "v").iter().map(|packet| packet.0).collect();
    assert!(times.is_sorted() && times.len() == 20, "{times:?}");
    assert_eq!(packets(&output, "a").len(), 100);
}

#[test]
fn a_chunk_of_which_no_picture_can_be_shown_costs_itself_and_not_the_rest() {
    let folder = Folder::new();
    let vp8 = VideoEntry { codec: Codec::Vp8, resolution: SMALL, private: Vec::new() };
    let picture = (Kind::Video, 0, true, &[0, 0, 1, 0x11, 2, 3, 4][..]);
    let sound = (Kind::Audio, 0, true, &SILENCE[..]);
    let files = [folder.file("00000001.mkv"), folder.file("00000002.mkv")];
    write_chunk(&files[0], &vp8, &[picture, sound]);
    write_chunk(&files[1], &vp8, &[picture]);
    let output = folder.file("out.mp4");
    let done = compile(&folder.0, &track(&output, &files)).unwrap();
    assert_eq!((&done["video"], &done["audio"]), (&json!(null), &json!("opus")));
    let names: Vec<&str> =
        done["left_out"].as_array().unwrap().iter().map(|l| l["file"].as_str().unwrap()).collect();
    assert_eq!(names, [files[1].to_str().unwrap()]);
}

#[test]
fn without_a_usable_chunk_there_is_no_file_and_a_sentence() {
    let folder = Folder::new();
    let file = folder.file("00000001.mkv");
    fs::write(&file, b"nothing").unwrap();
    let output = folder.file("out.mp4");
    let (status, words) = compile(&folder.0, &track(&output, &[file])).unwrap_err();
    assert_eq!(status, 3);
    assert!(words.contains("no chunk is of any use"), "{words}");
    let (status, _) = compile(&folder.0, &json!({ "form": "track" })).unwrap_err();
    assert_eq!(status, 2);
    assert_eq!(folder.names(), ["00000001.mkv", "plan.json"]);
}
