//! A device's web socket.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::SinkExt as _;
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper::header::{
    CONNECTION, HOST, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE as UPGRADE_HEADER,
};
use hyper::upgrade::Upgraded;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio_stream::StreamExt as _;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};

use crate::calls::messages::{ClientMessage, Numbered};
use crate::load::whep::{Client, WhepError};

/// Unacknowledged messages after which it is said that they came.
const ACK_EVERY: u64 = 16;
const READ_BUFFER: usize = 4096;

/// Why a device isn't connected, or no longer.
#[derive(Debug, thiserror::Error)]
pub(super) enum SocketError {
    #[error(transparent)]
    Http(#[from] WhepError),
    #[error("no web socket: status {0}")]
    Refused(u16),
    #[error("no web socket: {0}")]
    Upgrade(#[from] hyper::Error),
    #[error("no random numbers")]
    Random,
    #[error("the socket broke: {0}")]
    Broken(String),
    #[error("{0}")]
    Told(String),
    #[error("closed by the server: {0}")]
    Closed(String),
    #[error("a message that isn't in the schema: {0}")]
    Message(#[from] serde_json::Error),
}

pub(super) struct Socket {
    stream: WebSocketStream<TokioIo<Upgraded>>,
    acknowledged: u64,
    heard: u64,
    /// Messages that came, and their bytes.
    pub messages: u64,
    pub bytes: u64,
}

// === impl Socket ===

impl Socket {
    /// RFC 6455, 4.1.
    pub async fn open(client: &Client) -> Result<Self, SocketError> {
        let (mut sender, connection) = http1::handshake(TokioIo::new(client.dial().await?)).await?;
        // Ends with the socket; its errors show there.
        tokio::spawn(async move {
            let _ = connection.with_upgrades().await;
        });
        let mut key = [0; 16];
        getrandom::fill(&mut key).map_err(|_| SocketError::Random)?;
        let host = client.endpoint().authority().map_or("", |authority| authority.as_str());
        let request = Request::get("/ws")
            .header(HOST, host)
            .header(CONNECTION, "Upgrade")
            .header(UPGRADE_HEADER, "websocket")
            .header(SEC_WEBSOCKET_VERSION, "13")
            .header(SEC_WEBSOCKET_KEY, STANDARD.encode(key))
            .body(Empty::<bytes::Bytes>::new())
            .map_err(|_| SocketError::Http(WhepError::Body))?;
        let response = sender.send_request(request).await?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(SocketError::Refused(response.status().as_u16()));
        }
        let upgraded = TokioIo::new(hyper::upgrade::on(response).await?);
        let config = WebSocketConfig::default().read_buffer_size(READ_BUFFER);
        let stream = WebSocketStream::from_raw_socket(upgraded, Role::Client, Some(config)).await;
        Ok(Self { stream, acknowledged: 0, heard: 0, messages: 0, bytes: 0 })
    }

    pub async fn say(&mut self, message: &ClientMessage) -> Result<(), SocketError> {
        let text = serde_json::to_string(message)?;
        let sent = self.stream.send(Message::Text(text.into())).await;
        sent.map_err(|error| SocketError::Broken(error.to_string()))
    }

    /// The next message. What is dropped while it is awaited loses nothing.
    pub async fn hear(&mut self) -> Result<Numbered, SocketError> {
        loop {
            let next = self.stream.next().await;
            let broken = |what: &str| SocketError::Broken(what.to_owned());
            let message = next.ok_or_else(|| broken("it ended"))?;
            match message.map_err(|error| broken(&error.to_string()))? {
                Message::Text(text) => {
                    self.messages += 1;
                    self.bytes += text.len() as u64;
                    let message: Numbered = serde_json::from_str(&text)?;
                    self.heard = self.heard.max(message.seq);
                    return Ok(message);
                }
                Message::Close(frame) => {
                    let reason = frame.map(|frame| format!("{} {}", frame.code, frame.reason));
                    return Err(SocketError::Closed(reason.unwrap_or_default()));
                }
                _ => {}
            }
        }
    }

    /// Says what came by now, where that is enough to be said.
    pub async fn acknowledge(&mut self) -> Result<(), SocketError> {
        if self.heard < self.acknowledged + ACK_EVERY {
            return Ok(());
        }
        self.acknowledged = self.heard;
        self.say(&ClientMessage::Ack { seq: self.heard }).await
    }

    /// The device goes for good.
    pub async fn close(&mut self) {
        let frame = CloseFrame { code: CloseCode::Normal, reason: "".into() };
        let _ = self.stream.close(Some(frame)).await;
    }
}
