//! A request as handlers see it, and its body, read within bounds.

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use hyper::upgrade::OnUpgrade;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio_stream::{Stream, StreamExt as _};
use warp::http::header::{AUTHORIZATION, CONTENT_TYPE, EXPECT, HeaderName};
use warp::http::{HeaderMap, Method, StatusCode};

use super::problem::{Kind, Problem};
use crate::channels::settings::Invalid;

/// The longest body that is read, in bytes.
pub const MAX_BODY_BYTES: usize = 64 * 1024;
/// What is taken in of a body that nobody wanted, in bytes, and for how long.
const MAX_UNWANTED_BYTES: usize = 4 * 1024 * 1024;
const MAX_UNWANTED_TIME: Duration = Duration::from_secs(1);

pub type BodyStream = Pin<Box<dyn Stream<Item = Result<Bytes, warp::Error>> + Send + Sync>>;

pub struct Request {
    pub method: Method,
    pub path: String,
    pub query: String,
    /// The host that the client asked for, from the Host header or `:authority`.
    pub authority: Option<String>,
    pub headers: HeaderMap,
    pub peer: Peer,
    /// What the connection becomes, where the client asked for something else than HTTP.
    pub upgrade: Option<OnUpgrade>,
    pub body: BodyStream,
    /// Whether reading has begun, by which a client that asked for it is told to go on.
    pub is_begun: bool,
}

/// The other end of the connection.
#[derive(Debug, Clone, Copy)]
pub struct Peer {
    pub address: SocketAddr,
    pub is_tls: bool,
}

// === impl Request ===

impl Request {
    /// A header's text; None where it is missing or not text.
    pub fn header(&self, name: HeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The Authorization header. What isn't text counts as a token that isn't good.
    pub fn authorization(&self) -> Option<&str> {
        self.headers.get(AUTHORIZATION).map(|value| value.to_str().unwrap_or(""))
    }

    /// Whether the body has this type, whatever its parameters.
    pub fn has_type(&self, expected: &str) -> bool {
        self.header(CONTENT_TYPE).is_some_and(|value| {
            value.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(expected)
        })
    }

    /// The whole body, which must be text of this type.
    pub async fn text(&mut self, expected: &str) -> Result<String, Problem> {
        if !self.has_type(expected) {
            return Err(Problem::unsupported_media_type(expected));
        }
        self.utf8().await
    }

    /// The whole body, which must be JSON.
    pub async fn json<T: DeserializeOwned>(&mut self) -> Result<T, Problem> {
        if !self.has_type("application/json") {
            return Err(Problem::unsupported_media_type("application/json"));
        }
        parse(&self.bytes().await?)
    }

    /// The same where there may be no body at all.
    pub async fn optional_json<T: DeserializeOwned>(&mut self) -> Result<Option<T>, Problem> {
        let bytes = self.bytes().await?;
        if bytes.is_empty() {
            return Ok(None);
        }
        if !self.has_type("application/json") {
            return Err(Problem::unsupported_media_type("application/json"));
        }
        parse(&bytes).map(Some)
    }

    /// Takes in what is left of the body. A connection that is closed while the client still
    /// sends is reset, and the answer may be lost with it. False: there is too much, or it
    /// doesn't come; the connection can carry no further request.
    pub async fn discard_body(&mut self) -> bool {
        if !self.is_begun && self.headers.contains_key(EXPECT) {
            return false;
        }
        let mut count = 0;
        let rest = async {
            while let Some(part) = self.body.next().await {
                count += part.map_or(MAX_UNWANTED_BYTES, |part| part.len());
                if count >= MAX_UNWANTED_BYTES {
                    return false;
                }
            }
            true
        };
        tokio::time::timeout(MAX_UNWANTED_TIME, rest).await.unwrap_or(false)
    }

    /// The whole body, which must be text, of whatever type.
    pub async fn utf8(&mut self) -> Result<String, Problem> {
        let bytes = self.bytes().await?;
        String::from_utf8(bytes.into())
            .map_err(|_| Problem::bad_request(Kind::InvalidBody, "the body is not UTF-8"))
    }

    async fn bytes(&mut self) -> Result<Bytes, Problem> {
        self.bytes_up_to(MAX_BODY_BYTES).await
    }

    /// The whole body, whatever it is.
    pub async fn bytes_up_to(&mut self, most: usize) -> Result<Bytes, Problem> {
        self.is_begun = true;
        let mut bytes = BytesMut::new();
        while let Some(part) = self.body.next().await {
            let part =
                part.map_err(|_| Problem::bad_request(Kind::InvalidBody, "the body broke off"))?;
            if bytes.len() + part.remaining() > most {
                return Err(Problem::new(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    Kind::InvalidBody,
                    format!("expected a body of at most {most} bytes"),
                ));
            }
            bytes.extend_from_slice(&part);
        }
        Ok(bytes.freeze())
    }
}

/// What isn't JSON is malformed; JSON of another shape is understood and invalid.
fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let error = match serde_json::from_slice(bytes) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    // Serde stops at the first misfit; the rest may not even be JSON.
    let mut value: Value = serde_json::from_slice(bytes).map_err(|error| {
        Problem::bad_request(Kind::InvalidBody, format!("the body is not JSON: {error}"))
    })?;
    make_integers(&mut value);
    serde_json::from_value(value).map_err(|_| {
        let detail = error.to_string();
        Problem::invalid_settings(vec![Invalid { pointer: String::new(), detail }])
    })
}

