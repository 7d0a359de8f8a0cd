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
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use super::options::LoadOptions;

/// Requests under way at once; more wait.
const MAX_REQUESTS: usize = 64;
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
const MAX_ANSWER_BYTES: usize = 1 << 16;
const SYSTEM_CA_FILE: &str = "/etc/ssl/certs/ca-certificates.crt";

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

/// Why signalling can't begin.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("certificates to trust can't be read from {0}: {1}")]
    CaFile(String, rustls::pki_types::pem::Error),
    #[error("TLS: {0}")]
    Rustls(#[from] rustls::Error),
}

/// Talks to one endpoint.
pub(super) struct Client {
    endpoint: Uri,
    token: Option<String>,
    tls: Option<TlsConnector>,
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
        let mut endpoint = options.url.to_string();
        if let Some(rendition) = &options.rendition {
            endpoint.push(if endpoint.contains('?') { '&' } else { '?' });
            endpoint.push_str("rendition=");
            endpoint.push_str(&percent_encoded(rendition));
        }
        let tls = match options.url.scheme_str() {
            Some("https") => Some(connector(options.ca_file.as_deref())?),
            _ => None,
        };
        Ok(Self {
            // What was a URL is still one with a query of unreserved characters.
            endpoint: endpoint.parse().unwrap_or_else(|_| options.url.clone()),
            token: options.token.as_ref().map(|token| token.0.clone()),
            tls,
        })
    }

    async fn join(&self, offer: String) -> Result<Accepted, WhepError> {
        let (status, location, body) =
            self.request(Method::POST, self.endpoint.clone(), offer).await?;
        if status != StatusCode::CREATED {
            return Err(WhepError::Status(status.as_u16()));
        }
        Ok(Accepted { answer: body, location: location.and_then(|l| self.resolve(&l)) })
    }

    async fn leave(&self, location: Uri) -> Result<(), WhepError> {
        self.request(Method::DELETE, location, String::new()).await.map(|_| ())
    }

    async fn request(
        &self,
        method: Method,
        to: Uri,
        body: String,
    ) -> Result<(StatusCode, Option<String>, String), WhepError> {
        let exchange = self.exchange(method, to, body);
        tokio::time::timeout(REQUEST_TIMEOUT, exchange).await.map_err(|_| WhepError::Timeout)?
    }

    async fn exchange(
        &self,
        method: Method,
        to: Uri,
        body: String,
    ) -> Result<(StatusCode, Option<String>, String), WhepError> {
        let host = to.host().unwrap_or_default();
        let bare_host = host.trim_matches(['[', ']']);
        let is_tls = to.scheme_str() == Some("https");
        let port = to.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let mut request = Request::builder()
            .method(method)
            .uri(to.path_and_query().map_or("/", |p| p.as_str()))
            .header(HOST, to.authority().map_or(host, |a| a.as_str()))
            .header(CONTENT_TYPE, "application/sdp");
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(body).map_err(|_| WhepError::Body)?;

        let tcp = TcpStream::connect((bare_host, port))
            .await
            .map_err(|error| WhepError::Connect(error.kind()))?;
        let response = match &self.tls {
            Some(tls) if is_tls => {
                let name = ServerName::try_from(bare_host.to_owned())
                    .map_err(|_| WhepError::Tls(io::ErrorKind::InvalidInput))?;
                let stream = tls.connect(name, tcp).await;
                send(stream.map_err(|error| WhepError::Tls(error.kind()))?, request).await?
            }
            _ => send(tcp, request).await?,
        };
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
async fn send<S>(
    stream: S,
    request: Request<String>,
) -> Result<hyper::Response<hyper::body::Incoming>, WhepError>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Ends with the connection; its errors show in the response.
    tokio::spawn(async move {
        let _ = connection.await;
    });
    Ok(sender.send_request(request).await?)
}

fn connector(ca_file: Option<&Path>) -> Result<TlsConnector, TlsError> {
    let file = ca_file.unwrap_or(Path::new(SYSTEM_CA_FILE));
    let unreadable = |error| TlsError::CaFile(file.display().to_string(), error);
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(unreadable)? {
        // The system's store may hold some that rustls has no use for.
        let _ = roots.add(certificate.map_err(unreadable)?);
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
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
