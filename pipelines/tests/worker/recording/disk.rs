//! Workers that are killed, and disks that are full.

use std::fs;
use std::process::Command;

use stentor_protocol::Resolution;
use stentor_protocol::control::Event;

use super::media::{Folder, chunks, probe, start, stop, wait_chunks};
use crate::checks::assert_continuous;
use crate::harness::{Worker, channel, pass_through, synthetic};
use crate::packets::wait_for;

const SIZE: Resolution = Resolution::new(640, 360);

#[test]
fn what_a_killed_worker_leaves_is_good_and_the_next_goes_on_after_it() {
    let folder = Folder::new();
    let mut worker = Worker::start(channel(synthetic(SIZE)));
    start(&mut worker, &folder.0, 1_500);
    wait_chunks(&worker, 2);
    let part = wait_for("a part with a second in it", || {
        let names = folder.names();
        let part = names.iter().find(|name| name.ends_with(".part"))?;
        (folder.file(part).metadata().ok()?.len() > 60_000).then(|| part.clone())
    });
    drop(worker);
    let playable = Command::new("ffmpeg")
        .args(["-v", "quiet", "-i", folder.file(&part).to_str().unwrap()])
        .args(["-map", "0:v", "-f", "framemd5", "-"])
        .output()
        .unwrap();
    let lines = String::from_utf8(playable.stdout).unwrap();
    assert!(lines.lines().filter(|line| !line.starts_with('#')).count() >= 10, "{lines}");

    let mut next = Worker::start(channel(synthetic(SIZE)));
    start(&mut next, &folder.0, 1_000);
    wait_chunks(&next, 2);
    let killed: u32 = part.split('.').next().unwrap().parse().unwrap();
    assert_eq!(stop(&mut next)[0].sequence, killed + 1);
}

/// A file system of one megabyte; unmounted with the test.
struct SmallDisk(Folder);

impl SmallDisk {
    /// None where it can't be mounted.
    fn mount() -> Option<Self> {
        let folder = Folder::new();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m", "stentor-test"])
            .arg(&folder.0)
            .status();
        mounted.is_ok_and(|status| status.success()).then_some(Self(folder))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0.0).status();
    }
}

#[test]
fn a_full_disk_is_told_once_and_neither_the_channel_nor_what_was_recorded_suffers() {
    let Some(disk) = SmallDisk::mount() else {
        println!("SKIPPED: no tmpfs can be mounted here");
        return;
    };
    let folder = &disk.0;
    // Room for a few chunks.
    fs::write(folder.file("filler"), vec![1; 400_000]).unwrap();
    let mut worker = Worker::start(channel(synthetic(SIZE)));
    worker.send(&pass_through(1));
    start(&mut worker, &folder.0, 500);
    let full = |event: &Event| match event {
        Event::RecordingTrouble { full, .. } => Some(*full),
        _ => None,
    };
    assert!(worker.wait_event("the disk is full", full));
    let before = chunks(&worker.events());
    worker.media().wait_units(1, worker.media().of(1).len() / 2 + 60);
    let stats = wait_for("drops are counted", || {
        worker.events().into_iter().rev().find_map(|event| match event {
            Event::Stats(stats) if stats.recording_dropped > 20 => Some(stats),
            _ => None,
        })
    });
    assert_eq!((stats.frames_dropped, stats.media_dropped), (0, 0));
    assert_eq!(worker.events().iter().filter_map(full).count(), 1, "told once");
    assert!(!before.is_empty());
    for chunk in &before {
        probe(&folder.file(&chunk.file));
    }

    fs::remove_file(folder.file("filler")).unwrap();
    let known = before.len();
    wait_for("it goes on", || {
        let now = chunks(&worker.events());
        now.iter().skip(known).any(|chunk| chunk.duration_us > 300_000).then_some(())
    });
    for chunk in stop(&mut worker) {
        probe(&folder.file(&chunk.file));
    }
    assert_continuous(&worker.media().of(1));
}
