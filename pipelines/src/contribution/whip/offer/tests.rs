//! Tests of `offer`.

use super::*;

const CHROMIUM: &str = include_str!("../offers/chromium.sdp");
const SIMULCAST: &str = include_str!("../offers/chromium-simulcast.sdp");
const FIREFOX: &str = include_str!("../offers/firefox.sdp");
const AIORTC: &str = include_str!("../offers/aiortc.sdp");

fn without(text: &str, part: &str) -> String {
    assert!(text.contains(part), "{part}");
    text.lines().filter(|l| !l.contains(part)).map(|l| format!("{l}\r\n")).collect()
}

#[test]
fn real_offers_are_reduced_to_one_codec_a_section() {
    let cases = [
        ("chromium", CHROMIUM, (Codec::H264, 108, Some(3)), Some((111, Some(3))), "108 109"),
        ("simulcast", SIMULCAST, (Codec::H264, 108, Some(4)), None, "108 109"),
        ("firefox", FIREFOX, (Codec::Vp8, 120, Some(7)), Some((109, Some(7))), "120 124"),
        ("aiortc", AIORTC, (Codec::H264, 101, None), Some((96, None)), "101 102"),
    ];
    for (name, text, (codec, payload, twcc), audio, numbers) in cases {
        let plan = plan(text).unwrap();
        let video = plan.video.unwrap();
        assert_eq!((video.codec, video.payload, video.twcc), (codec, payload, twcc), "{name}");
        assert_eq!(plan.audio.map(|a| (a.payload, a.twcc)), audio, "{name}");
        let section = plan.offer.sections.iter().find(|s| s.kind() == "video").unwrap();
        assert_eq!(section.lines[0], format!("m=video 9 UDP/TLS/RTP/SAVPF {numbers}"), "{name}");
        assert!(plan.sections.iter().all(|v| *v == Verdict::Taken), "{name}");
    }
}

#[test]
fn webrtcbin_sees_nothing_that_it_trips_over() {
    for text in [CHROMIUM, SIMULCAST, FIREFOX, AIORTC] {
        let offer = plan(text).unwrap().offer.to_string();
        for bad in [".local", "simulcast", "a=rid", "goog-remb", "bundle-only", "TCP", "VP9"] {
            assert!(!offer.contains(bad), "{bad} in {offer}");
        }
        assert!(offer.contains("a=sendonly") && !offer.contains("a=sendrecv"));
        for line in offer.lines().filter(|l| l.starts_with("a=extmap:")) {
            assert!(line.contains(TWCC), "{line}");
        }
    }
    let candidates = plan(AIORTC).unwrap().offer.to_string();
    assert_eq!(candidates.matches("a=candidate:").count(), 4);
}

#[test]
fn what_a_session_says_for_all_is_said_in_every_section() {
    let mut text = without(&without(FIREFOX, "a=setup:"), "a=ice-ufrag:");
    let at = text.find("m=").unwrap();
    text.insert_str(at, "a=setup:actpass\r\na=ice-ufrag:whole\r\n");
    let offer = plan(&text).unwrap().offer;
    for section in &offer.sections {
        assert_eq!(section.attributes("setup").collect::<Vec<_>>(), ["actpass"]);
        assert_eq!(section.attributes("ice-ufrag").collect::<Vec<_>>(), ["whole"]);
        assert_eq!(section.attributes("fingerprint").count(), 1);
    }
}

