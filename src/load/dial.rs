//! Connections to the server under test, with TLS where its URL says so.

use std::io;
use std::path::Path;
use std::sync::Arc;

use hyper::Uri;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::whep::WhepError;

const SYSTEM_CA_FILE: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Why signalling can't begin.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("certificates to trust can't be read from {0}: {1}")]
    CaFile(String, rustls::pki_types::pem::Error),
    #[error("TLS: {0}")]
    Rustls(#[from] rustls::Error),
}

/// A connection, whatever is below it.
pub(super) trait Io: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// Makes connections.
#[derive(Clone)]
pub(super) struct Dialer(Option<TlsConnector>);

// === impl Dialer ===

impl Dialer {
    /// To a server of this URL. The file is read only where that is https.
    pub fn new(server: &Uri, ca_file: Option<&Path>) -> Result<Self, TlsError> {
        let is_tls = server.scheme_str() == Some("https");
        Ok(Self(if is_tls { Some(connector(ca_file)?) } else { None }))
    }

    pub async fn dial(&self, to: &Uri) -> Result<Box<dyn Io>, WhepError> {
        let host = to.host().unwrap_or_default().trim_matches(['[', ']']);
        let is_tls = to.scheme_str() == Some("https");
        let port = to.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let refused = |error: io::Error| WhepError::Connect(error.kind());
        let tcp = TcpStream::connect((host, port)).await.map_err(refused)?;
        tcp.set_nodelay(true).map_err(refused)?;
        let Some(tls) = self.0.as_ref().filter(|_| is_tls) else { return Ok(Box::new(tcp)) };
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| WhepError::Tls(io::ErrorKind::InvalidInput))?;
        let stream = tls.connect(name, tcp).await;
        Ok(Box::new(stream.map_err(|error| WhepError::Tls(error.kind()))?))
    }
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
