//! A node whose accounts are on another: people sign up, sign in, ring and write by way of it, and
//! it may be away.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use reqwest::Method;
use serde_json::{Value, json};
use stentor::accounts::hook::{SIGNATURE, Signer, TIMESTAMP};
use stentor::config::{Config, Period, SignUp};

use crate::device::{Device, media};
use crate::person::{PASSWORD, Person, open};
use crate::support::{PATIENCE, Server, assert_problem};

const SECRET: &str = "sixteen bytes or more";

/// The secret in a file.
fn secret(folder: &Path) -> PathBuf {
    let path = folder.join("secret");
    std::fs::write(&path, format!("{SECRET}\n")).unwrap();
    path
}

fn has(address: SocketAddr, secret: PathBuf) -> impl FnOnce(&mut Config) {
    move |config: &mut Config| {
        open(config);
        config.server.drain_grace = Period::from_secs(2);
        config.http.listen = vec![address];
        config.accounts.nodes_secret_file = Some(secret);
    }
}

fn asks(url: String, secret: PathBuf) -> impl FnOnce(&mut Config) {
    move |config: &mut Config| {
        config.accounts.enabled = true;
        config.server.drain_grace = Period::from_secs(2);
        config.accounts.at.url = Some(url);
        config.accounts.at.secret_file = Some(secret);
        config.accounts.at.timeout = Period::from_secs(1);
    }
}

