//! Time-limited credentials (draft-uberti-behave-turn-rest) and nonces. Both are computed from a
//! secret, so that the server keeps nothing about a client before it has shown that it knows its
//! password.

use std::net::{IpAddr, SocketAddr};

use aws_lc_rs::{constant_time, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use stentor_protocol::units::Secret;

use super::request::Request;
use crate::hex::hex;
use crate::stun::is_integrity_of;

/// Whom this server believes.
pub struct Authority {
    realm: String,
    /// The secret from which passwords are derived.
    secret: hmac::Key,
    /// The same, for names.
    names: hmac::Key,
    /// Made at the start: nonces of an earlier run are stale.
    nonce_key: hmac::Key,
}

/// A user name and its password, for [`Credentials::expires`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    pub username: String,
    pub password: Secret,
}

/// Who made a request, proven.
#[derive(Clone, PartialEq, Eq)]
pub struct Caller {
    pub username: Box<str>,
    /// Seconds since 1970.
    pub expires: u64,
    /// With which requests and answers are signed (RFC 8489, 9.2.2).
    pub key: [u8; 16],
}

/// Why a request's sender isn't known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    #[error("no credentials: the client's first request")]
    Missing,
    #[error("an attribute of the credentials is missing")]
    Incomplete,
    #[error("the nonce is too old, another client's, or none of this server's")]
    StaleNonce,
    #[error("the user name isn't one of ours")]
    Malformed,
    #[error("the credentials have expired")]
    Expired,
    #[error("the password is wrong")]
    WrongPassword,
}

/// Seconds for which a nonce is good (RFC 8489, 9.2: an hour at most).
const NONCE_SECONDS: u64 = 3600;
/// RFC 8489, 9.2: says that none of the optional security features are on offer.
const NONCE_COOKIE: &str = "obMatJos2AAAA";
/// Bytes of the code in a nonce.
const NONCE_CODE: usize = 8;
/// Bytes of the code that a name is.
const NAME_CODE: usize = 8;
/// RFC 8489, 14.3 has 509; ours are far shorter.
const MAX_USERNAME: usize = 128;

// === impl Authority ===

impl Authority {
    pub fn new(realm: &str, secret: &[u8], nonce_key: &[u8; 32]) -> Self {
        Self {
            realm: realm.to_owned(),
            secret: hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret),
            names: hmac::Key::new(hmac::HMAC_SHA256, secret),
            nonce_key: hmac::Key::new(hmac::HMAC_SHA256, nonce_key),
        }
    }

    pub fn realm(&self) -> &str {
        &self.realm
    }

    /// A user name that says nothing of whom it is for. Servers with the same secret give the same.
    pub fn name_for(&self, whom: &str) -> String {
        let code = hmac::sign(&self.names, whom.as_bytes());
        hex(&code.as_ref()[..NAME_CODE])
    }

    /// Credentials for `user`, good until `expires` (seconds since 1970).
    pub fn issue(&self, user: &str, expires: u64) -> Credentials {
        let username = format!("{expires}:{user}");
        Credentials { password: Secret(self.password(&username)), username }
    }

    /// A nonce for one client. It costs no memory.
    pub fn nonce(&self, client: SocketAddr, unix: u64) -> String {
        let code = self.nonce_code(client, unix);
        format!("{NONCE_COOKIE}{unix:010x}{}", hex(&code))
    }

    /// Who made the request. `may_be_expired` is for requests that only give back.
    pub fn authenticate(
        &self,
        request: &Request<'_>,
        client: SocketAddr,
        unix: u64,
        may_be_expired: bool,
    ) -> Result<Caller, AuthError> {
        let integrity_at = request.integrity_at.ok_or(AuthError::Missing)?;
        let (Some(username), Some(realm), Some(nonce)) =
            (request.username, request.realm, request.nonce)
        else {
            return Err(AuthError::Incomplete);
        };
        if !self.is_fresh(nonce, client, unix) {
            return Err(AuthError::StaleNonce);
        }
        let expires = expiry(username).ok_or(AuthError::Malformed)?;
        if realm != self.realm {
            return Err(AuthError::WrongPassword);
        }
        let password = self.password(username);
        let key: [u8; 16] = Md5::digest(format!("{username}:{}:{password}", self.realm)).into();
        if !is_integrity_of(request.bytes, integrity_at, &key) {
            return Err(AuthError::WrongPassword);
        }
        if expires <= unix && !may_be_expired {
            return Err(AuthError::Expired);
        }
        Ok(Caller { username: username.into(), expires, key })
    }

    fn password(&self, username: &str) -> String {
        STANDARD.encode(hmac::sign(&self.secret, username.as_bytes()))
    }

    fn is_fresh(&self, nonce: &str, client: SocketAddr, unix: u64) -> bool {
        let Some(rest) = nonce.strip_prefix(NONCE_COOKIE) else { return false };
        let Some((time, _)) = rest.split_at_checked(10) else { return false };
        let Ok(made) = u64::from_str_radix(time, 16) else { return false };
        let age = unix.checked_sub(made);
        let expected = self.nonce(client, made);
        let same = constant_time::verify_slices_are_equal(nonce.as_bytes(), expected.as_bytes());
        same.is_ok() && age.is_some_and(|age| age < NONCE_SECONDS)
    }

    fn nonce_code(&self, client: SocketAddr, unix: u64) -> [u8; NONCE_CODE] {
        let mut context = hmac::Context::with_key(&self.nonce_key);
        match client.ip() {
            IpAddr::V4(ip) => context.update(&ip.octets()),
            IpAddr::V6(ip) => context.update(&ip.octets()),
        }
        context.update(&client.port().to_be_bytes());
        context.update(&unix.to_be_bytes());
        context.sign().as_ref().first_chunk().copied().unwrap_or_default()
    }
}

