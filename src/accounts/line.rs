//! The line to the node that has the accounts: signed questions over HTTP, bounded in number, in
//! length and in time. What is asked is others' business.
//!
//! Questions are signed as those to an operator's service are (see `hook/`). Connections are kept
//! for the next question, for less long than the other end keeps them.

use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, UNIX_EPOCH};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Request, Response, body::Incoming};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use stentor_protocol::units::Secret;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_rustls::TlsConnector;

use super::Moment;
use super::hook::{Place, SIGNATURE, ServiceError, Signer, TIMESTAMP, client};

pub struct Line {
    place: Place,
    path: String,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    signer: Signer,
    /// For connecting, asking and answering together, but for what may take long.
    timeout: Duration,
    /// Questions that are asked at present.
    turns: Semaphore,
    /// Those of them that may take long have their own.
    long_turns: Semaphore,
    /// Connections that wait, and since when. Locked for itself, and never across an await.
    idle: Mutex<Vec<(Sender, Instant)>>,
}

/// How a question is asked, by what it may wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// For no other question. There is one such at a time.
    Clear,
    /// For a database.
    Quick,
    /// For others who are asked in turn, or for a password's hash.
    Long,
}

/// Why there is no answer: a dependency's fault, and to be tried again, but for the last three.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    #[error("the node with the accounts isn't reached: {0}")]
    Unreachable(String),
    #[error("the node with the accounts gave no answer in time")]
    Timeout,
    #[error("the node with the accounts answered {0}")]
    Refused(u16),
    #[error("the answer of the node with the accounts is too long")]
    TooLong,
    #[error("the answer of the node with the accounts can't be read: {0}")]
    Unreadable(String),
}

type Sender = SendRequest<Full<Bytes>>;

/// Bytes of an answer.
const MAX_ANSWER: usize = 4 * 1024 * 1024;
/// More wait.
const TURNS: usize = 64;
/// What may take long may take so long: the operator's service is asked for up to 10 s, and then
/// has some for its last answer.
const LONG: Duration = Duration::from_secs(15);
/// A connection is kept for so long without a question.
const KEPT: Duration = Duration::from_secs(4);

// === impl Line ===

impl Line {
    /// `path` is where questions are taken, below the node's `url`. `authorities` is a PEM file
    /// with the certificates that are trusted.
    pub fn new(
        url: &str,
        path: &str,
        secret: &Secret,
        authorities: &Path,
        timeout: Duration,
    ) -> Result<Self, ServiceError> {
        let place: Place = url.parse()?;
        let tls = if place.is_tls { Some(client(&place, authorities)?) } else { None };
        let path = format!("{}{path}", place.path.trim_end_matches('/'));
        let signer = Signer::new(secret.0.as_bytes());
        let (turns, long_turns) = (Semaphore::new(TURNS), Semaphore::new(TURNS));
        let idle = Mutex::default();
        Ok(Self { place, path, tls, signer, timeout, turns, long_turns, idle })
    }

    /// Asks, and gives the answer.
    pub async fn ask(&self, question: Vec<u8>, lane: Lane) -> Result<Bytes, LineError> {
        let (turns, timeout) = match lane {
            Lane::Clear => (None, self.timeout),
            Lane::Quick => (Some(&self.turns), self.timeout),
            Lane::Long => (Some(&self.long_turns), self.timeout.max(LONG)),
        };
        let asked = async {
            let _turn = match turns {
                Some(turns) => Some(turns.acquire().await.map_err(unreachable)?),
                None => None,
            };
            let question = Bytes::from(question);
            let (response, sender) = self.exchange(question).await?;
            let status = response.status().as_u16();
            let body = match Limited::new(response.into_body(), MAX_ANSWER).collect().await {
                Ok(body) => body.to_bytes(),
                Err(error) if error.is::<LengthLimitError>() => return Err(LineError::TooLong),
                Err(error) => return Err(unreachable(error)),
            };
            self.keep(sender);
            if status == 200 { Ok(body) } else { Err(LineError::Refused(status)) }
        };
        tokio::time::timeout(timeout, asked).await.unwrap_or(Err(LineError::Timeout))
    }

    /// A connection that was kept may be closed by now: what it didn't take goes by a new one.
    async fn exchange(&self, question: Bytes) -> Result<(Response<Incoming>, Sender), LineError> {
        if let Some(mut sender) = self.kept() {
            match sender.try_send_request(self.request(question.clone())?).await {
                Ok(response) => return Ok((response, sender)),
                Err(mut failed) => {
                    if failed.take_message().is_none() {
                        return Err(unreachable(failed.into_error()));
                    }
                }
            }
        }
        let mut sender = self.connect().await.map_err(unreachable)?;
        let sent = sender.send_request(self.request(question)?).await;
        Ok((sent.map_err(unreachable)?, sender))
    }

    fn request(&self, question: Bytes) -> Result<Request<Full<Bytes>>, LineError> {
        let since = Moment::now().wall.duration_since(UNIX_EPOCH);
        let unix = since.unwrap_or_default().as_secs();
        Request::post(self.path.as_str())
            .header(HOST, self.place.authority.as_str())
            .header(CONTENT_TYPE, "application/json")
            .header(TIMESTAMP, unix)
            .header(SIGNATURE, self.signer.sign(unix, &question))
            .body(Full::new(question))
            .map_err(unreachable)
    }

