//! Users, their devices and nodes, as ids that are bounded and safe in keys and logs.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::hex::hex;

/// A user. This server makes them; an operator's own user service may have others.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UserId(Arc<str>);

/// One of a user's devices. Unique among all users where this server made it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DeviceId(Arc<str>);

/// A daemon, from its start to its end: one that starts again is another node.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NodeId(Arc<str>);

/// A text that is no id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected an id: 1 to {MAX_ID} letters, digits, `-`, `_`, `.` or `@`")]
pub struct NotAnId;

/// Bytes.
pub const MAX_ID: usize = 64;

/// Random bytes in an id made here.
const RANDOM: usize = 12;

/// Whether the text may stand as an id: nothing that a key, a path or a log line would have to
/// escape.
pub fn is_id(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"-_.@".contains(&b);
    (1..=MAX_ID).contains(&text.len()) && text.bytes().all(fits)
}

/// A text that nobody has had or will have.
pub fn unique(prefix: char) -> Result<String, getrandom::Error> {
    let mut bytes = [0; RANDOM];
    getrandom::fill(&mut bytes)?;
    Ok(format!("{prefix}{}", hex(&bytes)))
}

/// What all ids can do; the prefix begins those that are made here.
macro_rules! id {
    ($name:ident, $prefix:literal) => {
        impl $name {
            /// An id that nobody has.
            pub fn random() -> Result<Self, getrandom::Error> {
                Ok(Self($crate::identity::unique($prefix)?.into()))
            }

            pub fn new(text: &str) -> Result<Self, $crate::identity::NotAnId> {
                if $crate::identity::is_id(text) {
                    Ok(Self(text.into()))
                } else {
                    Err($crate::identity::NotAnId)
                }
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = $crate::identity::NotAnId;

            fn from_str(text: &str) -> Result<Self, $crate::identity::NotAnId> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = $crate::identity::NotAnId;

            fn try_from(text: String) -> Result<Self, $crate::identity::NotAnId> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0.as_ref().to_owned()
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl ::std::fmt::Debug for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}
pub(crate) use id;

// === impl UserId ===

id!(UserId, 'u');

// === impl DeviceId ===

id!(DeviceId, 'd');

// === impl NodeId ===

id!(NodeId, 'n');

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_bounded_and_needs_no_escaping() {
        let long = "x".repeat(MAX_ID);
        let too_long = "x".repeat(MAX_ID + 1);
        for (text, expected) in [
            ("u1", true),
            ("anna@example.org", true),
            (long.as_str(), true),
            (too_long.as_str(), false),
            ("", false),
            ("a b", false),
            ("a:b", false),
            ("a\n", false),
            ("ä", false),
            ("a/../b", false),
        ] {
            assert_eq!(text.parse::<UserId>().is_ok(), expected, "{text:?}");
            let json = serde_json::to_string(text).unwrap();
            assert_eq!(serde_json::from_str::<DeviceId>(&json).is_ok(), expected, "{text:?}");
        }
    }

    #[test]
    fn an_id_made_here_is_an_id_and_new() {
        let (one, two) = (UserId::random().unwrap(), UserId::random().unwrap());
        assert_ne!(one, two);
        assert!(is_id(one.as_str()) && one.as_str().starts_with('u'));
    }
}