/// The time in `expiry[:user]`.
fn expiry(username: &str) -> Option<u64> {
    if username.len() > MAX_USERNAME {
        return None;
    }
    let time = username.split_once(':').map_or(username, |(time, _)| time);
    time.bytes().all(|b| b.is_ascii_digit()).then(|| time.parse().ok()).flatten()
}

// === impl Caller ===

impl Caller {
    /// The part of the user name that quotas go by: one user's credentials share them.
    pub fn user(&self) -> &str {
        self.username.split_once(':').map_or(&self.username, |(_, user)| user)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::turn::request::tests::{Signed, signed};

    const NOW: u64 = 1_800_000_000;

    fn authority() -> Authority {
        Authority::new("stentor", b"north", &[7; 32])
    }

    fn client() -> SocketAddr {
        "198.51.100.7:4000".parse().unwrap()
    }

    #[test]
    fn a_password_is_the_one_that_other_servers_derive() {
        // printf 1800000000:anna | openssl dgst -sha1 -hmac north -binary | base64
        let issued = authority().issue("anna", 1_800_000_000);
        assert_eq!(issued.username, "1800000000:anna");
        assert_eq!(issued.password.0, "hcODHAE/R+P6eKoXy+CURRRDzsg=");
    }

    #[test]
    fn a_request_is_believed_for_the_right_password_nonce_realm_and_time_only() {
        let authority = authority();
        let good = authority.issue("anna", NOW + 60);
        let expired = authority.issue("anna", NOW);
        let nonce = authority.nonce(client(), NOW - 10);
        let old = authority.nonce(client(), NOW - NONCE_SECONDS);
        let of_another = authority.nonce("198.51.100.7:4001".parse().unwrap(), NOW);
        let of_tomorrow = authority.nonce(client(), NOW + 1);
        let other_key = Authority::new("stentor", b"north", &[8; 32]).nonce(client(), NOW);
        let base = Signed {
            username: &good.username,
            password: &good.password.0,
            realm: "stentor",
            nonce: &nonce,
        };
        let cases = [
            (base, Ok(())),
            (Signed { password: "wrong", ..base }, Err(AuthError::WrongPassword)),
            (Signed { realm: "other", ..base }, Err(AuthError::WrongPassword)),
            (Signed { username: "1900000000:anna", ..base }, Err(AuthError::WrongPassword)),
            (Signed { username: "anna", ..base }, Err(AuthError::Malformed)),
            (Signed { username: "", ..base }, Err(AuthError::Malformed)),
            (Signed { username: "+1900000000:anna", ..base }, Err(AuthError::Malformed)),
            (Signed { nonce: &old, ..base }, Err(AuthError::StaleNonce)),
            (Signed { nonce: &of_another, ..base }, Err(AuthError::StaleNonce)),
            (Signed { nonce: &of_tomorrow, ..base }, Err(AuthError::StaleNonce)),
            (Signed { nonce: &other_key, ..base }, Err(AuthError::StaleNonce)),
            (Signed { nonce: "", ..base }, Err(AuthError::StaleNonce)),
            (
                Signed { username: &expired.username, password: &expired.password.0, ..base },
                Err(AuthError::Expired),
            ),
        ];
        for (n, (given, expected)) in cases.into_iter().enumerate() {
            let bytes = signed(&given, 0x0004, &[]);
            let request = Request::parse(&bytes).unwrap();
            let found = authority.authenticate(&request, client(), NOW, false);
            assert_eq!(found.map(|_| ()), expected, "case {n}");
        }
    }

    #[test]
    fn a_name_is_the_same_for_the_same_and_with_another_secret_another() {
        // printf anna | openssl dgst -sha256 -hmac north
        let name = authority().name_for("anna");
        assert_eq!(name, "5369844c687f8cff");
        assert_ne!(name, authority().name_for("bert"));
        assert_eq!(name, Authority::new("other", b"north", &[8; 32]).name_for("anna"));
        assert_ne!(name, Authority::new("stentor", b"south", &[7; 32]).name_for("anna"));
    }

    #[test]
    fn expired_credentials_may_still_give_back() {
        let authority = authority();
        let issued = authority.issue("anna", NOW - 1);
        let nonce = authority.nonce(client(), NOW);
        let given = Signed {
            username: &issued.username,
            password: &issued.password.0,
            realm: "stentor",
            nonce: &nonce,
        };
        let bytes = signed(&given, 0x0004, &[]);
        let request = Request::parse(&bytes).unwrap();
        let caller = authority.authenticate(&request, client(), NOW, true).unwrap();
        assert_eq!(caller.user(), "anna");
    }
}
