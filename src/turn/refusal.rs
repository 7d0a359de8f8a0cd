//! Why a request is refused: the code that the client sees (RFC 8656, 19), and the label by which
//! it is counted.

use super::credentials::AuthError;
use super::policy::Forbidden;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("Bad Request")]
    BadRequest,
    #[error("Unauthorized")]
    Unauthorized(#[source] AuthError),
    #[error("Stale Nonce")]
    StaleNonce,
    #[error("Forbidden")]
    Forbidden(#[source] Forbidden),
    #[error("Unknown Attribute")]
    UnknownAttribute,
    #[error("Allocation Mismatch")]
    Mismatch,
    #[error("Address Family not Supported")]
    Family,
    #[error("Wrong Credentials")]
    WrongCredentials,
    #[error("Unsupported Transport Protocol")]
    Transport,
    #[error("Peer Address Family Mismatch")]
    PeerFamily,
    #[error("Allocation Quota Reached")]
    UserQuota,
    #[error("Insufficient Capacity")]
    Capacity,
}

// === impl Refusal ===

impl Refusal {
    pub fn code(&self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Unauthorized(_) => 401,
            Self::Forbidden(_) => 403,
            Self::UnknownAttribute => 420,
            Self::Mismatch => 437,
            Self::StaleNonce => 438,
            Self::Family => 440,
            Self::WrongCredentials => 441,
            Self::Transport => 442,
            Self::PeerFamily => 443,
            Self::UserQuota => 486,
            Self::Capacity => 508,
        }
    }

    /// Whether the client is to try again with this server's realm and nonce.
    pub fn is_challenge(&self) -> bool {
        matches!(self, Self::Unauthorized(_) | Self::StaleNonce)
    }

    /// Whether someone tried to pass for another: of interest to who watches for guessing.
    pub fn is_failed_proof(&self) -> bool {
        matches!(self, Self::Unauthorized(error) if *error != AuthError::Missing)
    }

    /// The value of the metric's label.
    pub fn label(&self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::Unauthorized(AuthError::Missing) => "challenge",
            Self::Unauthorized(AuthError::Expired) => "expired",
            Self::Unauthorized(_) => "wrong_credentials",
            Self::StaleNonce => "stale_nonce",
            Self::Forbidden(Forbidden::Own) => "own_address",
            Self::Forbidden(Forbidden::Special) => "special_address",
            Self::UnknownAttribute => "unknown_attribute",
            Self::Mismatch => "allocation_mismatch",
            Self::Family | Self::PeerFamily => "address_family",
            Self::WrongCredentials => "other_user",
            Self::Transport => "transport",
            Self::UserQuota => "user_quota",
            Self::Capacity => "capacity",
        }
    }
}

impl From<AuthError> for Refusal {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Incomplete => Self::BadRequest,
            AuthError::StaleNonce => Self::StaleNonce,
            other => Self::Unauthorized(other),
        }
    }
}
