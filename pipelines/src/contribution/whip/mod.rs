//! WHIP (RFC 9725): publishers' peer connections end here, in webrtcbin.
//!
//! One thread, the hub, decides; negotiation and teardown block and have plain threads of their
//! own. Commands and what befalls a peer reach the hub through one bounded queue.

use std::sync::Arc;
use std::sync::mpsc::{self, SyncSender};
use std::thread::JoinHandle;
use std::time::Duration;

use stentor_protocol::spec::{ChannelSpec, SecondPublisher};

use super::elements::{self, internal};
use super::outlet::Tap;
use super::{Contribution, ContributionStats, OpenError, Sink, WhipCommand};

mod answer;
mod candidate;
mod certificate;
mod hub;
mod leg;
mod levels;
mod offer;
mod peer;
#[cfg(test)]
mod publisher;
mod receive;
mod sdp;
#[cfg(test)]
mod shim;
mod trickle;

#[cfg(any(test, fuzzing))]
pub use {offer::plan, trickle::Fragment};

use hub::{Hub, Message};

/// Messages that wait for the hub at most.
const QUEUE: usize = 256;
/// The longest that closing takes.
const CLOSING: Duration = Duration::from_secs(6);

struct Whip {
    tap: Arc<Tap>,
    hub: SyncSender<Message>,
    thread: Option<JoinHandle<()>>,
    /// Disconnected when the hub's thread has ended.
    ended: mpsc::Receiver<()>,
}

pub fn open(
    spec: &ChannelSpec,
    second: SecondPublisher,
    sink: Sink,
) -> Result<Box<dyn Contribution>, OpenError> {
    elements::init()?;
    for needed in ["webrtcbin", "nicesrc", "dtlsdec", "srtpdec", "rtpbin", "rtph264depay"] {
        elements::make(needed)?;
    }
    if !spec.whip.certificate_pem.0.is_empty() {
        certificate::fingerprint(&spec.whip.certificate_pem.0).map_err(internal)?;
    }
    let tap = Tap::new(sink);
    let (sender, messages) = mpsc::sync_channel(QUEUE);
    let hub = Hub::new(spec, second, Arc::clone(&tap), sender.clone());
    let (alive, ended) = mpsc::channel();
    let thread = std::thread::Builder::new()
        .name("whip".into())
        .spawn(move || {
            hub.run(&messages);
            drop(alive);
        })
        .map_err(internal)?;
    Ok(Box::new(Whip { tap, hub: sender, thread: Some(thread), ended }))
}

// === impl Whip ===

impl Contribution for Whip {
    fn request_keyframe(&self) {
        // A full queue is full of reasons for a keyframe already.
        let _ = self.hub.try_send(Message::Keyframe);
    }

    fn handle(&mut self, command: WhipCommand) {
        if self.hub.send(Message::Command(command)).is_err() {
            tracing::error!("the WHIP hub has ended; a command is lost");
        }
    }

    fn close(self: Box<Self>) {}

    fn stats(&self) -> ContributionStats {
        self.tap.stats()
    }
}

impl Drop for Whip {
    fn drop(&mut self) {
        let _ = self.hub.send(Message::Stop);
        if self.ended.recv_timeout(CLOSING) == Err(mpsc::RecvTimeoutError::Timeout) {
            tracing::error!("the WHIP hub does not end; left behind");
            return;
        }
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the WHIP hub panicked");
        }
    }
}

#[cfg(test)]
mod tests;
