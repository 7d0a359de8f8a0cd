//! Bad input and hostile use at calls' doors: each gets a clear error, and a call that goes on beside
//! it doesn't notice.

use std::time::Duration;

use reqwest::header::AUTHORIZATION;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use stentor::calls::ids::UserId;
use stentor::http::access::{Role, mint_user};
use tokio_tungstenite::tungstenite::Message;

use crate::device::{Device, Legs, call, hello, media};
use crate::legs::{expired, post, publish, served};
use crate::support::{Keys, OFFER, PATIENCE, Server, assert_problem};

const WATCH: &str = include_str!("../corpus/sdp/chromium-recvonly-gathered.sdp");
const LIFE: Duration = Duration::from_secs(300);

/// Two in a call that nobody is to disturb.
struct Bystanders {
    alice: Device,
    bob: Device,
    call: Value,
    session: Value,
    said: u32,
}

// === impl Bystanders ===

impl Bystanders {
    async fn new(server: &Server) -> Self {
        let alice = Device::sign_in(server, "alice").await;
        let bob = Device::sign_in(server, "bob").await;
        Self::of(alice, bob).await
    }

    async fn of(mut alice: Device, mut bob: Device) -> Self {
        let call = call(&mut alice, &mut bob, "bob").await;
        let session = bob.expect("peer").await["session"].clone();
        let mut both = Self { alice, bob, call, session, said: 0 };
        both.unharmed().await;
        both
    }

    /// They still hear each other, and of nothing else but who comes and goes.
    async fn unharmed(&mut self) {
        self.said += 1;
        let candidate = format!("candidate:{}", self.said);
        let line = json!({
            "type": "candidate", "call": self.call, "session": self.session, "epoch": 0,
            "candidate": candidate,
        });
        self.alice.say(line).await;
        loop {
            let heard = self.bob.hear().await;
            match heard["type"].as_str().unwrap() {
                "candidate" if heard["candidate"] == candidate => break,
                // What is told at a call's begin, or of others.
                "presence" | "configure" | "topology" | "legs" | "streams" | "participant"
                | "token_expires" | "path" => {
                    assert_ne!(heard["participant"]["state"], "out", "{heard}");
                }
                other => panic!("{other}: {heard}"),
            }
        }
        let (alice, bob) = (self.alice.seq, self.bob.seq);
        self.alice.say(json!({"type": "ack", "seq": alice})).await;
        self.bob.say(json!({"type": "ack", "seq": bob})).await;
    }
}

/// Calls through the server, for those with tokens. Bad ones cost much, and there are many here.
async fn guarded(keys: &Keys) -> Server {
    Server::with(|config| {
        served(config);
        config.access.keys = vec![keys.public()];
        config.http.request_burst = 10_000;
    })
    .await
}

fn mint(keys: &Keys, name: &str) -> String {
    mint_user(keys.private(), UserId::new(name).unwrap(), None, LIFE).unwrap()
}

