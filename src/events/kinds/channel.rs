//! A channel's life: `channel` stands in each envelope.

use serde::{Deserialize, Serialize};

/// Its source is there.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ChannelLive {}

/// Its source is gone; the cause says what of it is known.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ChannelLost {}

/// The slate is shown in the source's place.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ChannelSlate {}

/// Its worker ended, and another is started; the cause says how it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelWorkerRestarted {
    /// Of this channel, since the daemon started.
    pub restarts: u64,
}

/// Work went to another backend, such as from a GPU to the CPU; the cause says why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelFallback {
    /// None: the source's decoder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rendition: Option<String>,
    pub from: String,
    pub to: String,
}
