//! Offers of real stacks, and what becomes of them. `tests/corpus/sdp` says by name who made
//! each: Chromium 156, Firefox ESR 153, aiortc 1.16, GStreamer 1.22.

use std::net::SocketAddr;

use str0m::change::SdpAnswer;

use super::*;
use crate::fanout::transport::{Certificate, DtlsRole, IceCreds};
use stentor_protocol::Codec::{self, Av1, H264, Opus, Vp8};

macro_rules! corpus {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../../../tests/corpus/sdp/", $name, ".sdp")))),*]
    };
}

const CORPUS: [(&str, &str); 9] = corpus![
    "chromium-recvonly",
    "chromium-recvonly-gathered",
    "chromium-many",
    "firefox-recvonly",
    "firefox-recvonly-gathered",
    "firefox-many",
    "aiortc-recvonly",
    "webrtcbin-recvonly",
    "whepclientsrc-recvonly",
];

fn offer(name: &str) -> &'static str {
    CORPUS.iter().find(|(n, _)| *n == name).unwrap().1
}

fn read(name: &str) -> Negotiated {
    negotiate(offer(name), &Capabilities::default()).unwrap()
}

/// Codec, payload type and RTX payload type of every format of the first accepted section.
fn formats(negotiated: &Negotiated, kind: MediaKind) -> Vec<(Codec, u8, Option<u8>)> {
    let (_, _, accepted) = negotiated.accepted(kind).next().unwrap();
    accepted.formats.iter().map(|f| (f.codec, f.payload_type, f.rtx)).collect()
}

fn answer_to(negotiated: &Negotiated) -> String {
    let certificate = Certificate::generate().unwrap();
    let local = IceCreds::generate().unwrap();
    let candidates: [SocketAddr; 2] =
        ["192.0.2.1:5000".parse().unwrap(), "[2001:db8::1]:5000".parse().unwrap()];
    let video = negotiated.accepted(MediaKind::Video).map(|(media, _, _)| media);
    let audio = negotiated.accepted(MediaKind::Audio).map(|(media, _, _)| media);
    let tracks: Vec<TrackSource> = video
        .map(|media| (media, Some(2000 + media as u32)))
        .chain(audio.map(|media| (media, None)))
        .map(|(media, rtx_ssrc)| TrackSource { media, ssrc: 1000 + media as u32, rtx_ssrc })
        .collect();
    let params = AnswerParams {
        session_id: 7,
        local: &local,
        fingerprint: certificate.fingerprint(),
        candidates: &candidates,
        tracks: &tracks,
        cname: "cname",
        stream: "stream",
    };
    answer(negotiated, &params)
}

#[test]
fn each_stack_gets_the_codecs_it_can_take_best_first() {
    /// Codec, its payload type, and that of its retransmissions.
    type Formats<'a> = &'a [(Codec, u8, Option<u8>)];
    let table: [(&str, Formats, Formats); 7] = [
        (
            "chromium-recvonly",
            &[
                (H264, 108, Some(109)),
                (H264, 116, Some(117)),
                (H264, 102, Some(103)),
                (Vp8, 96, Some(97)),
                (Av1, 45, Some(46)),
            ],
            &[(Opus, 111, None)],
        ),
        ("firefox-recvonly", &[(Vp8, 120, Some(124)), (Av1, 99, Some(100))], &[(Opus, 109, None)]),
        (
            "firefox-recvonly-gathered",
            &[(Vp8, 120, Some(124)), (Av1, 99, Some(100))],
            &[(Opus, 109, None)],
        ),
        (
            "chromium-recvonly-gathered",
            &[
                (H264, 108, Some(109)),
                (H264, 116, Some(117)),
                (H264, 102, Some(103)),
                (Vp8, 96, Some(97)),
                (Av1, 45, Some(46)),
            ],
            &[(Opus, 111, None)],
        ),
        (
            "aiortc-recvonly",
            &[(H264, 101, Some(102)), (H264, 99, Some(100)), (Vp8, 97, Some(98))],
            &[(Opus, 96, None)],
        ),
        ("webrtcbin-recvonly", &[(H264, 96, None), (Vp8, 98, None)], &[(Opus, 97, None)]),
        // H.264 is offered without a packetization-mode, that is, without fragments.
        (
            "whepclientsrc-recvonly",
            &[(Vp8, 96, Some(104)), (Av1, 100, None)],
            &[(Opus, 101, Some(108))],
        ),
    ];
    for (name, video, audio) in table {
        let negotiated = read(name);
        assert_eq!(formats(&negotiated, MediaKind::Video), video, "{name}");
        assert_eq!(formats(&negotiated, MediaKind::Audio), audio, "{name}");
        assert_eq!(negotiated.role, DtlsRole::Passive, "{name}");
    }
}

