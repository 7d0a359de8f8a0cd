//! Tests of `whip`.

use std::net::{IpAddr, Ipv4Addr};

use stentor_protocol::control::{Fault, SourceState};
use stentor_protocol::spec::{Codec, HardwarePolicy, SourceSpec, WhipSettings};
use stentor_protocol::units::{BitsPerSecond, Resolution, Secret};

use super::certificate::tests::PEM;
use super::publisher::{Publisher, Video};
use super::*;
use crate::contribution::Contributed;
use crate::contribution::testing::{Seen, decode_h264, wait};

mod peers;

fn spec() -> ChannelSpec {
    ChannelSpec {
        channel: "test".into(),
        source: SourceSpec::Whip { second_publisher: SecondPublisher::Refuse },
        hardware: HardwarePolicy::default(),
        probe: Default::default(),
        whip: WhipSettings {
            local_addresses: vec![IpAddr::V4(Ipv4Addr::LOCALHOST)],
            public_address: None,
            port_range: (0, 0),
            certificate_pem: Secret(PEM.into()),
            max_bitrate: BitsPerSecond::from_kilo(8000),
            levels: true,
        },
        loss_timeout_ms: 700,
        thumbnail_interval_ms: 0,
        slate: true,
    }
}

/// A WHIP source and what it told.
struct Channel {
    seen: Arc<Seen>,
    source: Box<dyn Contribution>,
}

impl Channel {
    fn open(second: SecondPublisher) -> Self {
        Self::open_with(&spec(), second)
    }

    fn open_with(spec: &ChannelSpec, second: SecondPublisher) -> Self {
        let (seen, sink) = Seen::new();
        Self { source: open(spec, second, sink).unwrap(), seen }
    }

    fn offer(&mut self, session: &str, sdp: String) {
        self.source.handle(WhipCommand::Offer { session: session.into(), sdp });
    }

    /// Offers, and waits for the answer or the refusal.
    fn ask(&mut self, session: &str, sdp: String) -> Result<String, Fault> {
        self.offer(session, sdp);
        let seen = Arc::clone(&self.seen);
        let mut replies = Vec::new();
        wait("an answer", || {
            replies = seen.collect(|e| match e {
                Contributed::WhipAnswer { session: s, sdp } if s == session => {
                    Some(Ok(sdp.clone()))
                }
                Contributed::WhipRefused { session: s, fault, .. } if s == session => {
                    Some(Err(*fault))
                }
                _ => None,
            });
            !replies.is_empty()
        });
        replies.remove(0)
    }

    fn publish(&mut self, session: &str, video: Video, audio: bool) -> Publisher {
        let publisher = Publisher::new(video, audio);
        let answer = self.ask(session, publisher.offer()).unwrap();
        publisher.take_answer(&answer);
        publisher
    }

    fn ended(&self, session: &str) -> Option<String> {
        self.seen
            .collect(|e| match e {
                Contributed::WhipEnded { session: s, reason } if s == session => {
                    Some(reason.clone())
                }
                _ => None,
            })
            .pop()
    }

    fn wait_state(&self, state: SourceState) {
        wait(&format!("{state:?}"), || self.seen.states().last() == Some(&state));
    }
}

#[test]
fn h264_and_opus_arrive_on_one_clock_and_decode() {
    let mut channel = Channel::open(SecondPublisher::Refuse);
    let publisher = channel.publish("one", Video::H264, true);
    wait("pictures and sound", || {
        channel.seen.video().len() >= 60 && channel.seen.audio().len() >= 60
    });
    let now = crate::contribution::flow::monotonic_ns();
    drop(publisher);
    channel.source.close();
    let seen = channel.seen;
    let format = seen.video_formats().remove(0);
    assert_eq!((format.codec, format.pass_through), (Codec::H264, true));
    assert_eq!(format.resolution, Resolution::new(320, 240));
    assert_eq!(seen.audio_formats()[0].codec, Codec::Opus);
    let (video, audio) = (seen.video(), seen.audio());
    assert!(video[0].keyframe && video[0].discontinuity);
    assert_eq!(decode_h264(&video).len(), video.len());
    for unit in [&video[video.len() - 1], &audio[audio.len() - 1]] {
        assert!(now.abs_diff(unit.pts_ns) < 1_000_000_000, "{} at {now}", unit.pts_ns);
    }
    let steps: Vec<i64> =
        video.windows(2).map(|w| w[1].pts_ns as i64 - w[0].pts_ns as i64).collect();
    assert!(steps.iter().all(|&ns| ns > 0), "{steps:?}");
}

#[test]
fn the_offer_that_a_worker_warms_up_with_is_answered() {
    let mut channel = Channel::open(SecondPublisher::Refuse);
    channel.ask("one", hub::WARM_UP.to_owned()).unwrap();
}

