//! Signalling: offers to the server, answers back, sessions given up at the end.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use http_body_util::{BodyExt as _, Limited};
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, LOCATION};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use super::dial::{Dialer, Io, TlsError};
use super::options::LoadOptions;

/// Requests under way at once; more wait.
const MAX_REQUESTS: usize = 64;
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
const MAX_ANSWER_BYTES: usize = 1 << 16;
const SDP: &str = "application/sdp";

/// What a media thread asks for.
#[derive(Debug)]
pub(super) enum Ask {
    /// `viewer` counts within its thread.
    Join {
        viewer: usize,
        offer: String,
        reply: Reply,
    },
    Leave {
        location: Uri,
    },
}

/// Where the outcome of a join goes: a queue, and an event descriptor that wakes its reader.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub queue: Sender<Joined>,
    pub wake: Arc<OwnedFd>,
}

/// How a join ended.
#[derive(Debug)]
pub(super) struct Joined {
    pub viewer: usize,
    pub result: Result<Accepted, WhepError>,
}

#[derive(Debug)]
pub(super) struct Accepted {
    pub answer: String,
    /// Where to DELETE.
    pub location: Option<Uri>,
}

/// Why the server didn't take a viewer.
#[derive(Debug, thiserror::Error)]
pub(super) enum WhepError {
    #[error("can't connect: {0}")]
    Connect(io::ErrorKind),
    #[error("no TLS: {0}")]
    Tls(io::ErrorKind),
    #[error("http: {0}")]
    Http(#[from] hyper::Error),
    #[error("status {0}")]
    Status(u16),
    #[error("the answer can't be read")]
    Body,
    #[error("no response in time")]
    Timeout,
}

/// Talks to one endpoint.
#[derive(Clone)]
pub(super) struct Client {
    endpoint: Uri,
    token: Option<String>,
    dialer: Dialer,
}

/// Serves asks until their senders are gone and all is done.
pub(super) async fn serve(client: Client, mut asks: mpsc::Receiver<Ask>) {
    let client = Arc::new(client);
    let permits = Arc::new(Semaphore::new(MAX_REQUESTS));
    let mut tasks = JoinSet::new();
    while let Some(ask) = asks.recv().await {
        let Ok(permit) = permits.clone().acquire_owned().await else { break };
        let client = client.clone();
        tasks.spawn(async move {
            match ask {
                Ask::Join { viewer, offer, reply } => {
                    let result = client.join(offer).await;
                    reply.send(Joined { viewer, result });
                }
                Ask::Leave { location } => {
                    let _ = client.leave(location).await;
                }
            }
            drop(permit);
        });
        while tasks.try_join_next().is_some() {}
    }
    while tasks.join_next().await.is_some() {}
}

// === impl Reply ===

impl Reply {
    fn send(&self, joined: Joined) {
        // A run that has ended doesn't want to know.
        if self.queue.send(joined).is_ok() {
            let _ = rustix::io::write(&*self.wake, &1_u64.to_ne_bytes());
        }
    }
}

// === impl Client ===

impl Client {
    pub fn new(options: &LoadOptions) -> Result<Self, TlsError> {
        let client = Self::of_server(&options.url, options.ca_file.as_deref())?;
        let client = match &options.rendition {
            Some(rendition) => client.with_rendition(rendition),
            None => client,
        };
        Ok(client.with_token(options.token.as_ref().map(|token| token.0.clone())))
    }

    /// Without a token.
    pub fn of_server(server: &Uri, ca_file: Option<&Path>) -> Result<Self, TlsError> {
        let dialer = Dialer::new(server, ca_file)?;
        Ok(Self { endpoint: server.clone(), token: None, dialer })
    }

    #[must_use]
    pub fn with_token(self, token: Option<String>) -> Self {
        Self { token, ..self }
    }

    /// Pinned from the beginning.
    #[must_use]
    pub fn with_rendition(&self, rendition: &str) -> Self {
        let mut endpoint = self.endpoint.to_string();
        endpoint.push(if endpoint.contains('?') { '&' } else { '?' });
        endpoint.push_str("rendition=");
        endpoint.push_str(&percent_encoded(rendition));
        // What was a URL is still one with a query of unreserved characters.
        let endpoint = endpoint.parse().unwrap_or_else(|_| self.endpoint.clone());
        Self { endpoint, ..self.clone() }
    }

    /// To another endpoint of the same server. None where that is none.
    pub fn at(&self, place: &str, token: &str) -> Option<Self> {
        let endpoint = self.resolve(place)?;
        Some(Self { endpoint, ..self.clone() }.with_token(Some(token.to_owned())))
    }

    pub fn endpoint(&self) -> &Uri {
        &self.endpoint
    }

