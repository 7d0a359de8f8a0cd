//! The web socket of calls: the handshake (RFC 6455, 4.2), then a task for each.
//!
//! Frames are tokio-tungstenite's; the handshake is made here, so that limits, origins and problem
//! documents are those of every other request.

mod board;
mod chat;
mod enter;
mod invite;
mod media;
mod news;
mod outside;
mod report;
mod right;
mod socket;
mod untold;
mod word;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tracing::debug;
use warp::http::StatusCode;
use warp::http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};

use super::problem::{Kind, Problem};
use super::reply::{self, Answer};
use super::request::Request;
use super::state::State;
use crate::bucket::Bucket;
use crate::calls::messages::MAX_MESSAGE;

pub use self::board::{Board, BoardConfig};
pub use self::media::MediaDriver;
pub use self::news::Herald;
pub use self::outside::{Ears, Outside};

use self::socket::{Connection, Stream};

/// RFC 6455, 1.3.
const MAGIC: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// What a socket costs of the rate limit until a device has signed in over it: each may hold a long
/// message and a place meanwhile.
pub const SOCKET_COST: f64 = 10.0;
/// A little more than is read, so that what is a little too long is answered.
const MAX_FRAME: usize = 2 * MAX_MESSAGE;
/// Read at once, and kept for each socket: most messages are smaller.
const READ_BUFFER: usize = 4096;

/// Answers 101, and goes on with the connection as a web socket.
pub fn connect(state: &Arc<State>, request: &mut Request) -> Answer {
    let Some(board) = state.calls.clone() else {
        return Err(Problem::not_found(Kind::Blank, "calls are turned off on this server"));
    };
    let key = handshake(request)?.to_owned();
    state.origins.check_socket(&request.headers, request.authority.as_deref())?;
    // Whoever is in a call may come back to it; the hub sorts out who is.
    if board.calls() == 0 {
        state.check_welcome()?;
    }
    let Some(upgrade) = request.upgrade.take() else {
        return Err(Problem::upgrade_required("expected an upgrade to a web socket over HTTP/1.1"));
    };
    let client = state.client(request);
    state.limiter.take(client, SOCKET_COST).inspect_err(|_| state.metrics.rate_limited.inc())?;
    let id = board.open().map_err(|full| Problem::unavailable(Kind::Full, full.to_string()))?;
    let right = Mutex::default();
    let reports = Mutex::new(Bucket::new(board.config.reports, Instant::now()));
    let owes = AtomicBool::new(true);
    let connection = Connection { state: state.clone(), board, id, client, owes, right, reports };
    tokio::spawn(serve(upgrade, connection));

    let mut response = reply::empty(StatusCode::SWITCHING_PROTOCOLS);
    reply::add(&mut response, CONNECTION, "upgrade");
    reply::add(&mut response, UPGRADE, "websocket");
    reply::add(&mut response, SEC_WEBSOCKET_ACCEPT, accept_of(&key));
    Ok(response)
}

async fn serve(upgrade: OnUpgrade, connection: Connection) {
    match upgrade.await {
        Ok(upgraded) => connection.run(stream_of(upgraded).await).await,
        Err(error) => {
            debug!(%error, "no web socket after all");
            connection.board.close(connection.id, false);
        }
    }
}

async fn stream_of(upgraded: Upgraded) -> Stream {
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(READ_BUFFER)
        .max_write_buffer_size(2 * MAX_FRAME)
        .max_message_size(Some(MAX_FRAME))
        .max_frame_size(Some(MAX_FRAME));
    WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await
}

/// The client's key.
fn handshake(request: &Request) -> Result<&str, Problem> {
    let names = |header, token: &str| {
        request
            .header(header)
            .is_some_and(|list| list.split(',').any(|t| t.trim().eq_ignore_ascii_case(token)))
    };
    if !names(CONNECTION, "upgrade") || !names(UPGRADE, "websocket") {
        return Err(Problem::upgrade_required("expected an upgrade to a web socket"));
    }
    if request.header(SEC_WEBSOCKET_VERSION) != Some("13") {
        return Err(Problem::upgrade_required("expected version 13 of the web socket protocol"));
    }
    let key = request.header(SEC_WEBSOCKET_KEY);
    let is_key = |key: &&str| STANDARD.decode(key).is_ok_and(|key| key.len() == 16);
    key.filter(is_key).ok_or_else(|| {
        Problem::bad_request(Kind::Blank, "expected a Sec-WebSocket-Key of 16 bytes in base64")
    })
}

fn accept_of(key: &str) -> String {
    let text = format!("{key}{MAGIC}");
    STANDARD.encode(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_answered_as_the_standard_has_it() {
        // RFC 6455, 1.3.
        assert_eq!(accept_of("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