async fn until_ready(server: &Server, expected: &str) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let text = server.get("/readyz").await.text().await.unwrap();
        if text.starts_with(expected) {
            return;
        }
        assert!(Instant::now() < deadline, "{text}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

fn invite(person: &Person) -> Value {
    json!({"type": "invite", "users": [person.id], "media": media()})
}

fn write(person: &Person, id: &str, text: &str) -> Value {
    json!({"type": "chat_send", "conversation": {"user": person.id}, "id": id, "text": text})
}

#[tokio::test(flavor = "multi_thread")]
async fn one_node_asks_another_about_its_users_and_goes_on_while_that_is_away() {
    let folder = tempfile::tempdir().unwrap();
    let secret = secret(folder.path());
    let a = Server::with(has(([127, 0, 0, 1], 0).into(), secret.clone())).await;
    let (address, url) = (a.daemon.addresses()[0], a.url(""));
    let b = Server::with(asks(url, secret.clone())).await;
    until_ready(&b, "ready").await;
    let features = b.json("/api/v1/server").await["features"].clone();
    for feature in ["accounts", "sign-up", "chat"] {
        assert!(features.as_array().unwrap().contains(&json!(feature)), "{features}");
    }
    // Who signs up there signs in here, and the other way round.
    let anna = Person::new(&b, "anna").await;
    let bert = Person::new(&a, "bert").await;
    let bert = Person { name: bert.name, ..Person::on_another_device(&b, "bert").await };
    let carl = Person::new(&b, "carl").await;
    let wrong = json!({"name": "anna", "password": "a wrong password"});
    let refused = b.post("/api/v1/sign-ins", &wrong).await;
    assert_problem(refused, 401, "/problems/wrong-password").await;
    let taken = json!({"name": "bert", "password": PASSWORD});
    assert_problem(b.post("/api/v1/users", &taken).await, 409, "/problems/name-taken").await;
    anna.befriend(&b, &bert).await;
    assert_eq!(anna.get(&a, "/contacts").await["contacts"][0]["id"], bert.id);

    let mut of_anna = anna.connect(&b).await;
    let mut of_bert = bert.connect(&b).await;
    assert_eq!(of_bert.expect("presence").await["user"], anna.id);
    assert_eq!(of_anna.refused(invite(&carl)).await, "not_contacts");
    assert_eq!(of_anna.refused(write(&carl, "0", "hello")).await, "not_contacts");
    of_anna.say(write(&bert, "1", "one")).await;
    assert_eq!(of_bert.expect("chat_message").await["message"]["text"], "one");
    of_bert.say(json!({"type": "chat_read", "conversation": {"user": anna.id}, "order": 1})).await;
    assert_eq!(of_anna.expect("chat_read").await["user"], bert.id);
    of_anna
        .say(json!({"type": "chat_history", "conversation": {"user": bert.id}, "limit": 9}))
        .await;
    let page = of_anna.expect("chat_page").await;
    assert_eq!(page["entries"][0]["message"]["text"], "one");
    of_anna.say(invite(&bert)).await;
    let call = of_bert.expect("ring").await["call"].clone();
    of_bert.say(json!({"type": "accept", "call": call, "media": media()})).await;
    of_anna.expect("configure").await;

    // Away: what it is needed for is refused, and what goes on goes on.
    let kept = a.stop().await;
    until_ready(&b, "degraded: the server that has the accounts").await;
    assert_eq!(b.metric("stentor_accounts_up").await, 0.0);
    let sign_in = json!({"name": "anna", "password": PASSWORD});
    let refused = b.post("/api/v1/sign-ins", &sign_in).await;
    assert!(refused.headers().contains_key("retry-after"));
    assert_problem(refused, 503, "/problems/accounts-away").await;
    assert_eq!(of_anna.refused(write(&bert, "2", "two")).await, "unavailable");
    of_anna
        .say(json!({"type": "offer", "call": call, "session": 1, "epoch": 0, "sdp": "v=0"}))
        .await;
    let carls = carl.connect(&b).await;
    let mut forged = Person { token: format!("{}x", carl.token), ..carl }.hello();
    forged["device"] = "other".into();
    let mut stranger = Device::connect(&b).await;
    assert_eq!(stranger.refused(forged).await, "not_allowed");
    drop(carls);

    // A restart outlives the other's absence: its key is known.
    let folder_of_b = b.stop().await;
    let again = asks(format!("http://{address}"), secret.clone());
    let b = Server::again(folder_of_b, again).await;
    let mut of_anna = anna.connect(&b).await;
    let mut of_bert = bert.connect(&b).await;
    let a = Server::again(kept, has(address, secret)).await;
    until_ready(&b, "ready").await;
    assert_eq!(b.metric("stentor_accounts_up").await, 1.0);
    assert_eq!(of_bert.expect("presence").await["user"], anna.id);
    of_anna.say(write(&bert, "3", "three")).await;
    assert_eq!(of_bert.expect("chat_message").await["message"]["text"], "one");
    assert_eq!(of_bert.expect("chat_message").await["message"]["text"], "three");
    b.stop().await;
    a.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_with_another_secret_says_so_wherever_somebody_looks() {
    let folder = tempfile::tempdir().unwrap();
    let a = Server::with(has(([127, 0, 0, 1], 0).into(), secret(folder.path()))).await;
    let other = folder.path().join("other");
    std::fs::write(&other, "another secret of bytes\n").unwrap();
    let b = Server::with(asks(a.url(""), other)).await;
    until_ready(&b, "degraded: the server that has the accounts refuses this one").await;
    assert_eq!(b.metric("stentor_accounts_refused").await, 1.0);
    assert_eq!(b.metric("stentor_accounts_up").await, 0.0);
    let sign_in = json!({"name": "anna", "password": PASSWORD});
    let refused = b.post("/api/v1/sign-ins", &sign_in).await;
    assert_problem(refused, 503, "/problems/accounts-away").await;
    assert_eq!(a.metric("stentor_accounts_refused").await, 0.0);
    b.stop().await;
    a.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_are_answered_to_those_who_have_the_secret() {
    let folder = tempfile::tempdir().unwrap();
    let a = Server::with(has(([127, 0, 0, 1], 0).into(), secret(folder.path()))).await;
    let path = "/api/v1/internal/accounts";
    let question = r#"{"greet":{}}"#;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let ask = async |secret: &str, at: u64, signed: &str, sent: &str| {
        let signature = Signer::new(secret.as_bytes()).sign(at, signed.as_bytes());
        let request = a.request(Method::POST, path).header(TIMESTAMP, at);
        request.header(SIGNATURE, signature).body(sent.to_owned()).send().await.unwrap()
    };
    let answer = ask(SECRET, now, question, question).await;
    assert_eq!(answer.status(), 200);
    let answer: Value = answer.json().await.unwrap();
    assert!(answer["key"].as_str().unwrap().contains("PUBLIC KEY"), "{answer}");
    for (secret, at, signed, status) in [
        ("another secret of bytes", now, question, 401),
        (SECRET, now - 1000, question, 401),
        (SECRET, now, "{}", 401),
    ] {
        let kind = "/problems/invalid-token";
        assert_problem(ask(secret, at, signed, question).await, status, kind).await;
    }
    let passed = json!({"request": {
        "method": "GET", "path": "/metrics", "authorization": null, "content_type": null,
        "body": "", "client": "127.0.0.1",
    }});
    for wrong in ["{", r#"{"dance":{}}"#, &passed.to_string()] {
        let kind = "/problems/invalid-body";
        assert_problem(ask(SECRET, now, wrong, wrong).await, 400, kind).await;
    }
    let long = "x".repeat(600 * 1024);
    assert_eq!(ask(SECRET, now, &long, &long).await.status(), 413);
    assert_eq!(a.post(path, &json!({})).await.status(), 401);
    a.stop().await;
    let without = Server::with(open).await;
    assert_problem(without.post(path, &json!({})).await, 404, "/problems/no-accounts").await;
    without.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_cost_little_where_they_are_answered_alone() {
    let folder = tempfile::tempdir().unwrap();
    let has = has(([127, 0, 0, 1], 0).into(), secret(folder.path()));
    let change = |config: &mut Config| {
        has(config);
        config.http.requests_per_second = 1;
        config.http.request_burst = 5;
    };
    let a = Server::with(change).await;
    let (path, question) = ("/api/v1/internal/accounts", r#"{"greet":{}}"#);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let signature = Signer::new(SECRET.as_bytes()).sign(now, question.as_bytes());
    for _ in 0..50 {
        let request = a.request(Method::POST, path).header(TIMESTAMP, now);
        let answer = request.header(SIGNATURE, &signature).body(question).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    }
    // What is no question costs what others do.
    let mut refused = 0;
    for _ in 0..50 {
        refused += u32::from(a.get(path).await.status() == 429);
    }
    assert!(refused > 30, "{refused}");
    a.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_another_node_is_no_operator_of_the_one_with_the_accounts() {
    let folder = tempfile::tempdir().unwrap();
    let secret = secret(folder.path());
    let has = has(([127, 0, 0, 1], 0).into(), secret.clone());
    let change = |config: &mut Config| {
        has(config);
        config.accounts.sign_up = SignUp::Operator;
    };
    let a = Server::with(change).await;
    let b = Server::with(asks(a.url(""), secret)).await;
    until_ready(&b, "ready").await;
    let wish = json!({"name": "anna", "password": PASSWORD});
    assert_problem(b.post("/api/v1/users", &wish).await, 403, "/problems/forbidden").await;
    // On its own machine it has no other to ask.
    assert_eq!(a.post("/api/v1/users", &wish).await.status(), 201);
    b.stop().await;
    a.stop().await;
}
