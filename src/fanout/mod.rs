//! The fan-out: takes renditions from workers and sends them to any number of viewers.
//!
//! One thread and one UDP port per shard; a viewer lives on one shard. A channel's packets are
//! held once, in the rendition's history, whoever needs them: live viewers, joiners, and
//! retransmissions. The control plane holds a [`Fanout`] and, per channel, a [`ChannelFeed`].

pub mod sdp;
pub mod transport;

mod bind;
mod burst;
mod bwe;
mod channel;
mod config;
#[cfg(any(test, fuzzing))]
pub mod doors;
mod events;
mod feed;
mod gop;
mod handle;
mod history;
mod inbox;
mod join;
mod own_machine;
mod reader;
mod registry;
mod rtcp;
mod rtp;
mod select;
mod shard;
mod shared;
mod switch;
mod timeline;
mod types;
mod vp8;

/// Batched UDP, for TURN's relays, too.
pub mod udp {
    pub use super::shard::{
        Batch, SendArguments, Socket, SocketCounters, interface_addresses, read_name,
    };
}

pub use config::{FanoutConfig, StartError};
pub use feed::ChannelFeed;
pub use handle::Fanout;
pub use types::{
    EndReason, FanoutEvent, JoinError, JoinRequest, Joined, Layer, Rendition, RenditionChoice,
    SessionError, SessionId, SessionIdError, SessionReport, SessionState,
};
