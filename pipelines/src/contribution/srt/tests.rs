//! Tests of `srt`.

use std::net::UdpSocket;

use stentor_protocol::control::SourceState;
use stentor_protocol::spec::Codec;
use stentor_protocol::units::Resolution;

use super::*;
use crate::contribution::testing::{Clips, Seen, decode_h264, wait};

const H264: &str = "videotestsrc is-live=true pattern=ball ! \
    video/x-raw,format=I420,width=320,height=240,framerate=30/1 ! \
    x264enc tune=zerolatency speed-preset=ultrafast key-int-max=30 ! \
    video/x-h264,profile=constrained-baseline ! h264parse config-interval=-1";
const AAC: &str = "audiotestsrc is-live=true ! audio/x-raw,rate=48000,channels=2 ! avenc_aac";

/// GStreamer's srtsink; stopped when dropped.
struct Sender(gst::Pipeline);

impl Sender {
    /// `streams` end in a muxer's pads; `uri` is srtsink's.
    fn start(streams: &[&str], uri: &str) -> Self {
        gst::init().unwrap();
        let mut line = format!("mpegtsmux name=m alignment=7 ! srtsink uri={uri} sync=false");
        for stream in streams {
            line.push_str(&format!(" {stream} ! queue ! m."));
        }
        let pipeline = gst::parse::launch(&line).unwrap().downcast::<gst::Pipeline>().unwrap();
        // Connecting may block, and fail when it's refused.
        let starting = pipeline.clone();
        std::thread::spawn(move || {
            let _ = starting.set_state(gst::State::Playing);
        });
        Self(pipeline)
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        let _ = self.0.set_state(gst::State::Null);
    }
}

fn free_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn start(
    mode: SrtMode,
    port: u16,
    passphrase: Option<&Secret>,
    stream_id: Option<&str>,
) -> (Arc<Seen>, Box<dyn Contribution>) {
    let (seen, sink) = Seen::new();
    let address = format!("127.0.0.1:{port}");
    let settings = Settings { mode, address: &address, passphrase, stream_id, latency_ms: 50 };
    (seen, open(&settings, 700, sink).unwrap())
}

#[test]
fn a_caller_with_the_passphrase_is_heard() {
    let port = free_port();
    let passphrase = Secret("correct horse battery".into());
    let (seen, source) = start(SrtMode::Listener, port, Some(&passphrase), None);
    wait("the listener", || seen.states() == [SourceState::Waiting]);
    let wrong =
        Sender::start(&[H264], &format!("srt://127.0.0.1:{port}?passphrase=wrong-wrong-wrong"));
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert!(seen.video().is_empty());
    drop(wrong);
    let uri = format!("\"srt://127.0.0.1:{port}?passphrase=correct horse battery\"");
    let _sender = Sender::start(&[H264, AAC], &uri);
    wait("pictures and sound", || seen.video().len() >= 60 && seen.audio().len() >= 60);
    source.close();
    let format = seen.video_formats().remove(0);
    assert_eq!((format.codec, format.pass_through), (Codec::H264, true));
    assert_eq!(format.resolution, Resolution::new(320, 240));
    let sound = seen.audio_formats().remove(0);
    assert_eq!((sound.codec, sound.sample_rate_hz, sound.channels), (Codec::Aac, 48_000, 2));
    assert_eq!(decode_h264(&seen.video()).len(), seen.video().len());
    let (video, audio) = (seen.video(), seen.audio());
    let ends = (video[video.len() - 1].pts_ns, audio[audio.len() - 1].pts_ns);
    assert!(ends.0.abs_diff(ends.1) < 500_000_000, "{ends:?}");
}

#[test]
fn we_call_a_listener_with_our_stream_id() {
    let port = free_port();
    let _listener = Sender::start(&[H264], &format!("srt://127.0.0.1:{port}?mode=listener"));
    let (seen, _source) = start(SrtMode::Caller, port, None, Some("camera/1"));
    wait("pictures", || seen.video().len() >= 10);
    assert_eq!(seen.states().last(), Some(&SourceState::Live));
}

#[test]
fn a_caller_for_another_stream_is_not_let_in() {
    let port = free_port();
    let (seen, _source) = start(SrtMode::Listener, port, None, Some("mine"));
    wait("the listener", || seen.states() == [SourceState::Waiting]);
    let other = Sender::start(&[H264], &format!("srt://127.0.0.1:{port}?streamid=other"));
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert!(seen.video().is_empty());
    drop(other);
    let _mine = Sender::start(&[H264], &format!("srt://127.0.0.1:{port}?streamid=mine"));
    wait("pictures", || !seen.video().is_empty());
}

