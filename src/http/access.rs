//! Who may do what: EdDSA JSON web tokens (RFC 7519, RFC 8037) with the claims `channel`, `role`
//! and `exp`, carried as bearer tokens (RFC 6750). A token of someone who calls has `user` in
//! place of `channel`.

mod need;
mod others;
mod own;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use stentor_protocol::units::Secret;

use super::problem::{Kind, Problem};
use crate::calls::ids::{DeviceId, UserId};

pub use others::KeyOfOthers;
pub use own::OwnKey;

use others::Own;

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written")]
pub struct Claims {
    /// A channel's name, or `*`. Empty with the role `user`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub channel: String,
    pub role: Role,
    /// Seconds since 1970.
    pub exp: u64,
    /// With the role `user`: who it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
    /// The one device that the token is good for. None: any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceId>,
}

/// Claims as a token has them.
#[derive(Deserialize)]
struct Written {
    channel: Option<String>,
    role: Role,
    exp: u64,
    user: Option<UserId>,
    device: Option<DeviceId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Publish,
    View,
    /// Everything on its channel; with channel `*` everything.
    Admin,
    /// Call others, and be called.
    User,
    /// With channel `*`: read reports.
    Analytics,
}

/// What a request needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need<'a> {
    /// Some good token.
    Any,
    /// Some role on this channel.
    Read(&'a str),
    Publish(&'a str),
    View(&'a str),
    /// Change this channel.
    Manage(&'a str),
    /// Call others, and be called.
    Call,
    /// Read reports.
    Analyse,
    /// Everything.
    Server,
}

/// What a request was granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// None on an open server: everything.
    pub claims: Option<Claims>,
}

/// The keys whose tokens are good. Without any of an operator's the server is open, but for calls
/// where it has accounts.
pub struct Access {
    keys: Vec<DecodingKey>,
    /// The server's own, by which users sign in; or that of the node with the accounts.
    own: Own,
    validation: Validation,
}

/// Why keys can't be used or a token can't be made. The operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("{}: {error}", path.display())]
    File { path: PathBuf, error: std::io::Error },
    #[error("{}: not a PEM file with an Ed25519 public key", path.display())]
    Public { path: PathBuf },
    #[error("not a PEM file with an Ed25519 private key (PKCS #8)")]
    Private,
    #[error("{}: not a PEM file with an Ed25519 private key (PKCS #8)", path.display())]
    Own { path: PathBuf },
    #[error("no key could be made")]
    Generate,
    #[error("the token can't be signed: {0}")]
    Sign(#[from] jsonwebtoken::errors::Error),
}

/// A new pair of keys, PEM.
pub struct KeyPair {
    pub private: Secret,
    pub public: String,
}

/// What comes before an Ed25519 public key in a SubjectPublicKeyInfo (RFC 8410).
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0];

/// Makes an Ed25519 pair.
pub fn generate_keys() -> Result<KeyPair, KeyError> {
    let document =
        Ed25519KeyPair::generate_pkcs8v1(&SystemRandom::new()).map_err(|_| KeyError::Generate)?;
    let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).map_err(|_| KeyError::Generate)?;
    let public = [&SPKI_PREFIX[..], pair.public_key().as_ref()].concat();
    Ok(KeyPair {
        private: Secret(pem("PRIVATE KEY", document.as_ref())),
        public: pem("PUBLIC KEY", &public),
    })
}

/// Signs a token for a channel that is good for `life` from now on.
pub fn mint(
    private_pem: &str,
    channel: &str,
    role: Role,
    life: Duration,
) -> Result<String, KeyError> {
    sign(private_pem, &Claims::of_channel(channel, role, end_of(life)))
}

/// The same for someone who calls, on one device or on any.
pub fn mint_user(
    private_pem: &str,
    user: UserId,
    device: Option<DeviceId>,
    life: Duration,
) -> Result<String, KeyError> {
    let (channel, role, exp) = (String::new(), Role::User, end_of(life));
    sign(private_pem, &Claims { channel, role, exp, user: Some(user), device })
}

