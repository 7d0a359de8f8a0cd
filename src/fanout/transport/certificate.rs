//! The server's DTLS identity, and fingerprints of certificates (RFC 8122).

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::libssl::{Context, LibsslError};

/// One ECDSA certificate per process, shared by all its sessions. Cheap to clone.
#[derive(Clone)]
pub struct Certificate {
    inner: Arc<Identity>,
}

struct Identity {
    certificate_der: Vec<u8>,
    /// PKCS #8.
    key_der: Vec<u8>,
    fingerprint: Fingerprint,
    context: Context,
}

/// A hash of a certificate, as `a=fingerprint` carries it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint {
    pub algorithm: HashAlgorithm,
    pub bytes: Vec<u8>,
}

/// SHA-1 is refused: RFC 8122, 5 obsoletes it and no browser needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HashAlgorithm {
    Sha256,
    Sha384,
    Sha512,
}

/// Why there is no certificate. This server's fault, or that of its configuration.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    #[error("a DTLS certificate could not be made: {0}")]
    Generate(#[from] dimpl::certificate::CertificateError),
    #[error("the DTLS engine refuses its settings: {0}")]
    Engine(#[from] LibsslError),
    #[error("the PEM text has no {0} block")]
    Missing(&'static str),
    #[error("the PEM text's {0} block is not valid base64")]
    Base64(&'static str),
    #[error("the private key is not an ECDSA key on P-256 or P-384 in PKCS #8")]
    Key,
}

const CERTIFICATE: &str = "CERTIFICATE";
const PRIVATE_KEY: &str = "PRIVATE KEY";

// === impl Certificate ===

impl Certificate {
    /// A fresh self-signed one on P-256, valid for a year. Peers check its fingerprint, not its
    /// dates.
    pub fn generate() -> Result<Self, CertificateError> {
        let made = dimpl::certificate::generate_self_signed_certificate()?;
        Self::new(made.certificate, made.private_key)
    }

    /// The first certificate and the first PKCS #8 private key in `text`.
    pub fn from_pem(text: &str) -> Result<Self, CertificateError> {
        let certificate = pem_block(text, CERTIFICATE)?;
        let key = pem_block(text, PRIVATE_KEY)?;
        let is_ecdsa = [
            &aws_lc_rs::signature::ECDSA_P256_SHA256_ASN1_SIGNING,
            &aws_lc_rs::signature::ECDSA_P384_SHA384_ASN1_SIGNING,
        ]
        .into_iter()
        .any(|algorithm| aws_lc_rs::signature::EcdsaKeyPair::from_pkcs8(algorithm, &key).is_ok());
        if !is_ecdsa {
            return Err(CertificateError::Key);
        }
        Self::new(certificate, key)
    }

    /// Certificate and private key. Keep it secret.
    pub fn to_pem(&self) -> String {
        let mut text = String::new();
        push_pem(&mut text, CERTIFICATE, &self.inner.certificate_der);
        push_pem(&mut text, PRIVATE_KEY, &self.inner.key_der);
        text
    }

    /// SHA-256 of the certificate.
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.inner.fingerprint
    }

    /// What DTLS connections with this identity are made from.
    pub(super) fn context(&self) -> &Context {
        &self.inner.context
    }

    /// `key_der`: PKCS #8.
    pub(super) fn new(
        certificate_der: Vec<u8>,
        key_der: Vec<u8>,
    ) -> Result<Self, CertificateError> {
        let context = Context::new(&certificate_der, &key_der)?;
        let fingerprint = Fingerprint::of(HashAlgorithm::Sha256, &certificate_der);
        let inner = Arc::new(Identity { certificate_der, key_der, fingerprint, context });
        Ok(Self { inner })
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").field("fingerprint", self.fingerprint()).finish()
    }
}

fn pem_block(text: &str, label: &'static str) -> Result<Vec<u8>, CertificateError> {
    let begin = format!("-----BEGIN {label}-----");
    let end = format!("-----END {label}-----");
    let rest = text.split_once(&begin).ok_or(CertificateError::Missing(label))?.1;
    let body = rest.split_once(&end).ok_or(CertificateError::Missing(label))?.0;
    let body: String = body.split_whitespace().collect();
    STANDARD.decode(body).map_err(|_| CertificateError::Base64(label))
}

fn push_pem(text: &mut String, label: &str, der: &[u8]) {
    text.push_str(&format!("-----BEGIN {label}-----\n"));
    for line in STANDARD.encode(der).as_bytes().chunks(64) {
        text.extend(line.iter().map(|b| char::from(*b)));
        text.push('\n');
    }
    text.push_str(&format!("-----END {label}-----\n"));
}

// === impl Fingerprint ===

impl Fingerprint {
    /// Hashes a certificate.
    pub fn of(algorithm: HashAlgorithm, certificate_der: &[u8]) -> Self {
        let digest = digest::digest(algorithm.digest(), certificate_der);
        Self { algorithm, bytes: digest.as_ref().to_vec() }
    }

    /// Reads `sha-256 AB:CD:…`. None when the algorithm is unknown or weak, or when the length
    /// is wrong.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, hex) = text.trim().split_once(' ')?;
        let algorithm = HashAlgorithm::parse(name)?;
        let length = algorithm.digest().output_len();
        let hex = hex.trim();
        if hex.len() != 3 * length - 1 {
            return None;
        }
        let bytes: Option<Vec<u8>> = hex
            .split(':')
            .map(|pair| match pair.as_bytes() {
                [high, low] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                    u8::from_str_radix(pair, 16).ok()
                }
                _ => None,
            })
            .collect();
        let bytes = bytes?;
        (bytes.len() == length).then_some(Self { algorithm, bytes })
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.algorithm.as_str())?;
        let mut separator = ' ';
        for byte in &self.bytes {
            write!(f, "{separator}{byte:02X}")?;
            separator = ':';
        }
        Ok(())
    }
}

