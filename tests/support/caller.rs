//! A device that calls: a web socket, and nothing behind it.

use std::time::Duration;

use futures_util::SinkExt as _;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_stream::StreamExt as _;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::Daemon;

pub struct Caller {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// The number of the last message heard.
    pub seq: u64,
    pub session: String,
}

const PATIENCE: Duration = Duration::from_secs(20);

pub fn media() -> Value {
    json!({"audio": true, "video": true})
}

// === impl Caller ===

impl Caller {
    pub async fn sign_in(daemon: &Daemon, user: &str, device: &str) -> Self {
        Self::enter(daemon, json!({"user": user, "device": device})).await
    }

    /// Signs in as `who` says: by a name, or by a token.
    pub async fn enter(daemon: &Daemon, who: Value) -> Self {
        let mut caller = Self::connect(daemon).await;
        let codecs = json!([
            {"codec": "vp8", "resolution": {"width": 1280, "height": 720}, "frame_rate": 30},
        ]);
        let capabilities = json!({
            "encode": codecs, "decode": codecs,
            "up_bps": 4_000_000, "down_bps": 20_000_000, "network": "ethernet",
        });
        let mut hello = json!({"type": "hello", "version": 1, "capabilities": capabilities});
        hello.as_object_mut().unwrap().extend(who.as_object().unwrap().clone());
        caller.say(hello).await;
        let welcome = caller.expect("welcome").await;
        caller.session = welcome["session"].as_str().unwrap().to_owned();
        caller
    }

    /// Another socket for a session, after message `seq`.
    pub async fn resume(daemon: &Daemon, session: String, seq: u64) -> Self {
        let mut caller = Self::connect(daemon).await;
        caller.seq = seq;
        caller.say(json!({"type": "resume", "version": 1, "session": session, "seq": seq})).await;
        Self { session, ..caller }
    }

    async fn connect(daemon: &Daemon) -> Self {
        let url = format!("{}/ws", daemon.url.replace("http://", "ws://"));
        let (stream, _) = connect_async(url).await.unwrap();
        Self { stream, seq: 0, session: String::new() }
    }

    pub async fn say(&mut self, message: Value) {
        self.stream.send(Message::Text(message.to_string().into())).await.unwrap();
    }

    pub async fn invite(&mut self, users: &[&str]) -> Value {
        self.say(json!({"type": "invite", "users": users, "media": media()})).await;
        self.expect("call").await["call"].clone()
    }

    pub async fn accept(&mut self, call: &Value) {
        self.say(json!({"type": "accept", "call": call, "media": media()})).await;
        self.expect("call").await;
    }

    /// The code with which the server closes the socket; messages before it are passed over.
    pub async fn closed(&mut self) -> u16 {
        loop {
            let next = tokio::time::timeout(PATIENCE, self.stream.next()).await;
            if let Message::Close(frame) = next.expect("in time").expect("no end").unwrap() {
                return frame.unwrap().code.into();
            }
        }
    }

    /// The next message. Numbers have no gap.
    pub async fn hear(&mut self) -> Value {
        // Pings don't count.
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let next = tokio::time::timeout_at(deadline, self.stream.next()).await;
            match next.expect("a message in time").expect("no end").unwrap() {
                Message::Ping(_) | Message::Pong(_) => {}
                Message::Text(text) => {
                    let message: Value = serde_json::from_str(&text).unwrap();
                    assert_eq!(message["seq"], self.seq + 1, "{message}");
                    self.seq += 1;
                    return message;
                }
                other => panic!("{other:?}"),
            }
        }
    }

    /// The next message of a type; others before it are passed over.
    pub async fn expect(&mut self, kind: &str) -> Value {
        loop {
            let message = self.hear().await;
            if message["type"] == kind {
                return message;
            }
            assert_ne!(message["type"], "error", "before {kind}: {message}");
        }
    }

    /// The code of the next error.
    pub async fn error(&mut self) -> String {
        loop {
            let message = self.hear().await;
            if message["type"] == "error" {
                return message["code"].as_str().unwrap().to_owned();
            }
        }
    }

    /// Waits until a user is shown like this.
    pub async fn sees(&mut self, user: &str, availability: &str) {
        loop {
            let message = self.expect("presence").await;
            if message["user"] == user && message["availability"] == availability {
                return;
            }
        }
    }
}
