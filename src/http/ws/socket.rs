//! One web socket: what comes is bounded and handed to the hub, what the hub has is sent.

use std::net::IpAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::SinkExt as _;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncReadExt as _;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_stream::StreamExt as _;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Error as WsError;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::SOCKET_COST;
use super::board::{Bell, Board};
use super::right::{Due, Right};
use crate::bucket::Bucket;
use crate::calls::hub::{Close, Origin, Refused, SocketId};
use crate::calls::messages::{ClientMessage, ErrorCode, Received, ServerMessage, read};
use crate::http::state::State;

pub type Stream = WebSocketStream<TokioIo<Upgraded>>;

/// A socket before its stream is there, and what it works with.
pub struct Connection {
    pub state: Arc<State>,
    pub board: Arc<Board>,
    pub id: SocketId,
    /// Whose tokens are counted.
    pub client: IpAddr,
    /// It has what it cost of the rate limit to get back yet.
    pub owes: AtomicBool,
    /// Locked for itself, and never across an await.
    pub right: Mutex<Right>,
    /// What may be reported yet. The same.
    pub reports: Mutex<Bucket>,
}

/// What is left of a socket.
enum End {
    /// The client said that it goes, for good or not.
    Left {
        signed_out: bool,
    },
    /// The connection broke.
    Broken,
    Closed(Close),
}

/// How long a client has to sign in.
const SIGN_IN: Duration = Duration::from_secs(10);
/// How long the network may take for what is sent at once.
const SEND: Duration = Duration::from_secs(10);
/// How long a client has to take its good-bye.
const FAREWELL: Duration = Duration::from_secs(1);
/// Bytes that cost as much as a message more.
const BYTES_PER_TOKEN: f64 = 8192.0;
/// Messages in a row that come too fast before the socket is closed for it.
const MOST_STRIKES: u32 = 100;

// === impl Connection ===

impl Connection {
    pub async fn run(self, mut stream: Stream) {
        let bell = self.board.bell(self.id);
        let end = self.talk(&mut stream, &bell).await;
        if let End::Closed(why) = end {
            self.board.metrics.closed.with_label_values(&[why.name()]).inc();
            let good_bye = async {
                // What led to it, and the last of a server that stops.
                let _ = self.send_all(&mut stream).await;
                let reason = why.reason().into();
                let frame = CloseFrame { code: CloseCode::from(why.code()), reason };
                let _ = stream.close(Some(frame)).await;
                // What still comes, up to the client's own close: a connection that is closed before
                // that is reset, and the good-bye may be lost with it.
                if why == Close::TooLong {
                    let mut rest = [0; 4096];
                    while stream.get_mut().read(&mut rest).await.is_ok_and(|read| read > 0) {}
                } else {
                    while let Some(Ok(_)) = stream.next().await {}
                }
            };
            let _ = timeout(FAREWELL, good_bye).await;
        }
        let signed_out = matches!(end, End::Left { signed_out: true });
        self.board.close(self.id, signed_out);
    }

    async fn talk(&self, stream: &mut Stream, bell: &Bell) -> End {
        let config = &self.board.config;
        let mut heard = Instant::now();
        let mut ask = interval(config.idle / 3);
        ask.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ask.reset();
        let mut sign_in = pin!(sleep(SIGN_IN));
        let mut is_late = false;
        let mut bucket = Bucket::new(config.messages, heard);
        let mut strikes = 0;
        loop {
            tokio::select! {
                frame = stream.next() => {
                    heard = Instant::now();
                    let frame = match frame {
                        Some(Ok(frame)) => frame,
                        Some(Err(error)) => return end_of(&error),
                        None => return End::Broken,
                    };
                    if let Message::Close(frame) = &frame {
                        let code = frame.as_ref().map(|frame| frame.code);
                        return End::Left { signed_out: code == Some(CloseCode::Normal) };
                    }
                    let cost = 1.0 + frame.len() as f64 / BYTES_PER_TOKEN;
                    if bucket.take(cost, config.messages, heard).is_ok() {
                        strikes = 0;
                        // Rare, and large: an idle socket doesn't hold the room for it.
                        Box::pin(self.take(frame)).await;
                    } else {
                        strikes += 1;
                        if strikes > MOST_STRIKES {
                            return End::Closed(Close::Flood);
                        }
                        let detail = "too many messages: this one was not looked at";
                        self.refuse(None, Refused::new(ErrorCode::TooManyRequests, detail));
                    }
                }
                () = bell.rings.notified() => {
                    if let Some(why) = bell.close.get() {
                        return End::Closed(*why);
                    }
                    match timeout(SEND, self.send_all(stream)).await {
                        Ok(Ok(())) => {}
                        Ok(Err(_)) | Err(_) => return End::Broken,
                    }
                }
                () = bell.chat.notified() => Box::pin(self.deliver_chat()).await,
                () = at(self.right().next()) => {
                    if let Some(end) = self.look_at_right() {
                        return end;
                    }
                }
                () = &mut sign_in, if !is_late => {
                    is_late = true;
                    if !self.is_signed_in() {
                        return End::Closed(Close::NoHello);
                    }
                }
                _ = ask.tick() => {
                    if heard.elapsed() >= config.idle {
                        return End::Closed(Close::Silent);
                    }
                    let ping = stream.send(Message::Ping(Vec::new().into()));
                    if !matches!(timeout(SEND, ping).await, Ok(Ok(()))) {
                        return End::Broken;
                    }
                    Box::pin(self.look_again()).await;
                }
            }
        }
    }

