//! Two daemons with one Redis: one service.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::caller::{Caller, media};
use crate::support::daemon::Options;
use crate::support::redis::Redis;
use crate::support::scene::SOON;
use crate::support::wait::check;
use crate::support::{Daemon, until};

/// Two nodes that know each other.
async fn nodes(redis: &Redis) -> (Daemon, Daemon) {
    let config = format!("[directory]\nredis_url = \"{}\"\nprefix = \"test\"\n", redis.url());
    let options = || Options {
        config: config.clone(),
        server: "drain_grace = \"1s\"".to_owned(),
        ..Options::default()
    };
    let (a, b) = Daemon::pair(options).await;
    for daemon in [&a, &b] {
        knows(daemon, 2.0).await;
    }
    (a, b)
}

async fn knows(daemon: &Daemon, nodes: f64) {
    until("nodes know each other", SOON, async || {
        let known = daemon.metric("stentor_directory_nodes", &[]).await;
        check(known == nodes && is_ready(daemon).await, known)
    })
    .await;
}

async fn readyz(daemon: &Daemon) -> String {
    let answer = daemon.http.get(format!("{}/readyz", daemon.url)).send().await.unwrap();
    assert!(answer.status().is_success(), "{}", answer.status());
    answer.text().await.unwrap()
}

async fn is_ready(daemon: &Daemon) -> bool {
    readyz(daemon).await == "ready\n"
}

/// A message of the two's peer session.
fn of(call: &Value, kind: &str, what: (&str, &str)) -> Value {
    let mut message = json!({"type": kind, "call": call, "session": 1, "epoch": 0});
    message[what.0] = what.1.into();
    message
}

/// Alice's on one node and Bob's on the other, in a call of Alice's.
async fn call(alice: &mut Caller, bob: &mut Caller) -> Value {
    let call = alice.invite(&["bob"]).await;
    let ring = bob.expect("ring").await;
    assert_eq!((&ring["call"], &ring["from"]), (&call, &json!("alice")));
    bob.accept(&call).await;
    for caller in [alice, bob] {
        caller.expect("configure").await;
    }
    call
}

#[tokio::test]
async fn users_of_two_nodes_call_each_other_and_a_socket_that_drops_loses_nothing() {
    let redis = Redis::start().await;
    let (a, mut b) = nodes(&redis).await;
    let mut alice = Caller::sign_in(&a, "alice", "phone").await;
    let mut bob = Caller::sign_in(&b, "bob", "phone").await;
    alice.sees("bob", "available").await;
    bob.sees("alice", "available").await;
    let mut carol = Caller::sign_in(&a, "carol", "phone").await;
    let mut others = Vec::new();
    for (daemon, device) in [(&a, "tablet"), (&b, "desk")] {
        others.push(Caller::sign_in(daemon, "bob", device).await);
    }
    rings_on(&redis, "bob", 3).await;

    // All ring, and the first answer stops the others.
    let call = alice.invite(&["bob"]).await;
    for caller in others.iter_mut().chain([&mut bob]) {
        assert_eq!(caller.expect("ring").await["call"], call);
    }
    bob.accept(&call).await;
    carol.sees("bob", "in_call").await;
    for caller in &mut others {
        assert_eq!(caller.expect("ring_stopped").await["reason"], "answered_elsewhere");
    }
    assert_eq!(bob.expect("peer").await["offers"], true);
    for caller in [&mut alice, &mut bob] {
        let configure = caller.expect("configure").await;
        assert_eq!(configure["configuration"]["video"]["codec"], "vp8");
    }
    bob.say(of(&call, "offer", ("sdp", "v=0 offer"))).await;
    assert_eq!(alice.expect("offer").await["sdp"], "v=0 offer");
    alice.say(of(&call, "answer", ("sdp", "v=0 answer"))).await;
    assert_eq!(bob.expect("answer").await["sdp"], "v=0 answer");

    // Bob's socket drops while Alice has much to say.
    let (session, seq) = (bob.session.clone(), bob.seq);
    drop(bob);
    assert_eq!(alice.expect("participant").await["participant"]["state"], "lost");
    for at in 0..40 {
        alice.say(of(&call, "candidate", ("candidate", &format!("candidate:{at}")))).await;
    }
    let mut bob = Caller::resume(&b, session, seq).await;
    for at in 0..40 {
        let candidate = bob.expect("candidate").await;
        assert_eq!(candidate["candidate"], format!("candidate:{at}"));
    }
    assert_eq!(alice.expect("participant").await["participant"]["state"], "in");

    forge(&redis, &a, &call).await;
    alice.say(json!({"type": "hang_up", "call": call})).await;
    for caller in [&mut alice, &mut bob] {
        assert_eq!(caller.expect("call_ended").await["reason"], "hung_up");
    }

    // What the directory says of Bob is told before who is there is.
    carol.sees("bob", "available").await;
    // A node that stops is missed at once.
    self::call(&mut alice, &mut bob).await;
    let begin = Instant::now();
    let (_, ended) = tokio::join!(b.terminate(SOON), alice.expect("call_ended"));
    assert_eq!(ended["reason"], "node_gone");
    let took = begin.elapsed();
    println!("a node that stops: its calls ended after {took:?}");
    assert!(took < Duration::from_secs(2), "{took:?}");
    let round_trips = a.metric("stentor_directory_round_trip_seconds_count", &[]).await;
    assert!(round_trips > 40.0, "{round_trips}");
}

