//! Tests of `file`.

use std::path::Path;

use stentor_protocol::control::SourceState;
use stentor_protocol::spec::Codec;
use stentor_protocol::units::Resolution;

use super::*;
use crate::contribution::AccessUnit;
use crate::contribution::testing::{Clips, Seen, decode_h264, wait};

const VIDEO: &str = "-f lavfi -i testsrc2=size=320x240:rate=30";
const SOUND: &str = "-f lavfi -i sine=frequency=440:sample_rate=48000";
const PLAIN: &str = "-c:v libx264 -preset ultrafast -tune zerolatency -g 15 -pix_fmt yuv420p";

fn play(path: &Path, repeat: bool) -> (Arc<Seen>, Box<dyn Contribution>) {
    let (seen, sink) = Seen::new();
    let source = open(path.to_str().unwrap(), repeat, 700, sink).unwrap();
    (seen, source)
}

/// Steps from each unit's time to the next one's, ms.
fn steps(units: &[AccessUnit]) -> Vec<i64> {
    units.windows(2).map(|w| (w[1].pts_ns as i64 - w[0].pts_ns as i64) / 1_000_000).collect()
}

#[test]
fn a_clip_repeats_without_a_gap_in_real_time() {
    let clips = Clips::new("repeat");
    for name in ["clip.mp4", "clip.mkv", "clip.ts"] {
        let path = clips.make(name, &format!("-t 1 {VIDEO} -t 1 {SOUND} {PLAIN} -c:a aac"));
        let (seen, source) = play(&path, true);
        let start = std::time::Instant::now();
        wait("three rounds and more", || seen.video().len() >= 100 && seen.audio().len() >= 150);
        let took = start.elapsed().as_millis();
        source.close();
        assert!((2800..6000).contains(&took), "{name}: 100 pictures in {took} ms");
        let (video, audio) = (seen.video(), seen.audio());
        assert!(
            steps(&video).iter().all(|ms| (0..=90).contains(ms)),
            "{name}: {:?}",
            steps(&video)
        );
        assert!(
            steps(&audio).iter().all(|ms| (0..=90).contains(ms)),
            "{name}: {:?}",
            steps(&audio)
        );
        let jumps: Vec<usize> = (1..video.len()).filter(|&n| video[n].discontinuity).collect();
        assert!(jumps.len() >= 3, "{name}: {jumps:?}");
        assert!(jumps.iter().all(|&n| video[n].keyframe), "{name}: {jumps:?}");
        assert_eq!(seen.states(), [SourceState::Connecting, SourceState::Live], "{name}");
        assert_eq!(seen.audio_formats()[0].codec, Codec::Aac);
        assert_eq!(decode_h264(&video).len(), video.len(), "{name}");
        let ends = (video[video.len() - 1].pts_ns, audio[audio.len() - 1].pts_ns);
        assert!(ends.0.abs_diff(ends.1) < 400_000_000, "{name}: {ends:?}");
    }
}

#[test]
fn codecs_and_containers_of_all_kinds_are_played() {
    let clips = Clips::new("kinds");
    let x265 = "-c:v libx265 -preset ultrafast -x265-params log-level=none -pix_fmt yuv420p";
    let cases = [
        (
            "b.mp4",
            format!("{VIDEO} {SOUND} -c:v libx264 -bf 2 -g 15 -pix_fmt yuv420p -c:a aac"),
            Some((Codec::H264, false)),
            Some(Codec::Aac),
        ),
        ("hevc.mp4", format!("{VIDEO} {x265}"), Some((Codec::H265, false)), None),
        (
            "hevc.ts",
            format!("{VIDEO} {SOUND} {x265} -c:a mp2"),
            Some((Codec::H265, false)),
            Some(Codec::Opus),
        ),
        (
            "vp8.webm",
            format!("{VIDEO} {SOUND} -c:v libvpx -g 15 -c:a libopus"),
            Some((Codec::Vp8, true)),
            Some(Codec::Opus),
        ),
        ("opus.mkv", format!("{SOUND} -c:a libopus"), None, Some(Codec::Opus)),
        ("sound.m4a", format!("{SOUND} -c:a aac"), None, Some(Codec::Aac)),
    ];
    for (name, arguments, video, audio) in cases {
        let path = clips.make(name, &format!("{arguments} -t 2"));
        let (seen, source) = play(&path, true);
        wait(name, || {
            (video.is_none() || seen.video().len() >= 20)
                && (audio.is_none() || seen.audio().len() >= 20)
        });
        source.close();
        let format = seen.video_formats().first().map(|f| (f.codec, f.pass_through));
        assert_eq!(format, video, "{name}");
        assert_eq!(seen.audio_formats().first().map(|f| f.codec), audio, "{name}");
        assert!(seen.video().first().is_none_or(|u| u.keyframe), "{name}");
    }
}