/// To JSON 720.0 is the number 720 and an integer (JSON Schema, 6.1.1); to serde it isn't.
fn make_integers(value: &mut Value) {
    match value {
        Value::Number(number) => {
            let whole = number.as_f64().filter(|f| f.fract() == 0.0 && f.abs() < 9e15);
            if let Some(whole) = whole.filter(|_| number.is_f64()) {
                *number = (whole as i64).into();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(make_integers),
        Value::Object(members) => members.values_mut().for_each(make_integers),
        _ => {}
    }
}

/// Whose request it is: the peer's, or what a trusted proxy says, read from the right up to the
/// first address that isn't a trusted proxy's.
pub fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &[IpAddr]) -> IpAddr {
    let mut client = peer.to_canonical();
    let lines = headers.get_all("x-forwarded-for").iter().filter_map(|v| v.to_str().ok());
    let hops: Vec<&str> = lines.flat_map(|line| line.split(',')).map(str::trim).collect();
    for hop in hops.iter().rev() {
        if !trusted.contains(&client) {
            break;
        }
        match hop.parse::<IpAddr>() {
            Ok(address) => client = address.to_canonical(),
            Err(_) => break,
        }
    }
    client
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(content_type: &str, parts: Vec<Vec<u8>>) -> Request {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, content_type.parse().unwrap());
        Request {
            method: Method::POST,
            path: "/".into(),
            query: String::new(),
            authority: None,
            headers,
            peer: Peer { address: ([127, 0, 0, 1], 1).into(), is_tls: false },
            upgrade: None,
            body: Box::pin(tokio_stream::iter(parts.into_iter().map(|p| Ok(p.into())))),
            is_begun: false,
        }
    }

    #[tokio::test]
    async fn bodies_are_read_to_a_limit_and_must_be_what_they_say() {
        let half = vec![b'x'; MAX_BODY_BYTES / 2];
        let mut fits = request("Text/Plain; charset=utf-8", vec![half.clone(), half.clone()]);
        assert_eq!(fits.text("text/plain").await.unwrap().len(), MAX_BODY_BYTES);
        let mut long = request("text/plain", vec![half.clone(), half, vec![b'x']]);
        assert_eq!(long.text("text/plain").await.unwrap_err().status, 413);
        for (content_type, body, status) in [
            ("text/html", "x", 415),
            ("application/json", "", 400),
            ("application/json", "nonsense", 400),
            ("application/json", "[[[[", 400),
            ("application/json", "\"text\"", 422),
        ] {
            let mut request = request(content_type, vec![body.into()]);
            assert_eq!(request.json::<u32>().await.unwrap_err().status, status, "{body}");
        }
        let mut latin = request("text/plain", vec![vec![0xe9]]);
        assert_eq!(latin.text("text/plain").await.unwrap_err().status, 400);
        assert_eq!(request("a/b", vec![]).optional_json::<u32>().await.unwrap(), None);
    }

    #[test]
    fn a_whole_number_is_an_integer_however_it_is_written() {
        assert_eq!(parse::<Vec<u32>>(b"[720, 720.0, 7.2e2]").unwrap(), [720; 3]);
        for text in ["[0.5]", "[-1.0]", "[1e300]", "[\"1\"]"] {
            let problem = parse::<Vec<u32>>(text.as_bytes()).unwrap_err();
            assert_eq!(problem.status, 422, "{text}");
        }
    }

    #[tokio::test]
    async fn a_body_that_nobody_wanted_is_taken_in_within_bounds() {
        let part = vec![0; MAX_UNWANTED_BYTES / 2];
        let mut fits = request("a/b", vec![part.clone(), vec![0; 9]]);
        assert!(fits.discard_body().await);
        let mut long = request("a/b", vec![part.clone(), part.clone()]);
        assert!(!long.discard_body().await);
        let mut waiting = request("a/b", vec![vec![0]]);
        waiting.headers.insert(EXPECT, "100-continue".parse().unwrap());
        assert!(!waiting.discard_body().await, "it waits to be told to go on");
        let mut read = request("application/json", vec![b"1".to_vec()]);
        read.headers.insert(EXPECT, "100-continue".parse().unwrap());
        assert_eq!(read.json::<u32>().await.unwrap(), 1);
        assert!(read.discard_body().await);
    }

    #[test]
    fn forwarded_addresses_count_as_far_as_proxies_are_trusted() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let trusted = [ip("10.0.0.1"), ip("10.0.0.2")];
        let of = |peer: &str, forwarded: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("x-forwarded-for", forwarded.parse().unwrap());
            client_address(ip(peer), &headers, &trusted)
        };
        for (peer, forwarded, client) in [
            ("192.0.2.1", "192.0.2.9", "192.0.2.1"),
            ("10.0.0.1", "192.0.2.9", "192.0.2.9"),
            ("10.0.0.1", "203.0.113.1, 192.0.2.9", "192.0.2.9"),
            ("10.0.0.1", "192.0.2.9, 10.0.0.2", "192.0.2.9"),
            ("::ffff:10.0.0.1", "192.0.2.9", "192.0.2.9"),
            ("10.0.0.1", "nonsense", "10.0.0.1"),
            ("10.0.0.1", "", "10.0.0.1"),
        ] {
            assert_eq!(of(peer, forwarded), ip(client), "{peer} {forwarded}");
        }
    }
}
