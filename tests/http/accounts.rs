//! Accounts over real HTTP and web sockets: who gets in, who rings whom, and who is kept out.

use std::time::{Duration, SystemTime};

use reqwest::Method;
use reqwest::header::AUTHORIZATION;
use serde_json::{Value, json};
use stentor::calls::ids::{DeviceId, UserId};
use stentor::http::access::{OwnKey, Role, mint, mint_user};

use crate::device::{Device, media};
use crate::person::{PASSWORD, Person, open};
use crate::support::{Keys, Server, assert_problem};

const MINUTE: Duration = Duration::from_secs(60);

fn invite(users: &[&Person]) -> Value {
    let users: Vec<&str> = users.iter().map(|person| person.id.as_str()).collect();
    json!({"type": "invite", "users": users, "media": media(), "request": 5})
}

/// Presence of another as the device is told of it next.
async fn presence(device: &mut Device) -> (String, String) {
    let told = device.expect("presence").await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&told["user"]), text(&told["availability"]))
}

#[tokio::test(flavor = "multi_thread")]
async fn one_signs_up_signs_in_and_is_who_they_say() {
    let server = Server::with(open).await;
    let anna = Person::new(&server, "anna").await;
    for (body, status, kind) in [
        (json!({"name": "Anna", "password": PASSWORD}), 409, "/problems/name-taken"),
        (json!({"name": "a b", "password": PASSWORD}), 422, "/problems/invalid-settings"),
        (json!({"name": "bert", "password": "short"}), 422, "/problems/invalid-settings"),
        (json!({"name": "bert"}), 422, "/problems/invalid-settings"),
        (json!({"name": "bert", "password": PASSWORD, "x": 1}), 422, "/problems/invalid-settings"),
    ] {
        assert_problem(server.post("/api/v1/users", &body).await, status, kind).await;
    }
    for body in [
        json!({"name": "anna", "password": "a wrong password"}),
        json!({"name": "nobody", "password": PASSWORD}),
    ] {
        let refused = server.post("/api/v1/sign-ins", &body).await;
        let problem = assert_problem(refused, 401, "/problems/wrong-password").await;
        assert_eq!(problem["detail"], "the name or the password is wrong");
    }
    let account = anna.get(&server, "").await;
    assert_eq!((&account["name"], &account["device"]), (&json!("anna"), &json!(anna.device)));
    let renewed = anna.ask(&server, Method::POST, "/token", None).await;
    let renewed: Value = renewed.json().await.unwrap();
    assert_eq!((&renewed["device"], &renewed["user"]["id"]), (&account["device"], &account["id"]));
    let name = Some(json!({"display_name": "Anna B."}));
    assert_eq!(anna.put(&server, "/display-name", name).await.status(), 204);
    assert_eq!(anna.get(&server, "").await["display_name"], "Anna B.");
    let hidden = Some(json!({"display_name": "a\u{202e}b"}));
    let refused = anna.put(&server, "/display-name", hidden).await;
    assert_problem(refused, 422, "/problems/invalid-settings").await;
    for (series, value) in [
        ("stentor_accounts_sign_ins_total{outcome=\"signed_in\"}", 1.0),
        ("stentor_accounts_sign_ins_total{outcome=\"wrong\"}", 2.0),
        ("stentor_accounts_sign_ups_total{outcome=\"made\"}", 1.0),
        ("stentor_accounts_sign_ups_total{outcome=\"name_taken\"}", 1.0),
    ] {
        assert_eq!(server.metric(series).await, value, "{series}");
    }
    server.stop().await;

    let server = Server::start().await;
    assert_problem(server.get("/api/v1/account").await, 401, "/problems/no-token").await;
    let asked = server.request(Method::GET, "/api/v1/account").bearer_auth("any").send().await;
    assert_problem(asked.unwrap(), 404, "/problems/no-accounts").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_makes_accounts_where_not_everybody_may() {
    let keys = Keys::new();
    let mut server = Server::with(|config| {
        config.accounts.enabled = true;
        config.access.keys = vec![keys.public()];
    })
    .await;
    let wish = json!({"name": "anna", "password": PASSWORD});
    let refused = server.post("/api/v1/users", &wish).await;
    assert_problem(refused, 401, "/problems/no-token").await;
    server.use_token(keys.token(Role::Publish, "*"));
    assert_problem(server.post("/api/v1/users", &wish).await, 403, "/problems/forbidden").await;
    server.use_token(keys.token(Role::Admin, "*"));
    let anna = Person::new(&server, "anna").await;
    // A user's token opens nothing else, and an operator's no account.
    let mine = server.get("/api/v1/account").await;
    assert_problem(mine, 403, "/problems/forbidden").await;
    server.use_token(anna.token.clone());
    let refused = server.get("/api/v1/hardware").await;
    assert_problem(refused, 403, "/problems/forbidden").await;
    assert_problem(server.post("/api/v1/users", &wish).await, 403, "/problems/forbidden").await;
    assert_eq!(server.json("/api/v1/me").await["user"], anna.id);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_token_but_a_signed_in_devices_own_opens_an_account_or_a_socket() {
    let server = Server::with(open).await;
    let anna = Person::new(&server, "anna").await;
    let file = server.folder.path().join("accounts-key.pem");
    let (own, private) =
        (OwnKey::load_or_make(&file).unwrap(), std::fs::read_to_string(&file).unwrap());
    let id = |id: &str| UserId::new(id).unwrap();
    let device = |id: &str| DeviceId::new(id).unwrap();
    let soon = SystemTime::now() + MINUTE;
    let past = SystemTime::now() - 2 * MINUTE;
    let stranger = Keys::new();
    let altered = format!("{}x", &anna.token[..anna.token.len() - 1]);
    let forged =
        mint_user(stranger.private(), id(&anna.id), Some(device(&anna.device)), MINUTE).unwrap();
    for (what, token) in [
        ("garbage", "x".to_owned()),
        ("altered", altered),
        ("signed by a stranger", forged),
        ("expired", own.sign(id(&anna.id), device(&anna.device), past).unwrap()),
        ("of no device", mint_user(&private, id(&anna.id), None, MINUTE).unwrap()),
        ("of a device that isn't hers", own.sign(id(&anna.id), device("d1"), soon).unwrap()),
        ("of nobody", own.sign(id("u1"), device(&anna.device), soon).unwrap()),
        ("an administrator's", mint(&private, "*", Role::Admin, MINUTE).unwrap()),
    ] {
        let request = server.request(Method::GET, "/api/v1/account");
        let refused = request.header(AUTHORIZATION, format!("Bearer {token}")).send().await;
        assert_eq!(refused.unwrap().status(), 401, "{what}");
        let mut socket = Device::connect(&server).await;
        let mut hello = anna.hello();
        hello["token"] = token.into();
        assert_eq!(socket.refused(hello).await, "not_allowed", "{what}");
    }
    let mut socket = Device::connect(&server).await;
    let mut hello = anna.hello();
    hello["device"] = "another".into();
    assert_eq!(socket.refused(hello).await, "not_allowed");
    hello = anna.hello();
    hello.as_object_mut().unwrap().remove("token");
    hello["user"] = anna.id.clone().into();
    assert_eq!(socket.refused(hello).await, "not_allowed");
    socket.say(anna.hello()).await;
    socket.expect("welcome").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_is_signed_out_is_out_at_once() {
    let server = Server::with(open).await;
    let phone = Person::new(&server, "anna").await;
    let laptop = Person::on_another_device(&server, "anna").await;
    let mut socket = laptop.connect(&server).await;
    let devices = phone.get(&server, "/devices").await;
    assert_eq!(devices["devices"].as_array().unwrap().len(), 2);
    let path = format!("/devices/{}", laptop.device);
    assert_eq!(phone.delete(&server, &path).await.status(), 204);
    assert_eq!(socket.closed().await, 4006);
    let refused = laptop.ask(&server, Method::GET, "", None).await;
    let problem = assert_problem(refused, 401, "/problems/invalid-token").await;
    assert_eq!(problem["detail"], "the device was signed out");
    let mut again = Device::connect(&server).await;
    assert_eq!(again.refused(laptop.hello()).await, "not_allowed");
    let mut resume = json!({"type": "resume", "version": 1, "session": socket.session, "seq": 1});
    resume["token"] = laptop.token.clone().into();
    assert_eq!(again.refused(resume).await, "not_resumable");
    assert_problem(phone.delete(&server, &path).await, 404, "/problems/no-device").await;

    // A new password leaves the device alone on which it was set.
    let laptop = Person::on_another_device(&server, "anna").await;
    let (mut one, mut other) = (phone.connect(&server).await, laptop.connect(&server).await);
    let change = |old: &str| Some(json!({"old": old, "new": "another horse battery"}));
    let refused = phone.put(&server, "/password", change("a wrong password")).await;
    assert_problem(refused, 401, "/problems/wrong-password").await;
    let changed = phone.put(&server, "/password", change(PASSWORD)).await;
    assert_eq!(changed.status(), 204);
    assert_eq!(other.closed().await, 4006);
    one.say(json!({"type": "ping"})).await;
    one.expect("pong").await;
    assert_eq!(phone.delete(&server, "/token").await.status(), 204);
    assert_eq!(one.closed().await, 4006);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_contacts_ring_and_see_each_other_and_every_refusal_has_its_reason() {
    let server = Server::with(open).await;
    let anna = Person::new(&server, "anna").await;
    let bert = Person::new(&server, "bert").await;
    let carl = Person::new(&server, "carl").await;
    let mut a = anna.connect(&server).await;
    let mut b = bert.connect(&server).await;
    assert_eq!(a.refused(invite(&[&bert])).await, "not_contacts");
    assert_eq!(a.refused(invite(&[&anna])).await, "nobody_new");

    anna.befriend(&server, &bert).await;
    assert_eq!(presence(&mut a).await, (bert.id.clone(), "available".to_owned()));
    assert_eq!(presence(&mut b).await, (anna.id.clone(), "available".to_owned()));
    // One who may not be rung spares the others.
    a.say(invite(&[&bert, &carl])).await;
    let refused = a.hear_of("error").await;
    assert_eq!((&refused["code"], &refused["user"]), (&json!("not_contacts"), &json!(carl.id)));
    a.say(invite(&[&bert])).await;
    let call = a.expect("call").await["call"].clone();
    assert_eq!(b.expect("ring").await["from"], anna.id);
    a.say(json!({"type": "hang_up", "call": call})).await;
    b.expect("ring_stopped").await;

    assert_eq!(bert.put(&server, "/do-not-disturb", None).await.status(), 204);
    while presence(&mut a).await.1 != "do_not_disturb" {}
    assert_eq!(a.refused(invite(&[&bert])).await, "do_not_disturb");
    assert!(bert.get(&server, "").await["undisturbed_until"].is_string());
    assert_eq!(bert.delete(&server, "/do-not-disturb").await.status(), 204);
    assert_eq!(presence(&mut a).await.1, "available");

    let block = format!("/blocks/{}", anna.id);
    assert_eq!(bert.put(&server, &block, None).await.status(), 204);
    assert_eq!(presence(&mut a).await, (bert.id.clone(), "offline".to_owned()));
    assert_eq!(a.refused(invite(&[&bert])).await, "blocked_by_callee");
    b.expect("contacts_changed").await;
    assert_eq!(b.refused(invite(&[&anna])).await, "blocked_by_caller");
    assert_eq!(bert.get(&server, "/blocks").await["blocks"][0]["id"], anna.id);
    assert_eq!(bert.delete(&server, &block).await.status(), 204);
    assert_eq!(a.refused(invite(&[&bert])).await, "not_contacts");
    for (reason, count) in [("not_contacts", 3.0), ("do_not_disturb", 1.0)] {
        let series = format!("stentor_accounts_ring_refusals_total{{reason=\"{reason}\"}}");
        assert_eq!(server.metric(&series).await, count, "{reason}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn contacts_are_asked_accepted_declined_withdrawn_and_removed() {
    let server = Server::with(open).await;
    let anna = Person::new(&server, "anna").await;
    let bert = Person::new(&server, "bert").await;
    let ask = async |from: &Person, name: &str| {
        from.ask(&server, Method::POST, "/contacts", Some(json!({"name": name}))).await
    };
    let names = |list: &Value| -> Vec<String> {
        let all = list.as_array().unwrap().iter();
        all.map(|entry| entry["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_problem(ask(&anna, "nobody").await, 404, "/problems/no-user").await;
    assert_problem(ask(&anna, "anna").await, 409, "/problems/yourself").await;
    let asked: Value = ask(&anna, "Bert").await.json().await.unwrap();
    assert_eq!((&asked["state"], &asked["user"]["id"]), (&json!("waiting"), &json!(bert.id)));
    assert_problem(ask(&anna, "bert").await, 409, "/problems/already-asked").await;
    assert_eq!(names(&anna.get(&server, "/contacts").await["sent"]), ["bert"]);
    assert_eq!(names(&bert.get(&server, "/contacts").await["received"]), ["anna"]);
    // Nobody accepts a request of their own.
    let (of_anna, of_bert) = (format!("/contacts/{}", anna.id), format!("/contacts/{}", bert.id));
    let refused = anna.put(&server, &of_bert, None).await;
    assert_problem(refused, 404, "/problems/no-request").await;
    assert_eq!(anna.delete(&server, &of_bert).await.status(), 204);
    assert_problem(bert.put(&server, &of_anna, None).await, 404, "/problems/no-request").await;
    assert_eq!(ask(&anna, "bert").await.status(), 201);
    assert_eq!(bert.delete(&server, &of_anna).await.status(), 204);
    assert_problem(ask(&anna, "bert").await, 409, "/problems/declined").await;
    let both: Value = ask(&bert, "anna").await.json().await.unwrap();
    assert_eq!(both["state"], "waiting");
    assert_eq!(anna.put(&server, &of_bert, None).await.status(), 204);
    assert_eq!(names(&anna.get(&server, "/contacts").await["contacts"]), ["bert"]);
    assert_problem(ask(&anna, "bert").await, 409, "/problems/already-contacts").await;
    assert_eq!(anna.delete(&server, &of_bert).await.status(), 204);
    assert_eq!(names(&bert.get(&server, "/contacts").await["contacts"]), [""; 0]);
    let refused = anna.delete(&server, &of_bert).await;
    assert_problem(refused, 404, "/problems/no-request").await;
    let refused = anna.delete(&server, "/contacts/a b").await;
    assert_problem(refused, 404, "/problems/no-user").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_ring_each_other_at_the_same_time_are_in_one_call() {
    let server = Server::with(open).await;
    let anna = Person::new(&server, "anna").await;
    let bert = Person::new(&server, "bert").await;
    anna.befriend(&server, &bert).await;
    let (mut a, mut b) = (anna.connect(&server).await, bert.connect(&server).await);
    tokio::join!(a.say(invite(&[&bert])), b.say(invite(&[&anna])));
    let (one, other) = tokio::join!(a.expect("call"), b.expect("call"));
    assert_eq!(one["call"], other["call"]);
    assert_eq!((&one["request"], &other["request"]), (&json!(5), &json!(5)));
    tokio::join!(a.expect("peer"), b.expect("peer"));
    assert_eq!(server.metric("stentor_calls_started_total").await, 1.0);
    assert_eq!(server.metric("stentor_calls_current").await, 1.0);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_sign_ins_waits_and_says_for_how_long() {
    let server = Server::with(open).await;
    let anna = Person::new(&server, "anna").await;
    let wrong = json!({"name": "anna", "password": "a wrong password"});
    let limited = loop {
        let answer = server.post("/api/v1/sign-ins", &wrong).await;
        if answer.status() != 401 {
            break answer;
        }
    };
    let wait: u64 = limited.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=30).contains(&wait), "{wait}");
    assert_problem(limited, 429, "/problems/rate-limited").await;
    // Nor does the right password get through meanwhile, but on a device that was in before; who is
    // in stays in.
    let mut right = json!({"name": "anna", "password": PASSWORD});
    assert_eq!(server.post("/api/v1/sign-ins", &right).await.status(), 429);
    right["device_key"] = anna.token.clone().into();
    assert_eq!(server.post("/api/v1/sign-ins", &right).await.status(), 429, "a token is no key");
    right["device_key"] = anna.device_key.clone().into();
    let again = server.post("/api/v1/sign-ins", &right).await;
    assert_eq!(again.status(), 201);
    assert_eq!(anna.get(&server, "").await["name"], "anna");
    let series = "stentor_accounts_sign_ins_total{outcome=\"too_often\"}";
    assert_eq!(server.metric(series).await, 3.0);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_to_contacts_are_told_to_whom_they_concern_and_a_flood_of_them_waits() {
    let server = Server::with(open).await;
    let anna = Person::new(&server, "anna").await;
    let bert = Person::new(&server, "bert").await;
    let (mut a, mut b) = (anna.connect(&server).await, bert.connect(&server).await);
    let block = format!("/blocks/{}", bert.id);
    // What the other sees is as it was: who blocks whom is nobody's to notice.
    assert_eq!(anna.put(&server, &block, None).await.status(), 204);
    a.expect("contacts_changed").await;
    assert_eq!(anna.put(&server, &block, None).await.status(), 204);
    let (mut changes, mut limited) = (2, None);
    while limited.is_none() {
        assert!(changes < 60, "no end");
        let answer = match changes % 2 {
            0 => anna.delete(&server, &block).await,
            _ => anna.put(&server, &block, None).await,
        };
        match answer.status().as_u16() {
            204 => changes += 1,
            _ => limited = Some(answer),
        }
    }
    assert!((30..40).contains(&changes), "{changes}");
    assert_problem(limited.unwrap(), 429, "/problems/rate-limited").await;
    let asked = Some(json!({"name": "bert"}));
    let refused = anna.ask(&server, Method::POST, "/contacts", asked).await;
    assert_problem(refused, 429, "/problems/rate-limited").await;
    // Each was told once: the second of the two at first changed nothing.
    a.say(json!({"type": "ping"})).await;
    let mut told = 1;
    loop {
        match a.hear().await["type"].as_str().unwrap() {
            "contacts_changed" => told += 1,
            "pong" => break,
            _ => {}
        }
    }
    assert_eq!(told, changes - 1);
    b.say(json!({"type": "ping"})).await;
    loop {
        let heard = b.hear().await;
        assert_ne!(heard["type"], "contacts_changed");
        if heard["type"] == "pong" {
            break;
        }
    }
    assert_eq!(bert.get(&server, "/contacts").await["contacts"], json!([]));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_invitations_waits() {
    let server = Server::with(|config| {
        open(config);
        config.calls.rings_per_minute = 3;
    })
    .await;
    let anna = Person::new(&server, "anna").await;
    let bert = Person::new(&server, "bert").await;
    let mut a = anna.connect(&server).await;
    for _ in 0..3 {
        assert_eq!(a.refused(invite(&[&bert])).await, "not_contacts");
    }
    assert_eq!(a.refused(invite(&[&bert])).await, "too_many_requests");
    server.stop().await;
}
