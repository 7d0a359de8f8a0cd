//! Garbage at every door: a clear error with the right status, no panic, nothing else disturbed.

use std::net::UdpSocket;

use reqwest::StatusCode;

use crate::support::Scene;
use crate::support::scene::SOON;

/// Bytes that look random and are the same in every run.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    };
    (0..length).map(|_| next()).collect()
}

#[tokio::test]
async fn garbage_at_every_door_disturbs_nobody() {
    let scene = Scene::demo().await;
    let mut viewer = scene.aiortc_viewer("demo", &["--codec", "h264", "--seconds", "120"]);
    let answered = viewer.expect("answered", SOON).await;
    viewer.expect("frame", SOON).await;

    http(&scene).await;
    udp(&scene, answered["sdp"].as_str().unwrap());

    viewer.skip();
    let frame = viewer.expect_where("frame", SOON, |f| f["number"].is_u64()).await;
    let number = |f: &serde_json::Value| f["number"].as_u64().unwrap_or(0);
    viewer.expect_where("frame", SOON, |f| number(f) > number(&frame) + 30).await;
    let log = scene.daemon.log();
    assert!(!log.contains("panicked"), "{log}");
    assert_eq!(scene.daemon.metric("stentor_worker_restarts_total", &[]).await, 0.0);
    assert_eq!(scene.daemon.get("/api/v1/server").await["viewers"], 1);
}

/// Each with the status that it has to get. A damaged offer of which enough is left may be
/// answered; that session is ended.
async fn http(scene: &Scene) {
    let offer = include_str!("../corpus/sdp/chromium-recvonly.sdp");
    let sdp = "application/sdp";
    let json = "application/json";
    let truncated = &offer[..offer.len() / 2];
    let no_codec = offer.replace("H264", "H263").replace("VP8", "VP7").replace("AV1", "AV0");
    let big = "x".repeat(2_000_000);
    let garbage = String::from_utf8_lossy(&noise(1, 3000)).into_owned();
    let table: &[(&str, &str, &str, &str, &[u16])] = &[
        ("POST", "/whep/demo", sdp, &garbage, &[400]),
        ("POST", "/whep/demo", sdp, "", &[400]),
        ("POST", "/whep/demo", sdp, truncated, &[201, 400, 406]),
        ("POST", "/whep/demo", sdp, &no_codec, &[406]),
        ("POST", "/whep/demo", json, offer, &[415]),
        ("POST", "/whep/demo", sdp, &big, &[413]),
        ("POST", "/whep/nobody", sdp, offer, &[404]),
        ("POST", "/whep/demo?rendition=%00%ff", sdp, offer, &[400, 422]),
        ("POST", "/whip/demo", sdp, offer, &[400, 404, 406, 409]),
        (
            "PATCH",
            "/whep/demo/nosuchsession",
            "application/trickle-ice-sdpfrag",
            &garbage,
            &[400, 404],
        ),
        ("DELETE", "/whep/demo/nosuchsession", json, "", &[404, 200]),
        ("POST", "/api/v1/channels", json, "{", &[400]),
        ("POST", "/api/v1/channels", json, "[[[[[[[[[[[[[[[", &[400]),
        ("POST", "/api/v1/channels", json, &garbage, &[400]),
        (
            "POST",
            "/api/v1/channels",
            json,
            r#"{"name":"x","source":{"kind":"nonsense"}}"#,
            &[400, 422],
        ),
        (
            "POST",
            "/api/v1/channels",
            json,
            r#"{"name":"../x","source":{"kind":"synthetic"}}"#,
            &[400, 422],
        ),
        (
            "PUT",
            "/api/v1/channels/x",
            json,
            r#"{"source":{"kind":"file","path":"/etc/passwd"}}"#,
            &[400, 422, 403],
        ),
        ("PUT", "/api/v1/channels/x", json, &big, &[413]),
        ("GET", "/api/v1/channels/%2e%2e%2f", json, "", &[400, 404]),
        ("GET", "/../../etc/passwd", json, "", &[400, 404]),
        ("TRACE", "/", json, "", &[404, 405, 501]),
    ];
    for (method, path, kind, body, wanted) in table {
        let request = scene
            .daemon
            .http
            .request(method.parse().unwrap(), format!("{}{path}", scene.daemon.url))
            .header("content-type", *kind)
            .body((*body).to_owned());
        let name = format!("{method} {path} ({} bytes of {kind})", body.len());
        let answer = request.send().await.unwrap_or_else(|e| panic!("{name}: {e}"));
        let status = answer.status();
        let location = answer.headers().get("location").cloned();
        let kind = answer.headers().get("content-type").cloned();
        let text = answer.text().await.unwrap_or_default();
        assert!(wanted.contains(&status.as_u16()), "{name}: {status}, not {wanted:?}: {text}");
        if status.is_client_error() && status != StatusCode::METHOD_NOT_ALLOWED {
            let kind = kind.map(|k| k.to_str().unwrap().to_owned()).unwrap_or_default();
            assert!(kind.starts_with("application/problem+json"), "{name}: {kind}: {text}");
        }
        if status == StatusCode::CREATED {
            let session = location.as_ref().and_then(|l| l.to_str().ok()).expect(&name);
            let url = format!("{}{session}", scene.daemon.url);
            let ended = scene.daemon.http.delete(url).send().await.unwrap();
            assert_eq!(ended.status(), StatusCode::OK, "{name}: {session}");
        }
    }
    for token in ["", "x", "a.b.c", &"e".repeat(10_000), "Bearer", "eyJhbGciOiJub25lIn0.e30."] {
        let client = reqwest::Client::new();
        let request = client.get(format!("{}/api/v1/channels", scene.daemon.url));
        let answer = request.bearer_auth(token).send().await.unwrap();
        assert!(
            [400, 401, 431].contains(&answer.status().as_u16()),
            "{token}: {}",
            answer.status()
        );
    }
}

/// STUN, DTLS, RTP and RTCP lookalikes at the fan-out's port.
fn udp(scene: &Scene, answer: &str) {
    let candidate = answer.lines().find_map(|l| l.strip_prefix("a=candidate:")).unwrap();
    let words: Vec<&str> = candidate.split(' ').collect();
    let to = format!("{}:{}", words[4], words[5]);
    let socket = UdpSocket::bind((scene.network.near.as_str(), 0)).unwrap();
    // RFC 7983: the first byte says what a packet claims to be.
    for first in [0_u8, 1, 3, 20, 22, 23, 63, 64, 100, 128, 144, 191, 255] {
        for length in [0, 1, 2, 11, 12, 13, 19, 20, 28, 60, 200, 1200, 1500] {
            for seed in 0..8 {
                let mut packet = noise(seed * 1000 + u64::from(first), length);
                if let Some(byte) = packet.first_mut() {
                    *byte = first;
                }
                // A STUN header with the cookie, so that it is read further.
                if first < 4 && packet.len() >= 20 {
                    let length = (packet.len() - 20) as u16;
                    packet[2..4].copy_from_slice(&length.to_be_bytes());
                    packet[4..8].copy_from_slice(&0x2112_a442_u32.to_be_bytes());
                }
                let _ = socket.send_to(&packet, &to);
            }
        }
    }
}
