//! One request, over a connection that is there already: plain, or TLS, as its owner made it.

use std::future::Future;
use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::Request;
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::rt::{Read, Write};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::sign::{SIGNATURE, Signer, TIMESTAMP};
use super::verdict::{Heard, MAX_ANSWER};

/// Where the service is.
pub struct Service {
    /// As in a Host header.
    pub authority: String,
    /// Path and query.
    pub path: String,
    pub signer: Signer,
    /// For connecting, asking and answering together. Default 3 s.
    pub timeout: Duration,
}

/// Sends JSON, signed, and gives what was answered. `connect` opens the connection.
pub async fn post<S, F>(service: &Service, body: Vec<u8>, wall: SystemTime, connect: F) -> Heard
where
    F: Future<Output = io::Result<S>>,
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let exchange = async {
        let stream = connect.await.map_err(|_| Heard::Unreachable)?;
        exchange(service, body, wall, TokioIo::new(stream)).await
    };
    match tokio::time::timeout(service.timeout, exchange).await {
        Ok(Ok(heard) | Err(heard)) => heard,
        Err(_) => Heard::Timeout,
    }
}

async fn exchange<S>(
    service: &Service,
    body: Vec<u8>,
    wall: SystemTime,
    stream: S,
) -> Result<Heard, Heard>
where
    S: Read + Write + Send + Unpin + 'static,
{
    let unreachable = |_| Heard::Unreachable;
    let unix = wall.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let request = Request::post(service.path.as_str())
        .header(HOST, service.authority.as_str())
        .header(CONTENT_TYPE, "application/json")
        .header(TIMESTAMP, unix)
        .header(SIGNATURE, service.signer.sign(unix, &body))
        .body(Full::new(Bytes::from(body)))
        .map_err(|_| Heard::Unreachable)?;
    let (mut sender, connection) = http1::handshake(stream).await.map_err(unreachable)?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(unreachable)?;
        let status = response.status().as_u16();
        match Limited::new(response.into_body(), MAX_ANSWER).collect().await {
            Ok(body) => Ok(Heard::Answer { status, body: body.to_bytes().into() }),
            Err(error) if error.is::<LengthLimitError>() => Err(Heard::TooLong),
            Err(_) => Err(Heard::Unreachable),
        }
    };
    tokio::pin!(answer, connection);
    // The connection lives as long as the exchange, and no task outlives a timeout.
    tokio::select! {
        heard = &mut answer => heard,
        _ = &mut connection => answer.await,
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

    use super::super::{Question, verdict};
    use super::*;

    fn service() -> Service {
        Service {
            authority: "users.example".into(),
            path: "/policy?x=1".into(),
            signer: Signer::new(b"secret"),
            timeout: Duration::from_millis(200),
        }
    }

    async fn ask<S, F>(
        service: &Service,
        question: &Question,
        wall: SystemTime,
        connect: F,
    ) -> Heard
    where
        F: Future<Output = io::Result<S>>,
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        post(service, serde_json::to_vec(question).unwrap(), wall, connect).await
    }

    fn question() -> Question {
        let (sender, recipient) = ("anna".parse().unwrap(), "bert".parse().unwrap());
        Question::Write { version: 1, sender, device: "d1".parse().unwrap(), recipient }
    }

    /// Answers what it gets with a fixed text, and gives back what it got.
    async fn answer(mut stream: DuplexStream, text: String) -> String {
        let mut got = Vec::new();
        while !got.ends_with(b"}") {
            assert!(stream.read_buf(&mut got).await.unwrap() > 0);
        }
        // The one who asks may hang up while it is told too much.
        let _ = stream.write_all(text.as_bytes()).await;
        drop(stream.shutdown().await);
        String::from_utf8(got).unwrap()
    }

    fn response(status: &str, body: &str) -> String {
        format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    }

    async fn asked(text: String) -> (Heard, String) {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let wall = UNIX_EPOCH + Duration::from_secs(1000);
        let (service, question) = (service(), question());
        let connect = async { Ok(ours) };
        tokio::join!(ask(&service, &question, wall, connect), answer(theirs, text))
    }

    #[tokio::test]
    async fn a_question_goes_out_signed_and_the_answer_comes_back() {
        let yes = r#"{"allow": true}"#;
        let (heard, got) = asked(response("200 OK", yes)).await;
        assert_eq!(heard, Heard::Answer { status: 200, body: yes.into() });
        assert_eq!(verdict(&heard), Ok(()));
        let (head, body) = got.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("POST /policy?x=1 HTTP/1.1\r\n"), "{head}");
        let header = |name: &str| {
            let line = head.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_once(": ").unwrap().1.to_owned()
        };
        assert_eq!(header("host"), "users.example");
        let signed =
            service().signer.verify(&header(TIMESTAMP), &header(SIGNATURE), body.as_bytes(), 1000);
        assert_eq!(signed, Ok(()));
        assert_eq!(serde_json::from_str::<Question>(body).unwrap(), question());
    }

    #[tokio::test]
    async fn what_is_no_answer_is_told_apart() {
        let long = "x".repeat(MAX_ANSWER + 1);
        let cut = "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{\"allow\"".to_owned();
        for (text, expected) in [
            (response("200 OK", &long), Heard::TooLong),
            (cut, Heard::Unreachable),
            ("garbage\r\n\r\n".to_owned(), Heard::Unreachable),
            (String::new(), Heard::Unreachable),
            (response("503 Busy", ""), Heard::Answer { status: 503, body: Vec::new() }),
        ] {
            let (heard, _) = asked(text.clone()).await;
            assert_eq!(heard, expected, "{:.60}", text);
            assert!(verdict(&heard).is_err());
        }
    }

    #[tokio::test]
    async fn a_service_that_is_silent_or_far_away_is_not_waited_for() {
        let (ours, _theirs) = tokio::io::duplex(64 * 1024);
        let connect = async { Ok(ours) };
        let heard = ask(&service(), &question(), UNIX_EPOCH, connect).await;
        assert_eq!(heard, Heard::Timeout);
        let connect = std::future::pending::<io::Result<DuplexStream>>();
        assert_eq!(ask(&service(), &question(), UNIX_EPOCH, connect).await, Heard::Timeout);
        let connect = async { Err::<DuplexStream, _>(io::ErrorKind::ConnectionRefused.into()) };
        assert_eq!(ask(&service(), &question(), UNIX_EPOCH, connect).await, Heard::Unreachable);
    }
}