    pub(super) fn right(&self) -> MutexGuard<'_, Right> {
        self.right.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the device that its token ends soon, or ends its stay.
    fn look_at_right(&self) -> Option<End> {
        let due = self.right().take_due(Instant::now());
        match due? {
            Due::Notice(left) => {
                self.tell_right(Origin { socket: self.id, request: None }, left);
                None
            }
            Due::End => {
                self.board.with(|hub, now| hub.expire(self.id, now));
                Some(End::Closed(Close::Expired))
            }
        }
    }

    pub(super) fn tell_right(&self, origin: Origin, left: Duration) {
        let in_ms = u32::try_from(left.as_millis()).unwrap_or(u32::MAX);
        self.board.with(|hub, now| hub.reply(origin, ServerMessage::TokenExpires { in_ms }, now));
    }

    /// Who signed in has paid with that.
    fn settle(&self) {
        if self.is_signed_in() && self.owes.swap(false, Ordering::Relaxed) {
            self.state.limiter.give_back(self.client, SOCKET_COST);
        }
    }

    fn is_signed_in(&self) -> bool {
        self.board.with(|hub, _| hub.is_signed_in(self.id))
    }

    /// Everything that the hub has, in one go.
    async fn send_all(&self, stream: &mut Stream) -> Result<(), WsError> {
        while let Some(text) = self.board.with(|hub, _| hub.poll_message(self.id)) {
            stream.feed(Message::Text(text.into())).await?;
        }
        stream.flush().await
    }

    async fn take(&self, frame: Message) {
        self.board.metrics.messages.inc();
        let text = match &frame {
            Message::Text(text) => text.as_str(),
            Message::Binary(_) => {
                let detail = "the message is no text";
                return self.refuse(None, Refused::new(ErrorCode::NotJson, detail));
            }
            // Pings are answered by the protocol.
            _ => return,
        };
        match read(text) {
            Ok(Received { request, message }) => {
                self.handle(Origin { socket: self.id, request }, message).await;
            }
            Err(error) => {
                let request = error.request;
                if let ServerMessage::Error { code, detail, call, user } = error.answer() {
                    self.refuse(request, Refused { code, detail, call, user });
                }
            }
        }
    }

    async fn handle(&self, origin: Origin, message: ClientMessage) {
        match message {
            // The hub says that somebody is here already.
            ClientMessage::Hello { .. } | ClientMessage::Resume { .. } if self.is_signed_in() => {
                self.board.with(|hub, now| hub.handle(origin, message, now));
            }
            ClientMessage::Hello { device, capabilities, token, user, .. } => {
                let who = self.identify(token.as_ref(), user);
                self.enter(origin, who, device, capabilities).await;
                self.settle();
            }
            ClientMessage::Resume { session, seq, token, .. } => {
                let who = self.identify(token.as_ref(), None);
                self.resume(origin, who, session, seq).await;
                self.settle();
            }
            ClientMessage::Token { token } => self.show_again(origin, &token).await,
            ClientMessage::Invite { call, users, media } => {
                self.invite(origin, call, users.into_vec(), media).await;
            }
            ClientMessage::Report { .. } => self.report(origin.request, message),
            ClientMessage::ChatSend { .. }
            | ClientMessage::ChatDelivered { .. }
            | ClientMessage::ChatRead { .. }
            | ClientMessage::ChatTyping { .. }
            | ClientMessage::ChatHistory { .. }
            | ClientMessage::ChatSearch { .. } => self.chat(origin, message).await,
            message => self.board.with(|hub, now| hub.handle(origin, message, now)),
        }
    }

    pub(super) fn refuse(&self, request: Option<u32>, refused: Refused) {
        let origin = Origin { socket: self.id, request };
        self.board.with(|hub, now| hub.refuse(origin, refused, now));
    }
}

async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment.into()).await,
        None => std::future::pending().await,
    }
}

fn end_of(error: &WsError) -> End {
    match error {
        WsError::Capacity(_) => End::Closed(Close::TooLong),
        _ => End::Broken,
    }
}