    async fn connect(&self) -> io::Result<Sender> {
        let stream = TcpStream::connect((self.place.host.as_str(), self.place.port)).await?;
        stream.set_nodelay(true)?;
        match &self.tls {
            None => shake_hands(stream).await,
            Some((connector, name)) => {
                shake_hands(connector.connect(name.clone(), stream).await?).await
            }
        }
    }

    fn kept(&self) -> Option<Sender> {
        let now = Instant::now();
        let mut idle = self.idle();
        idle.retain(|(sender, since)| !sender.is_closed() && now - *since < KEPT);
        idle.pop().map(|(sender, _)| sender)
    }

    fn keep(&self, sender: Sender) {
        let mut idle = self.idle();
        if idle.len() < TURNS {
            idle.push((sender, Instant::now()));
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(Sender, Instant)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The connection's task ends with it, or with the last who sends over it.
async fn shake_hands<S>(stream: S) -> io::Result<Sender>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let shaken = http1::handshake(TokioIo::new(stream)).await;
    let (sender, connection) = shaken.map_err(io::Error::other)?;
    // Whoever asks hears how it ended.
    tokio::spawn(async move { drop(connection.await) });
    Ok(sender)
}

fn unreachable(error: impl ToString) -> LineError {
    LineError::Unreachable(error.to_string())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    const SECRET: &str = "sixteen bytes or more";

    fn line(port: u16) -> Line {
        let url = format!("http://127.0.0.1:{port}/base/");
        let (secret, timeout) = (Secret(SECRET.to_owned()), Duration::from_millis(300));
        Line::new(&url, "/ask", &secret, Path::new("/none"), timeout).unwrap()
    }

    /// Answers each request on each connection with these; without more, it says nothing.
    async fn node(answers: Vec<Vec<String>>) -> (u16, tokio::task::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let task = tokio::spawn(async move {
            let mut asked = Vec::new();
            for answers in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                for answer in answers {
                    let mut got = Vec::new();
                    while !got.ends_with(b"?") {
                        assert!(stream.read_buf(&mut got).await.unwrap() > 0);
                    }
                    asked.push(String::from_utf8(got).unwrap());
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
            }
            asked
        });
        (port, task)
    }

    fn answer(status: &str, body: &str) -> String {
        format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    }

    #[tokio::test]
    async fn questions_go_out_signed_over_a_connection_that_is_kept_and_made_anew() {
        let answers = vec![
            vec![answer("200 OK", "one"), answer("401 No", "")],
            vec![answer("200 OK", "three")],
        ];
        let (port, node) = node(answers).await;
        let line = line(port);
        assert_eq!(line.ask(b"first?".to_vec(), Lane::Quick).await.unwrap(), "one");
        let refused = line.ask(b"second?".to_vec(), Lane::Clear).await;
        assert!(matches!(refused, Err(LineError::Refused(401))), "{refused:?}");
        // The node has closed the connection.
        assert_eq!(line.ask(b"third?".to_vec(), Lane::Long).await.unwrap(), "three");
        let asked = node.await.unwrap();
        let (head, body) = asked[2].split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("POST /base/ask HTTP/1.1"), "{head}");
        let header = |name: &str| {
            let line = head.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim_start_matches(": ").to_owned()
        };
        let unix = header(TIMESTAMP).parse().unwrap();
        let signer = Signer::new(SECRET.as_bytes());
        let signed = signer.verify(&header(TIMESTAMP), &header(SIGNATURE), body.as_bytes(), unix);
        assert_eq!(signed, Ok(()));
    }

    #[tokio::test]
    async fn what_takes_long_is_waited_for_and_keeps_nothing_else_waiting() {
        let answers = vec![vec![answer("200 OK", "there"), answer("200 OK", "quick")]];
        let (port, _node) = node(answers).await;
        let line = line(port);
        let all = u32::try_from(TURNS).unwrap();
        let long = line.long_turns.acquire_many(all).await.unwrap();
        let quick = line.turns.acquire_many(all).await.unwrap();
        assert_eq!(line.ask(b"there?".to_vec(), Lane::Clear).await.unwrap(), "there");
        let late = line.ask(b"quick?".to_vec(), Lane::Quick).await;
        assert!(matches!(late, Err(LineError::Timeout)), "{late:?}");
        drop(quick);
        assert_eq!(line.ask(b"quick?".to_vec(), Lane::Quick).await.unwrap(), "quick");
        let asked = line.ask(b"long?".to_vec(), Lane::Long);
        assert!(tokio::time::timeout(line.timeout * 2, asked).await.is_err());
        drop(long);
    }

    #[tokio::test]
    async fn a_node_that_is_silent_or_away_is_not_waited_for() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let silent = line(port).ask(b"?".to_vec(), Lane::Quick).await;
        assert!(matches!(silent, Err(LineError::Timeout)), "{silent:?}");
        drop(listener);
        let away = line(port).ask(b"?".to_vec(), Lane::Quick).await;
        assert!(matches!(away, Err(LineError::Unreachable(_))), "{away:?}");
    }
}