    pub async fn dial(&self) -> Result<Box<dyn Io>, WhepError> {
        self.dialer.dial(&self.endpoint).await
    }

    pub async fn join(&self, offer: String) -> Result<Accepted, WhepError> {
        let (status, location, body) =
            self.request(Method::POST, self.endpoint.clone(), SDP, offer).await?;
        if status != StatusCode::CREATED {
            return Err(WhepError::Status(status.as_u16()));
        }
        Ok(Accepted { answer: body, location: location.and_then(|l| self.resolve(&l)) })
    }

    async fn leave(&self, location: Uri) -> Result<(), WhepError> {
        self.request(Method::DELETE, location, SDP, String::new()).await.map(|_| ())
    }

    /// Asks a session for another rendition, by WHEP's layer extension.
    pub async fn choose(&self, location: &Uri, rendition: &str) -> Result<(), WhepError> {
        let layer = format!("{location}/layer").parse().map_err(|_| WhepError::Body)?;
        let body = serde_json::json!({ "rid": rendition }).to_string();
        let (status, ..) = self.request(Method::POST, layer, "application/json", body).await?;
        if status.is_success() { Ok(()) } else { Err(WhepError::Status(status.as_u16())) }
    }

    async fn request(
        &self,
        method: Method,
        to: Uri,
        kind: &str,
        body: String,
    ) -> Result<(StatusCode, Option<String>, String), WhepError> {
        let exchange = self.exchange(method, to, kind, body);
        tokio::time::timeout(REQUEST_TIMEOUT, exchange).await.map_err(|_| WhepError::Timeout)?
    }

    async fn exchange(
        &self,
        method: Method,
        to: Uri,
        kind: &str,
        body: String,
    ) -> Result<(StatusCode, Option<String>, String), WhepError> {
        let host = to.host().unwrap_or_default();
        let mut request = Request::builder()
            .method(method)
            .uri(to.path_and_query().map_or("/", |p| p.as_str()))
            .header(HOST, to.authority().map_or(host, |a| a.as_str()))
            .header(CONTENT_TYPE, kind);
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(body).map_err(|_| WhepError::Body)?;

        let response = send(self.dialer.dial(&to).await?, request).await?;
        let status = response.status();
        let location = response.headers().get(LOCATION).and_then(|l| l.to_str().ok());
        let location = location.map(str::to_owned);
        let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES).collect().await;
        let body = body.map_err(|_| WhepError::Body)?.to_bytes().to_vec();
        Ok((status, location, String::from_utf8(body).map_err(|_| WhepError::Body)?))
    }

    /// A Location may be absolute or relative to the server's root.
    fn resolve(&self, location: &str) -> Option<Uri> {
        let location: Uri = location.parse().ok()?;
        if location.scheme().is_some() {
            return Some(location);
        }
        Uri::builder()
            .scheme(self.endpoint.scheme_str()?)
            .authority(self.endpoint.authority()?.as_str())
            .path_and_query(location.path_and_query()?.as_str())
            .build()
            .ok()
    }
}

/// One request on one connection.
async fn send(
    stream: Box<dyn Io>,
    request: Request<String>,
) -> Result<hyper::Response<hyper::body::Incoming>, WhepError> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Ends with the connection; its errors show in the response.
    tokio::spawn(async move {
        let _ = connection.await;
    });
    Ok(sender.send_request(request).await?)
}

fn percent_encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(byte.into());
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(url: &str, rendition: Option<&str>) -> Client {
        let mut options = LoadOptions::new(url, 1, Duration::from_secs(1)).unwrap();
        options.rendition = rendition.map(str::to_owned);
        Client::new(&options).unwrap()
    }

    #[test]
    fn a_pinned_rendition_goes_into_the_query() {
        let plain = client("http://host:1/whep/a", Some("720p ü"));
        assert_eq!(plain.endpoint.to_string(), "http://host:1/whep/a?rendition=720p%20%C3%BC");
        let more = client("http://host:1/whep/a?x=1", Some("b"));
        assert_eq!(more.endpoint.to_string(), "http://host:1/whep/a?x=1&rendition=b");
    }

    #[test]
    fn a_location_may_be_relative() {
        let client = client("http://host:1/whep/a", None);
        let resolved = |l| client.resolve(l).map(|uri| uri.to_string());
        assert_eq!(resolved("/whep/s/7"), Some("http://host:1/whep/s/7".into()));
        assert_eq!(resolved("https://other/s"), Some("https://other/s".into()));
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_said_to_be() {
        let error = client("http://127.0.0.1:1/whep/a", None).join(String::new()).await;
        assert!(matches!(error, Err(WhepError::Connect(io::ErrorKind::ConnectionRefused))));
    }
}
