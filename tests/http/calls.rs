//! Calls over real web sockets: who gets in, a call from its first ring to its end, a socket that
//! drops, and what is too much.

use std::time::Duration;

use reqwest::Method;
use reqwest::header::ORIGIN;
use serde_json::{Value, json};
use stentor::calls::ids::{DeviceId, UserId};
use stentor::config::Period;
use stentor::http::access::{Role, mint_user};
use tokio_tungstenite::tungstenite::Message;

use crate::device::{Device, hello, media};
use crate::support::{Keys, Server, assert_problem};

const MINUTE: Duration = Duration::from_secs(60);
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

#[tokio::test(flavor = "multi_thread")]
async fn the_handshake_is_refused_like_any_other_request() {
    let server = Server::with(|config| config.calls.max_sockets = 1).await;
    let ask = async |changes: &[(&str, &str)]| {
        let mut headers = vec![
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", KEY),
        ];
        for change in changes {
            headers.retain(|(name, _)| *name != change.0);
            headers.push(*change);
        }
        let request = server.request(Method::GET, "/ws");
        let fill = |request: reqwest::RequestBuilder, header: (&str, &str)| {
            request.header(header.0, header.1)
        };
        headers.into_iter().fold(request, fill).send().await.unwrap()
    };
    for (changes, status, kind) in [
        (("upgrade", "h2c"), 426, "about:blank"),
        (("connection", "close"), 426, "about:blank"),
        (("sec-websocket-version", "8"), 426, "about:blank"),
        (("sec-websocket-key", "short"), 400, "about:blank"),
        (("origin", "https://evil.example"), 403, "/problems/foreign-origin"),
    ] {
        let refused = ask(&[changes]).await;
        if status == 426 {
            assert_eq!(refused.headers()["upgrade"], "websocket");
        }
        assert_problem(refused, status, kind).await;
    }
    let plain = server.get("/ws").await;
    assert_problem(plain, 426, "about:blank").await;
    let posted = server.request(Method::POST, "/ws").send().await.unwrap();
    assert_eq!(posted.headers()["allow"], "GET, OPTIONS");

    let first = Device::sign_in(&server, "alice").await;
    assert_problem(ask(&[]).await, 503, "/problems/full").await;
    assert_eq!(server.metric("stentor_calls_refused_total{reason=\"full\"}").await, 1.0);
    first.leave().await;
    server.stop().await;

    let server = Server::with(|config| config.calls.enabled = false).await;
    assert_problem(server.get("/ws").await, 404, "about:blank").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_is_not_listed_opens_no_socket_even_where_tokens_are_asked_for() {
    let keys = Keys::new();
    let server = Server::with(|config| {
        config.access.keys = vec![keys.public()];
        config.http.cors_origins = vec!["https://tv.example".to_owned()];
    })
    .await;
    for (origin, status) in [("https://tv.example", 101), ("https://other.example", 403)] {
        let request = server.request(Method::GET, "/ws").header(ORIGIN, origin);
        let request = request.header("connection", "upgrade").header("upgrade", "websocket");
        let request =
            request.header("sec-websocket-version", "13").header("sec-websocket-key", KEY);
        assert_eq!(request.send().await.unwrap().status(), status, "{origin}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_tokens_any_name_is_taken_and_garbage_closes_no_socket() {
    let server = Server::start().await;
    let mut device = Device::connect(&server).await;
    let with = |name: &str, value: Value| {
        let mut message = hello("alice", "phone");
        message[name] = value;
        message
    };
    for (message, code) in [
        (json!({"type": "ping"}), "hello_first"),
        (json!({"type": "leave", "call": "c"}), "hello_first"),
        (json!({"type": "dance"}), "unknown_type"),
        (json!([]), "invalid"),
        (with("version", json!(2)), "unsupported_version"),
        (with("user", json!("a b")), "invalid"),
        (with("user", Value::Null), "not_allowed"),
        (with("capabilities", json!({})), "invalid"),
        (with("token", json!("x".repeat(5000))), "invalid"),
        (json!({"type": "resume", "version": 1, "session": "s", "seq": 0}), "not_resumable"),
    ] {
        assert_eq!(device.refused(message.clone()).await, code, "{message}");
    }
    let deep = "[".repeat(100_000);
    let long = format!("{{\"type\":\"{}\"}}", "x".repeat(300_000));
    for (message, code) in [
        (Message::Text("{".into()), "not_json"),
        (Message::Text(deep.into()), "not_json"),
        (Message::Text(long.into()), "too_long"),
        (Message::Binary(vec![0xff; 100].into()), "not_json"),
    ] {
        device.send(message).await;
        assert_eq!(device.error().await, code);
    }
    device.say(hello("alice", "phone")).await;
    let welcome = device.expect("welcome").await;
    assert_eq!((&welcome["user"], &welcome["resumed"]), (&json!("alice"), &json!(false)));
    assert_eq!(device.refused(hello("alice", "phone")).await, "invalid");
    device.say(json!({"type": "ping", "request": 7})).await;
    assert_eq!(device.expect("pong").await["request"], 7);
    assert_eq!(server.metric("stentor_calls_devices").await, 1.0);
    device.leave().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_tokens_a_user_is_who_the_token_says() {
    let keys = Keys::new();
    let server = Server::with(|config| config.access.keys = vec![keys.public()]).await;
    let user = |name: &str| UserId::new(name).unwrap();
    let mint = |private: &str, name: &str, device: Option<&str>| {
        let device = device.map(|device| DeviceId::new(device).unwrap());
        mint_user(private, user(name), device, MINUTE).unwrap()
    };
    let alice = mint(keys.private(), "alice", None);
    let stranger = Keys::new();
    let mut device = Device::connect(&server).await;
    for (what, token) in [
        ("none", None),
        ("garbage", Some("x".to_owned())),
        ("a viewer's", Some(keys.token(Role::View, "*"))),
        ("an operator's", Some(keys.token(Role::Admin, "*"))),
        ("another server's", Some(mint(stranger.private(), "alice", None))),
        ("another user's", Some(mint(keys.private(), "bob", None))),
        ("another device's", Some(mint(keys.private(), "alice", Some("tablet")))),
        ("altered", Some(format!("{}x", &alice[..alice.len() - 1]))),
    ] {
        let mut message = hello("alice", "phone");
        if let Some(token) = token {
            message["token"] = token.into();
        }
        assert_eq!(device.refused(message).await, "not_allowed", "{what}");
    }
    let mut message = hello("alice", "phone");
    message.as_object_mut().unwrap().remove("user");
    message["token"] = alice.clone().into();
    device.say(message).await;
    let welcome = device.expect("welcome").await;
    assert_eq!(welcome["user"], "alice");

    // Whoever has the session's name, and not the user's token, resumes nothing.
    let mut thief = Device::connect(&server).await;
    let mut resume =
        json!({"type": "resume", "version": 1, "session": welcome["session"], "seq": 1});
    assert_eq!(thief.refused(resume.clone()).await, "not_allowed");
    resume["token"] = mint(keys.private(), "bob", None).into();
    assert_eq!(thief.refused(resume.clone()).await, "not_resumable");
    resume["token"] = mint(keys.private(), "alice", Some("tablet")).into();
    assert_eq!(thief.refused(resume.clone()).await, "not_resumable");
    resume["token"] = alice.into();
    thief.say(resume).await;
    thief.seq = 1;
    assert_eq!(thief.hear().await["resumed"], true);
    assert_eq!(device.closed().await, 4003);
    server.stop().await;
}

/// Two devices in a call of Alice's, with the numbers of their peer session.
async fn call(alice: &mut Device, bob: &mut Device) -> Value {
    let invite = json!({"type": "invite", "users": ["bob"], "media": media(), "request": 1});
    alice.say(invite).await;
    let made = alice.expect("call").await;
    assert_eq!(made["request"], 1);
    let call = made["call"].clone();
    let ring = bob.expect("ring").await;
    assert_eq!((&ring["call"], &ring["from"]), (&call, &json!("alice")));
    bob.say(json!({"type": "accept", "call": call, "media": media()})).await;
    call
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_rung_answered_negotiated_and_hung_up() {
    let server = Server::start().await;
    let mut alice = Device::sign_in(&server, "alice").await;
    let mut bob = Device::sign_in(&server, "bob").await;
    let there = bob.expect("presence").await;
    assert_eq!((&there["user"], &there["availability"]), (&json!("alice"), &json!("available")));
    let call = call(&mut alice, &mut bob).await;
    let peer = bob.expect("peer").await;
    assert_eq!((&peer["user"], &peer["offers"]), (&json!("alice"), &json!(true)));
    for device in [&mut alice, &mut bob] {
        let configure = device.expect("configure").await;
        assert_eq!(configure["configuration"]["video"]["codec"], "vp8");
    }
    let about = |kind: &str, more: (&str, String)| {
        let mut message = json!({
            "type": kind, "call": call, "session": peer["session"], "epoch": peer["epoch"],
        });
        message[more.0] = more.1.into();
        message
    };
    bob.say(about("offer", ("sdp", "v=0 offer".to_owned()))).await;
    for at in 0..20 {
        bob.say(about("candidate", ("candidate", format!("candidate:{at}")))).await;
    }
    assert_eq!(alice.expect("offer").await["sdp"], "v=0 offer");
    for at in 0..20 {
        assert_eq!(alice.hear().await["candidate"], format!("candidate:{at}"));
    }
    alice.say(about("answer", ("sdp", "v=0 answer".to_owned()))).await;
    assert_eq!(bob.expect("answer").await["from"], "alice");
    let report = json!({
        "user": "alice", "direction": "receive", "path": "direct", "direct_alive": true,
        "packets": 10, "lost_permille": 0, "bitrate_bps": 1_000_000,
    });
    bob.say(json!({"type": "path_report", "call": call, "reports": [report]})).await;

    // Nobody else gets in, or learns anything.
    let mut mallory = Device::sign_in(&server, "mallory").await;
    for kind in ["accept", "rejoin"] {
        let message = json!({"type": kind, "call": call, "media": media()});
        assert_eq!(mallory.refused(message).await, "not_invited");
    }
    assert_eq!(mallory.refused(about("offer", ("sdp", "v=0".to_owned()))).await, "not_invited");
    assert_eq!(mallory.refused(json!({"type": "hang_up", "call": call})).await, "not_invited");

    alice.say(json!({"type": "hang_up", "call": call})).await;
    for device in [&mut alice, &mut bob] {
        assert_eq!(device.expect("call_ended").await["reason"], "hung_up");
    }
    for (series, value) in [
        ("stentor_calls_started_total", 1.0),
        ("stentor_calls_ended_total{reason=\"hung_up\"}", 1.0),
        ("stentor_calls_current", 0.0),
        ("stentor_calls_ring_seconds_count", 1.0),
        ("stentor_calls_connect_seconds_count", 1.0),
        ("stentor_calls_sockets", 3.0),
        ("stentor_calls_refused_total{reason=\"not_invited\"}", 4.0),
    ] {
        assert_eq!(server.metric(series).await, value, "{series}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_whose_socket_drops_resumes_without_losing_its_call_or_a_message() {
    let server = Server::start().await;
    let mut alice = Device::sign_in(&server, "alice").await;
    let mut bob = Device::sign_in(&server, "bob").await;
    let call = call(&mut alice, &mut bob).await;
    alice.expect("peer").await;
    bob.expect("configure").await;
    let (session, seq) = (alice.session.clone(), alice.seq);
    drop(alice);
    let lost = bob.expect("participant").await;
    assert_eq!(lost["participant"]["state"], "lost");
    for at in 0..5 {
        let candidate = format!("candidate:{at}");
        bob.say(json!({
            "type": "candidate", "call": call, "session": 1, "epoch": 0, "candidate": candidate,
        }))
        .await;
    }
    let mut alice = Device::resume(&server, &session, seq).await;
    let mut candidates = Vec::new();
    loop {
        let message = alice.hear().await;
        match message["type"].as_str().unwrap() {
            "candidate" => candidates.push(message["candidate"].clone()),
            "welcome" if message["resumed"] == true => break,
            _ => {}
        }
    }
    while candidates.len() < 5 {
        candidates.push(alice.expect("candidate").await["candidate"].clone());
    }
    let expected: Vec<Value> = (0..5).map(|at| format!("candidate:{at}").into()).collect();
    assert_eq!(candidates, expected);
    assert_eq!(bob.expect("participant").await["participant"]["state"], "in");
    // A device that signs out is not waited for.
    alice.leave().await;
    assert_eq!(bob.expect("call_ended").await["reason"], "lost");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_answers_declines_or_is_there() {
    let server = Server::with(|config| config.calls.ring_timeout = Period::from_secs(1)).await;
    let mut alice = Device::sign_in(&server, "alice").await;
    let mut bob = Device::sign_in(&server, "bob").await;
    let invite = |user: &str| json!({"type": "invite", "users": [user], "media": media()});
    alice.say(invite("bob")).await;
    bob.expect("ring").await;
    assert_eq!(bob.expect("ring_stopped").await["reason"], "no_answer");
    assert_eq!(alice.expect("call_ended").await["reason"], "no_answer");
    alice.say(invite("bob")).await;
    let ring = bob.expect("ring").await;
    bob.say(json!({"type": "decline", "call": ring["call"]})).await;
    assert_eq!(alice.expect("call_ended").await["reason"], "declined");
    alice.say(invite("carol")).await;
    assert_eq!(alice.expect("call_ended").await["reason"], "unreachable");
    assert_eq!(alice.refused(invite("alice")).await, "nobody_new");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_is_refused_and_then_closed() {
    let server = Server::with(|config| {
        config.calls.message_burst = 5;
        config.calls.messages_per_second = 1;
    })
    .await;
    let mut device = Device::sign_in(&server, "alice").await;
    // A message costs a little more the longer it is.
    for _ in 0..3 {
        device.say(json!({"type": "ping"})).await;
        device.expect("pong").await;
    }
    assert_eq!(device.refused(json!({"type": "ping"})).await, "too_many_requests");
    for _ in 0..110 {
        device.say(json!({"type": "ping"})).await;
    }
    assert_eq!(device.closed().await, 4004);
    assert_eq!(server.metric("stentor_calls_closed_total{reason=\"flood\"}").await, 1.0);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_takes_too_little_or_says_too_much_at_once_is_closed() {
    let server = Server::with(|config| {
        config.calls.message_burst = 10_000;
        config.calls.idle_timeout = Period::from_secs(3);
    })
    .await;
    let mut slow = Device::sign_in(&server, "slow").await;
    for _ in 0..1000 {
        slow.say(json!({"type": "ping"})).await;
        slow.hear().await;
        if slow.seq == 1000 {
            break;
        }
    }
    slow.say(json!({"type": "ping"})).await;
    assert_eq!(slow.closed().await, 4002);
    let mut long = Device::sign_in(&server, "long").await;
    long.send(Message::Text("x".repeat(600_000).into())).await;
    assert_eq!(long.closed().await, 1009);
    let mut silent = Device::sign_in(&server, "silent").await;
    assert_eq!(silent.closed_unheard().await, 4005);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_the_server_ends_calls_and_sockets() {
    let server = Server::with(|config| config.server.drain_grace = Period::from_secs(0)).await;
    let mut alice = Device::sign_in(&server, "alice").await;
    let mut bob = Device::sign_in(&server, "bob").await;
    call(&mut alice, &mut bob).await;
    bob.expect("configure").await;
    let stopping = tokio::spawn(server.stop());
    assert_eq!(bob.expect("call_ended").await["reason"], "server_stopping");
    assert_eq!(alice.closed().await, 1001);
    assert_eq!(bob.closed().await, 1001);
    stopping.await.unwrap();
}
