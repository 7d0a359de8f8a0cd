//! An operator's own user service: asked before anybody rings or writes, and its silence is a no.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use stentor::accounts::hook::{SIGNATURE, Signer, TIMESTAMP};
use stentor::config::Period;

use crate::device::{Device, media};
use crate::support::Server;

pub const SECRET: &str = "sixteen bytes or more";

/// A service that allows `bob`, denies `carol`, and says nothing to `dave`; and what it was asked.
fn service() -> (String, Receiver<Value>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}/may", listener.local_addr().unwrap());
    let (asked, questions) = channel();
    // Ends with the process: nothing else listens for it.
    thread::spawn(move || {
        for stream in listener.incoming() {
            let asked = asked.clone();
            thread::spawn(move || answer(stream.unwrap(), &asked));
        }
    });
    (url, questions)
}

/// A request's body, and whether it is signed with [`SECRET`].
pub fn read_signed(stream: &TcpStream) -> (Vec<u8>, bool) {
    let mut reader = BufReader::new(stream);
    let (mut length, mut timestamp, mut signature) = (0, String::new(), String::new());
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let line = line.trim().to_ascii_lowercase();
        match line.split_once(": ") {
            Some(("content-length", value)) => length = value.parse().unwrap(),
            Some((name, value)) if name == TIMESTAMP => value.clone_into(&mut timestamp),
            Some((name, value)) if name == SIGNATURE => value.clone_into(&mut signature),
            _ if line.is_empty() => break,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let verdict = Signer::new(SECRET.as_bytes()).verify(&timestamp, &signature, &body, now);
    (body, verdict.is_ok())
}

fn answer(mut stream: TcpStream, asked: &std::sync::mpsc::Sender<Value>) {
    let (body, is_signed) = read_signed(&stream);
    assert!(is_signed);
    let question: Value = serde_json::from_slice(&body).unwrap();
    let whom = question["callee"].as_str().or(question["recipient"].as_str()).unwrap();
    let text = match whom {
        "bob" => json!({"allow": true}),
        "carol" => json!({"allow": false, "reason": "carol is at lunch"}),
        _ => {
            asked.send(question).unwrap();
            // Longer than anybody waits.
            thread::sleep(Duration::from_secs(5));
            return;
        }
    };
    asked.send(question.clone()).unwrap();
    let text = text.to_string();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", text.len());
    stream.write_all((head + &text).as_bytes()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_says_who_is_rung_and_written_to_and_its_silence_is_a_no() {
    let (url, questions) = service();
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, format!("{SECRET}\n")).unwrap();
    let server = Server::with(|config| {
        config.accounts.enabled = true;
        config.accounts.hook.url = Some(url);
        config.accounts.hook.secret_file = Some(secret);
        config.accounts.hook.timeout = Period::from_secs(1);
    })
    .await;
    let info = server.json("/api/v1/server").await;
    let features = info["features"].as_array().unwrap();
    // Whoever sees nobody there is told why.
    assert!(features.contains(&json!("user-service")) && !features.contains(&json!("accounts")));
    let mut alice = Device::sign_in(&server, "alice").await;
    let mut bob = Device::sign_in(&server, "bob").await;
    let invite = |user: &str| json!({"type": "invite", "users": [user], "media": media()});
    alice.say(invite("carol")).await;
    let refused = alice.hear_of("error").await;
    assert_eq!((&refused["code"], &refused["user"]), (&json!("denied"), &json!("carol")));
    assert_eq!(refused["detail"], "carol is at lunch");
    assert_eq!(alice.refused(invite("dave")).await, "undecided");
    alice.say(invite("bob")).await;
    bob.expect("ring").await;
    let question = questions.recv().unwrap();
    let expected = json!({
        "question": "ring", "version": 1, "caller": "alice", "device": "one", "callee": "carol",
    });
    assert_eq!(question, expected);
    assert_eq!(questions.recv().unwrap()["callee"], "dave");
    assert_eq!(questions.recv().unwrap()["callee"], "bob");

    let send = |user: &str, id: &str| json!({"type": "chat_send", "conversation": {"user": user}, "id": id, "text": "hello"});
    assert_eq!(alice.refused(send("carol", "1")).await, "denied");
    alice.say(send("bob", "2")).await;
    assert_eq!(bob.expect("chat_message").await["message"]["text"], "hello");

    // That somebody writes follows what was said of the two, and nobody is asked for each key.
    let typing =
        |user: &str| json!({"type": "chat_typing", "conversation": {"user": user}, "typing": true});
    for _ in 0..10 {
        alice.say(typing("bob")).await;
        assert_eq!(bob.expect("chat_typing").await["user"], "alice");
        assert_eq!(alice.refused(typing("carol")).await, "denied");
    }
    bob.say(typing("carol")).await;
    assert_eq!(bob.error().await, "denied");
    let asked = questions.try_iter().filter(|question| question["question"] == "write");
    let asked: Vec<_> = asked.map(|q| format!("{} {}", q["sender"], q["recipient"])).collect();
    assert_eq!(asked, [r#""alice" "carol""#, r#""alice" "bob""#, r#""bob" "carol""#]);
    for (reason, count) in [("denied", 1.0), ("undecided", 1.0)] {
        let series = format!("stentor_accounts_ring_refusals_total{{reason=\"{reason}\"}}");
        assert_eq!(server.metric(&series).await, count, "{reason}");
    }
    server.stop().await;
}
