//! What devices and the server say to each other over the web socket, as JSON text.
//!
//! `messages.schema.json` says the same for programs that aren't this one; a test holds the two
//! together. Every message of the server has a number, so that a socket that drops loses none:
//! see [`super::outbox`].

mod about;
mod bounded;
mod client;
mod media;
mod read;
mod report;
mod server;
mod shapes;

pub use bounded::{Few, Text, TooMuch};
pub use client::ClientMessage;
pub use media::{
    Capabilities, CodecLimit, Configuration, ConfigureCause, Direction, Network, PageSize,
    PathReport, Rendition, Stream, VideoConfiguration, Watch,
};
pub use read::{Fault, Received, Unreadable, read};
pub use report::{CandidateKind, Carrier, QualitySample, ReportReason};
pub use server::{ChatEntry, Numbered, ServerMessage};
pub use shapes::{
    Availability, CandidateLine, ChatMessage, ChatText, Conversation, EndReason, ErrorCode,
    IceServer, LeftCause, Media, OutCause, Participant, Path, Presence, RingStop, Sdp, Sentence,
    Text256, Token, Topology,
};

/// What is spoken here. Another message or field leaves it as it is, since what isn't known is
/// refused one by one; another meaning of the same words raises it.
pub const VERSION: u32 = 1;
/// Bytes of one message: an offer fits several times over.
pub const MAX_MESSAGE: usize = 256 * 1024;

#[cfg(test)]
mod tests;
