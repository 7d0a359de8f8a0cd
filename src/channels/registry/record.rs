//! Recordings of channels, handed to the task of each.

use super::{ChangeError, Channels};
use crate::channels::channel::{Record, Request};

/// Why a channel isn't recorded.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    #[error(transparent)]
    Channel(#[from] ChangeError),
    #[error("the channel is recorded as often as it may be")]
    TooMany,
}

// === impl Channels ===

impl Channels {
    /// Records the channel from now on, by whatever worker it has.
    pub async fn record(&self, channel: &str, record: Record) -> Result<(), RecordError> {
        let taken = self.ask(channel, |reply| Request::Record { record, reply }).await?;
        if taken { Ok(()) } else { Err(RecordError::TooMany) }
    }

    /// Ends a recording; nothing more is written when this is done. Of a channel that isn't there
    /// nothing is recorded.
    pub async fn end_record(&self, channel: &str, recording: &str) {
        let recording = recording.to_owned();
        // An error means that the channel is gone, and its worker with it.
        let _ = self.ask(channel, |reply| Request::EndRecord { recording, reply }).await;
    }

    pub fn has(&self, channel: &str) -> bool {
        self.read().contains_key(channel)
    }
}
