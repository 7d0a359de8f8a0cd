//! What devices in a call have at the call server: while the server drains, where there is no room,
//! and until a token ends.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use reqwest::{Client, Response};
use serde_json::json;
use stentor::calls::ids::{DeviceId, UserId};
use stentor::config::{Config, Period};
use stentor::http::access::{Claims, Role, mint_user};

use crate::device::{Device, Legs, call, hello, media};
use crate::support::{Keys, OFFER, PATIENCE, Server, assert_problem};

const WATCH: &str = include_str!("../corpus/sdp/chromium-recvonly-gathered.sdp");

/// Every call goes through the server.
pub fn served(config: &mut Config) {
    config.calls.mesh_most = 1;
}

/// An offer to a call's channel.
pub async fn post(client: &Client, url: String, token: &str, offer: &str) -> Response {
    let request = client.post(url).header(CONTENT_TYPE, "application/sdp");
    let request = request.header(AUTHORIZATION, format!("Bearer {token}"));
    request.body(offer.to_owned()).send().await.unwrap()
}

/// Publishes as a participant does; the worker is started first, and may take a moment.
pub async fn publish(client: &Client, url: &str, legs: &Legs) {
    let published = post(client, format!("{url}{}", legs.publish), &legs.token, OFFER).await;
    let status = published.status();
    assert_eq!(status, 201, "{}", published.text().await.unwrap());
}