// === impl HashAlgorithm ===

impl HashAlgorithm {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha-256",
            Self::Sha384 => "sha-384",
            Self::Sha512 => "sha-512",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        [Self::Sha256, Self::Sha384, Self::Sha512]
            .into_iter()
            .find(|a| a.as_str().eq_ignore_ascii_case(name))
    }

    fn digest(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_survives_being_saved_as_pem() {
        let made = Certificate::generate().unwrap();
        let read = Certificate::from_pem(&made.to_pem()).unwrap();
        assert_eq!(read.fingerprint(), made.fingerprint());
        assert_eq!(read.to_pem(), made.to_pem());
    }

    #[test]
    fn a_broken_pem_is_refused_by_what_is_wrong_with_it() {
        let pem = Certificate::generate().unwrap().to_pem();
        let cut = pem.replace("BEGIN PRIVATE", "BEGIN PUBLIC");
        assert!(matches!(Certificate::from_pem(&cut), Err(CertificateError::Missing(PRIVATE_KEY))));
        let at = pem.find("BEGIN PRIVATE").unwrap() + 40;
        let mut bent = pem.clone();
        bent.replace_range(at..at + 4, "AAAA");
        assert!(matches!(Certificate::from_pem(&bent), Err(CertificateError::Key)));
        assert!(matches!(Certificate::from_pem(""), Err(CertificateError::Missing(CERTIFICATE))));
    }

    #[test]
    fn a_fingerprint_survives_being_written() {
        let made = Fingerprint::of(HashAlgorithm::Sha256, b"x");
        assert_eq!(Fingerprint::parse(&made.to_string()), Some(made));
    }

    #[test]
    fn a_bad_fingerprint_is_refused() {
        let good = Fingerprint::of(HashAlgorithm::Sha256, b"x").to_string();
        for bad in [
            "sha-1 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33",
            "sha-256 AB:CD",
            "sha-256",
            "",
            &good.replace(':', "-"),
            &good.replacen(&good[8..10], "+1", 1),
            &format!("{good}:00"),
        ] {
            assert_eq!(Fingerprint::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_private_key_is_not_printed() {
        let made = Certificate::generate().unwrap();
        assert!(!format!("{made:?}").contains("key"));
    }
}
