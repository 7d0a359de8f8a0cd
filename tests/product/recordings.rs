//! Recordings by the real worker: whoever is killed costs a chunk at most, and the file plays.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use reqwest::Method;
use rustix::process::Signal;
use serde_json::Value;

use crate::support::daemon::{Daemon, Options};
use crate::support::scene::SOON;
use crate::support::wait::check;
use crate::support::{process, until};

const CONFIG: &str = "[recording]\nchunk = \"1s\"\nlease = \"1s\"\n\
    forms = [\"tracks\", \"composite\"]\n\
    [[channels]]\nname = \"cam\"\nrecord = true\n\
    source = { kind = \"synthetic\", resolution = { width = 640, height = 360 } }\n";
/// Seconds.
const CHUNK: f64 = 1.0;
/// What a busy machine adds, in seconds.
const SLACK: f64 = 1.0;

/// Waits until so many more chunks are in the store.
async fn shipped(daemon: &Daemon, count: f64) {
    let name = "stentor_recording_chunks_shipped_total";
    let before = daemon.metric(name, &[]).await;
    until("chunks are shipped", SOON, async || {
        let shipped = daemon.metric(name, &[]).await;
        check(shipped >= before + count, format!("{shipped}"))
    })
    .await;
}

/// Seconds between pictures, where that is long.
fn gaps(file: &std::path::Path) -> Vec<f64> {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", "v", "-show_entries", "packet=pts_time"])
        .args(["-of", "csv=p=0"])
        .arg(file)
        .output()
        .unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "ffprobe complains");
    let text = String::from_utf8(output.stdout).unwrap();
    let mut times: Vec<f64> =
        text.lines().filter_map(|line| line.trim_matches(',').parse().ok()).collect();
    assert!(times.len() > 50, "{} pictures", times.len());
    times.sort_by(f64::total_cmp);
    times.windows(2).map(|pair| pair[1] - pair[0]).filter(|gap| *gap > 0.3).collect()
}

/// Decodes all of it: nothing in it is broken.
fn decode(file: &std::path::Path) {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-xerror", "-i"])
        .arg(file)
        .args(["-f", "null", "-"])
        .output()
        .unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && complaint.is_empty(), "{complaint}");
}

/// A real browser plays it, and finds its middle by asking for a part of it.
fn plays(daemon: &Daemon, link: &str) {
    let output = Command::new("node")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/browser_play.mjs"))
        .args([&daemon.url, link])
        .output()
        .unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    let played: Value = serde_json::from_slice(&output.stdout).unwrap();
    println!("in Chromium: {played}");
    assert_eq!((&played["width"], &played["height"]), (&640.into(), &360.into()));
    assert!(played["frames"].as_u64().unwrap() > 20, "{played}");
}

async fn fetch(daemon: &Daemon, recording: &str, name: &str) -> PathBuf {
    let url = format!("{}{recording}/files/{name}", daemon.url);
    let bytes = daemon.http.get(url).send().await.unwrap().bytes().await.unwrap();
    let file = daemon.folder().join(name);
    std::fs::write(&file, &bytes).unwrap();
    file
}

/// The same in one picture: as long, whole, with its programme in it and its sound.
async fn composite(daemon: &Daemon, path: &str, recording: &Value) {
    let of = |name: &str| {
        let mut files = recording["files"].as_array().unwrap().iter();
        files.find(|file| file["name"] == name).unwrap_or_else(|| panic!("no {name}"))
    };
    let (track, all) = (of("cam.mp4"), of("composite.mp4"));
    let size = (&all["width"], &all["height"], &all["audio"]);
    assert_eq!(size, (&1280.into(), &720.into(), &"aac".into()), "{all}");
    let [track, whole] = [track, all].map(|file| file["duration_ms"].as_i64().unwrap());
    assert!((track - whole).abs() < 300, "{track} ms of the track, {whole} ms of all in one");
    let file = fetch(daemon, path, "composite.mp4").await;
    decode(&file);
    // Some pictures a second, as small as they tell whether anything moves.
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(&file)
        .args(["-vf", "fps=10,scale=160:90", "-pix_fmt", "gray", "-f", "rawvideo", "-"])
        .output()
        .unwrap();
    let pictures: Vec<&[u8]> = output.stdout.chunks_exact(160 * 90).collect();
    let moves = pictures.windows(2).filter(|pair| pair[0] != pair[1]).count();
    println!("composite: {whole} ms, {moves} of {} pictures move", pictures.len());
    assert!(moves > 15, "{moves} of {} pictures move", pictures.len());
}

#[tokio::test]
async fn a_worker_a_daemon_and_a_creator_that_are_killed_cost_a_chunk_at_most() {
    let options = Options { config: CONFIG.to_owned(), alone: true, ..Options::default() };
    let mut daemon = Daemon::start(options).await;
    daemon.source_state("cam", "live", SOON).await;
    shipped(&daemon, 2.0).await;
    let [worker] = daemon.workers()[..] else { panic!("one worker is expected") };
    let killed = Instant::now();
    assert!(process::signal(worker, Signal::KILL));
    until("another worker runs", SOON, async || {
        let workers = daemon.workers();
        check(!workers.is_empty() && !workers.contains(&worker), format!("{workers:?}"))
    })
    .await;
    daemon.source_state("cam", "live", SOON).await;
    let mut down = vec![killed.elapsed().as_secs_f64()];
    shipped(&daemon, 2.0).await;

    let killed = Instant::now();
    daemon.kill_and_start_again().await;
    daemon.source_state("cam", "live", SOON).await;
    down.push(killed.elapsed().as_secs_f64());
    shipped(&daemon, 2.0).await;
    let path = "/api/v1/channels/cam/recording";
    let (status, ended) = daemon.call(Method::DELETE, path, None).await;
    assert_eq!(status, 200);
    let path = format!("/api/v1/recordings/{}", ended["id"].as_str().unwrap());
    // Wherever its creator is by now.
    until("the recording has ended", SOON, async || {
        let state = daemon.get(&path).await["state"].clone();
        check(state == "ended" || state == "ready", state)
    })
    .await;
    daemon.kill_and_start_again().await;
    let recording: Value = until("there is a file", Duration::from_secs(60), async || {
        let recording = daemon.get(&path).await;
        if recording["state"] == "ready" { Ok(recording) } else { Err(recording) }
    })
    .await;

    let (status, links) = daemon.call(Method::POST, &format!("{path}/links"), None).await;
    assert_eq!(status, 201);
    plays(&daemon, links["files"][0]["url"].as_str().unwrap());
    let file = fetch(&daemon, &path, "cam.mp4").await;
    decode(&file);
    let gaps = gaps(&file);
    composite(&daemon, &path, &recording).await;
    println!("gaps {gaps:.2?} s, down for {down:.2?} s; {}", recording["files"][0]);
    assert!(gaps.len() <= 2, "{gaps:?}");
    // Of a worker that was back at once there may be none to be seen.
    let unseen = down.len() - gaps.len();
    if unseen == 1 {
        down.sort_by(f64::total_cmp);
    }
    for (gap, down) in gaps.iter().zip(&down[unseen..]) {
        assert!(*gap <= down + CHUNK + SLACK, "a gap of {gap} s, down for {down} s");
    }
}
