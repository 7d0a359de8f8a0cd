//! A device that calls: a web socket, and nothing behind it. Tests say where its server is.

#![allow(dead_code, reason = "each test binary uses its part")]

use std::time::Duration;

use futures_util::SinkExt as _;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio_stream::StreamExt as _;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

pub struct Device {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// The number of the last message heard.
    pub seq: u64,
    /// What `welcome` said.
    pub session: String,
}

/// The longest that a device waits for anything.
const PATIENCE: Duration = Duration::from_secs(20);

/// What every device of these tests can do.
fn capabilities() -> Value {
    let codecs = json!([
        {"codec": "vp8", "resolution": {"width": 1280, "height": 720}, "frame_rate": 30},
    ]);
    json!({
        "encode": codecs,
        "decode": codecs,
        "up_bps": 4_000_000,
        "down_bps": 20_000_000,
        "network": "ethernet",
    })
}

/// Of whoever `who` says: a device, and a user or a token.
pub fn hello_as(who: &Value) -> Value {
    let mut hello = json!({"type": "hello", "version": 1, "capabilities": capabilities()});
    hello.as_object_mut().unwrap().extend(who.as_object().unwrap().clone());
    hello
}

pub fn hello(user: &str, device: &str) -> Value {
    hello_as(&json!({"user": user, "device": device}))
}

pub fn media() -> Value {
    json!({"audio": true, "video": true})
}

// === impl Device ===

impl Device {
    /// A socket that nobody has signed in over.
    pub async fn connect_to(url: &str) -> Self {
        let url = format!("{url}/ws").replace("http://", "ws://");
        let (stream, _) = connect_async(url).await.unwrap();
        Self { stream, seq: 0, session: String::new() }
    }

    /// Signs in as this says.
    pub async fn introduce(&mut self, hello: Value) {
        self.say(hello).await;
        let welcome = self.expect("welcome").await;
        self.session = welcome["session"].as_str().unwrap().to_owned();
    }

    /// Asks to go on with a session, after message `seq`.
    pub async fn go_on(&mut self, session: &str, seq: u64) {
        (self.seq, self.session) = (seq, session.to_owned());
        self.say(json!({"type": "resume", "version": 1, "session": session, "seq": seq})).await;
    }

    pub async fn say(&mut self, message: Value) {
        self.send(Message::Text(message.to_string().into())).await;
    }

    pub async fn send(&mut self, message: Message) {
        self.stream.send(message).await.unwrap();
    }

    /// Says it if the socket still takes it. What comes meanwhile isn't read.
    pub async fn try_say(&mut self, message: &Value) -> bool {
        let said = self.stream.send(Message::Text(message.to_string().into()));
        // A server that reads no more, because nobody reads what it says, isn't waited for.
        matches!(tokio::time::timeout(Duration::from_secs(1), said).await, Ok(Ok(())))
    }

    /// The next message. Numbers have no gap.
    pub async fn hear(&mut self) -> Value {
        match self.next().await {
            Message::Text(text) => {
                let message: Value = serde_json::from_str(&text).unwrap();
                let seq = message["seq"].as_u64().unwrap();
                assert!(seq == self.seq + 1 || seq == 0, "after {}: {message}", self.seq);
                self.seq = seq.max(self.seq);
                message
            }
            other => panic!("{other:?}"),
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

    /// The next message of a type, errors too.
    pub async fn hear_of(&mut self, kind: &str) -> Value {
        loop {
            let message = self.hear().await;
            if message["type"] == kind {
                return message;
            }
        }
    }

    /// Says something, and gives the code of the error that answers it.
    pub async fn refused(&mut self, message: Value) -> String {
        self.say(message).await;
        self.error().await
    }

    /// The code of the next error.
    pub async fn error(&mut self) -> String {
        loop {
            let message = self.hear().await;
            if message["type"] == "error" {
                assert!(!message["detail"].as_str().unwrap().is_empty());
                return message["code"].as_str().unwrap().to_owned();
            }
        }
    }

    /// The code with which the server closes the socket; messages before it are passed over.
    pub async fn closed(&mut self) -> u16 {
        loop {
            if let Message::Close(frame) = self.next().await {
                return frame.unwrap().code.into();
            }
        }
    }

    /// The same, of a device that answers nothing, not even pings.
    pub async fn closed_unheard(&mut self) -> u16 {
        let mut rest = Vec::new();
        let read = self.stream.get_mut().read_to_end(&mut rest);
        tokio::time::timeout(PATIENCE, read).await.expect("an end in time").unwrap();
        // The last frame: FIN and opcode 8, its length, the code, the reason.
        let is_close =
            |&at: &usize| rest[at] == 0x88 && usize::from(rest[at + 1]) == rest.len() - at - 2;
        let at = (0..rest.len().saturating_sub(3)).find(is_close).expect("a close frame");
        u16::from_be_bytes([rest[at + 2], rest[at + 3]])
    }

    /// Signs out.
    pub async fn leave(mut self) {
        use tokio_tungstenite::tungstenite::protocol::CloseFrame;
        use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
        let frame = CloseFrame { code: CloseCode::Normal, reason: "".into() };
        self.stream.close(Some(frame)).await.unwrap();
    }

    async fn next(&mut self) -> Message {
        // Pings don't make it wait for longer.
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let next = tokio::time::timeout_at(deadline, self.stream.next()).await;
            match next.expect("a message in time").expect("no end").unwrap() {
                Message::Ping(_) | Message::Pong(_) => {}
                message => return message,
            }
        }
    }
}
