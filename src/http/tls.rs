//! TLS from certificate files, read again when they change and at SIGHUP. Connections that are
//! open keep theirs.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;
use tracing::{info, warn};

/// How often the files are looked at. Who renews a certificate does it weeks ahead.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

pub struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    /// What may be agreed on (ALPN), preferred first.
    protocols: &'static [&'static [u8]],
    current: RwLock<Arc<ServerConfig>>,
}

/// Why certificate and key can't be used. The operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{}: {error}", path.display())]
    Pem { path: PathBuf, error: rustls::pki_types::pem::Error },
    #[error("{}: no certificate in it", path.display())]
    Empty { path: PathBuf },
    #[error("{} and {}: {error}", certificate.display(), key.display())]
    Pair { certificate: PathBuf, key: PathBuf, error: rustls::Error },
}

// === impl Tls ===

impl Tls {
    pub fn load(certificate: PathBuf, key: PathBuf) -> Result<Self, TlsError> {
        Self::load_for(&[b"h2", b"http/1.1"], certificate, key)
    }

    /// For other protocols than HTTP.
    pub fn load_for(
        protocols: &'static [&'static [u8]],
        certificate: PathBuf,
        key: PathBuf,
    ) -> Result<Self, TlsError> {
        let current = RwLock::new(read(protocols, &certificate, &key)?);
        Ok(Self { certificate, key, protocols, current })
    }

    /// Reads the files again. What was good stays in force where they no longer are.
    pub fn reload(&self) -> Result<(), TlsError> {
        let config = read(self.protocols, &self.certificate, &self.key)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(())
    }

    /// Reads the files again each time that they have changed, and never ends. Of a pair that is
    /// half written the old one stays in force until the other half has come.
    pub async fn follow(&self) {
        let mut looks = tokio::time::interval(LOOK_INTERVAL);
        let mut seen = self.stamps();
        loop {
            looks.tick().await;
            let now = self.stamps();
            if now != seen {
                seen = now;
                self.reload_and_tell();
            }
        }
    }

    /// Reads the files again, and logs what came of it.
    pub fn reload_and_tell(&self) {
        match self.reload() {
            Ok(()) => info!("certificates read again"),
            Err(error) => warn!(%error, "the old certificates stay in force"),
        }
    }

    /// What tells a file from its successor; None where there is none.
    fn stamps(&self) -> [Option<(u64, u64, SystemTime)>; 2] {
        [&self.certificate, &self.key].map(|path| {
            let data = std::fs::metadata(path).ok()?;
            Some((data.ino(), data.len(), data.modified().ok()?))
        })
    }

    pub fn acceptor(&self) -> TlsAcceptor {
        self.config().into()
    }

    /// What is in force now.
    pub fn config(&self) -> Arc<ServerConfig> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn read(
    protocols: &[&[u8]],
    certificate: &PathBuf,
    key: &PathBuf,
) -> Result<Arc<ServerConfig>, TlsError> {
    let pem = |path: &PathBuf| {
        let path = path.clone();
        move |error| TlsError::Pem { path, error }
    };
    let chain: Vec<_> = CertificateDer::pem_file_iter(certificate)
        .map_err(pem(certificate))?
        .collect::<Result<_, _>>()
        .map_err(pem(certificate))?;
    if chain.is_empty() {
        return Err(TlsError::Empty { path: certificate.clone() });
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(pem(key))?;
    let pair = |error| TlsError::Pair { certificate: certificate.clone(), key: key.clone(), error };
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(pair)?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(pair)?;
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    Ok(Arc::new(config))
}
