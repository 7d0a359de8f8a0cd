//! The server's own key: made at the first start, kept in a file that its owner alone reads. It
//! signs what users who sign in are handed, and nothing else is believed of it.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};

use super::{Claims, KeyError, Role, SPKI_PREFIX, generate_keys, pem};
use crate::calls::ids::{DeviceId, UserId};

pub struct OwnKey {
    private: EncodingKey,
    pub(super) public: DecodingKey,
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

    /// Of a private key's PEM.
    fn of(text: &str) -> Option<Self> {
        let body: String = text.lines().filter(|line| !line.starts_with("-----")).collect();
        let pair = Ed25519KeyPair::from_pkcs8(&STANDARD.decode(body).ok()?).ok()?;
        let public = [&SPKI_PREFIX[..], pair.public_key().as_ref()].concat();
        Some(Self {
            private: EncodingKey::from_ed_pem(text.as_bytes()).ok()?,
            public: DecodingKey::from_ed_pem(pem("PUBLIC KEY", &public).as_bytes()).ok()?,
        })
    }
}

fn read(path: &Path) -> io::Result<String> {
    if fs::metadata(path)?.len() > MOST_BYTES {
        return Err(io::ErrorKind::InvalidData.into());
    }
    fs::read_to_string(path)
}

/// A name that is taken stays as it is: what is written beside it then counts for nothing.
fn make(path: &Path, text: &str) -> io::Result<()> {
    let beside = path.with_extension(format!("{}.new", std::process::id()));
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&beside)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .and_then(|()| fs::hard_link(&beside, path));
    // It may not have been made.
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