#[test]
fn vp8_arrives_where_there_is_no_h264() {
    let mut channel = Channel::open(SecondPublisher::Refuse);
    let _publisher = channel.publish("one", Video::Vp8, false);
    wait("pictures", || channel.seen.video().len() >= 20);
    let format = channel.seen.video_formats().remove(0);
    assert_eq!((format.codec, format.pass_through), (Codec::Vp8, true));
    assert_eq!(format.resolution, Resolution::new(320, 240));
    assert!(channel.seen.video()[0].keyframe);
}

#[test]
fn sound_alone_is_a_source() {
    let mut channel = Channel::open(SecondPublisher::Refuse);
    let _publisher = channel.publish("one", Video::None, true);
    wait("sound", || channel.seen.audio().len() >= 20);
    channel.wait_state(SourceState::Live);
    assert!(channel.seen.video().is_empty());
}

#[test]
fn a_keyframe_comes_on_request() {
    let mut channel = Channel::open(SecondPublisher::Refuse);
    let _publisher = channel.publish("one", Video::H264, false);
    wait("pictures", || channel.seen.video().len() >= 30);
    let before = channel.seen.video().len();
    channel.source.request_keyframe();
    wait("a keyframe", || channel.seen.video()[before..].iter().any(|u| u.keyframe));
}

#[test]
fn a_new_size_in_the_running_stream_is_told_with_its_keyframe() {
    let mut channel = Channel::open(SecondPublisher::Refuse);
    let publisher = channel.publish("one", Video::H264, false);
    wait("pictures", || channel.seen.video().len() >= 10);
    publisher.resize(642, 362);
    wait("the new size", || channel.seen.video_formats().len() == 2);
    assert_eq!(channel.seen.video_formats()[1].resolution, Resolution::new(642, 362));
    wait("a picture of the new size", || {
        let events = channel.seen.events.lock().unwrap();
        let told = events.iter().rposition(|e| matches!(e, Contributed::VideoFormat(_))).unwrap();
        match events
            .get(told + 1..)
            .and_then(|rest| rest.iter().find(|e| matches!(e, Contributed::Video(_))))
        {
            Some(Contributed::Video(unit)) => {
                assert!(unit.keyframe);
                true
            }
            _ => false,
        }
    });
}

#[test]
fn candidates_may_come_after_the_offer() {
    let mut channel = Channel::open(SecondPublisher::Refuse);
    let publisher = Publisher::new(Video::H264, true);
    let offer = publisher.offer_without_candidates();
    let ufrag = offer.lines().find(|l| l.starts_with("a=ice-ufrag:")).unwrap().to_owned();
    assert!(!offer.contains("a=candidate"));
    channel.offer("one", offer);
    let fragment = format!("{ufrag}\r\na=mid:video0\r\na={}\r\n", publisher.candidate());
    channel.source.handle(WhipCommand::Trickle { session: "one".into(), fragment });
    wait("an answer", || {
        channel.seen.collect(|e| matches!(e, Contributed::WhipAnswer { .. }).then_some(())).len()
            == 1
    });
    let answer = channel.seen.collect(|e| match e {
        Contributed::WhipAnswer { sdp, .. } => Some(sdp.clone()),
        _ => None,
    });
    publisher.take_answer(&answer[0]);
    wait("pictures", || channel.seen.video().len() >= 5);
}

#[test]
fn the_answer_names_our_certificate_and_only_addresses_of_use() {
    let mut spec = spec();
    spec.whip.public_address = Some("198.51.100.9".parse().unwrap());
    let mut channel = Channel::open_with(&spec, SecondPublisher::Refuse);
    let publisher = Publisher::new(Video::H264, true);
    let answer = channel.ask("one", publisher.offer()).unwrap();
    let fingerprint = certificate::fingerprint(PEM).unwrap();
    assert_eq!(answer.matches("a=fingerprint:").count(), answer.matches(&fingerprint).count());
    assert!(answer.contains("a=fingerprint:"));
    let candidates: Vec<&str> = answer.lines().filter(|l| l.contains("candidate:")).collect();
    assert!(!candidates.is_empty());
    assert!(candidates.iter().all(|c| c.contains(" 198.51.100.9 ")), "{candidates:?}");
    assert!(answer.contains("a=recvonly") && !answer.contains("a=sendrecv"));
}

#[test]
fn ports_stay_in_their_range_and_an_empty_range_is_our_fault() {
    let mut spec = spec();
    spec.whip.port_range = (47_100, 47_103);
    let mut channel = Channel::open_with(&spec, SecondPublisher::Refuse);
    let publisher = Publisher::new(Video::H264, false);
    let answer = channel.ask("one", publisher.offer()).unwrap();
    for line in answer.lines().filter(|l| l.contains("candidate:")) {
        let port: u16 = line.split(' ').nth(5).unwrap().parse().unwrap();
        assert!((47_100..=47_103).contains(&port), "{line}");
    }
    channel.source.close();

    let taken = std::net::UdpSocket::bind("127.0.0.1:47110").unwrap();
    spec.whip.port_range = (47_110, 47_110);
    let mut channel = Channel::open_with(&spec, SecondPublisher::Refuse);
    let publisher = Publisher::new(Video::H264, false);
    assert_eq!(channel.ask("one", publisher.offer()), Err(Fault::Server));
    drop(taken);
}

