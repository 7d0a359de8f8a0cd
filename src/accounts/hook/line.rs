//! The way to a service of the operator's: by TCP or TLS, a connection for each request.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use stentor_protocol::units::Secret;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::place::{NotAPlace, Place};
use super::{Heard, Question, Service, Signer, post};

/// Signed requests to one URL.
pub struct Line {
    service: Service,
    place: Place,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

/// Why the service can't be asked. The operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    #[error(transparent)]
    Place(#[from] NotAPlace),
    #[error("{}: {error}", path.display())]
    Authorities { path: PathBuf, error: rustls::pki_types::pem::Error },
    #[error("{host}: no name that a certificate could have")]
    Name { host: String },
    #[error("no TLS: {0}")]
    Tls(#[from] rustls::Error),
}

// === impl Line ===

impl Line {
    /// `authorities` is a PEM file with the certificates that are trusted.
    pub fn new(
        url: &str,
        secret: &Secret,
        authorities: &Path,
        timeout: Duration,
    ) -> Result<Self, ServiceError> {
        let place: Place = url.parse()?;
        let tls = if place.is_tls { Some(client(&place, authorities)?) } else { None };
        let service = Service {
            authority: place.authority.clone(),
            path: place.path.clone(),
            signer: Signer::new(secret.0.as_bytes()),
            timeout,
        };
        Ok(Self { service, place, tls })
    }

    pub const fn timeout(&self) -> Duration {
        self.service.timeout
    }

    pub async fn ask(&self, question: &Question, wall: SystemTime) -> Heard {
        match serde_json::to_vec(question) {
            Ok(body) => self.post(body, wall).await,
            Err(_) => Heard::Unreachable,
        }
    }

    /// Sends JSON.
    pub async fn post(&self, body: Vec<u8>, wall: SystemTime) -> Heard {
        let connect = TcpStream::connect((self.place.host.as_str(), self.place.port));
        match &self.tls {
            None => post(&self.service, body, wall, connect).await,
            Some((connector, name)) => {
                let connect = async {
                    let stream = connect.await?;
                    connector.connect(name.clone(), stream).await
                };
                post(&self.service, body, wall, connect).await
            }
        }
    }
}

/// Who is reached there by TLS, and under which name.
pub(in crate::accounts) fn client(
    place: &Place,
    authorities: &Path,
) -> Result<(TlsConnector, ServerName<'static>), ServiceError> {
    let failed = |error| ServiceError::Authorities { path: authorities.to_owned(), error };
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(authorities)
        .and_then(|all| all.collect::<Result<Vec<_>, _>>());
    // Those of a system's collection that can't be read are none that could be trusted.
    roots.add_parsable_certificates(certificates.map_err(failed)?);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let name = ServerName::try_from(place.host.clone())
        .map_err(|_| ServiceError::Name { host: place.host.clone() })?;
    Ok((TlsConnector::from(Arc::new(config)), name))
}
