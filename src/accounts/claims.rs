//! What a user's token says. It is signed and checked like the tokens of channels (EdDSA), and is
//! none of them: each lacks a claim that the other must have.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::identity::{DeviceId, UserId};

/// Claims of RFC 7519, and the device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserClaims {
    pub sub: UserId,
    /// Good while the user has this device: see [`super::Accounts::is_signed_in`].
    pub device: DeviceId,
    /// Seconds since 1970.
    pub exp: u64,
}

// === impl UserClaims ===

impl UserClaims {
    pub fn new(user: UserId, device: DeviceId, life: Duration, wall: SystemTime) -> Self {
        let since = wall.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { sub: user, device, exp: (since + life).as_secs() }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_user_token_is_no_channel_token_and_a_channel_token_no_user_token() {
        let life = Duration::from_secs(60);
        let wall = UNIX_EPOCH + Duration::from_millis(1_000_900);
        let claims = UserClaims::new("u1".parse().unwrap(), "d1".parse().unwrap(), life, wall);
        let text = serde_json::to_value(&claims).unwrap();
        assert_eq!(text, json!({"sub": "u1", "device": "d1", "exp": 1060}));
        // What `http::access` must find in a channel's token.
        assert!(text.get("channel").is_none() && text.get("role").is_none());
        let channel = json!({"channel": "*", "role": "admin", "exp": 1060});
        assert!(serde_json::from_value::<UserClaims>(channel).is_err());
        let forged = json!({"sub": "u1\n", "device": "d1", "exp": 1060});
        assert!(serde_json::from_value::<UserClaims>(forged).is_err());
    }
}