#[test]
fn a_second_publisher_is_refused_or_takes_over() {
    let mut channel = Channel::open(SecondPublisher::Refuse);
    let first = channel.publish("one", Video::H264, false);
    let second = Publisher::new(Video::Vp8, false);
    assert_eq!(channel.ask("two", second.offer()), Err(Fault::Busy));
    channel.wait_state(SourceState::Live);
    drop((first, channel));

    let mut channel = Channel::open(SecondPublisher::TakeOver);
    let _first = channel.publish("one", Video::H264, false);
    wait("pictures", || channel.seen.video().len() >= 5);
    let _second = channel.publish("two", Video::Vp8, false);
    assert!(channel.ended("one").unwrap().contains("took over"));
    wait("the second's pictures", || {
        channel.seen.video_formats().last().unwrap().codec == Codec::Vp8
    });
    let told = channel.seen.events.lock().unwrap().len();
    wait("more", || channel.seen.events.lock().unwrap().len() > told + 20);
    let later = channel.seen.video_formats();
    assert_eq!(later.last().unwrap().codec, Codec::Vp8, "the first publisher still delivers");
}

#[test]
fn garbage_is_refused_and_disturbs_nobody() {
    let mut channel = Channel::open(SecondPublisher::TakeOver);
    let _publisher = channel.publish("one", Video::H264, false);
    assert_eq!(channel.ask("two", "garbage".into()), Err(Fault::Client));
    let foreign = Publisher::new(Video::Vp8, false).offer().replace("VP8/", "VP7/");
    assert_eq!(channel.ask("three", foreign), Err(Fault::NoCommonCodec));
    let trickle = |session: &str, fragment: &str| WhipCommand::Trickle {
        session: session.into(),
        fragment: fragment.into(),
    };
    channel.source.handle(trickle("one", "a=candidate:nonsense\r\n\0\u{ffff}"));
    channel.source.handle(trickle("nobody", "a=candidate:1 1 udp 1 127.0.0.1 9 typ host"));
    channel.source.handle(WhipCommand::Close { session: "nobody".into() });
    wait("pictures", || channel.seen.video().len() >= 30);
    assert_eq!(channel.ended("one"), None);
}

#[test]
fn a_publisher_that_vanishes_is_lost_in_time_and_another_may_come() {
    let mut channel = Channel::open(SecondPublisher::Refuse);
    let publisher = channel.publish("one", Video::H264, false);
    wait("pictures", || channel.seen.video().len() >= 30);
    publisher.mute(true);
    channel.wait_state(SourceState::Lost);
    let last = channel.seen.video().last().unwrap().pts_ns;
    let silence_ms = crate::contribution::flow::monotonic_ns().saturating_sub(last) / 1_000_000;
    assert!((650..1000).contains(&silence_ms), "lost after {silence_ms} ms");
    publisher.mute(false);
    channel.wait_state(SourceState::Live);
    publisher.mute(true);
    channel.wait_state(SourceState::Lost);
    let _second = channel.publish("two", Video::H264, false);
    channel.wait_state(SourceState::Live);
    assert!(channel.ended("one").is_some());
}

#[test]
fn a_publisher_that_leaves_makes_room_at_once() {
    let mut channel = Channel::open(SecondPublisher::Refuse);
    let _publisher = channel.publish("one", Video::H264, true);
    channel.wait_state(SourceState::Live);
    channel.source.handle(WhipCommand::Close { session: "one".into() });
    channel.wait_state(SourceState::Waiting);
    assert!(channel.ended("one").is_some());
    let _second = channel.publish("two", Video::H264, true);
    channel.wait_state(SourceState::Live);
}

#[test]
fn publishing_over_and_over_leaks_neither_threads_nor_descriptors() {
    let cycles = std::env::var("WHIP_CYCLES").map_or(30, |n| n.parse().unwrap());
    let mut channel = Channel::open(SecondPublisher::Refuse);
    let mut before = (0, 0);
    for n in 0..cycles {
        let session = format!("cycle {n}");
        let publisher = channel.publish(&session, Video::H264, true);
        let seen = channel.seen.video().len();
        wait("a picture", || channel.seen.video().len() > seen);
        channel.source.handle(WhipCommand::Close { session: session.clone() });
        wait("the end", || channel.ended(&session).is_some());
        drop(publisher);
        channel.seen.events.lock().unwrap().clear();
        if n == 4 {
            wait("quiet", || settled(&mut before));
        }
    }
    let mut after = before;
    wait("threads and descriptors back where they were", || {
        settled(&mut after);
        after.0 <= before.0 + 2 && after.1 <= before.1 + 2
    });
}

/// Threads and descriptors of this process; true when they stay the same for a while.
fn settled(last: &mut (usize, usize)) -> bool {
    let count = |what| std::fs::read_dir(format!("/proc/self/{what}")).unwrap().count();
    std::thread::sleep(Duration::from_millis(300));
    let now = (count("task"), count("fd"));
    std::mem::replace(last, now) == now
}
