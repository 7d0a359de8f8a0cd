//! A publisher's parsers, for [`crate::doors`].

use super::whip::{Fragment, plan};

/// A publisher's offer.
pub fn whip_offer(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = plan(text);
    }
}

/// Candidates that trickle in (RFC 8840).
pub fn whip_fragment(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = Fragment::parse(text);
    }
}
