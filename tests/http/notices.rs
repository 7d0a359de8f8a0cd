//! Whoever took part is told of a recording: by a signed request, and by mail.

use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use serde_json::{Value, json};
use stentor::config::{Mail, MailSecurity};
use stentor::recording::State;
use stentor::recording::notify::{News, Post};

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

/// A real SMTP server.
struct Sink {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    port: u16,
}

impl Sink {
    /// With nothing, it puts off the first mail.
    fn start(arguments: &[&str]) -> Self {
        let venv = std::env::var_os("STENTOR_TEST_VENV").map(PathBuf::from);
        let venv = venv.unwrap_or_else(|| built("../venv"));
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/smtp_sink.py");
        let mut child = Command::new(venv.join("bin/python"))
            .arg(script)
            .args(arguments)
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

impl Drop for Sink {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Writes `NAME.pem` and `NAME.key`: a certificate of 127.0.0.1 that trusts itself.
fn certify(folder: &Path, name: &str) -> [String; 2] {
    let [certificate, key] = ["pem", "key"].map(|end| format!("{}/{name}.{end}", folder.display()));
    let output = Command::new("openssl")
        .args(["req", "-x509", "-nodes", "-days", "2", "-newkey", "ec"])
        .args(["-pkeyopt", "ec_paramgen_curve:P-256", "-subj", "/CN=mail"])
        .args(["-addext", "subjectAltName=IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-keyout", &key, "-out", &certificate])
        .output()
        .expect("openssl: apt install openssl");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    [certificate, key]
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_goes_encrypted_to_a_server_that_is_known_and_with_the_password_that_it_wants() {
    let folder = tempfile::tempdir().unwrap();
    let [certificate, key] = certify(folder.path(), "mail");
    let [other, _] = certify(folder.path(), "other");
    let password = folder.path().join("password");
    std::fs::write(&password, "geheim\n").unwrap();
    let wrong = folder.path().join("wrong");
    std::fs::write(&wrong, "offen").unwrap();
    let news = News {
        version: 1,
        recording: "r000000000000000000000001".parse().unwrap(),
        kind: "call",
        of: "c1".to_owned(),
        state: State::Ready,
        started_at: "2026-11-28T08:00:00Z".to_owned(),
        ended_at: None,
        participants: Vec::new(),
        files: Vec::new(),
        reason: None,
    };
    for (mode, security) in [("starttls", MailSecurity::Starttls), ("tls", MailSecurity::Tls)] {
        let mut sink = Sink::start(&[mode, &certificate, &key, "stentor", "geheim"]);
        let mail = Mail {
            server: Some(format!("127.0.0.1:{}", sink.port)),
            security,
            ca_file: Some(certificate.clone().into()),
            user: Some("stentor".to_owned()),
            password_file: Some(password.clone()),
            from: Some("stentor@example.net".to_owned()),
            to: Some("{user}@example.net".to_owned()),
            page: None,
        };
        let stranger = Mail { ca_file: Some(other.clone().into()), ..mail.clone() };
        let nobody = Mail { ca_file: None, ..mail.clone() };
        let unknown = Mail { password_file: Some(wrong.clone()), ..mail.clone() };
        let (user, password_file) = (None, None);
        let anonymous = Mail { user, password_file, ..mail.clone() };
        let plain = Mail { security: MailSecurity::None, ..mail.clone() };
        let mut refused = vec![
            ("another's certificate", &stranger),
            ("the system's certificates", &nobody),
            ("a wrong password", &unknown),
            ("no password", &anonymous),
        ];
        // Whoever speaks first where TLS is expected from the beginning waits.
        refused.extend((mode == "starttls").then_some(("no encryption", &plain)));
        for (why, refused) in refused {
            let post = Post::open(refused).unwrap().unwrap();
            assert!(post.send("ann", &news).await.is_err(), "{mode}: {why}");
        }
        let post = Post::open(&mail).unwrap().unwrap();
        post.send("bert", &news).await.unwrap();
        // The first that it took.
        let taken = tokio::task::spawn_blocking(move || sink.next()).await.unwrap();
        assert_eq!(taken["to"], json!(["bert@example.net"]), "{mode}");
    }
    let nonsense = Mail {
        server: Some("127.0.0.1:25".to_owned()),
        ca_file: Some(password),
        from: Some("stentor@example.net".to_owned()),
        to: Some("{user}@example.net".to_owned()),
        ..Mail::default()
    };
    assert!(Post::open(&nonsense).is_err(), "a file without certificates");
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_were_in_a_call_are_told_until_somebody_takes_it() {
    let (url, heard) = webhook();
    let mut post = Sink::start(&[]);
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
