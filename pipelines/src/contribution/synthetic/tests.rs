//! Tests of `synthetic`.

use stentor_protocol::stamp::Stamp;

use super::*;
use crate::contribution::bitstream::Nals;
use crate::contribution::bitstream::h264::{NAL_IDR, NAL_SPS, nal_type};
use crate::contribution::testing::{Seen, decode_h264, decode_opus, wait};

const SIZE: Resolution = Resolution::new(640, 360);
const RATE: FrameRate = FrameRate::new(30, 1);

#[test]
fn a_viewer_reads_from_the_picture_when_it_was_captured() {
    let (seen, sink) = Seen::new();
    let camera = open("demo", SIZE, RATE, sink).unwrap();
    wait("40 pictures", || seen.video().len() >= 40);
    camera.close();
    let units = seen.video();
    let pictures = decode_h264(&units);
    assert_eq!(pictures.len(), units.len());
    let unix_minus_monotonic = unix_ns() - monotonic_ns();
    let stamps: Vec<Stamp> = pictures
        .iter()
        .map(|p| Stamp::read(&p.luma, p.stride, p.width, p.height).unwrap())
        .collect();
    for (n, (stamp, picture)) in stamps.iter().zip(&pictures).enumerate() {
        let told = (picture.pts_ns + unix_minus_monotonic) / 1_000_000;
        assert!(stamp.capture_unix_ms.abs_diff(told) <= 2, "{stamp:?} at {told}");
        assert!(stamp.frame >= n as u32);
    }
    assert!(stamps.windows(2).all(|w| w[0].frame < w[1].frame));
}

#[test]
fn the_stream_is_fit_to_pass_through() {
    let (seen, sink) = Seen::new();
    let camera = open("demo", SIZE, RATE, sink).unwrap();
    wait("70 pictures", || seen.video().len() >= 70);
    camera.close();
    let formats = seen.video_formats();
    assert_eq!(formats.len(), 1);
    assert!(formats[0].pass_through);
    assert_eq!(formats[0].resolution, SIZE);
    assert_eq!(formats[0].frame_rate, Some(RATE));
    assert!(formats[0].profile_level_id.as_deref().unwrap().starts_with("42c0"));
    let units = seen.video();
    assert!(units[0].keyframe);
    assert!(units[1..].iter().any(|u| u.keyframe), "no keyframe in two seconds");
    for unit in &units {
        let map = unit.data.map_readable().unwrap();
        let types: Vec<u8> = Nals::new(&map).map(nal_type).collect();
        assert_eq!(types.contains(&NAL_IDR), unit.keyframe);
        assert_eq!(types.contains(&NAL_SPS), unit.keyframe);
    }
    assert!(units.windows(2).all(|w| w[0].pts_ns < w[1].pts_ns));
}

#[test]
fn beep_and_flash_begin_at_the_same_instant() {
    let (seen, sink) = Seen::new();
    let camera = open("demo", SIZE, RATE, sink).unwrap();
    wait("a second and a half", || seen.video().len() >= 50 && seen.audio().len() >= 80);
    camera.close();
    let lit: Vec<(u64, bool)> = decode_h264(&seen.video())
        .iter()
        .map(|p| (p.pts_ns, p.luma[(p.height - 8) * p.stride + p.width - 8] > 126))
        .collect();
    let flash = lit.windows(2).find(|w| !w[0].1 && w[1].1).unwrap()[1].0;
    let sound = decode_opus(&seen.audio());
    let loud = |at: u64| sound.iter().any(|s| s.0.abs_diff(at) < 2_000_000 && s.1.abs() > 2000);
    let quiet = |at: u64| !loud(at);
    // Opus delays the sound by 6.5 ms at most and may ring a little ahead.
    assert!(quiet(flash - 10_000_000), "sound 10 ms before the flash");
    assert!(loud(flash + 12_000_000), "no sound 12 ms after the flash");
}

#[test]
fn a_keyframe_comes_on_request() {
    let (seen, sink) = Seen::new();
    let camera = open("demo", SIZE, RATE, sink).unwrap();
    wait("pictures", || seen.video().len() >= 5);
    let before = seen.video().len();
    camera.request_keyframe();
    wait("a keyframe", || seen.video()[before..].iter().any(|u| u.keyframe));
    assert!(seen.video()[before..].iter().position(|u| u.keyframe).unwrap() < 4);
    camera.close();
    let after = seen.video().len();
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(seen.video().len(), after, "units came after close");
}

#[test]
fn sizes_and_rates_out_of_range_are_refused() {
    let cases = [
        ((64, 64), (30, 1)),
        ((1280, 9000), (30, 1)),
        ((640, 360), (0, 1)),
        ((640, 360), (500, 1)),
    ];
    for ((width, height), (numerator, denominator)) in cases {
        let (_, sink) = Seen::new();
        let opened = open(
            "demo",
            Resolution::new(width, height),
            FrameRate::new(numerator, denominator),
            sink,
        );
        assert!(matches!(opened, Err(OpenError::Source(_))), "{width}x{height}");
    }
}

#[test]
fn odd_sizes_and_broadcast_rates_work() {
    for (size, rate) in [((641, 363), (60_000, 1001)), ((96, 64), (5, 1))] {
        let (seen, sink) = Seen::new();
        let camera =
            open("demo", Resolution::new(size.0, size.1), FrameRate::new(rate.0, rate.1), sink)
                .unwrap();
        wait("pictures", || seen.video().len() >= 5);
        camera.close();
        assert_eq!(seen.video_formats()[0].resolution, Resolution::new(size.0 & !1, size.1 & !1));
    }
}

#[test]
#[ignore = "a measurement: prints CPU time per second of 720p30"]
fn cpu_of_a_720p30_camera() {
    let (seen, sink) = Seen::new();
    let camera = open("demo", Resolution::new(1280, 720), RATE, sink).unwrap();
    wait("the first pictures", || seen.video().len() >= 10);
    let (cpu, clock) = (process_cpu_ns(), monotonic_ns());
    std::thread::sleep(Duration::from_secs(10));
    let share = (process_cpu_ns() - cpu) as f64 / (monotonic_ns() - clock) as f64;
    let stats = camera.stats();
    camera.close();
    let pictures = decode_h264(&seen.video());
    if let Ok(path) = std::env::var("CARD_PGM") {
        let p = &pictures[pictures.len() / 2];
        let mut pgm = format!("P5 {} {} 255\n", p.width, p.height).into_bytes();
        for y in 0..p.height {
            pgm.extend_from_slice(&p.luma[y * p.stride..y * p.stride + p.width]);
        }
        std::fs::write(path, pgm).unwrap();
    }
    println!(
        "{:.1} % of a core, {} kB, {} dropped",
        share * 100.0,
        stats.bytes / 1000,
        stats.dropped
    );
}

fn process_cpu_ns() -> u64 {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    t.tv_sec as u64 * 1_000_000_000 + t.tv_nsec as u64
}
