//! Two nodes with one Redis, and the accounts on one of them: people of both find, ring and write to
//! each other.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::caller::{Caller, media};
use crate::support::daemon::Options;
use crate::support::redis::Redis;
use crate::support::scene::SOON;
use crate::support::wait::check;
use crate::support::{Daemon, until};

const PASSWORD: &str = "correct horse battery";

struct Person {
    name: String,
    id: String,
    device: String,
    token: String,
}

// === impl Person ===

impl Person {
    async fn new(daemon: &Daemon, name: &str) -> Self {
        let wish = json!({"name": name, "password": PASSWORD});
        let (status, made) = daemon.call(Method::POST, "/api/v1/users", Some(wish)).await;
        assert_eq!(status, 201, "{made}");
        Self::sign_in(daemon, name).await
    }

    async fn sign_in(daemon: &Daemon, name: &str) -> Self {
        let wish = json!({"name": name, "password": PASSWORD});
        let (status, answer) = daemon.call(Method::POST, "/api/v1/sign-ins", Some(wish)).await;
        assert_eq!(status, 201, "{answer}");
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Self {
            name: name.to_owned(),
            id: text(&answer["user"]["id"]),
            device: text(&answer["device"]),
            token: text(&answer["token"]),
        }
    }

    async fn ask(&self, daemon: &Daemon, method: Method, path: &str, body: Value) -> StatusCode {
        let url = format!("{}/api/v1/account{path}", daemon.url);
        let request = daemon.http.request(method, url).bearer_auth(&self.token);
        let request = if body.is_null() { request } else { request.json(&body) };
        request.send().await.unwrap().status()
    }

    async fn connect(&self, daemon: &Daemon) -> Caller {
        Caller::enter(daemon, json!({"token": self.token, "device": self.device})).await
    }

    fn with(&self) -> Value {
        json!({"user": self.id})
    }
}

async fn nodes(redis: &Redis) -> (Daemon, Daemon) {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "sixteen bytes or more").unwrap();
    let options = |accounts: String| Options {
        config: format!(
            "[directory]\nredis_url = \"{}\"\n[accounts]\nenabled = true\n{accounts}\n",
            redis.url()
        ),
        server: "drain_grace = \"1s\"".to_owned(),
        ..Options::default()
    };
    let has = format!("sign_up = \"open\"\nnodes_secret_file = {secret:?}");
    let asks = |a: &Daemon| format!("[accounts.at]\nurl = \"{}\"\nsecret_file = {secret:?}", a.url);
    let (a, b) = Daemon::pair_of(options(has), |a| options(asks(a))).await;
    for daemon in [&a, &b] {
        until("nodes know each other", SOON, async || {
            let known = daemon.metric("stentor_directory_nodes", &[]).await;
            check(known == 2.0, known)
        })
        .await;
    }
    (a, b)
}

#[tokio::test]
async fn people_of_two_nodes_have_one_set_of_accounts_contacts_and_chats() {
    let redis = Redis::start().await;
    let (a, b) = nodes(&redis).await;
    let anna = Person::new(&a, "anna").await;
    let bert = Person::new(&b, "bert").await;
    let mut of_anna = anna.connect(&a).await;
    let mut of_bert = bert.connect(&b).await;
    // Asked for on one node, accepted on the other; both hear of it.
    let asked = anna.ask(&a, Method::POST, "/contacts", json!({"name": bert.name})).await;
    assert_eq!(asked, 201);
    of_bert.expect("contacts_changed").await;
    let accepted = bert.ask(&b, Method::PUT, &format!("/contacts/{}", anna.id), Value::Null).await;
    assert_eq!(accepted, 204);
    of_anna.sees(&bert.id, "available").await;
    of_bert.sees(&anna.id, "available").await;

    let write = |to: &Value, id: &str, text: &str| json!({"type": "chat_send", "conversation": to, "id": id, "text": text});
    of_anna.say(write(&bert.with(), "1", "from a")).await;
    let heard = of_bert.expect("chat_message").await;
    assert_eq!(heard["message"]["text"], "from a");
    for kind in ["chat_delivered", "chat_read"] {
        of_bert.say(json!({"type": kind, "conversation": anna.with(), "order": 1})).await;
        assert_eq!(of_anna.expect(kind).await["user"], bert.id);
    }
    let typing = json!({"type": "chat_typing", "conversation": anna.with(), "typing": true});
    of_bert.say(typing).await;
    let told = of_anna.expect("chat_typing").await;
    assert_eq!((&told["user"], &told["conversation"]), (&json!(bert.id), &bert.with()));
    of_bert.say(write(&anna.with(), "1", "from b")).await;
    assert_eq!(of_anna.expect("chat_message").await["message"]["text"], "from b");

    // A call of Anna's, and its chat from the node on which it doesn't live.
    let call = of_anna.invite(&[&bert.id]).await;
    assert_eq!(of_bert.expect("ring").await["call"], call);
    of_bert.accept(&call).await;
    of_bert.expect("configure").await;
    let room = json!({"call": call});
    of_bert.say(write(&room, "2", "in the call")).await;
    of_bert.expect("chat_stored").await;
    let heard = of_anna.expect("chat_message").await;
    assert_eq!((&heard["conversation"], &heard["message"]["text"]), (&room, &json!("in the call")));
    of_anna.say(write(&room, "2", "yes")).await;
    let heard = of_bert.expect("chat_message").await;
    assert_eq!((&heard["conversation"], &heard["message"]["text"]), (&room, &json!("yes")));
    of_bert.say(json!({"type": "chat_typing", "conversation": room, "typing": true})).await;
    assert_eq!(of_anna.expect("chat_typing").await["conversation"], room);
    of_bert.say(json!({"type": "leave", "call": call})).await;
    of_bert.expect("left").await;
    of_bert.say(write(&room, "3", "too late")).await;
    assert_eq!(of_bert.error().await, "unknown_conversation");

    of_anna.say(json!({"type": "hang_up", "call": call})).await;

    // Of one who isn't to be disturbed, and of one who is blocked, the other node knows.
    of_bert.sees(&anna.id, "available").await;
    assert_eq!(anna.ask(&a, Method::PUT, "/do-not-disturb", Value::Null).await, 204);
    of_bert.sees(&anna.id, "do_not_disturb").await;
    of_bert.say(json!({"type": "invite", "users": [anna.id], "media": media()})).await;
    assert_eq!(of_bert.error().await, "do_not_disturb");
    let block = format!("/blocks/{}", bert.id);
    assert_eq!(anna.ask(&a, Method::PUT, &block, Value::Null).await, 204);
    of_bert.sees(&anna.id, "offline").await;
    of_bert.say(write(&anna.with(), "4", "hello?")).await;
    assert_eq!(of_bert.error().await, "blocked_by_callee");

    // A device that is signed out on one node is put out on the other.
    let other = Person::sign_in(&a, "bert").await;
    let path = format!("/devices/{}", bert.device);
    assert_eq!(other.ask(&a, Method::DELETE, &path, Value::Null).await, 204);
    assert_eq!(of_bert.closed().await, 4006);
}
