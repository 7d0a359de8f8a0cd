//! A device that calls, over a real web socket.

use std::time::Duration;

use futures_util::SinkExt as _;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio_stream::StreamExt as _;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::support::{PATIENCE, Server};

pub struct Device {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// The number of the last message heard.
    pub seq: u64,
    /// What `welcome` said.
    pub session: String,
}

/// What a device in a call has at the call server.
pub struct Legs {
    /// Paths of WHIP and of the first WHEP.
    pub publish: String,
    pub watch: String,
    pub token: String,
}

/// What every device of these tests can do.
pub fn capabilities() -> Value {
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

pub fn hello(user: &str, device: &str) -> Value {
    let capabilities = capabilities();
    json!({
        "type": "hello", "version": 1, "device": device, "user": user, "capabilities": capabilities,
    })
}

pub fn media() -> Value {
    json!({"audio": true, "video": true})
}

/// Two devices in a call of the first one's.
pub async fn call(one: &mut Device, other: &mut Device, name: &str) -> Value {
    one.say(json!({"type": "invite", "users": [name], "media": media()})).await;
    let call = one.expect("call").await["call"].clone();
    other.expect("ring").await;
    other.say(json!({"type": "accept", "call": call, "media": media()})).await;
    other.expect("call").await;
    call
}

// === impl Device ===

impl Device {
    /// A socket that nobody has signed in over.
    pub async fn connect(server: &Server) -> Self {
        Self::connect_to(&server.url("")).await
    }

    /// The same to a server that is only known by its address.
    pub async fn connect_to(url: &str) -> Self {
        let url = format!("{url}/ws").replace("http://", "ws://");
        let (stream, _) = connect_async(url).await.unwrap();
        Self { stream, seq: 0, session: String::new() }
    }

    pub async fn sign_in(server: &Server, user: &str) -> Self {
        let mut device = Self::connect(server).await;
        device.say(hello(user, "one")).await;
        let welcome = device.expect("welcome").await;
        device.session = welcome["session"].as_str().unwrap().to_owned();
        device
    }

    /// Another socket for a session, after message `seq`.
    pub async fn resume(server: &Server, session: &str, seq: u64) -> Self {
        let mut device = Self::connect(server).await;
        device.seq = seq;
        device.say(json!({"type": "resume", "version": 1, "session": session, "seq": seq})).await;
        device
    }

    /// The same for a device that shows a token.
    pub async fn sign_in_with(server: &Server, user: &str, token: &str) -> Self {
        let mut device = Self::connect(server).await;
        let mut hello = hello(user, "one");
        hello["token"] = token.into();
        device.say(hello).await;
        let welcome = device.expect("welcome").await;
        device.session = welcome["session"].as_str().unwrap().to_owned();
        device
    }

    /// What the device may do at the call server, once there is something for it to do.
    pub async fn legs(&mut self) -> Legs {
        loop {
            let legs = self.expect("legs").await;
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            if legs["publish"].is_string() && legs["watch"][0].is_object() {
                return Legs {
                    publish: text(&legs["publish"]),
                    watch: text(&legs["watch"][0]["url"]),
                    token: text(&legs["token"]),
                };
            }
        }
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