#[test]
fn header_extensions_and_feedback_are_read() {
    let negotiated = read("chromium-recvonly");
    let (_, media, accepted) = negotiated.accepted(MediaKind::Video).next().unwrap();
    let expected = Extensions {
        mid: Some(9),
        transport_cc: Some(4),
        abs_send_time: Some(2),
        abs_capture_time: None,
        playout_delay: Some(5),
    };
    assert_eq!((media.mid.as_str(), accepted.extensions), ("0", expected));
    let all = Feedback { nack: true, pli: true, fir: true, transport_cc: true, remb: true };
    assert_eq!(accepted.format(H264).unwrap().feedback, all);
    assert!(accepted.reduced_size);

    let negotiated = read("aiortc-recvonly");
    let (_, _, accepted) = negotiated.accepted(MediaKind::Video).next().unwrap();
    let some = Feedback { fir: false, transport_cc: false, ..all };
    assert_eq!(accepted.format(H264).unwrap().feedback, some);
    assert!(!accepted.reduced_size);
}

#[test]
fn an_extension_the_peer_only_receives_is_ours_to_send() {
    let negotiated = read("firefox-recvonly");
    let (_, _, accepted) = negotiated.accepted(MediaKind::Video).next().unwrap();
    assert_eq!(accepted.extensions.playout_delay, Some(6));
    let text = offer("firefox-recvonly").replace("extmap:6/recvonly", "extmap:6/sendonly");
    let negotiated = negotiate(&text, &Capabilities::default()).unwrap();
    let (_, _, accepted) = negotiated.accepted(MediaKind::Video).next().unwrap();
    assert_eq!(accepted.extensions.playout_delay, None);
}

#[test]
fn credentials_come_from_wherever_a_stack_puts_them() {
    let table = [
        ("firefox-recvonly-gathered", "07650115", "BF:F5:79"),
        ("aiortc-recvonly", "dqjD", "FC:BB:5B"),
        ("webrtcbin-recvonly", "IrRDS2jZMOVTOFfOZyGgr6wFiT6ZzU4K", "1D:00:7C"),
    ];
    for (name, ufrag, fingerprint) in table {
        let negotiated = read(name);
        assert_eq!(negotiated.remote.ufrag, ufrag);
        let text = negotiated.remote_fingerprint.to_string();
        assert!(text.starts_with(&format!("sha-256 {fingerprint}")), "{text}");
    }
}

#[test]
fn surplus_sections_are_rejected_and_all_stay_in_their_order() {
    for name in ["chromium-many", "firefox-many"] {
        let most = |max_video| Capabilities { max_video, ..Capabilities::default() };
        for (max_video, expected) in [(1, "100100"), (2, "110100"), (9, "111100")] {
            let negotiated = negotiate(offer(name), &most(max_video)).unwrap();
            let accepted: String = negotiated
                .media
                .iter()
                .map(|m| if m.accepted.is_some() { '1' } else { '0' })
                .collect();
            assert_eq!(accepted, expected, "{name}");
            let answer = answer_to(&negotiated);
            let ports: Vec<&str> = answer
                .lines()
                .filter_map(|l| l.strip_prefix("m=")?.split(' ').nth(1))
                .map(|port| if port == "0" { "0" } else { "1" })
                .collect();
            assert_eq!(ports.concat(), expected);
            // webrtcbin refuses an answer without a fingerprint in every section.
            let fingerprints = answer.lines().filter(|l| l.starts_with("a=fingerprint:"));
            assert_eq!(fingerprints.count(), expected.len());
        }
    }
}

#[test]
fn an_answer_says_what_a_viewer_needs() {
    let answer = answer_to(&read("chromium-recvonly"));
    let expected = [
        "a=ice-lite",
        "a=group:BUNDLE 0 1",
        "m=video 5000 UDP/TLS/RTP/SAVPF 108 109 116 117 102 103 96 97 45 46",
        "a=setup:passive",
        "a=sendonly",
        "a=rtcp-mux",
        "a=rtcp-rsize",
        "a=extmap:9 urn:ietf:params:rtp-hdrext:sdes:mid",
        "a=rtpmap:108 H264/90000",
        "a=rtcp-fb:108 nack pli",
        "a=fmtp:108 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
        "a=rtpmap:109 rtx/90000",
        "a=fmtp:109 apt=108",
        "a=ssrc-group:FID 1000 2000",
        "a=ssrc:2000 cname:cname",
        "a=candidate:1 1 udp 2130706431 192.0.2.1 5000 typ host",
        "a=candidate:2 1 udp 2130706175 2001:db8::1 5000 typ host",
        "a=end-of-candidates",
        "m=audio 5000 UDP/TLS/RTP/SAVPF 111",
    ];
    let mut lines = answer.split("\r\n");
    for line in expected {
        assert!(lines.any(|l| l == line), "no {line:?}, or out of order, in\n{answer}");
    }
}

