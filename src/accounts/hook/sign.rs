//! The signature of a request.

use aws_lc_rs::{constant_time, hmac};

use crate::hex::hex;

/// The header with the time of the request: seconds since 1970.
pub const TIMESTAMP: &str = "stentor-timestamp";
/// The header with the signature.
pub const SIGNATURE: &str = "stentor-signature";

/// Who shares the secret.
pub struct Signer(hmac::Key);

/// Why a request isn't believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unsigned {
    #[error("the timestamp is too far off")]
    Stale,
    #[error("the signature is another one")]
    Forged,
}

/// Seconds.
const TOLERANCE: u64 = 300;
const VERSION: &str = "v1=";

// === impl Signer ===

impl Signer {
    pub fn new(secret: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// The signature's header for a body that is sent at `unix` seconds.
    pub fn sign(&self, unix: u64, body: &[u8]) -> String {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(unix.to_string().as_bytes());
        context.update(b".");
        context.update(body);
        format!("{VERSION}{}", hex(context.sign().as_ref()))
    }

    /// What the service does with what it gets. `unix` is its own time.
    pub fn verify(
        &self,
        timestamp: &str,
        signature: &str,
        body: &[u8],
        unix: u64,
    ) -> Result<(), Unsigned> {
        let sent: u64 = timestamp.parse().map_err(|_| Unsigned::Stale)?;
        if sent.abs_diff(unix) > TOLERANCE {
            return Err(Unsigned::Stale);
        }
        let expected = self.sign(sent, body);
        constant_time::verify_slices_are_equal(expected.as_bytes(), signature.as_bytes())
            .map_err(|_| Unsigned::Forged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_what_openssl_makes_of_it() {
        // printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac secret
        let signature = Signer::new(b"secret").sign(1_700_000_000, b"{\"a\":1}");
        let expected = "v1=49f24e537407743fa4a0242bb63b94b9a47ee99cbbe071ccd8a22550ae411686";
        assert_eq!(signature, expected);
    }

    #[test]
    fn only_the_body_and_the_time_that_were_signed_are_believed() {
        let signer = Signer::new(b"secret");
        let signature = signer.sign(1000, b"body");
        let cut = &signature[..signature.len() - 1];
        for (timestamp, signature, body, now, expected) in [
            ("1000", signature.as_str(), "body", 1000, Ok(())),
            ("1000", signature.as_str(), "body", 1300, Ok(())),
            ("1000", signature.as_str(), "body", 700, Ok(())),
            ("1000", signature.as_str(), "body", 1301, Err(Unsigned::Stale)),
            ("1000", signature.as_str(), "body", 699, Err(Unsigned::Stale)),
            ("1001", signature.as_str(), "body", 1000, Err(Unsigned::Forged)),
            ("1000", signature.as_str(), "bodY", 1000, Err(Unsigned::Forged)),
            ("1000", cut, "body", 1000, Err(Unsigned::Forged)),
            ("1000", "", "body", 1000, Err(Unsigned::Forged)),
            ("-1", signature.as_str(), "body", 1000, Err(Unsigned::Stale)),
            ("", signature.as_str(), "body", 1000, Err(Unsigned::Stale)),
        ] {
            let verified = signer.verify(timestamp, signature, body.as_bytes(), now);
            assert_eq!(verified, expected, "{timestamp} {signature} {body} {now}");
        }
        let other = Signer::new(b"another secret");
        assert_eq!(other.verify("1000", &signature, b"body", 1000), Err(Unsigned::Forged));
    }
}
