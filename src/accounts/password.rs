//! Passwords: their bounds, and their hashes (Argon2id, RFC 9106). Hashing takes memory and time
//! on purpose, so only a few are hashed at once and only so many wait.

use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version};
use stentor_protocol::units::Secret;
use tokio::sync::Semaphore;

use super::profile::Misfit;

/// A password within its bounds. Never printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Password(Secret);

/// What a hash costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// KiB. Default 19456.
    pub memory_kib: u32,
    /// Default 2.
    pub passes: u32,
}

/// Why a password could not be hashed or compared. This server's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// To be tried again later.
    #[error("too many sign-ins at once")]
    Busy,
    #[error("the password can't be hashed")]
    Hash,
}

pub struct Hasher {
    argon2: Argon2<'static>,
    /// Those that are hashed.
    turns: Arc<Semaphore>,
    /// Those that are hashed or wait.
    places: Arc<Semaphore>,
    /// Compared with where there is no such user, so that time doesn't tell.
    nobody: String,
}

/// NIST SP 800-63B asks for 8 at least, and for no rules about kinds of characters.
const MIN_CHARACTERS: usize = 10;
const MAX_CHARACTERS: usize = 128;
const BOUNDS: Misfit = Misfit { expected: "a password of 10 to 128 characters" };
const TURNS: usize = 2;
const PLACES: usize = 64;

// === impl Password ===

impl Password {
    pub fn new(text: Secret) -> Result<Self, Misfit> {
        let is_long = text.0.len() > 4 * MAX_CHARACTERS;
        if is_long || !(MIN_CHARACTERS..=MAX_CHARACTERS).contains(&text.0.chars().count()) {
            return Err(BOUNDS);
        }
        Ok(Self(text))
    }
}

// === impl Cost ===

/// OWASP's recommendation of 2023.
impl Default for Cost {
    fn default() -> Self {
        Self { memory_kib: 19_456, passes: 2 }
    }
}

// === impl Hasher ===

impl Hasher {
    /// Takes as long as one hash.
    pub fn new(cost: Cost) -> Result<Self, PasswordError> {
        let params =
            Params::new(cost.memory_kib, cost.passes, 1, None).map_err(|_| PasswordError::Hash)?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let nobody = hash(&argon2, b"nobody has this password")?;
        let (turns, places) = (Semaphore::new(TURNS), Semaphore::new(PLACES));
        Ok(Self { argon2, turns: Arc::new(turns), places: Arc::new(places), nobody })
    }

    /// A PHC string with a salt of its own.
    pub async fn hash(&self, password: Password) -> Result<String, PasswordError> {
        self.run(move |argon2| hash(argon2, password.0.0.as_bytes())).await?
    }

    /// Whether it is the password that was hashed. Without a hash the answer is no, and takes as
    /// long.
    pub async fn verify(
        &self,
        password: Password,
        stored: Option<String>,
    ) -> Result<bool, PasswordError> {
        let exists = stored.is_some();
        let stored = stored.unwrap_or_else(|| self.nobody.clone());
        self.run(move |argon2| {
            let stored = PasswordHash::new(&stored).map_err(|_| PasswordError::Hash)?;
            Ok(argon2.verify_password(password.0.0.as_bytes(), &stored).is_ok() && exists)
        })
        .await?
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Argon2<'_>) -> T + Send + 'static,
    ) -> Result<T, PasswordError> {
        let place = self.places.clone().try_acquire_owned().map_err(|_| PasswordError::Busy)?;
        let turn = self.turns.clone().acquire_owned().await.map_err(|_| PasswordError::Busy)?;
        let argon2 = self.argon2.clone();
        // Held by the work, not by who waits for it: that one may go.
        let held = move || {
            let value = work(&argon2);
            drop((turn, place));
            value
        };
        tokio::task::spawn_blocking(held).await.map_err(|_| PasswordError::Hash)
    }
}

fn hash(argon2: &Argon2<'_>, password: &[u8]) -> Result<String, PasswordError> {
    let hash: PasswordHash = argon2.hash_password(password).map_err(|_| PasswordError::Hash)?;
    Ok(hash.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As cheap as Argon2 may be.
    const CHEAP: Cost = Cost { memory_kib: 8, passes: 1 };

    fn password(text: &str) -> Password {
        Password::new(Secret(text.to_owned())).unwrap()
    }

    #[test]
    fn a_password_is_bounded_and_not_printed() {
        for (text, expected) in [
            ("ninechars".to_owned(), false),
            ("ten chars!".to_owned(), true),
            ("ä".repeat(128), true),
            ("ä".repeat(129), false),
            ("x".repeat(1 << 20), false),
        ] {
            let length = text.len();
            assert_eq!(Password::new(Secret(text)).is_ok(), expected, "{length}");
        }
        assert!(!format!("{:?}", password("correct horse")).contains("correct"));
    }

    #[tokio::test]
    async fn only_the_password_that_was_hashed_is_the_one() {
        let hasher = Hasher::new(CHEAP).unwrap();
        let stored = hasher.hash(password("correct horse")).await.unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{stored}");
        assert_ne!(stored, hasher.hash(password("correct horse")).await.unwrap(), "salted");
        let is = async |text: &str, stored: Option<&str>| {
            hasher.verify(password(text), stored.map(str::to_owned)).await
        };
        assert_eq!(is("correct horse", Some(&stored)).await, Ok(true));
        assert_eq!(is("correct house", Some(&stored)).await, Ok(false));
        assert_eq!(is("correct horse", None).await, Ok(false));
        assert_eq!(is("nobody has this password", None).await, Ok(false));
        assert_eq!(is("correct horse", Some("garbage")).await, Err(PasswordError::Hash));
        // Made when hashes cost more: still the one.
        let dear = Hasher::new(Cost { memory_kib: 64, passes: 2 }).unwrap();
        let stored = dear.hash(password("correct horse")).await.unwrap();
        assert_eq!(is("correct horse", Some(&stored)).await, Ok(true));
    }

    #[tokio::test]
    async fn those_who_wait_are_bounded() {
        let hasher = Hasher::new(CHEAP).unwrap();
        let all = hasher.places.clone().acquire_many_owned(PLACES as u32).await.unwrap();
        assert_eq!(hasher.hash(password("correct horse")).await, Err(PasswordError::Busy));
        drop(all);
        assert!(hasher.hash(password("correct horse")).await.is_ok());
    }
}
