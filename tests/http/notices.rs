//! Whoever took part is told of a recording: by a signed request, and by mail.

use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use serde_json::{Value, json};
use stentor::config::MailSecurity;

use crate::hook::{SECRET, read_signed};
use crate::recorded_calls::start_call;
use crate::recordings::text;
use crate::support::{PATIENCE, Server, built};

/// Believes what is signed; its first answer is that it can't.
fn webhook() -> (String, Receiver<(Value, bool)>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}/recordings", listener.local_addr().unwrap());
    let (told, heard) = channel();
    // Ends with the process: nothing else listens for it.
    thread::spawn(move || {
        for (count, stream) in listener.incoming().enumerate() {
            let mut stream = stream.unwrap();
            let (body, is_signed) = read_signed(&stream);
            let status = if count == 0 { "500 Not now" } else { "204 Thanks" };
            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
            stream.write_all(answer.as_bytes()).unwrap();
            told.send((serde_json::from_slice(&body).unwrap(), is_signed)).unwrap();
        }
    });
    (url, heard)
}

/// A real SMTP server, which puts off the first mail.
struct Post {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    port: u16,
}

impl Post {
    fn start() -> Self {
        let venv = std::env::var_os("STENTOR_TEST_VENV").map(PathBuf::from);
        let venv = venv.unwrap_or_else(|| built("../venv"));
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/smtp_sink.py");
        let mut child = Command::new(venv.join("bin/python"))
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines.next().unwrap().unwrap().parse().unwrap();
        Self { child, lines, port }
    }

    fn next(&mut self) -> Value {
        serde_json::from_str(&self.lines.next().unwrap().unwrap()).unwrap()
    }
}

impl Drop for Post {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_were_in_a_call_are_told_until_somebody_takes_it() {
    let (url, heard) = webhook();
    let mut post = Post::start();
    let secrets = tempfile::tempdir().unwrap();
    let secret = secrets.path().join("secret");
    std::fs::write(&secret, SECRET).unwrap();
    let server = Server::with(|config| {
        config.recording.webhook.url = Some(url);
        config.recording.webhook.secret_file = Some(secret);
        let mail = &mut config.recording.mail;
        mail.server = Some(format!("127.0.0.1:{}", post.port));
        mail.security = MailSecurity::None;
        mail.from = Some("Stentor <stentor@example.net>".to_owned());
        mail.to = Some("{user}@example.net".to_owned());
        mail.page = Some("https://meet.example.net/".to_owned());
    })
    .await;
    let (mut ann, _bert, call) = start_call(&server).await;
    ann.say(json!({"type": "record", "call": call, "recorded": true})).await;
    server.shipped(2.0).await;
    ann.say(json!({"type": "record", "call": call, "recorded": false})).await;

    let (refused, is_signed) = heard.recv_timeout(PATIENCE).unwrap();
    assert!(is_signed);
    let (news, is_signed) = heard.recv_timeout(PATIENCE).unwrap();
    assert!(is_signed);
    assert_eq!(news, refused, "the same, once more");
    assert_eq!((&news["state"], &news["of"]), (&json!("ready"), &json!(call)));
    let id = text(&news["recording"]).to_owned();

    let (mails, _post) = tokio::task::spawn_blocking(move || {
        let put_off = post.next();
        assert!(put_off["put_off"].is_array(), "{put_off}");
        let mut mails = vec![post.next(), post.next()];
        mails.sort_by_key(|mail| mail["to"].to_string());
        (mails, post)
    })
    .await
    .unwrap();
    assert_eq!(mails[0]["to"], json!(["ann@example.net"]));
    assert_eq!(mails[1]["to"], json!(["bert@example.net"]));
    for mail in &mails {
        let mail = text(&mail["text"]);
        assert!(mail.contains("Subject: A recording is ready"), "{mail}");
        assert!(mail.contains(&id), "{mail}");
    }
    server.stop().await;
}
