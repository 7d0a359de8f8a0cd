//! Viewers of channels: `channel` stands in each envelope. Nobody is named: viewers are sessions.

use serde::{Deserialize, Serialize};

use super::client::Location;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewerJoined {
    /// Names the viewer in [`ViewerLeft`].
    pub session: String,
    /// What the viewer asked for. None: the server chooses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rendition: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
}

/// The cause is a word such as `left` or `silent`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewerLeft {
    pub session: String,
    /// What was watched last, as far as it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rendition: Option<String>,
    pub lasted_ms: u64,
}
