//! The fingerprint of a certificate (RFC 8122, 5).

use gst::glib;

/// Why a certificate can't be used. Says nothing of its contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    #[error("the contribution certificate holds no CERTIFICATE block in PEM")]
    NoCertificate,
    #[error("the contribution certificate is not valid base64")]
    Base64,
    #[error("the contribution certificate has no private key with it")]
    NoKey,
}

/// `sha-256 AA:BB:…` of the first certificate in the PEM text.
pub fn fingerprint(pem: &str) -> Result<String, CertificateError> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    const END: &str = "-----END CERTIFICATE-----";
    let body = pem
        .split_once(BEGIN)
        .and_then(|(_, rest)| rest.split_once(END))
        .ok_or(CertificateError::NoCertificate)?
        .0;
    if !pem.contains("PRIVATE KEY-----") {
        return Err(CertificateError::NoKey);
    }
    let base64: String = body.split_ascii_whitespace().collect();
    let sextets = base64.trim_end_matches('=');
    let known = |b: u8| b.is_ascii_alphanumeric() || b == b'+' || b == b'/';
    if sextets.is_empty() || !sextets.bytes().all(known) {
        return Err(CertificateError::Base64);
    }
    let der = glib::base64_decode(&base64);
    let digest = glib::compute_checksum_for_data(glib::ChecksumType::Sha256, &der[..])
        .ok_or(CertificateError::Base64)?;
    let pairs: Vec<String> = digest
        .as_bytes()
        .chunks(2)
        .map(|pair| String::from_utf8_lossy(pair).to_ascii_uppercase())
        .collect();
    Ok(format!("sha-256 {}", pairs.join(":")))
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// Made for these tests alone: `openssl req -x509 -newkey ec -pkeyopt
    /// ec_paramgen_curve:P-256 -nodes -days 36500 -subj /CN=test`.
    pub const PEM: &str = include_str!("test-certificate.pem");

    #[test]
    fn the_fingerprint_is_the_one_openssl_prints() {
        assert_eq!(fingerprint(PEM).unwrap(), include_str!("test-certificate.fingerprint").trim());
    }

    #[test]
    fn what_is_no_certificate_is_refused() {
        let without_key = PEM.split("-----BEGIN PRIVATE KEY").next().unwrap();
        let cases = [
            ("", CertificateError::NoCertificate),
            ("-----BEGIN CERTIFICATE-----\nAAAA", CertificateError::NoCertificate),
            (without_key, CertificateError::NoKey),
            (
                "-----BEGIN CERTIFICATE-----\n!?\n-----END CERTIFICATE-----\nPRIVATE KEY-----",
                CertificateError::Base64,
            ),
        ];
        for (pem, error) in cases {
            assert_eq!(fingerprint(pem), Err(error));
        }
    }
}
