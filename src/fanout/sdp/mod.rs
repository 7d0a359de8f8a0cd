//! Offers in, answers out: the signalling of a viewer (WHEP, JSEP), as functions of text.
//!
//! [`negotiate`] reads an offer against what the server can send and keeps only what a session
//! needs; [`answer`] writes the reply once the session has its credentials and SSRCs.
//! [`Fragment`] is what trickles in later (RFC 8840).

mod answer;
mod candidate;
#[cfg(test)]
mod corpus;
mod description;
mod format;
mod negotiate;
mod trickle;

pub use answer::{AnswerParams, TrackSource, answer};
pub use candidate::{Candidate, CandidateKind};
pub use format::{Extensions, Feedback, Format, H264Profile};
pub use negotiate::{Accepted, Capabilities, Media, MediaKind, Negotiated, negotiate};
pub use trickle::{Fragment, restart_fragment};

/// The longest description accepted, in bytes.
pub const MAX_BYTES: usize = 64 * 1024;
/// Media sections accepted at most.
pub const MAX_SECTIONS: usize = 32;
/// Candidates accepted at most.
pub const MAX_CANDIDATES: usize = 200;

/// Why a description can't be used. Always the client's fault: 400, and 406 for
/// [`SdpError::NoCommonCodec`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SdpError {
    #[error("the description is longer than {MAX_BYTES} bytes")]
    TooLong,
    #[error("the description has more than {MAX_SECTIONS} media sections")]
    TooManySections,
    #[error("the description has more than {MAX_CANDIDATES} candidates")]
    TooManyCandidates,
    #[error("line {line}: {problem}")]
    Line { line: usize, problem: &'static str },
    #[error("two media sections have the mid {0:?}")]
    DuplicateMid(String),
    #[error("a=ice-ufrag and a=ice-pwd are missing or malformed")]
    NoCredentials,
    #[error("a=fingerprint with sha-256 or stronger is missing or malformed")]
    NoFingerprint,
    #[error("a=setup is none of actpass, active and passive")]
    Setup,
    #[error("an ICE-lite peer can't reach an ICE-lite server")]
    BothLite,
    #[error("there is no audio or video section that receives, with rtcp-mux and a mid")]
    NothingToReceive,
    #[error("none of the offered codecs can be sent: {0}")]
    NoCommonCodec(String),
}
