//! Tests of `answer`.

use super::super::offer;
use super::*;

const CHROMIUM: &str = include_str!("../offers/chromium.sdp");

/// In the shape that webrtcbin 1.22 answers in.
const WEBRTCBIN: &str = "v=0\r\no=- 5 0 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n\
    a=ice-options:trickle\r\na=group:BUNDLE 0 1\r\n\
    m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:u\r\na=ice-pwd:p\r\n\
    a=mid:0\r\na=rtcp-mux\r\na=setup:active\r\na=rtpmap:111 OPUS/48000/2\r\n\
    a=fmtp:111 minptime=10;useinbandfec=1\r\na=recvonly\r\na=fingerprint:sha-256 AA:BB\r\n\
    a=candidate:1 1 UDP 2015363327 10.0.0.5 40000 typ host\r\n\
    a=candidate:2 1 UDP 2015363327 fe80::1 40001 typ host\r\n\
    m=video 9 UDP/TLS/RTP/SAVPF 108 109\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:u\r\na=ice-pwd:p\r\n\
    a=mid:1\r\na=rtcp-mux\r\na=setup:active\r\na=rtpmap:108 H264/90000\r\n\
    a=rtcp-fb:108 nack pli\r\na=fmtp:108 packetization-mode=1;profile-level-id=42c015\r\n\
    a=rtpmap:109 rtx/90000\r\na=fmtp:109 apt=108\r\na=recvonly\r\n\
    a=fingerprint:sha-256 AA:BB\r\n\
    a=candidate:1 1 UDP 2015363327 10.0.0.5 40000 typ host\r\n";

fn settings() -> Told {
    Told {
        fingerprint: Some("sha-256 CC:DD".into()),
        public_address: Some("198.51.100.9".parse().unwrap()),
        max_bitrate: BitsPerSecond::from_kilo(8000),
        levels: false,
    }
}

#[test]
fn the_publisher_says_how_loud_it_is_where_it_is_asked_to() {
    let plan = offer::plan(CHROMIUM).unwrap();
    let line = |levels| {
        let text = told(&plan, WEBRTCBIN, &Told { levels, ..settings() }).unwrap();
        text.lines().find(|line| line.ends_with(super::LEVEL)).map(str::to_owned)
    };
    let number = plan.audio.as_ref().unwrap().level.unwrap();
    assert_eq!(line(true), Some(format!("a=extmap:{number} {}", super::LEVEL)));
    assert_eq!(line(false), None);
}

#[test]
fn transport_wide_cc_and_the_offered_profile_are_put_back() {
    let plan = offer::plan(CHROMIUM).unwrap();
    let answer = local(&plan, WEBRTCBIN).unwrap();
    for section in &answer.sections {
        assert_eq!(section.attributes("extmap").next(), Some(format!("3 {TWCC}").as_str()));
    }
    let video = &answer.sections[1];
    assert_eq!(
        video.of_payload("fmtp", 108).collect::<Vec<_>>(),
        ["level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"]
    );
    assert!(video.of_payload("rtcp-fb", 108).any(|f| f == "transport-cc"));
    assert_eq!(local(&plan, &answer.to_string()).unwrap(), answer);
}

#[test]
fn the_publisher_is_told_our_certificate_address_and_bounds() {
    let plan = offer::plan(CHROMIUM).unwrap();
    let text = told(&plan, WEBRTCBIN, &settings()).unwrap();
    assert_eq!(text.matches("a=fingerprint:sha-256 CC:DD\r\n").count(), 2);
    assert!(!text.contains("AA:BB") && !text.contains("10.0.0.5") && !text.contains("fe80"));
    assert_eq!(text.matches(" 198.51.100.9 40000 ").count(), 2);
    assert!(text.contains("c=IN IP4 0.0.0.0\r\nb=AS:8000\r\nb=TIAS:8000000\r\n"));
    assert!(text.contains("profile-level-id=42e01f;x-google-start-bitrate=2500\r\n"));
    assert!(text.contains("a=fmtp:111 minptime=10;useinbandfec=1;stereo=1\r\n"));
}

#[test]
fn the_start_is_never_above_the_bound() {
    let plan = offer::plan(CHROMIUM).unwrap();
    for (max, start) in [(0, 2500), (800, 800), (20_000, 2500)] {
        let settings = Told { max_bitrate: BitsPerSecond::from_kilo(max), ..Told::default() };
        let text = told(&plan, WEBRTCBIN, &settings).unwrap();
        assert!(text.contains(&format!("x-google-start-bitrate={start}\r\n")));
        assert_eq!(text.contains("b=AS"), max > 0);
    }
}

#[test]
fn sections_that_webrtcbin_never_saw_are_refused_in_their_places() {
    let data = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:9\r\n";
    let offered = CHROMIUM.replacen("m=audio", &format!("{data}m=audio"), 1);
    let plan = offer::plan(&offered).unwrap();
    let answer = Sdp::parse(&told(&plan, WEBRTCBIN, &settings()).unwrap()).unwrap();
    let first = &answer.sections[0];
    assert_eq!(first.lines[0], "m=application 0 UDP/DTLS/SCTP webrtc-datachannel");
    assert_eq!(first.mid(), Some("9"));
    assert_eq!(answer.sections[1].kind(), "audio");
    assert_eq!(answer.sections.len(), 3);
}

#[test]
fn an_answer_that_cant_be_used_is_refused() {
    let plan = offer::plan(CHROMIUM).unwrap();
    let bare: String =
        WEBRTCBIN.lines().filter(|l| !l.contains("candidate")).map(|l| format!("{l}\n")).collect();
    assert_eq!(told(&plan, &bare, &settings()), Err(AnswerError::NoCandidate));
    let refused = WEBRTCBIN.replace("m=video 9", "m=video 0");
    assert_eq!(told(&plan, &refused, &settings()), Err(AnswerError::Refused));
    let fewer = WEBRTCBIN.split("m=video").next().unwrap();
    assert_eq!(
        told(&plan, fewer, &settings()),
        Err(AnswerError::Sections { answered: 1, offered: 2 })
    );
}
