//! The server's own key: made at the first start, kept in a file that its owner alone reads. It
//! signs what users who sign in are handed, and nothing else is believed of it.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

use super::{Claims, KeyError, Role, SPKI_PREFIX, generate_keys, pem};
use crate::accounts::Known;
use crate::calls::ids::{DeviceId, UserId};

/// That somebody signed in on a device. It opens nothing: it has no role.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KnownClaims {
    known_user: UserId,
    known_device: DeviceId,
    /// Seconds since 1970.
    exp: u64,
}

/// For so long a device is known that nobody signs in on.
const KNOWN_FOR: Duration = Duration::from_secs(400 * 86_400);

pub struct OwnKey {
    private: EncodingKey,
    pub(super) public: DecodingKey,
    public_pem: String,
}

/// A key's file is far below this.
const MOST_BYTES: u64 = 4096;

// === impl OwnKey ===

impl OwnKey {
    /// Reads the key, or makes it. Of two that make it at once, one finds the other's.
    pub fn load_or_make(path: &Path) -> Result<Self, KeyError> {
        let failed = |error| KeyError::File { path: path.to_owned(), error };
        let text = match read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make(path, &generate_keys()?.private.0).map_err(failed)?;
                read(path)
            }
            read => read,
        };
        Self::of(&text.map_err(failed)?).ok_or_else(|| KeyError::Own { path: path.to_owned() })
    }

    /// A token for a user's device.
    pub fn sign(
        &self,
        user: UserId,
        device: DeviceId,
        expires: SystemTime,
    ) -> Result<String, KeyError> {
        let claims = Claims {
            channel: String::new(),
            role: Role::User,
            exp: expires.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
            user: Some(user),
            device: Some(device),
        };
        Ok(jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), &claims, &self.private)?)
    }

    /// What the device shows at its next sign-in.
    pub fn sign_known(
        &self,
        known_user: UserId,
        known_device: DeviceId,
        now: SystemTime,
    ) -> Result<String, KeyError> {
        let exp = (now + KNOWN_FOR).duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let claims = KnownClaims { known_user, known_device, exp };
        Ok(jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), &claims, &self.private)?)
    }

    /// Which device that is. What isn't of this key, or has ended, shows nothing.
    pub fn known(&self, shown: &str) -> Option<Known> {
        let validation = Validation::new(Algorithm::EdDSA);
        let read = jsonwebtoken::decode::<KnownClaims>(shown, &self.public, &validation).ok()?;
        let KnownClaims { known_user: user, known_device: device, .. } = read.claims;
        Some(Known { user, device })
    }

    /// Of a private key's PEM.
    fn of(text: &str) -> Option<Self> {
        let body: String = text.lines().filter(|line| !line.starts_with("-----")).collect();
        let pair = Ed25519KeyPair::from_pkcs8(&STANDARD.decode(body).ok()?).ok()?;
        let public = [&SPKI_PREFIX[..], pair.public_key().as_ref()].concat();
        let public_pem = pem("PUBLIC KEY", &public);
        Some(Self {
            private: EncodingKey::from_ed_pem(text.as_bytes()).ok()?,
            public: DecodingKey::from_ed_pem(public_pem.as_bytes()).ok()?,
            public_pem,
        })
    }

    /// For those who check what is signed here.
    pub fn public_pem(&self) -> &str {
        &self.public_pem
    }
}

fn read(path: &Path) -> io::Result<String> {
    if fs::metadata(path)?.len() > MOST_BYTES {
        return Err(io::ErrorKind::InvalidData.into());
    }
    fs::read_to_string(path)
}

