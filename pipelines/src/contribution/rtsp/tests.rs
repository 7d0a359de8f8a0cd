//! Tests of `rtsp`.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use stentor_protocol::control::SourceState;
use stentor_protocol::spec::Codec;
use stentor_protocol::units::{FrameRate, Resolution};

use super::*;
use crate::contribution::testing::{Seen, decode_h264, wait};

const H264: &str = "videotestsrc is-live=true pattern=ball ! \
    video/x-raw,format=I420,width=320,height=240,framerate=30/1 ! \
    x264enc tune=zerolatency speed-preset=ultrafast key-int-max=30 ! rtph264pay name=pay0 pt=96";
const AAC: &str = "audiotestsrc is-live=true ! audio/x-raw,rate=44100,channels=2 ! avenc_aac ! \
    aacparse ! rtpmp4gpay name=pay1 pt=97";

/// gst-rtsp-server in a process of its own; killed when dropped.
struct Server {
    child: Child,
    url: String,
}

impl Server {
    fn start(arguments: &[&str]) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/peers/rtsp_server.py");
        let mut child = Command::new("/usr/bin/python3")
            .arg(script)
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("ready ").expect("the RTSP server starts").to_owned();
        Self { child, url }
    }

    fn port(&self) -> &str {
        self.url.rsplit(':').next().unwrap().split('/').next().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn pull(url: &str, transport: RtspTransport) -> (Arc<Seen>, Box<dyn Contribution>) {
    let (seen, sink) = Seen::new();
    let source = open(url, transport, None, None, 700, sink).unwrap();
    (seen, source)
}

#[test]
fn h264_and_aac_come_over_tcp_and_udp() {
    let server = Server::start(&[&format!("{H264} {AAC}")]);
    for transport in [RtspTransport::Tcp, RtspTransport::Udp] {
        let (seen, source) = pull(&server.url, transport);
        wait("pictures and sound", || seen.video().len() >= 60 && seen.audio().len() >= 60);
        source.close();
        let format = seen.video_formats().remove(0);
        assert_eq!((format.codec, format.pass_through), (Codec::H264, true), "{transport:?}");
        assert_eq!(format.resolution, Resolution::new(320, 240));
        let sound = seen.audio_formats().remove(0);
        assert_eq!((sound.codec, sound.sample_rate_hz, sound.channels), (Codec::Aac, 44_100, 2));
        let video = seen.video();
        assert!(video[0].keyframe);
        assert_eq!(decode_h264(&video).len(), video.len());
        let audio = seen.audio();
        let (first, last) = (audio[0].pts_ns, audio[audio.len() - 1].pts_ns);
        let (start, end) = (video[0].pts_ns, video[video.len() - 1].pts_ns);
        assert!(first.abs_diff(start) < 800_000_000 && last.abs_diff(end) < 800_000_000);
    }
}

#[test]
fn digest_authentication_lets_in_who_knows_the_password() {
    let server = Server::start(&[H264, "--user", "camera", "--password", "s3cret"]);
    let attempt = |password: &str| {
        let (seen, sink) = Seen::new();
        let password = Some(Secret(password.to_owned()));
        let user = Some("camera".to_owned());
        (seen, open(&server.url, RtspTransport::Tcp, user, password, 700, sink).unwrap())
    };
    let (seen, _source) = attempt("s3cret");
    wait("pictures", || !seen.video().is_empty());
    let (seen, _source) = attempt("wrong");
    wait("a refusal", || seen.states().contains(&SourceState::Lost));
    assert!(seen.video().is_empty());
    let said = format!("{:?}", seen.events.lock().unwrap());
    assert!(!said.contains("wrong"), "{said}");
}

#[test]
fn b_frames_keep_their_own_times_and_are_not_passed_through() {
    let launch = H264.replace("tune=zerolatency", "bframes=2 b-adapt=false");
    let launch = launch.replace("speed-preset=ultrafast", "speed-preset=veryfast");
    let launch = launch.replace("! rtph264pay", "! video/x-h264,profile=main ! rtph264pay");
    let server = Server::start(&[&launch]);
    let (seen, source) = pull(&server.url, RtspTransport::Tcp);
    wait("pictures", || seen.video().len() >= 120);
    source.close();
    assert!(!seen.video_formats()[0].pass_through, "{:?}", seen.video_formats());
    let times: Vec<u64> = seen.video().iter().map(|u| u.pts_ns).collect();
    assert!(times.windows(2).any(|w| w[0] > w[1]), "no picture is shown before one sent earlier");
    // The jitter buffer learns the server's clock in the first seconds.
    let mut shown = times[60..117].to_vec();
    shown.sort_unstable();
    let steps: Vec<u64> = shown[3..54].windows(2).map(|w| (w[1] - w[0]) / 1_000_000).collect();
    // A busy machine's hiccup moves all that follows, once.
    let steady = steps.iter().filter(|ms| (25..42).contains(*ms)).count();
    assert!(steady + 3 >= steps.len(), "{steps:?}");
}

#[test]
fn h265_and_vp8_come_too_at_odd_sizes_and_rates() {
    let h265 = "videotestsrc is-live=true ! video/x-raw,width=322,height=242,framerate=50/1 ! \
        x265enc tune=zerolatency speed-preset=ultrafast key-int-max=25 ! rtph265pay name=pay0";
    let vp8 = "videotestsrc is-live=true ! video/x-raw,width=321,height=241,framerate=25/1 ! \
        vp8enc deadline=1 keyframe-max-dist=25 ! rtpvp8pay name=pay0";
    let h264 = "videotestsrc is-live=true ! \
        video/x-raw,format=I420,width=318,height=238,framerate=60000/1001 ! \
        x264enc tune=zerolatency speed-preset=ultrafast key-int-max=30 ! rtph264pay name=pay0";
    let cases = [
        (h265, Codec::H265, false, (322, 242), Some(FrameRate::new(50, 1))),
        (vp8, Codec::Vp8, true, (321, 241), None),
        (h264, Codec::H264, true, (318, 238), Some(FrameRate::new(60_000, 1001))),
    ];
    for (launch, codec, pass_through, (width, height), rate) in cases {
        let server = Server::start(&[launch]);
        let (seen, _source) = pull(&server.url, RtspTransport::Tcp);
        wait("pictures", || seen.video().len() >= 10);
        let format = seen.video_formats().remove(0);
        assert_eq!((format.codec, format.pass_through), (codec, pass_through));
        assert_eq!(format.resolution, Resolution::new(width, height), "{codec:?}");
        if rate.is_some() {
            assert_eq!(format.frame_rate, rate, "{codec:?}");
        }
        assert!(seen.video()[0].keyframe);
    }
}

#[test]
fn sound_alone_is_a_source() {
    let launch = "audiotestsrc is-live=true ! alawenc ! rtppcmapay name=pay0 pt=8";
    let server = Server::start(&[launch]);
    let (seen, _source) = pull(&server.url, RtspTransport::Tcp);
    wait("sound", || seen.audio().len() >= 20);
    assert_eq!(seen.audio_formats()[0].sample_rate_hz, 8000);
    wait("life", || seen.states().last() == Some(&SourceState::Live));
}

#[test]
fn a_server_that_dies_is_lost_at_once_and_found_again() {
    let server = Server::start(&[&format!("{H264} {AAC}")]);
    let port = server.port().to_owned();
    let (seen, source) = pull(&server.url, RtspTransport::Tcp);
    wait("pictures", || seen.video().len() >= 30);
    drop(server);
    wait("loss", || seen.states().last() == Some(&SourceState::Lost));
    let last = seen.video().last().unwrap().pts_ns;
    let late_ms = crate::contribution::flow::monotonic_ns().saturating_sub(last) / 1_000_000;
    assert!(late_ms < 1000, "lost after {late_ms} ms");
    let tries = || seen.states().iter().filter(|s| **s == SourceState::Connecting).count();
    wait("another try", || tries() >= 2);
    let before = seen.video().len();
    let _server = Server::start(&[&format!("{H264} {AAC}"), "--port", &port]);
    wait("life", || seen.states().last() == Some(&SourceState::Live));
    wait("pictures", || seen.video().len() > before + 10);
    assert!(source.stats().reconnects >= 1);
    let video = seen.video();
    assert!(video[before].keyframe && video[before].discontinuity);
    assert!(video.windows(2).all(|w| w[0].pts_ns < w[1].pts_ns));
}

#[test]
fn nobody_at_the_address_is_no_reason_to_hang() {
    let (seen, source) = pull("rtsp://127.0.0.1:9/none", RtspTransport::Tcp);
    wait("two tries", || {
        seen.states().iter().filter(|s| **s == SourceState::Connecting).count() >= 2
    });
    assert!(seen.states().contains(&SourceState::Lost));
    let start = std::time::Instant::now();
    source.close();
    assert!(start.elapsed().as_secs() < 5);
    let (_, sink) = Seen::new();
    assert!(open("http://127.0.0.1/", RtspTransport::Tcp, None, None, 700, sink).is_err());
}
