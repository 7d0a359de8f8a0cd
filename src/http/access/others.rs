//! The key by which users sign in: the server's own, or that of the node that has the accounts, as
//! another node knows it.

use std::sync::{Arc, PoisonError, RwLock};

use jsonwebtoken::errors::Error;
use jsonwebtoken::{DecodingKey, TokenData, Validation, decode};

use super::Claims;
use crate::http::problem::{Kind, Problem};

pub(super) enum Own {
    None,
    Key(Box<DecodingKey>),
    Others(Arc<KeyOfOthers>),
}

/// Locked for itself, and never across an await.
#[derive(Default)]
pub struct KeyOfOthers(RwLock<Known>);

#[derive(Clone, Default)]
enum Known {
    /// That node wasn't heard of yet.
    #[default]
    NotYet,
    /// Users sign in there.
    Key(Arc<DecodingKey>),
    /// Operators sign users' tokens.
    Nobodys,
}

// === impl Own ===

impl Own {
    /// Whether users sign in at all.
    pub fn is_any(&self) -> bool {
        match self {
            Self::None => false,
            Self::Key(_) => true,
            Self::Others(key) => !matches!(key.known(), Known::Nobodys),
        }
    }

    /// None where there is no such key, or no token.
    pub fn check(
        &self,
        token: Option<&str>,
        validation: &Validation,
    ) -> Result<Option<Result<TokenData<Claims>, Error>>, Problem> {
        let Some(token) = token else { return Ok(None) };
        match self {
            Self::None => Ok(None),
            Self::Key(key) => Ok(Some(decode(token, key, validation))),
            Self::Others(key) => match key.known() {
                Known::Nobodys => Ok(None),
                Known::Key(key) => Ok(Some(decode(token, &key, validation))),
                Known::NotYet => {
                    let detail = "the server that has the accounts wasn't reached yet";
                    Err(Problem::unavailable(Kind::AccountsAway, detail))
                }
            },
        }
    }
}

// === impl KeyOfOthers ===

impl KeyOfOthers {
    /// As PEM. None: nobody signs in there. What is no key is none that could be trusted.
    pub fn set(&self, pem: Option<&str>) {
        let known = match pem.map(|pem| DecodingKey::from_ed_pem(pem.as_bytes())) {
            Some(Ok(key)) => Known::Key(Arc::new(key)),
            Some(Err(_)) => Known::NotYet,
            None => Known::Nobodys,
        };
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = known;
    }

    fn known(&self) -> Known {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