#[test]
fn a_caller_that_leaves_is_lost_and_may_come_back() {
    let port = free_port();
    let (seen, source) = start(SrtMode::Listener, port, None, None);
    let uri = format!("srt://127.0.0.1:{port}");
    wait("the listener", || seen.states() == [SourceState::Waiting]);
    let sender = Sender::start(&[H264, AAC], &uri);
    wait("pictures", || seen.video().len() >= 30);
    drop(sender);
    wait("loss", || seen.states().contains(&SourceState::Lost));
    let last = seen.video().last().unwrap().pts_ns;
    let late_ms = crate::contribution::flow::monotonic_ns().saturating_sub(last) / 1_000_000;
    assert!(late_ms < 1100, "lost after {late_ms} ms");
    wait("the listener again", || {
        seen.states().iter().filter(|s| **s == SourceState::Waiting).count() == 2
    });
    let before = seen.video().len();
    let _sender = Sender::start(&[H264, AAC], &uri);
    wait("pictures", || seen.video().len() > before + 10);
    assert_eq!(seen.states().last(), Some(&SourceState::Live));
    assert!(seen.video()[before].keyframe && seen.video()[before].discontinuity);
    assert_eq!(source.stats().reconnects, 1);
}

#[test]
fn a_clock_that_jumps_is_followed_at_once() {
    let clips = Clips::new("srt-jump");
    let parts: Vec<Vec<u8>> = [10, 5000, 100]
        .map(|offset| {
            let arguments = format!(
                "-t 2 -f lavfi -i testsrc2=size=320x240:rate=30 -t 2 -f lavfi -i sine \
                 -c:v libx264 -preset ultrafast -tune zerolatency -g 15 -pix_fmt yuv420p \
                 -c:a aac -muxdelay 0 -output_ts_offset {offset}"
            );
            std::fs::read(clips.make(&format!("{offset}.ts"), &arguments)).unwrap()
        })
        .into();
    let port = free_port();
    let (seen, source) = start(SrtMode::Listener, port, None, None);
    wait("the listener", || seen.states() == [SourceState::Waiting]);
    let line = format!(
        "appsrc name=in is-live=true format=time ! srtsink sync=false uri=srt://127.0.0.1:{port}"
    );
    let pipeline = gst::parse::launch(&line).unwrap().downcast::<gst::Pipeline>().unwrap();
    let input = pipeline.by_name("in").unwrap().downcast::<gst_app::AppSrc>().unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    for part in &parts {
        let packets: Vec<&[u8]> = part.chunks(7 * 188).collect();
        let pause = std::time::Duration::from_secs(2) / packets.len() as u32;
        for packet in packets {
            input.push_buffer(gst::Buffer::from_slice(packet.to_vec())).unwrap();
            std::thread::sleep(pause);
        }
    }
    wait("most pictures", || seen.video().len() >= 150);
    source.close();
    pipeline.set_state(gst::State::Null).unwrap();
    let video = seen.video();
    let steps: Vec<i64> =
        video.windows(2).map(|w| (w[1].pts_ns as i64 - w[0].pts_ns as i64) / 1_000_000).collect();
    assert!(steps.iter().all(|ms| (0..700).contains(ms)), "{steps:?}");
    let spread = (video[video.len() - 1].pts_ns - video[0].pts_ns) / 1_000_000;
    assert!((4500..7500).contains(&spread), "{spread} ms of pictures in 6 s");
    assert!(!seen.states()[..2].contains(&SourceState::Lost));
}

#[test]
fn nobody_to_call_is_no_reason_to_hang() {
    let (seen, source) = start(SrtMode::Caller, free_port(), None, None);
    wait("two tries", || {
        seen.states().iter().filter(|s| **s == SourceState::Connecting).count() >= 2
    });
    let begin = std::time::Instant::now();
    source.close();
    assert!(begin.elapsed().as_secs() < 5, "{:?}", begin.elapsed());
}

#[test]
fn addresses_are_read_and_bad_settings_refused() {
    let cases = [
        ("127.0.0.1:9000", Some(("127.0.0.1", 9000))),
        ("[::1]:9000", Some(("::1", 9000))),
        (":9000", Some(("", 9000))),
        ("camera-1.example:9000", Some(("camera-1.example", 9000))),
        ("camera", None),
        ("camera:0", None),
        ("camera:70000", None),
        ("srt://camera:9000", None),
        ("a b:9000", None),
    ];
    for (address, expected) in cases {
        let expected = expected.map(|(host, port)| (host.to_owned(), port));
        assert_eq!(host_and_port(address), expected, "{address}");
    }
    let short = Secret("short".into());
    let settings = Settings {
        mode: SrtMode::Caller,
        address: "camera:9000",
        passphrase: Some(&short),
        stream_id: None,
        latency_ms: 120,
    };
    assert!(matches!(Srt::new(&settings), Err(OpenError::Source(_))));
}
