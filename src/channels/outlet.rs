//! What channels need of the fan-out, and nothing else of it.

use std::os::fd::OwnedFd;

use stentor_protocol::spec::Codec;
use stentor_protocol::units::{BitsPerSecond, Resolution, TrackId};

/// Where channels' packets go.
pub trait Outlet: Send + Sync {
    /// Makes a place for a channel.
    fn open(&self, channel: &str) -> Box<dyn Feed>;
}

/// A channel's place. Dropping it ends the channel's viewers.
pub trait Feed: Send {
    /// Says what viewers may be given, best first within a codec.
    fn set_renditions(&self, renditions: Vec<Offered>);
    /// Reads media from a worker in place of the former one.
    fn attach(&self, media: OwnedFd);
}

/// One rendition on offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    pub track: TrackId,
    pub name: String,
    pub codec: Codec,
    pub resolution: Resolution,
    pub bitrate: BitsPerSecond,
    pub pass_through: bool,
}
