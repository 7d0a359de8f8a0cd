//! A channel's place in the fan-out, and the thread that reads its worker.
//!
//! Lock order: `ChannelFeed::reader` alone.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use rustix::net::Shutdown;

use super::Rendition;
use super::channel::Channel;
use super::inbox::Command;
use super::reader::Reader;
use super::shared::Shared;

/// A channel's place in the fan-out. Dropping it ends the channel's viewers.
#[must_use]
pub struct ChannelFeed {
    channel: Arc<Channel>,
    shared: Arc<Shared>,
    reader: Mutex<Option<AttachedReader>>,
}

/// A worker's media socket and the thread that reads it.
struct AttachedReader {
    socket: Arc<OwnedFd>,
    thread: JoinHandle<()>,
}

// === impl ChannelFeed ===

impl ChannelFeed {
    pub(super) fn new(channel: Arc<Channel>, shared: Arc<Shared>) -> Self {
        Self { channel, shared, reader: Mutex::new(None) }
    }

    /// Says what the channel offers, best first within a codec. Viewers of a rendition that is
    /// no longer listed are moved to another.
    pub fn set_renditions(&self, renditions: Vec<Rendition>) {
        self.channel.set_renditions(renditions);
        self.shared.broadcast(|| Command::RenditionsChanged(self.channel.key));
    }

    /// Reads media from a worker. A second call is a new worker: the former socket is closed,
    /// and viewers go on without a break in sequence numbers or time.
    pub fn attach(&self, media: OwnedFd) {
        let former = self.take_reader();
        if let Some(former) = &former {
            former.close();
        }
        let socket = Arc::new(media);
        let of_thread = socket.clone();
        let readers = self.shared.readers.clone();
        let mut reader = Reader::new(self.channel.clone(), self.shared.shards.clone(), readers);
        let thread =
            thread::Builder::new().name(format!("feed-{}", self.channel.name)).spawn(move || {
                // One reader at a time: the clocks are handed on.
                if let Some(former) = former {
                    let _ = former.thread.join();
                }
                reader.run(&of_thread);
            });
        match thread {
            Ok(thread) => {
                let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
                *reader = Some(AttachedReader { socket, thread });
            }
            // The socket closes; the worker sees that and its supervisor tries again.
            Err(error) => {
                tracing::error!(channel = %self.channel.name, %error, "can't read from the worker");
            }
        }
    }

    /// Bytes that the channel's histories take.
    pub fn history_bytes(&self) -> usize {
        self.channel.history_bytes()
    }

    fn take_reader(&self) -> Option<AttachedReader> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for ChannelFeed {
    fn drop(&mut self) {
        self.channel.close();
        self.shared.remove_channel(&self.channel);
        if let Some(reader) = self.take_reader() {
            reader.close();
            let _ = reader.thread.join();
        }
        self.shared.broadcast(|| Command::ChannelClosed(self.channel.key));
    }
}

// === impl AttachedReader ===

impl AttachedReader {
    /// Ends the thread's waiting. The worker sees it as a broken pipe.
    fn close(&self) {
        // A socket that is shut down already has ended the thread, too.
        let _ = rustix::net::shutdown(&*self.socket, Shutdown::Both);
    }
}