/// A name that is taken stays as it is: what is written beside it then counts for nothing. The
/// file beside it is made and never found: whoever put one there would read the key, or have it
/// written where a link leads.
fn make(path: &Path, text: &str) -> io::Result<()> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    let beside = path.with_extension(format!("{:016x}.new", u64::from_ne_bytes(random)));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::hard_link(&beside, path));
    let _ = fs::remove_file(&beside);
    match written {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        written => written,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::Duration;

    use super::*;
    use crate::http::access::{Access, Need, mint, mint_user};

    const HOUR: Duration = Duration::from_secs(3600);

    fn ids() -> (UserId, DeviceId) {
        (UserId::new("u1").unwrap(), DeviceId::new("d1").unwrap())
    }

    #[test]
    fn a_key_is_made_once_and_is_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("accounts-key.pem");
        let first = OwnKey::load_or_make(&path).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        let (user, device) = ids();
        let token = first.sign(user, device, SystemTime::now() + HOUR).unwrap();
        let again = OwnKey::load_or_make(&path).unwrap();
        let access = Access::load(&[], Duration::ZERO).unwrap().with_own(&again);
        assert!(access.check(Some(&format!("Bearer {token}")), Need::Call).is_ok());
        fs::write(&path, "no key").unwrap();
        let error = OwnKey::load_or_make(&path).err().unwrap();
        assert!(error.to_string().contains("accounts-key.pem"), "{error}");
    }

    #[test]
    fn what_a_device_is_known_by_opens_nothing_and_no_token_makes_one_known() {
        let folder = tempfile::tempdir().unwrap();
        let [own, other] =
            ["a.pem", "b.pem"].map(|name| OwnKey::load_or_make(&folder.path().join(name)).unwrap());
        let (user, device) = ids();
        let now = SystemTime::now();
        let key = own.sign_known(user.clone(), device.clone(), now).unwrap();
        let access = Access::load(&[], Duration::ZERO).unwrap().with_own(&own);
        assert!(access.check(Some(&format!("Bearer {key}")), Need::Call).is_err());
        let known = Some(Known { user: user.clone(), device: device.clone() });
        assert_eq!(own.known(&key), known);
        let old = own.sign_known(user.clone(), device.clone(), now - 2 * KNOWN_FOR).unwrap();
        let token = own.sign(user, device, now + HOUR).unwrap();
        for shown in [&old, &token, "", "x", &key[..key.len() - 1]] {
            assert_eq!(own.known(shown), None, "{shown}");
        }
        assert_eq!(other.known(&key), None);
    }

    #[test]
    fn a_file_that_lies_where_the_key_is_written_first_is_neither_used_nor_followed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("accounts-key.pem");
        let trap = folder.path().join("trap");
        let beside = path.with_extension(format!("{}.new", std::process::id()));
        std::os::unix::fs::symlink(&trap, &beside).unwrap();
        OwnKey::load_or_make(&path).unwrap();
        assert!(!trap.exists());
        assert!(!path.symlink_metadata().unwrap().is_symlink());
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn the_own_key_lets_users_call_and_nobody_do_anything_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("accounts-key.pem");
        let own = OwnKey::load_or_make(&path).unwrap();
        let private = fs::read_to_string(&path).unwrap();
        let public = folder.path().join("operator.pub");
        fs::write(&public, generate_keys().unwrap().public).unwrap();
        let (user, device) = ids();
        let expired = own.sign(user.clone(), device.clone(), UNIX_EPOCH + HOUR).unwrap();
        let good = own.sign(user.clone(), device, SystemTime::now() + HOUR).unwrap();
        let admin = mint(&private, "*", Role::Admin, HOUR).unwrap();
        let any_device = mint_user(&private, user, None, HOUR).unwrap();
        for keys in [vec![], vec![public]] {
            let access = Access::load(&keys, Duration::ZERO).unwrap().with_own(&own);
            let status = |token: &str, need| {
                let answer = access.check(Some(&format!("Bearer {token}")), need);
                answer.map_or_else(|problem| problem.status.as_u16(), |_| 200)
            };
            assert_eq!(status(&good, Need::Call), 200);
            for token in [&expired, &admin, &any_device] {
                assert_eq!(status(token, Need::Call), 401, "{}", keys.len());
            }
            assert_eq!(access.check(None, Need::Call).unwrap_err().status, 401);
            // Without an operator's key everything else is open, as it was.
            let others = if keys.is_empty() { [200, 200] } else { [403, 401] };
            assert_eq!([status(&good, Need::Server), status(&admin, Need::Server)], others);
        }
    }
}