#[test]
fn what_a_codec_offers_decides_which_is_taken() {
    let cases = [
        ("VP8/90000", None, Some((Codec::Vp8, 4))),
        (
            "H264/90000",
            Some("packetization-mode=1;profile-level-id=42e01f"),
            Some((Codec::H264, 0)),
        ),
        (
            "h264/90000",
            Some("profile-level-id=42001f; packetization-mode=1"),
            Some((Codec::H264, 1)),
        ),
        ("H264/90000", Some("packetization-mode=1"), Some((Codec::H264, 1))),
        (
            "H264/90000",
            Some("packetization-mode=1;profile-level-id=4D0032"),
            Some((Codec::H264, 2)),
        ),
        (
            "H264/90000",
            Some("packetization-mode=1;profile-level-id=640c34"),
            Some((Codec::H264, 3)),
        ),
        ("H264/90000", Some("packetization-mode=1;profile-level-id=f4001f"), None),
        (
            "H264/90000",
            Some("packetization-mode=0;profile-level-id=42e01f"),
            Some((Codec::H264, 5)),
        ),
        ("H264/90000", None, Some((Codec::H264, 5))),
        ("opus/48000/2", None, Some((Codec::Opus, 0))),
        ("VP9/90000", None, None),
        ("H264", None, None),
        ("PCMU/8000", None, None),
    ];
    for (rtpmap, fmtp, expected) in cases {
        assert_eq!(rate(rtpmap, fmtp), expected, "{rtpmap} {fmtp:?}");
    }
}

#[test]
fn sections_that_are_not_taken_are_remembered_in_their_places() {
    let extra = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:2\r\na=sendonly\r\na=rtpmap:96 VP8/90000\r\n\
        m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:3\r\n";
    let plan = plan(&format!("{CHROMIUM}{extra}")).unwrap();
    assert_eq!(plan.offer.sections.len(), 2);
    assert_eq!(plan.sections[..2], [Verdict::Taken, Verdict::Taken]);
    assert_eq!(
        plan.sections[3],
        Verdict::Rejected {
            kind: "application".into(),
            rest: "UDP/DTLS/SCTP webrtc-datachannel".into(),
            mid: Some("3".into()),
        }
    );
    assert!(plan.offer.session.contains(&"a=group:BUNDLE 0 1".to_owned()));
}

#[test]
fn one_kind_alone_is_enough() {
    let audio_only = CHROMIUM.split("m=video").next().unwrap().to_owned();
    let plan = plan(&audio_only).unwrap();
    assert!(plan.video.is_none() && plan.audio.is_some());
    let no_opus = CHROMIUM.replace("opus/48000/2", "speex/16000");
    let plan = super::plan(&no_opus).unwrap();
    assert!(plan.video.is_some() && plan.audio.is_none());
    assert!(matches!(plan.sections[0], Verdict::Rejected { .. }));
}

#[test]
fn an_offer_that_cant_be_answered_says_why() {
    let receiving = CHROMIUM.replace("a=sendonly", "a=recvonly");
    let foreign = CHROMIUM.replace("opus/", "x/").replace("VP8/", "x/").replace("H264/", "x/");
    let cases = [
        (String::new(), "begin with v=0", Fault::Client),
        ("{}".into(), "line 1", Fault::Client),
        ("v=0\r\n".into(), "no media to send", Fault::Client),
        (receiving, "no media to send", Fault::Client),
        (foreign, "neither", Fault::NoCommonCodec),
        (without(CHROMIUM, "ice-ufrag"), "user fragment", Fault::Client),
        (without(CHROMIUM, "ice-pwd"), "password", Fault::Client),
        (without(CHROMIUM, "fingerprint"), "fingerprint", Fault::Client),
        (without(CHROMIUM, "group:BUNDLE"), "bundled", Fault::Client),
        (without(CHROMIUM, "a=mid:1"), "mid", Fault::Client),
    ];
    for (text, part, fault) in cases {
        let error = plan(&text).unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
        assert_eq!(error.fault(), fault, "{error}");
    }
}

#[test]
fn a_damaged_offer_never_panics() {
    for text in [CHROMIUM, FIREFOX, AIORTC] {
        for end in (0..text.len()).step_by(7) {
            let _ = plan(&text[..end]);
        }
        let lines: Vec<&str> = text.lines().collect();
        for skip in 0..lines.len() {
            let rest: Vec<&str> =
                lines.iter().enumerate().filter(|(n, _)| *n != skip).map(|(_, l)| *l).collect();
            let _ = plan(&rest.join("\r\n"));
        }
        for noise in ["", ":", " ", "a=rtpmap:", "a=fmtp:108", "a=extmap:3/", "m=video"] {
            let _ = plan(&text.replace("a=rtpmap:108 ", noise));
            let _ = plan(&text.replace("m=video 9", noise));
        }
    }
}