fn invite(user: &str) -> Value {
    json!({"type": "invite", "users": [user], "media": media()})
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_expired_and_foreign_tokens_open_no_door_of_a_call() {
    let keys = Keys::new();
    let server = guarded(&keys).await;
    let mut alice = Device::sign_in_with(&server, "alice", &mint(&keys, "alice")).await;
    let mut bob = Device::sign_in_with(&server, "bob", &mint(&keys, "bob")).await;
    let in_call = call(&mut alice, &mut bob, "bob").await;
    let session = bob.expect("peer").await["session"].clone();
    let legs = [alice.legs().await, bob.legs().await];
    let mut both = Bystanders { alice, bob, call: in_call, session, said: 0 };
    let (good, strange) = (mint(&keys, "mallory"), mint(&Keys::new(), "alice"));
    let unsigned =
        "eyJhbGciOiJub25lIn0.eyJyb2xlIjoidXNlciIsInVzZXIiOiJhbGljZSIsImV4cCI6OTk5OTk5OTk5OX0.";
    let bad = [
        ("forged", strange),
        ("expired", expired(&keys, "alice")),
        ("unsigned", unsigned.to_owned()),
        ("altered", format!("{}A", &good[..good.len() - 1])),
        ("a viewer's", keys.token(Role::View, "*")),
        ("an operator's", keys.token(Role::Admin, "*")),
        ("of another user", good.clone()),
        ("a pass", legs[0].token.clone()),
        ("nothing", String::new()),
    ];
    for (what, token) in bad {
        let mut socket = Device::connect(&server).await;
        let mut hello = hello("alice", "one");
        hello["token"] = token.clone().into();
        assert_eq!(socket.refused(hello).await, "not_allowed", "{what}");
        let resume = json!({
            "type": "resume", "version": 1, "session": both.alice.session, "seq": 0, "token": token,
        });
        let refused = socket.refused(resume).await;
        assert!(["not_allowed", "not_resumable"].contains(&refused.as_str()), "{what}: {refused}");
        if what == "a pass" {
            continue;
        }
        for (path, offer) in [(&legs[0].publish, OFFER), (&legs[0].watch, WATCH)] {
            let refused = post(&server.client, server.url(path), &token, offer).await;
            assert_problem(refused, 401, "/problems/invalid-token").await;
        }
    }
    both.unharmed().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_anothers_call_id_nothing_is_done_and_nothing_learnt() {
    let server = Server::start().await;
    let mut both = Bystanders::new(&server).await;
    let mut mallory = Device::sign_in(&server, "mallory").await;
    let peer = |kind: &str, more: Value| {
        let mut message = json!({"type": kind, "session": 1, "epoch": 0});
        message.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        message
    };
    let report = json!({
        "user": "alice", "direction": "receive", "path": "direct", "direct_alive": false,
        "packets": 0, "lost_permille": 1000, "bitrate_bps": 0,
    });
    let messages = [
        json!({"type": "invite", "users": ["carol"], "media": media()}),
        json!({"type": "accept", "media": media()}),
        json!({"type": "rejoin", "media": media()}),
        json!({"type": "media", "media": media()}),
        json!({"type": "decline"}),
        json!({"type": "busy"}),
        json!({"type": "cancel"}),
        json!({"type": "hang_up"}),
        json!({"type": "leave"}),
        peer("offer", json!({"sdp": "v=0"})),
        peer("answer", json!({"sdp": "v=0"})),
        peer("candidate", json!({"candidate": "candidate:1"})),
        peer("restart", json!({})),
        json!({"type": "tiles", "page_size": 9, "page": 0, "users": ["alice"], "height": 720}),
        json!({"type": "path_report", "reports": [report]}),
        json!({"type": "applied", "revision": 1, "configuration": {"audio_bps": 16000}}),
    ];
    for message in messages {
        let with = |call: &Value| {
            let mut message = message.clone();
            message["call"] = call.clone();
            message
        };
        let foreign = mallory.refused(with(&both.call)).await;
        let none = mallory.refused(with(&json!("no-such-call"))).await;
        let known = ["not_invited", "not_in_call", "unknown_call", "stale"];
        assert!(known.contains(&foreign.as_str()), "{message}: {foreign}");
        assert_eq!(none, "unknown_call", "{message}");
    }
    both.unharmed().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn session_descriptions_that_are_bombs_reach_nobody() {
    let server = Server::with(served).await;
    let mut both = Bystanders::new(&server).await;
    let mut mallory = Device::sign_in(&server, "mallory").await;
    let mut carol = Device::sign_in(&server, "carol").await;
    let own = call(&mut mallory, &mut carol, "carol").await;
    let session = carol.expect("peer").await["session"].clone();
    let legs = mallory.legs().await;
    let offer = |sdp: &str| json!({"type": "offer", "call": own, "session": session, "epoch": 0, "sdp": sdp});
    let sections = format!("v=0\r\n{}", "m=video 9 x 96\r\n".repeat(4000));
    let line = format!("v=0\r\na=fmtp:96 {}\r\nm=video 9 x 96\r\n", "x".repeat(60_000));
    let long = format!("{OFFER}{}", "a=x\r\n".repeat(20_000));
    for (what, sdp, code) in [
        ("sections", &sections, "invalid"),
        ("a line", &line, "invalid"),
        ("length", &long, "invalid"),
        ("a message", &"x".repeat(300_000), "too_long"),
    ] {
        assert_eq!(mallory.refused(offer(sdp)).await, code, "{what}");
    }
    let huge = "x".repeat(1_000_000);
    for (path, sdp, watch) in [(&legs.publish, OFFER, false), (&legs.watch, WATCH, true)] {
        let send =
            async |body: &str| post(&server.client, server.url(path), &legs.token, body).await;
        assert_problem(send(&format!("{sdp}a=x:{huge}\r\n")).await, 413, "/problems/invalid-body")
            .await;
        // What is published is read by a worker of its own; here it only has to be bounded.
        if watch {
            let bombs = [
                format!("{sdp}{}", "m=video 9 UDP/TLS/RTP/SAVPF 96\r\n".repeat(1500)),
                line.clone(),
            ];
            for bomb in bombs {
                let status = send(&bomb).await.status();
                assert!(status.is_client_error() || status == 503, "{status}");
            }
        }
    }
    // Carol heard of none of it.
    carol.say(json!({"type": "ping"})).await;
    loop {
        let heard = carol.hear().await;
        assert_ne!(heard["type"], "offer");
        if heard["type"] == "pong" {
            break;
        }
    }
    // One megabyte is no message at all: where the next begins isn't known any more.
    mallory.send(Message::Text(offer(&huge).to_string().into())).await;
    assert_eq!(mallory.closed().await, 1009);
    both.unharmed().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_million_candidates_end_with_whoever_sends_them() {
    let server = Server::start().await;
    let mut both = Bystanders::new(&server).await;
    let mut mallory = Device::sign_in(&server, "mallory").await;
    let mut carol = Device::sign_in(&server, "carol").await;
    let own = call(&mut mallory, &mut carol, "carol").await;
    let session = carol.expect("peer").await["session"].clone();
    let mut line = json!({"type": "candidate", "call": own, "session": session, "epoch": 0});
    let mut sent = 0;
    for n in 0..1_000_000 {
        line["candidate"] = format!("candidate:{n} 1 udp 1 192.0.2.1 9 typ host").into();
        sent = n;
        if !mallory.try_say(&line).await {
            break;
        }
    }
    assert!(sent < 999_999, "nobody stopped it");
    assert_eq!(server.metric("stentor_calls_closed_total{reason=\"flood\"}").await, 1.0);
    // Whom they were for is there still, and had no more of them than may come at once.
    carol.say(json!({"type": "ping"})).await;
    let mut came = 0;
    loop {
        match carol.hear().await["type"].as_str().unwrap() {
            "candidate" => came += 1,
            "pong" => break,
            _ => {}
        }
    }
    assert!((1..1000).contains(&came), "{came}");
    both.unharmed().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn huge_deep_and_unknown_messages_are_answered_and_close_nothing() {
    let server = Server::with(|config| config.accounts.enabled = false).await;
    let mut both = Bystanders::new(&server).await;
    let mut mallory = Device::sign_in(&server, "mallory").await;
    let deep = |open: &str, close: &str, n: usize| {
        format!("{{\"type\":\"ping\",\"x\":{}1{}}}", open.repeat(n), close.repeat(n))
    };
    let many: Vec<String> = (0..10_000).map(|n| format!("\"f{n}\":{n}")).collect();
    for (what, text, code) in [
        ("arrays", deep("[", "]", 60_000), "not_json"),
        ("objects", deep("{\"a\":", "}", 30_000), "not_json"),
        ("as deep as is read", deep("[", "]", 100), "invalid"),
        ("fields", format!("{{\"type\":\"ping\",{}}}", many.join(",")), "invalid"),
        ("a number", format!("{{\"type\":\"ack\",\"seq\":{}}}", "9".repeat(10_000)), "not_json"),
        ("a negative one", "{\"type\":\"ack\",\"seq\":-1}".to_owned(), "invalid"),
        ("a name", format!("{{\"type\":\"{}\"}}", "x".repeat(200_000)), "unknown_type"),
        ("the server's own", "{\"type\":\"welcome\"}".to_owned(), "unknown_type"),
        ("no object", "\"ping\"".to_owned(), "invalid"),
        ("lone surrogates", "{\"type\":\"\\ud800\"}".to_owned(), "not_json"),
        ("too long", "x".repeat(300_000), "too_long"),
    ] {
        mallory.send(Message::Text(text.into())).await;
        assert_eq!(mallory.error().await, code, "{what}");
    }
    mallory.say(json!({"type": "ping"})).await;
    mallory.expect("pong").await;
    let body = deep("[", "]", 20_000);
    for path in ["/api/v1/channels", "/api/v1/sign-ins"] {
        let request = server.request(Method::POST, path).header("content-type", "application/json");
        let refused = request.body(body.clone()).send().await.unwrap();
        assert!(refused.status().is_client_error(), "{path}: {}", refused.status());
    }
    both.unharmed().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_invitations_rings_few_and_is_refused() {
    let server = Server::with(|config| config.calls.rings_per_minute = 5).await;
    let mut both = Bystanders::new(&server).await;
    let mut carol = Device::sign_in(&server, "carol").await;
    let mut mallory = Device::sign_in(&server, "mallory").await;
    let mut codes = Vec::new();
    for _ in 0..50 {
        mallory.say(invite("carol")).await;
        loop {
            let heard = mallory.hear().await;
            match heard["type"].as_str().unwrap() {
                "call" => mallory.say(json!({"type": "hang_up", "call": heard["call"]})).await,
                "call_ended" => break,
                "error" => {
                    codes.push(heard["code"].as_str().unwrap().to_owned());
                    break;
                }
                _ => {}
            }
        }
    }
    assert!(codes.len() >= 44, "{codes:?}");
    assert!(codes.iter().all(|code| code == "too_many_requests"), "{codes:?}");
    carol.say(json!({"type": "ping"})).await;
    let mut rings = 0;
    loop {
        match carol.hear().await["type"].as_str().unwrap() {
            "ring" => rings += 1,
            "pong" => break,
            _ => {}
        }
    }
    assert!((1..=5).contains(&rings), "{rings}");
    both.unharmed().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_does_not_take_what_is_sent_is_closed_and_keeps_nobody_waiting() {
    let server = Server::with(|config| config.calls.message_burst = 10_000).await;
    let mut both = Bystanders::new(&server).await;
    let mut mallory = Device::sign_in(&server, "mallory").await;
    let mut carol = Device::sign_in(&server, "carol").await;
    let own = call(&mut mallory, &mut carol, "carol").await;
    let session = mallory.expect("peer").await["session"].clone();
    // Carol reads and acknowledges nothing, and makes the server say more and more to her.
    for _ in 0..1500 {
        if !carol.try_say(&json!({"type": "ping"})).await {
            break;
        }
    }
    let line = json!({
        "type": "candidate", "call": own, "session": session, "epoch": 0, "candidate": "c",
    });
    for _ in 0..1500 {
        mallory.try_say(&line).await;
    }
    assert_eq!(carol.closed().await, 4002);
    // Mallory, who reads nothing either, may be closed for it, too.
    assert!(server.metric("stentor_calls_closed_total{reason=\"too_slow\"}").await >= 1.0);
    both.unharmed().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_codec_that_was_not_agreed_on_is_not_passed_on() {
    let server = Server::with(served).await;
    let mut both = Bystanders::new(&server).await;
    let mut mallory = Device::sign_in(&server, "mallory").await;
    let mut carol = Device::sign_in(&server, "carol").await;
    call(&mut mallory, &mut carol, "carol").await;
    let legs = mallory.legs().await;
    let send = async |offer: &str| {
        post(&server.client, server.url(&legs.publish), &legs.token, offer).await
    };
    for other in ["H264/90000", "AV1/90000", "x/1"] {
        let refused = send(&OFFER.replace("VP8/90000", other)).await;
        let problem = assert_problem(refused, 406, "/problems/no-common-codec").await;
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("agreed on VP8"), "{detail}");
    }
    publish(&server.client, &server.url(""), &legs).await;
    both.unharmed().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_sees_or_hears_a_call_who_was_not_let_in_or_is_out_again() {
    let keys = Keys::new();
    let server = guarded(&keys).await;
    let user = |name: &str| mint(&keys, name);
    let mut alice = Device::sign_in_with(&server, "alice", &user("alice")).await;
    let mut bob = Device::sign_in_with(&server, "bob", &user("bob")).await;
    let mut carol = Device::sign_in_with(&server, "carol", &user("carol")).await;
    let mut dave = Device::sign_in_with(&server, "dave", &user("dave")).await;
    let in_call = call(&mut alice, &mut bob, "bob").await;
    let [a, b] = [alice.legs().await, bob.legs().await];
    call(&mut carol, &mut dave, "dave").await;
    let c = carol.legs().await;
    publish(&server.client, &server.url(""), &a).await;

    let status = async |path: &str, token: &str, offer: &str| -> StatusCode {
        post(&server.client, server.url(path), token, offer).await.status()
    };
    let own_watch = b.watch.replace("/whep/", "/whip/");
    let own_publish = a.publish.replace("/whip/", "/whep/");
    let admin = keys.token(Role::Admin, "*");
    for (what, path, token, offer) in [
        ("another call's pass", &b.watch, &c.token, WATCH),
        ("another call's pass", &a.publish, &c.token, OFFER),
        ("another's way to publish", &own_watch, &b.token, OFFER),
        ("another's in the same call", &a.publish, &b.token, OFFER),
        ("one's own picture", &own_publish, &a.token, WATCH),
        ("an operator's key", &b.watch, &admin, WATCH),
        ("a user's token", &b.watch, &user("bob"), WATCH),
        ("a guess", &b.watch, &"0".repeat(32), WATCH),
    ] {
        assert_eq!(status(path, token, offer).await, 401, "{what}");
    }
    // Nor by way of what is open to operators.
    let channel = a.publish.strip_prefix("/whip/").unwrap();
    for path in [
        format!("/api/v1/channels/{channel}"),
        format!("/api/v1/channels/{channel}/thumbnail.jpg"),
        format!("/api/v1/channels/{channel}/viewers"),
    ] {
        let request = server.client.get(server.url(&path));
        let answer = request.header(AUTHORIZATION, format!("Bearer {admin}")).send().await.unwrap();
        assert!([401, 404].contains(&answer.status().as_u16()), "{path}: {}", answer.status());
    }
    let listed = server.client.get(server.url("/api/v1/channels"));
    let listed = listed.header(AUTHORIZATION, format!("Bearer {admin}")).send().await.unwrap();
    assert_eq!(listed.json::<Value>().await.unwrap()["channels"], json!([]));

    // Whoever leaves takes nothing along.
    assert_ne!(status(&b.watch, &b.token, WATCH).await, 401);
    bob.say(json!({"type": "leave", "call": in_call})).await;
    while alice.expect("participant").await["participant"]["state"] != "out" {}
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let is_out = async |legs: &Legs| {
        status(&legs.watch, &legs.token, WATCH).await == 401
            && status(&legs.publish, &legs.token, OFFER).await == 401
    };
    while !(is_out(&a).await && is_out(&b).await) {
        assert!(tokio::time::Instant::now() < deadline, "their passes are still good");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // The others' call doesn't notice.
    publish(&server.client, &server.url(""), &c).await;
    carol.say(json!({"type": "ping"})).await;
    carol.expect("pong").await;
    server.stop().await;
}
