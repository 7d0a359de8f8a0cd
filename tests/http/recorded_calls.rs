//! Recordings of calls: who is told, whose they are, and that they are nobody else's.

use reqwest::Method;
use reqwest::header::AUTHORIZATION;
use serde_json::{Value, json};
use stentor::config::{Creator, Who};

use crate::bucket::files_in;
use crate::device::{Device, hello, media};
use crate::person::{Person, open};
use crate::recordings::{text, until};
use crate::support::Server;

pub async fn start_call(server: &Server) -> (Device, Device, String) {
    let mut ann = Device::sign_in(server, "ann").await;
    let mut bert = Device::sign_in(server, "bert").await;
    ann.say(json!({"type": "invite", "users": ["bert"], "media": media()})).await;
    let call = bert.expect("ring").await["call"].as_str().unwrap().to_owned();
    bert.say(json!({"type": "accept", "call": call, "media": media()})).await;
    ann.expect("peer").await;
    (ann, bert, call)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recorded_call_moves_to_the_server_everybody_is_told_and_each_has_a_file() {
    let server = Server::start().await;
    let (mut ann, mut bert, call) = start_call(&server).await;
    let record = |recorded| json!({"type": "record", "call": call, "recorded": recorded});
    assert_eq!(bert.refused(record(true)).await, "not_allowed", "only the inviter may");
    ann.say(record(true)).await;
    for device in [&mut ann, &mut bert] {
        assert_eq!(device.expect("recorded").await["recorded"], true);
        assert_eq!(device.expect("topology").await["topology"], "server");
        assert!(device.expect("legs").await["publish"].is_string());
    }
    let id = until("a recording", async || {
        let list = server.json("/api/v1/recordings").await;
        let is_whole = list["recordings"][0]["participants"].as_array()?.len() == 2;
        list["recordings"][0]["id"].as_str().filter(|_| is_whole).map(str::to_owned)
    })
    .await;
    // One who comes later is told at once, and is in it from then on.
    let mut cleo = Device::sign_in(&server, "cleo").await;
    ann.say(json!({"type": "invite", "call": call, "users": ["cleo"], "media": media()})).await;
    cleo.expect("ring").await;
    cleo.say(json!({"type": "accept", "call": call, "media": media()})).await;
    assert_eq!(cleo.expect("call").await["recorded"], true);
    let spool = server.recordings().join("chunks/chunks").join(&id);
    until("chunks of all three", async || {
        let all = ["p1", "p2", "p3"].iter().all(|p| files_in(&spool.join(p)).len() >= 2);
        Some(()).filter(|()| all)
    })
    .await;
    cleo.say(json!({"type": "leave", "call": call})).await;
    ann.say(record(false)).await;
    assert_eq!(bert.expect("recorded").await["recorded"], false);
    let finished = bert.expect("recording_finished").await;
    assert_eq!((&finished["recording"], &finished["ready"]), (&json!(id), &json!(true)));
    assert_eq!(finished["call"], call.as_str());
    cleo.expect("recording_finished").await;
    let recording = server.in_state(&id, "ready").await;
    let names: Vec<&str> =
        recording["files"].as_array().unwrap().iter().map(|file| text(&file["name"])).collect();
    assert_eq!(names, ["ann.mp4", "bert.mp4", "cleo.mp4"]);
    assert_eq!(recording["started_by"], "ann");
    for who in recording["participants"].as_array().unwrap() {
        assert!(who["left_at"].is_string(), "{who:#}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_s_recording_whose_daemon_went_is_ended_and_made_and_told_at_the_next_connection() {
    let server = Server::with(|config| {
        config.recording.who = Who::Anyone;
        // The next one makes the file.
        config.recording.creator = Creator::Elsewhere;
    })
    .await;
    let (mut ann, mut bert, call) = start_call(&server).await;
    bert.say(json!({"type": "record", "call": call, "recorded": true})).await;
    ann.expect("recorded").await;
    server.shipped(2.0).await;
    let folder = server.stop().await;
    let server = Server::again(folder, |_| {}).await;
    let id = until("a recording", async || {
        let list = server.json("/api/v1/recordings").await;
        list["recordings"][0]["id"].as_str().map(str::to_owned)
    })
    .await;
    server.in_state(&id, "ready").await;
    let mut ann = Device::sign_in(&server, "ann").await;
    assert_eq!(ann.expect("recording_finished").await["recording"], id.as_str());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_was_not_in_a_call_can_neither_list_nor_fetch_nor_guess_its_recording() {
    let server = Server::with(open).await;
    let (ann, bert) = (Person::new(&server, "ann").await, Person::new(&server, "bert").await);
    let eve = Person::new(&server, "eve").await;
    ann.befriend(&server, &bert).await;
    let mut devices = Vec::new();
    for person in [&ann, &bert] {
        let mut device = Device::connect(&server).await;
        let mut hello = hello(&person.id, &person.device);
        hello["token"] = json!(person.token);
        device.say(hello).await;
        device.expect("welcome").await;
        devices.push(device);
    }
    devices[0].say(json!({"type": "invite", "users": [bert.id], "media": media()})).await;
    let call = devices[1].expect("ring").await["call"].as_str().unwrap().to_owned();
    devices[1].say(json!({"type": "accept", "call": call, "media": media()})).await;
    devices[0].expect("peer").await;
    devices[0].say(json!({"type": "record", "call": call, "recorded": true})).await;
    server.shipped(2.0).await;
    devices[0].say(json!({"type": "hang_up", "call": call})).await;

    let ask = async |method: Method, path: &str, token: Option<&str>| {
        let request = server.client.request(method, server.url(path));
        let request = token.iter().fold(request, |request, token| {
            request.header(AUTHORIZATION, format!("Bearer {token}"))
        });
        request.send().await.unwrap()
    };
    let mine = until("a finished recording", async || {
        let list = ask(Method::GET, "/api/v1/recordings", Some(&bert.token)).await;
        let list: Value = list.json().await.unwrap();
        let first = list["recordings"][0].clone();
        Some(first).filter(|first| first["state"] == "ready")
    })
    .await;
    let path = format!("/api/v1/recordings/{}", text(&mine["id"]));
    let file = format!("{path}/files/ann.mp4");
    assert_eq!(ask(Method::GET, &file, Some(&bert.token)).await.status(), 200);
    for (token, status) in [(Some(eve.token.as_str()), 404), (None, 404), (Some("forged"), 404)] {
        let list = ask(Method::GET, "/api/v1/recordings", token).await;
        if token == Some("forged") {
            assert_eq!(list.status(), 401);
        } else {
            let list: Value = list.json().await.unwrap();
            assert_eq!(list["recordings"], json!([]), "{token:?}");
        }
        for (method, path) in [
            (Method::GET, path.clone()),
            (Method::DELETE, path.clone()),
            (Method::POST, format!("{path}/links")),
            (Method::GET, file.clone()),
        ] {
            let answer = ask(method.clone(), &path, token).await;
            let expected = if token == Some("forged") { 401 } else { status };
            assert_eq!(answer.status(), expected, "{method} {path} {token:?}");
        }
    }
    // A link is good for its file alone, and for whoever has it.
    let links = ask(Method::POST, &format!("{path}/links"), Some(&bert.token)).await;
    let links: Value = links.json().await.unwrap();
    let url = text(&links["files"][0]["url"]);
    assert_eq!(ask(Method::GET, url, None).await.status(), 200);
    let other = url.replace("ann.mp4", "bert.mp4");
    assert_eq!(ask(Method::GET, &other, None).await.status(), 401);
    assert_eq!(ask(Method::GET, &url.replace("expires=1", "expires=2"), None).await.status(), 401);
    // Whoever had it recorded may delete it, and nobody else who was in the call.
    assert_eq!(ask(Method::DELETE, &path, Some(&bert.token)).await.status(), 403);
    assert_eq!(ask(Method::DELETE, &path, Some(&ann.token)).await.status(), 204);
    assert_eq!(ask(Method::GET, url, None).await.status(), 404);
    server.stop().await;
}
