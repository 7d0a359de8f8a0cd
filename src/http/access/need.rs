//! What a need is about, and how it is told.

use super::Need;

// === impl Need ===

impl<'a> Need<'a> {
    /// What it is about.
    pub const fn channel(self) -> Option<&'a str> {
        match self {
            Self::Read(channel)
            | Self::Publish(channel)
            | Self::View(channel)
            | Self::Manage(channel) => Some(channel),
            Self::Any | Self::Call | Self::Analyse | Self::Server => None,
        }
    }
}

impl std::fmt::Display for Need<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Any => f.write_str("do anything"),
            Self::Read(channel) => write!(f, "see channel {channel}"),
            Self::Publish(channel) => write!(f, "publish to channel {channel}"),
            Self::View(channel) => write!(f, "watch channel {channel}"),
            Self::Manage(channel) => write!(f, "manage channel {channel}"),
            Self::Call => f.write_str("call: expected one of role `user`"),
            Self::Analyse => f.write_str("read reports"),
            Self::Server => f.write_str("manage the server"),
        }
    }
}