fn end_of(life: Duration) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (now + life).as_secs()
}

fn sign(private_pem: &str, claims: &Claims) -> Result<String, KeyError> {
    let key = EncodingKey::from_ed_pem(private_pem.as_bytes()).map_err(|_| KeyError::Private)?;
    Ok(jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), claims, &key)?)
}

fn pem(label: &str, der: &[u8]) -> String {
    // Ed25519 keys fit on one line or two.
    let text = STANDARD.encode(der);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).filter_map(|l| std::str::from_utf8(l).ok()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

// === impl Access ===

impl Access {
    /// Reads the public keys.
    pub fn load(paths: &[PathBuf], leeway: Duration) -> Result<Self, KeyError> {
        let keys = paths.iter().map(|path| load_key(path)).collect::<Result<_, _>>()?;
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.leeway = leeway.as_secs();
        validation.validate_nbf = true;
        Ok(Self { keys, own: Own::None, validation })
    }

    /// The server has accounts: tokens of the role `user`, for one device, are good that its own
    /// key signed.
    pub fn with_own(mut self, key: &OwnKey) -> Self {
        self.own = Own::Key(Box::new(key.public.clone()));
        self
    }

    /// The same where another node has them, whose key may not be known yet.
    pub fn with_others(mut self, key: Arc<KeyOfOthers>) -> Self {
        self.own = Own::Others(key);
        self
    }

    /// Whether users sign in here, or at the node that has the accounts.
    pub fn has_accounts(&self) -> bool {
        self.own.is_any()
    }

    /// Nobody is asked for a token.
    pub fn is_open(&self) -> bool {
        self.keys.is_empty()
    }

    /// Checks the Authorization header against what the request needs.
    pub fn check(&self, authorization: Option<&str>, need: Need<'_>) -> Result<Grant, Problem> {
        let has_accounts = self.has_accounts() && need == Need::Call;
        if self.is_open() && !has_accounts {
            return Ok(Grant { claims: None });
        }
        let claims = self.claims(authorization)?;
        if claims.meet(need) {
            Ok(Grant { claims: Some(claims) })
        } else {
            Err(Problem::forbidden(format!("the token doesn't allow to {need}")))
        }
    }

    /// When a token that is good now is good no longer. None: never, as far as a clock goes.
    pub fn end_of(&self, claims: &Claims) -> Option<SystemTime> {
        let until = claims.exp.saturating_add(self.validation.leeway);
        UNIX_EPOCH.checked_add(Duration::from_secs(until))
    }

    /// What a token says, whatever it is needed for.
    pub fn claims(&self, authorization: Option<&str>) -> Result<Claims, Problem> {
        let Some(authorization) = authorization else {
            return Err(if self.has_accounts() { no_sign_in() } else { no_token() });
        };
        let token = bearer(Some(authorization));
        let mut reason = "expected `Authorization: Bearer` and a token";
        // What can't be read, or is signed by an algorithm that has no name, fits no key.
        let readable = token.filter(|token| jsonwebtoken::decode_header(token).is_ok());
        if token.is_some() && readable.is_none() {
            reason = "the token can't be read";
        }
        for key in readable.iter().flat_map(|_| &self.keys) {
            let token = readable.unwrap_or_default();
            match jsonwebtoken::decode::<Claims>(token, key, &self.validation) {
                Ok(data) => return Ok(data.claims),
                Err(error) => reason = describe(error.kind()),
            }
        }
        if let Some(checked) = self.own.check(readable, &self.validation)? {
            match checked {
                Ok(data) if data.claims.is_of_device() => return Ok(data.claims),
                Ok(_) => reason = FOREIGN,
                // An operator's key may have said more of it.
                Err(error) if reason == FOREIGN || self.keys.is_empty() => {
                    reason = describe(error.kind());
                }
                Err(_) => {}
            }
        }
        Err(bad_token(reason))
    }
}

/// The token of an Authorization header.
pub fn bearer(authorization: Option<&str>) -> Option<&str> {
    let (scheme, token) = authorization?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// There is none where one is needed.
pub fn no_token() -> Problem {
    let challenge = "Bearer realm=\"stentor\"".to_owned();
    Problem::unauthorized(Kind::NoToken, challenge, "expected a bearer token")
}

/// The same where one may have it for a name and a password.
fn no_sign_in() -> Problem {
    let challenge = "Bearer realm=\"stentor\", sign_in=\"/api/v1/sign-ins\"".to_owned();
    Problem::unauthorized(Kind::NoToken, challenge, "expected a bearer token")
}

/// There is one that isn't good.
pub fn bad_token(reason: &str) -> Problem {
    let challenge = format!(
        "Bearer realm=\"stentor\", error=\"invalid_token\", error_description=\"{}\"",
        reason.replace(['`', '"'], "")
    );
    Problem::unauthorized(Kind::InvalidToken, challenge, reason)
}

const FOREIGN: &str = "the token is signed by another key";

fn load_key(path: &Path) -> Result<DecodingKey, KeyError> {
    let file = |error| KeyError::File { path: path.to_owned(), error };
    let text = std::fs::read(path).map_err(file)?;
    DecodingKey::from_ed_pem(&text).map_err(|_| KeyError::Public { path: path.to_owned() })
}

fn describe(error: &jsonwebtoken::errors::ErrorKind) -> &'static str {
    use jsonwebtoken::errors::ErrorKind;
    match error {
        ErrorKind::ExpiredSignature => "the token has expired",
        ErrorKind::ImmatureSignature => "the token is not valid yet",
        ErrorKind::InvalidSignature => FOREIGN,
        ErrorKind::InvalidAlgorithm => "the token is not an EdDSA one",
        ErrorKind::MissingRequiredClaim(_) | ErrorKind::Json(_) => {
            "the token lacks one of the claims channel, role and exp (role user: user, role and exp)"
        }
        _ => "the token can't be read",
    }
}

// === impl Claims ===

impl Claims {
    pub fn of_channel(channel: &str, role: Role, exp: u64) -> Self {
        Self { channel: channel.to_owned(), role, exp, user: None, device: None }
    }

    /// Someone who calls, on one device.
    fn is_of_device(&self) -> bool {
        self.role == Role::User && self.device.is_some()
    }

    fn covers(&self, channel: &str) -> bool {
        self.channel == "*" || self.channel == channel
    }

    fn meet(&self, need: Need<'_>) -> bool {
        let admin = self.role == Role::Admin;
        match need {
            Need::Any => true,
            Need::Read(channel) => self.covers(channel) && self.role != Role::Analytics,
            Need::Publish(channel) => self.covers(channel) && (admin || self.role == Role::Publish),
            Need::View(channel) => self.covers(channel) && (admin || self.role == Role::View),
            Need::Manage(channel) => self.covers(channel) && admin,
            Need::Call => self.role == Role::User,
            Need::Analyse => self.channel == "*" && (admin || self.role == Role::Analytics),
            Need::Server => self.channel == "*" && admin,
        }
    }
}

impl TryFrom<Written> for Claims {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        let Written { channel, role, exp, user, device } = written;
        let claims = match (role, channel, &user) {
            (Role::User, None, Some(_)) => Self { channel: String::new(), role, exp, user, device },
            (Role::User, ..) => return Err("a user's token has a user, and no channel"),
            (_, Some(channel), None) => Self::of_channel(&channel, role, exp),
            _ => return Err("a token has a channel, and no user but with the role user"),
        };
        Ok(claims)
    }
}

// === impl Grant ===

impl Grant {
    pub fn may_read(&self, channel: &str) -> bool {
        self.claims.as_ref().is_none_or(|c| c.meet(Need::Read(channel)))
    }
}

#[cfg(test)]
mod tests;