/// So many of a user's devices stand in the directory.
async fn rings_on(redis: &Redis, user: &str, devices: i64) {
    until("the directory has the devices", SOON, async || {
        let found = redis.ask(redis::cmd("HLEN").arg(format!("test:1:user:{user}"))).await;
        check(found == Ok(redis::Value::Int(devices)), format!("{found:?}"))
    })
    .await;
}

/// Whoever isn't Bob's node hangs up as Bob, and says other things that aren't its own.
async fn forge(redis: &Redis, a: &Daemon, call: &Value) {
    let nodes = redis.ask(redis::cmd("ZRANGE").arg("test:1:nodes").arg(0).arg(-1)).await.unwrap();
    let nodes: Vec<String> = redis::from_redis_value(nodes).unwrap();
    let owner = call.as_str().unwrap().split('.').next().unwrap();
    assert!(nodes.iter().any(|node| node.starts_with(owner)), "{owner} {nodes:?}");
    let refused = async |reason: &str| {
        a.metric("stentor_directory_refused_total", &[&format!("\"{reason}\"")]).await
    };
    let bob = json!({"user": "bob", "device": "phone"});
    let hang_up = json!({"type": "hang_up", "call": call});
    for (seq, (body, reason)) in [
        ("{".to_owned(), "unreadable"),
        (json!({"dance": {}}).to_string(), "unreadable"),
        (
            json!({"say": {"from": bob, "request": null, "message": hang_up}}).to_string(),
            "not_yours",
        ),
        (
            json!({"device": {"call": call, "address": bob, "change": "came"}}).to_string(),
            "not_yours",
        ),
        (
            json!({"tell": {
                "to": {"user": "alice", "device": "phone"},
                "request": null,
                "message": {"type": "call_ended", "call": call, "reason": "hung_up"},
            }})
            .to_string(),
            "not_owner",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let before = refused(reason).await;
        let frame =
            json!({"Message": {"from": "intruder", "base": 1, "seq": seq + 1, "body": body}});
        let mut add = redis::cmd("XADD");
        add.arg(format!("test:1:inbox:{owner}")).arg("*").arg("f").arg(frame.to_string());
        redis.ask(&add).await.unwrap();
        until(&format!("{body} is refused"), SOON, async || {
            let now = refused(reason).await;
            check(now == before + 1.0, now)
        })
        .await;
    }
}

#[tokio::test]
async fn without_redis_calls_go_on_and_start_within_a_node_and_all_is_well_when_it_is_back() {
    let mut redis = Redis::start().await;
    let (a, b) = nodes(&redis).await;
    let mut alice = Caller::sign_in(&a, "alice", "phone").await;
    let mut bob = Caller::sign_in(&b, "bob", "phone").await;
    let mut carol = Caller::sign_in(&a, "carol", "phone").await;
    let mut dave = Caller::sign_in(&a, "dave", "phone").await;
    let mut erin = Caller::sign_in(&b, "erin", "phone").await;
    let first = call(&mut alice, &mut bob).await;
    redis.kill();
    for daemon in [&a, &b] {
        until("the node says that Redis is away", SOON, async || {
            let up = daemon.metric("stentor_directory_up", &[]).await;
            let ready = readyz(daemon).await;
            check(up == 0.0 && ready.starts_with("degraded: Redis is away"), ready)
        })
        .await;
    }
    // Within a node calls start. Whoever is elsewhere can't be rung, and that is said.
    carol.say(json!({"type": "invite", "users": ["erin"], "media": media()})).await;
    assert_eq!(carol.error().await, "unavailable");
    let within = carol.invite(&["dave"]).await;
    dave.expect("ring").await;
    dave.accept(&within).await;
    carol.expect("configure").await;
    carol.say(of(&within, "offer", ("sdp", "v=0"))).await;
    dave.expect("offer").await;
    dave.say(json!({"type": "hang_up", "call": within})).await;
    assert_eq!(carol.expect("call_ended").await["reason"], "hung_up");
    // A call between nodes goes on, and what is said in it waits.
    bob.say(of(&first, "candidate", ("candidate", "candidate:meanwhile"))).await;
    redis.start_again().await;
    assert_eq!(alice.expect("candidate").await["candidate"], "candidate:meanwhile");
    for daemon in [&a, &b] {
        knows(daemon, 2.0).await;
    }
    let begin = Instant::now();
    carol.invite(&["erin"]).await;
    let ring = erin.expect("ring").await;
    println!("Redis was back: rung after {:?}", begin.elapsed());
    erin.accept(&ring["call"]).await;
    alice.say(json!({"type": "hang_up", "call": first})).await;
    assert_eq!(bob.expect("call_ended").await["reason"], "hung_up");
    assert_eq!(a.metric("stentor_directory_up", &[]).await, 1.0);
}

#[tokio::test]
async fn a_killed_node_is_gone_within_ten_seconds_with_its_devices_and_its_calls() {
    let redis = Redis::start().await;
    let (a, mut b) = nodes(&redis).await;
    let mut alice = Caller::sign_in(&a, "alice", "phone").await;
    let mut bob = Caller::sign_in(&b, "bob", "phone").await;
    let mut carol = Caller::sign_in(&a, "carol", "phone").await;
    let mut dave = Caller::sign_in(&b, "dave", "phone").await;
    carol.sees("dave", "available").await;
    call(&mut alice, &mut bob).await;
    // One that lives on the node that is killed.
    let theirs = dave.invite(&["carol"]).await;
    carol.expect("ring").await;
    carol.accept(&theirs).await;
    let begin = Instant::now();
    b.kill();
    for caller in [&mut alice, &mut carol] {
        assert_eq!(caller.expect("call_ended").await["reason"], "node_gone");
    }
    let took = begin.elapsed();
    println!("a killed node: its calls ended after {took:?}");
    assert!(took < Duration::from_secs(10), "{took:?}");
    carol.sees("dave", "offline").await;
    alice.say(json!({"type": "invite", "users": ["bob"], "media": media()})).await;
    assert_eq!(alice.expect("call_ended").await["reason"], "unreachable");
    let took = begin.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");
    knows(&a, 1.0).await;
}

#[tokio::test]
async fn two_who_ring_each_other_from_two_nodes_are_in_one_call() {
    let redis = Redis::start().await;
    let (a, b) = nodes(&redis).await;
    let mut alice = Caller::sign_in(&a, "alice", "phone").await;
    let mut bob = Caller::sign_in(&b, "bob", "phone").await;
    rings_on(&redis, "alice", 1).await;
    rings_on(&redis, "bob", 1).await;
    for _ in 0..5 {
        for (caller, other) in [(&mut alice, "bob"), (&mut bob, "alice")] {
            caller.say(json!({"type": "invite", "users": [other], "media": media()})).await;
        }
        let mut calls = Vec::new();
        for caller in [&mut alice, &mut bob] {
            // Each hears of their own call, or of the other's in its place.
            let (mut call, mut configured) = (Value::Null, Value::Null);
            while call.is_null() || call != configured {
                let message = caller.hear().await;
                match message["type"].as_str().unwrap() {
                    "call" => call = message["call"].clone(),
                    "call_ended" => assert_eq!(message["reason"], "crossed"),
                    "ring" => caller.accept(&message["call"].clone()).await,
                    "configure" => configured = message["call"].clone(),
                    "error" => panic!("{message}"),
                    _ => {}
                }
            }
            calls.push(call);
        }
        assert_eq!(calls[0], calls[1]);
        // Whoever is free again is rung at once, whatever the directory still says.
        alice.say(json!({"type": "hang_up", "call": calls[0]})).await;
        for caller in [&mut alice, &mut bob] {
            assert_eq!(caller.expect("call_ended").await["reason"], "hung_up");
        }
    }
}
