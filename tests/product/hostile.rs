//! What a participant may send to the call server's real worker and fan-out, and who doesn't notice.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::caller::Caller;
use crate::support::daemon::Options;
use crate::support::{Daemon, until};

const WATCH: &str = include_str!("../corpus/sdp/chromium-recvonly-gathered.sdp");

/// What the caller has at the call server, once it has something.
async fn legs(caller: &mut Caller) -> (String, String, String) {
    loop {
        let legs = caller.expect("legs").await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        if legs["publish"].is_string() && legs["watch"][0].is_object() {
            return (text(&legs["publish"]), text(&legs["watch"][0]["url"]), text(&legs["token"]));
        }
    }
}

async fn pair(daemon: &Daemon, one: &str, other: &str) -> (Caller, Caller) {
    let mut caller = Caller::sign_in(daemon, one, "phone").await;
    let mut callee = Caller::sign_in(daemon, other, "phone").await;
    let call = caller.invite(&[other]).await;
    callee.expect("ring").await;
    callee.accept(&call).await;
    (caller, callee)
}

#[tokio::test]
async fn bombs_for_the_call_server_are_refused_and_another_call_does_not_notice() {
    let config = "[calls]\nmesh_most = 1\n".to_owned();
    let daemon = Daemon::start(Options { config, ..Options::default() }).await;
    let (mut alice, mut bob) = pair(&daemon, "alice", "bob").await;
    let others = [legs(&mut alice).await, legs(&mut bob).await];
    let (mut mallory, _carol) = pair(&daemon, "mallory", "carol").await;
    let (publish, watch, token) = legs(&mut mallory).await;
    let post = async |path: &str, token: &str, body: String| {
        let request = daemon.http.post(format!("{}{path}", daemon.url));
        let request = request.header("content-type", "application/sdp").bearer_auth(token);
        let answer = request.timeout(Duration::from_secs(20)).body(body).send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap_or_default())
    };
    let vp8 = "a=rtpmap:96 VP8/90000\r\n";
    let section = format!("m=video 9 UDP/TLS/RTP/SAVPF 96\r\n{vp8}");
    let head = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n";
    let candidates = "a=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n".repeat(1200);
    for (what, body) in [
        ("sections", format!("{head}{}", section.repeat(900))),
        ("a line", format!("{head}{section}a=fmtp:96 {}\r\n", "x".repeat(60_000))),
        ("candidates", format!("{head}{section}{candidates}")),
        (
            "numbers",
            format!("{head}m=video 9 UDP/TLS/RTP/SAVPF 96{}\r\n{vp8}", " 1".repeat(25_000)),
        ),
        ("nothing but a head", format!("{head}{section}")),
        ("zeros", format!("{head}{section}{}", "\0".repeat(60_000))),
        ("a megabyte", "v=0\r\nm=".repeat(130_000)),
    ] {
        for path in [&publish, &watch] {
            let (status, problem) = post(path, &token, body.clone()).await;
            assert!((400..500).contains(&status) || status == 503, "{what}, {path}: {status}");
            assert!(
                problem["detail"].as_str().is_some_and(|d| d.len() < 1000),
                "{what}: {problem}"
            );
        }
    }
    // Whom it doesn't concern has what they had: the worker answers, and passes are good.
    for (publish, watch, token) in &others {
        let (status, problem) = post(publish, token, format!("{head}{section}")).await;
        assert_eq!(status, 400, "{problem}");
        assert_ne!(post(watch, token, WATCH.to_owned()).await.0, 401);
    }
    bob.say(json!({"type": "ping"})).await;
    bob.expect("pong").await;
    let log = daemon.log();
    assert!(!log.contains("panicked"), "{log}");
    assert_eq!(daemon.metric("stentor_worker_restarts_total", &[]).await, 0.0);
    mallory.say(json!({"type": "ping"})).await;
    mallory.expect("pong").await;
    until("no publisher was let in", Duration::from_secs(5), async || {
        let here = daemon.metric("stentor_calls_current", &[]).await;
        if here == 2.0 { Ok(()) } else { Err(here) }
    })
    .await;
}
