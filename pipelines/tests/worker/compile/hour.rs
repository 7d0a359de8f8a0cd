//! An hour of one sender, made fast: a few small pictures again and again, at times of an hour.

use std::time::Instant;

use stentor_pipelines::container::matroska::Kind;
use stentor_protocol::Resolution;

use super::tool::{compile, entry, packets, pictures, track, write_chunk};
use crate::recording::media::Folder;

const CHUNKS: i64 = 1_800;
/// Of a chunk: two seconds.
const CHUNK_TICKS: i64 = 20_000;
/// The sender's sound card is this much slow, in parts per million: packets of 20 ms come
/// later and later, 360 ms in an hour.
const SLOW: i64 = 100;

/// A packet of 20 ms that is told apart by its size.
const MARKED: [u8; 9] = [0xfc, 0xff, 0xfe, 0, 0, 0, 0, 0, 0];
const PLAIN: [u8; 3] = [0xfc, 0xff, 0xfe];

#[test]
fn after_an_hour_pictures_and_sound_are_within_40_ms_of_each_other() {
    let folder = Folder::new();
    let units = pictures(Resolution::new(64, 36), 60);
    let entry = entry(&units);
    let mut files = Vec::new();
    let mut packet = 0;
    // When the sender made the marked packets, in seconds of the file.
    let mut marks = Vec::new();
    for chunk in 0..CHUNKS {
        let begin = chunk * CHUNK_TICKS;
        let mut blocks: Vec<(Kind, i64, bool, &[u8])> = Vec::new();
        for (unit, index) in units.iter().zip(0..) {
            blocks.push((Kind::Video, begin + index * 1_000 / 3, index == 0, &unit.data));
        }
        let mut marked = false;
        loop {
            let ticks = packet * 200 * (1_000_000 + SLOW) / 1_000_000;
            if ticks >= begin + CHUNK_TICKS {
                break;
            }
            // The first packet of each chunk.
            let data: &[u8] = if marked { &PLAIN } else { &MARKED };
            if !marked {
                marks.push(ticks as f64 / 10_000.0);
            }
            marked = true;
            blocks.push((Kind::Audio, ticks, true, data));
            packet += 1;
        }
        let path = folder.file(&format!("{:08}.mkv", chunk + 1));
        write_chunk(&path, &entry, &blocks);
        files.push(path);
    }

    let output = folder.file("out.mp4");
    let start = Instant::now();
    let done = compile(&folder.0, &track(&output, &files)).unwrap();
    println!("an hour in {} chunks: {:?}, {done}", CHUNKS, start.elapsed());
    assert!(start.elapsed().as_secs() < 30, "{:?}", start.elapsed());
    assert!((done["duration_ms"].as_i64().unwrap() - 3_600_000).abs() < 100, "{done}");
    assert_eq!(
        (&done["gaps"], &done["left_out"]),
        (&serde_json::json!([]), &serde_json::json!([]))
    );

    let video = packets(&output, "v");
    assert_eq!(video.len(), 60 * CHUNKS as usize);
    let keyframes: Vec<f64> = video.iter().filter(|p| p.2).map(|p| p.0).collect();
    let audio = packets(&output, "a");
    let heard: Vec<f64> = audio.iter().filter(|p| p.1 == MARKED.len()).map(|p| p.0).collect();
    // A packet of an hour may be left out for the sound card's sake, not a hundred.
    assert!(heard.len() + 3 > marks.len(), "{} of {}", heard.len(), marks.len());
    let mut worst = 0.0_f64;
    for (index, keyframe) in keyframes.iter().enumerate() {
        assert!((keyframe - index as f64 * 2.0).abs() < 0.001);
        let nearest =
            |time: &f64| heard.iter().map(|h| h - time).min_by(|a, b| a.abs().total_cmp(&b.abs()));
        if let Some(apart) = nearest(&marks[index]).filter(|apart| apart.abs() < 0.5) {
            worst = worst.max(apart.abs());
        }
    }
    println!("pictures and sound at most {:.1} ms apart", worst * 1_000.0);
    assert!(worst < 0.040, "{worst}");
    // No hole in the sound: browsers would close it and shift what follows.
    let hole =
        audio.windows(2).map(|pair| (pair[1].0 - pair[0].0 - 0.02).abs()).fold(0.0, f64::max);
    assert!(hole < 0.001, "{hole}");
}
