//! Channels that calls make for themselves: a participant's way through the server, for as long as
//! someone takes it.

use stentor_protocol::spec::{SecondPublisher, SourceSpec};

use super::{Channels, stop};
use crate::channels::settings::{ChannelSettings, Rung, is_call_channel};

/// What the picture for weaker receivers is called.
pub const SD: &str = "sd";
const SD_HEIGHT: u32 = 360;

/// No more participants can send through this server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} participants send through the server, the most that may")]
pub struct TooMany(pub usize);

// === impl Channels ===

impl Channels {
    /// Makes a call's channel. Nothing is kept of it; where it is there already, it stays. Names
    /// of calls' channels are never those of others.
    pub fn open_call(&self, name: &str) -> Result<(), TooMany> {
        let channels = self.read();
        let count = channels.keys().filter(|name| is_call_channel(name)).count();
        let (is_there, most) = (channels.contains_key(name), self.inner.limits.max_call_channels);
        drop(channels);
        if is_there {
            return Ok(());
        }
        if count >= most {
            return Err(TooMany(most));
        }
        let rung = Rung { name: Some(SD.to_owned()), height: SD_HEIGHT, bitrate: None };
        // The participant's device may come again before its last session is found to be gone.
        let source = SourceSpec::Whip { second_publisher: SecondPublisher::TakeOver };
        self.start(name, false, ChannelSettings { source, ladder: Some(vec![rung]) });
        Ok(())
    }

    /// Ends a call's channel, with whoever publishes and watches. It is out of sight at once; what
    /// is given ends its worker.
    pub fn close_call(&self, name: &str) -> impl Future<Output = ()> + Send + 'static {
        let entry = self.write().remove(name);
        async move {
            if let Some(entry) = entry {
                stop(&entry).await;
            }
        }
    }
}
