//! Ids of recordings, which are folders and objects' names, too.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::identity::unique;

/// `r` and 24 hexadecimal digits: nobody guesses one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RecordingId(Arc<str>);

/// A text that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a recording's id")]
pub struct NotARecording;

// === impl RecordingId ===

impl RecordingId {
    pub fn random() -> Result<Self, getrandom::Error> {
        Ok(Self(unique('r')?.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RecordingId {
    type Err = NotARecording;

    fn from_str(text: &str) -> Result<Self, NotARecording> {
        let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        let rest = text.strip_prefix('r').ok_or(NotARecording)?;
        let fits = rest.len() == 24 && rest.bytes().all(hex);
        if fits { Ok(Self(text.into())) } else { Err(NotARecording) }
    }
}

impl TryFrom<String> for RecordingId {
    type Error = NotARecording;

    fn try_from(text: String) -> Result<Self, NotARecording> {
        text.parse()
    }
}

impl From<RecordingId> for String {
    fn from(id: RecordingId) -> Self {
        id.0.as_ref().to_owned()
    }
}

impl fmt::Display for RecordingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_made_here_is_an_id() {
        let id = RecordingId::random().unwrap();
        assert_eq!(id.as_str().parse(), Ok(id.clone()));
        for text in ["", "r", "..", "r0123456789abcdef0123456", "r0123456789ABCDEF01234567"] {
            assert_eq!(text.parse::<RecordingId>(), Err(NotARecording), "{text}");
        }
        assert_eq!("r../../../../../etc/passw".parse::<RecordingId>(), Err(NotARecording));
    }
}