/// Asks until it is answered like this.
async fn until(what: &str, ask: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !ask().await {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A user's token that was good an hour ago.
pub fn expired(keys: &Keys, name: &str) -> String {
    let exp = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() - 3600;
    let user = Some(UserId::new(name).unwrap());
    let claims = Claims { channel: String::new(), role: Role::User, exp, user, device: None };
    let key = jsonwebtoken::EncodingKey::from_ed_pem(keys.private().as_bytes()).unwrap();
    let header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::EdDSA);
    jsonwebtoken::encode(&header, &claims, &key).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_server_drains_calls_go_on_as_if_nothing_were() {
    let server = Server::with(|config| {
        served(config);
        config.server.drain_grace = Period::from_secs(60);
    })
    .await;
    server.make("stage", json!({"kind": "whip"})).await;
    let mut alice = Device::sign_in(&server, "alice").await;
    let mut bob = Device::sign_in(&server, "bob").await;
    let mut carol = Device::sign_in(&server, "carol").await;
    let call = call(&mut alice, &mut bob, "bob").await;
    let legs = [alice.legs().await, bob.legs().await];
    let (client, url) = (server.client.clone(), server.url(""));
    let stopping = tokio::spawn(server.stop());
    until("it drains", async || {
        client.get(format!("{url}/readyz")).send().await.unwrap().status() == 503
    })
    .await;

    // One loses its socket, the other loads the page anew.
    let (session, seq) = (alice.session.clone(), alice.seq);
    drop(alice);
    let mut alice = Device::connect_to(&url).await;
    alice.seq = seq;
    alice.say(json!({"type": "resume", "version": 1, "session": session, "seq": seq})).await;
    while alice.expect("welcome").await["resumed"] != true {}
    drop(bob);
    let mut bob = Device::connect_to(&url).await;
    bob.say(hello("bob", "one")).await;
    bob.expect("welcome").await;
    bob.say(json!({"type": "rejoin", "call": call, "media": media()})).await;
    bob.expect("call").await;
    let legs = [legs.into_iter().next().unwrap(), bob.legs().await];
    for legs in &legs {
        publish(&client, &url, legs).await;
    }
    let watched = post(&client, format!("{url}{}", legs[1].watch), &legs[1].token, WATCH).await;
    let problem: serde_json::Value = watched.json().await.unwrap_or_default();
    assert_ne!(problem["type"], "/problems/draining", "{problem}");

    // Nothing new begins.
    for (path, offer) in [("/whip/stage", OFFER), ("/whep/stage", WATCH)] {
        let refused = post(&client, format!("{url}{path}"), "x", offer).await;
        assert_problem(refused, 503, "/problems/draining").await;
    }
    let invite = json!({"type": "invite", "users": ["dave"], "media": media()});
    assert_eq!(carol.refused(invite).await, "unavailable");
    let mut dave = Device::connect_to(&url).await;
    assert_eq!(dave.refused(hello("dave", "one")).await, "unavailable");

    alice.say(json!({"type": "hang_up", "call": call})).await;
    assert_eq!(bob.expect("call_ended").await["reason"], "hung_up");
    // The last call's end is what was waited for.
    tokio::time::timeout(PATIENCE, stopping).await.expect("an end").unwrap();
    assert_eq!(carol.closed().await, 1001);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_found_no_room_goes_through_the_server_once_there_is_some() {
    let server = Server::with(|config| {
        served(config);
        config.calls.max_senders = 2;
    })
    .await;
    let mut alice = Device::sign_in(&server, "alice").await;
    let mut bob = Device::sign_in(&server, "bob").await;
    let mut carol = Device::sign_in(&server, "carol").await;
    let mut dave = Device::sign_in(&server, "dave").await;
    let first = call(&mut alice, &mut bob, "bob").await;
    for device in [&mut alice, &mut bob] {
        let legs = device.legs().await;
        publish(&server.client, &server.url(""), &legs).await;
    }
    call(&mut carol, &mut dave, "dave").await;
    let refused = "stentor_calls_refused_total{reason=\"no_channel\"}";
    until("both found no room", async || server.metric(refused).await >= 2.0).await;
    // Nobody is sent to what isn't there.
    for device in [&mut carol, &mut dave] {
        device.say(json!({"type": "ping"})).await;
        loop {
            let heard = device.hear().await;
            assert!(heard["type"] != "legs" || heard["publish"].is_null(), "{heard}");
            if heard["type"] == "pong" {
                break;
            }
        }
    }
    alice.say(json!({"type": "hang_up", "call": first})).await;
    for device in [&mut carol, &mut dave] {
        let legs = device.legs().await;
        publish(&server.client, &server.url(""), &legs).await;
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_is_told_that_its_token_ends_and_without_another_everything_of_it_ends() {
    let keys = Keys::new();
    let server = Server::with(|config| {
        served(config);
        config.access.keys = vec![keys.public()];
        config.access.leeway = Period::from_secs(0);
    })
    .await;
    let mint = |keys: &Keys, name: &str, device: Option<&str>, seconds| {
        let device = device.map(|device| DeviceId::new(device).unwrap());
        let life = Duration::from_secs(seconds);
        mint_user(keys.private(), UserId::new(name).unwrap(), device, life).unwrap()
    };
    let mut alice = Device::sign_in_with(&server, "alice", &mint(&keys, "alice", None, 20)).await;
    let mut bob = Device::sign_in_with(&server, "bob", &mint(&keys, "bob", None, 10)).await;
    let mut carol = Device::sign_in_with(&server, "carol", &mint(&keys, "carol", None, 300)).await;
    for device in [&mut alice, &mut bob] {
        let left = device.expect("token_expires").await["in_ms"].as_u64().unwrap();
        assert!((1..=20_000).contains(&left), "{left}");
    }
    let stranger = Keys::new();
    for (what, token) in [
        ("another user's", mint(&keys, "bob", None, 300)),
        ("another device's", mint(&keys, "alice", Some("two"), 300)),
        ("forged", mint(&stranger, "alice", None, 300)),
        ("expired", expired(&keys, "alice")),
        ("garbage", "x".to_owned()),
    ] {
        let shown = json!({"type": "token", "token": token});
        assert_eq!(alice.refused(shown).await, "not_allowed", "{what}");
    }
    let fresh = mint(&keys, "alice", Some("one"), 300);
    alice.say(json!({"type": "token", "token": fresh, "request": 7})).await;
    let taken = alice.expect("token_expires").await;
    assert_eq!(taken["request"], 7);
    assert!(taken["in_ms"].as_u64().unwrap() > 200_000, "{taken}");
    let call = call(&mut alice, &mut bob, "bob").await;
    let legs = [alice.legs().await, bob.legs().await];
    for legs in &legs {
        publish(&server.client, &server.url(""), legs).await;
    }

    assert_eq!(bob.closed().await, 4007);
    assert_eq!(server.metric("stentor_calls_closed_total{reason=\"expired\"}").await, 1.0);
    assert_eq!(alice.expect("call_ended").await["call"], call);
    // Its pass ended with it, and so did hers with the call.
    until("no pass is good", async || {
        let mut refused = 0;
        for legs in &legs {
            let url = |path| server.url(path);
            let publish = post(&server.client, url(&legs.publish), &legs.token, OFFER).await;
            let watch = post(&server.client, url(&legs.watch), &legs.token, WATCH).await;
            refused += [publish, watch].iter().filter(|answer| answer.status() == 401).count();
        }
        refused == 4
    })
    .await;
    // Whose token was renewed, or lasts, notices nothing.
    for device in [&mut alice, &mut carol] {
        device.say(json!({"type": "ping"})).await;
        device.expect("pong").await;
    }
    let mut again = Device::connect(&server).await;
    let mut resume =
        json!({"type": "resume", "version": 1, "session": bob.session, "seq": bob.seq});
    resume["token"] = mint(&keys, "bob", None, 300).into();
    assert_eq!(again.refused(resume).await, "not_resumable");
    server.stop().await;
}