#[test]
fn odd_sizes_and_rates_are_told_as_they_are() {
    let clips = Clips::new("odd");
    for (width, height, rate) in [(322, 242, "60000/1001"), (1918, 1078, "50"), (176, 144, "60")] {
        let source = format!("-f lavfi -i testsrc2=size={width}x{height}:rate={rate}");
        let path = clips.make(&format!("{width}.mp4"), &format!("-t 1 {source} {PLAIN}"));
        let (seen, _source) = play(&path, true);
        wait("pictures", || seen.video().len() >= 20);
        let format = seen.video_formats().remove(0);
        assert_eq!(format.resolution, Resolution::new(width, height));
        let told = format.frame_rate.unwrap();
        let expected = match rate {
            "50" => (50, 1),
            "60" => (60, 1),
            _ => (60_000, 1001),
        };
        assert_eq!((told.numerator, told.denominator), expected);
    }
}

#[test]
fn a_new_size_in_the_middle_is_told_with_its_keyframe() {
    let clips = Clips::new("sizes");
    let small = clips.make("small.ts", &format!("-t 1 {VIDEO} {PLAIN}"));
    let large = "-f lavfi -i testsrc2=size=640x360:rate=30";
    let large = clips.make("large.ts", &format!("-t 1 {large} {PLAIN} -output_ts_offset 1"));
    let (seen, source) = play(&clips.join("both.ts", &[small, large]), true);
    wait("three changes", || seen.video_formats().len() >= 3);
    source.close();
    let sizes: Vec<u32> = seen.video_formats().iter().map(|f| f.resolution.width).collect();
    assert_eq!(sizes[..3], [320, 640, 320]);
}

#[test]
fn a_clock_that_jumps_in_a_file_does_not_stall_it() {
    let clips = Clips::new("jump");
    let part = |name: &str, offset: u32| {
        let arguments = format!(
            "-t 1 {VIDEO} -t 1 {SOUND} {PLAIN} -c:a aac -muxdelay 0 -output_ts_offset {offset}"
        );
        clips.make(name, &arguments)
    };
    let parts = [part("a.ts", 10), part("b.ts", 5000), part("c.ts", 100)];
    let (seen, source) = play(&clips.join("jumps.ts", &parts), true);
    wait("four rounds", || seen.video().len() >= 120 && seen.audio().len() >= 160);
    source.close();
    let (video, audio) = (seen.video(), seen.audio());
    assert!(steps(&video).iter().all(|ms| (0..=600).contains(ms)), "{:?}", steps(&video));
    assert!(steps(&audio).iter().all(|ms| (0..=600).contains(ms)), "{:?}", steps(&audio));
    assert_eq!(seen.states(), [SourceState::Connecting, SourceState::Live]);
}

#[test]
fn a_file_that_is_not_to_repeat_ends_and_stays_ended() {
    let clips = Clips::new("once");
    let path = clips.make("clip.mp4", &format!("-t 1 {VIDEO} {PLAIN}"));
    let (seen, source) = play(&path, false);
    wait("the end", || seen.states().last() == Some(&SourceState::Lost));
    assert_eq!(seen.video().len(), 30);
    let said = seen.collect(|e| match e {
        crate::contribution::Contributed::State { detail, .. } => Some(detail.clone()),
        _ => None,
    });
    assert_eq!(said.last().map(String::as_str), Some("the file has ended"));
    source.close();
    assert_eq!(seen.states().len(), 3);
}

#[test]
fn what_cant_be_played_is_tried_again_and_says_why() {
    let clips = Clips::new("bad");
    let text = clips.path("text.mp4");
    std::fs::write(&text, "this is no film").unwrap();
    let mpeg2 = clips.make("old.ts", &format!("-t 1 {VIDEO} -c:v mpeg2video"));
    let cases = [
        (clips.path("missing.mp4"), "No such file"),
        (clips.path(""), "not that of a file"),
        (text, ""),
        (mpeg2, "no stream that can be used"),
    ];
    for (path, part) in cases {
        let (seen, source) = play(&path, true);
        wait("another try", || {
            seen.states().iter().filter(|s| **s == SourceState::Connecting).count() >= 2
        });
        source.close();
        let said = format!("{:?}", seen.events.lock().unwrap());
        assert!(said.contains(part), "{said}");
        assert!(seen.video().is_empty());
    }
}