#[test]
fn answers_are_descriptions_that_others_can_read() {
    for (name, _) in CORPUS {
        let answer = answer_to(&read(name));
        let theirs = SdpAnswer::from_sdp_string(&answer);
        assert!(theirs.is_ok(), "{name}: {theirs:?}\n{answer}");
        let read = description::Description::parse(&answer).unwrap();
        assert_eq!(read.sections.len(), self::read(name).media.len());
    }
}

#[test]
fn only_what_the_channel_has_is_accepted() {
    let only = |video: &[Codec]| Capabilities { video: video.to_vec(), ..Default::default() };
    let vp8 = negotiate(offer("chromium-recvonly"), &only(&[Vp8])).unwrap();
    assert_eq!(formats(&vp8, MediaKind::Video), [(Vp8, 96, Some(97))]);
    // Without a common video codec there is still sound.
    let h264 = negotiate(offer("firefox-recvonly"), &only(&[H264])).unwrap();
    assert_eq!(h264.accepted(MediaKind::Video).count(), 0);
    assert_eq!(formats(&h264, MediaKind::Audio), [(Opus, 109, None)]);
    let nothing = Capabilities { audio: vec![], ..only(&[H264]) };
    let error = negotiate(offer("firefox-recvonly"), &nothing).unwrap_err();
    assert!(matches!(&error, SdpError::NoCommonCodec(c) if c.contains("VP8")), "{error}");
}

#[test]
fn offers_that_cannot_work_are_refused_by_what_is_wrong_with_them() {
    let edit = |from: &str, to: &str| {
        let text = offer("chromium-recvonly").replace(from, to);
        negotiate(&text, &Capabilities::default()).unwrap_err()
    };
    assert_eq!(edit("a=ice-pwd", "a=x-pwd"), SdpError::NoCredentials);
    assert_eq!(edit("a=ice-ufrag:", "a=ice-ufrag:a b"), SdpError::NoCredentials);
    assert_eq!(edit("a=fingerprint:sha-256", "a=fingerprint:sha-1"), SdpError::NoFingerprint);
    assert_eq!(edit("a=setup:actpass", "a=setup:holdconn"), SdpError::Setup);
    assert_eq!(edit("a=recvonly", "a=sendonly"), SdpError::NothingToReceive);
    assert_eq!(edit("a=rtcp-mux", "a=x"), SdpError::NothingToReceive);
    assert_eq!(edit("UDP/TLS/RTP/SAVPF", "RTP/AVP"), SdpError::NothingToReceive);
    assert_eq!(edit("a=mid:1", "a=mid:0"), SdpError::DuplicateMid("0".into()));
    assert_eq!(edit("t=0 0\r\n", "t=0 0\r\na=ice-lite\r\n"), SdpError::BothLite);
    let flood = "a=candidate:1 1 udp 1 10.0.0.1 1 typ host\r\n".repeat(201);
    let flood = format!("a=setup:actpass\r\n{flood}");
    assert_eq!(edit("a=setup:actpass\r\n", &flood), SdpError::TooManyCandidates);
}

#[test]
fn sections_outside_the_bundle_are_rejected() {
    let text = offer("chromium-recvonly").replace("a=group:BUNDLE 0 1", "a=group:BUNDLE 0");
    let negotiated = negotiate(&text, &Capabilities::default()).unwrap();
    assert!(negotiated.media[0].accepted.is_some());
    assert!(negotiated.media[1].accepted.is_none());
}

#[test]
fn no_part_of_an_offer_and_no_change_to_it_is_a_panic() {
    for (name, text) in CORPUS {
        for end in (0..text.len()).step_by(7).filter(|end| text.is_char_boundary(*end)) {
            let _ = negotiate(&text[..end], &Capabilities::default());
        }
        let mut random = 1_u32;
        let lines: Vec<&str> = text.lines().collect();
        for _ in 0..300 {
            let mut mutated = lines.clone();
            for _ in 0..8 {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let (from, to) = (random as usize >> 8, random as usize >> 16);
                let line = mutated[from % lines.len()];
                let at = to % lines.len();
                mutated[at] = line.get(..line.len().min(to % 64)).unwrap_or(line);
            }
            if let Ok(negotiated) = negotiate(&mutated.join("\r\n"), &Capabilities::default()) {
                let answer = answer_to(&negotiated);
                assert!(description::Description::parse(&answer).is_ok(), "{name}\n{answer}");
            }
        }
    }
}
