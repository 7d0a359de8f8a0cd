//! What the control plane and the fan-out say to one another, as plain data.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use serde::{Serialize, Serializer};
use stentor_protocol::{BitsPerSecond, Codec, Resolution, TrackId};

/// One encoding of a channel that viewers may be given. The channel's audio is not listed: every
/// viewer that takes Opus gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendition {
    /// The track on the worker's media socket, 1 or more.
    pub track: TrackId,
    /// What viewers ask for, such as "720p" or "source".
    pub name: String,
    pub codec: Codec,
    pub resolution: Resolution,
    /// What the rendition is expected to need, without audio. The measured rate takes over as
    /// soon as there is one.
    pub bitrate: BitsPerSecond,
    /// The contribution's own packets: its rate and its keyframes are not ours to choose.
    pub pass_through: bool,
}

/// Which rendition a viewer gets.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RenditionChoice {
    /// The best that the viewer's bandwidth estimate carries.
    #[default]
    Auto,
    /// The rendition of this name, whatever the estimate says.
    Pinned(String),
    /// No picture: whoever shows none needs none.
    SoundOnly,
}

/// Names one viewer's session. 128 bits: unguessable, and it tells the shard that serves it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(u128);

/// A viewer that wants to join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinRequest {
    pub channel: String,
    /// The viewer's SDP offer.
    pub offer: String,
    pub choice: RenditionChoice,
    /// It is no newcomer: a server that drains lets it in, too.
    pub despite_drain: bool,
}

/// A viewer that was let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    pub session: SessionId,
    /// The SDP answer.
    pub answer: String,
}

/// Why a viewer was not let in.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The client's fault: 404.
    #[error("channel {0:?} is not live here")]
    NoChannel(String),
    /// The client's fault: 404.
    #[error("channel {channel:?} has no rendition {rendition:?}")]
    NoRendition { channel: String, rendition: String },
    /// This server's limit: 503, worth a retry later.
    #[error("all {0} viewer places are taken")]
    Full(usize),
    /// This server's limit: 503, worth a retry soon.
    #[error("too many viewers are joining at once")]
    Busy,
    /// This server goes away: 503, worth a retry elsewhere.
    #[error("the server is draining and takes no new viewers")]
    Draining,
    /// The client's fault: 400.
    #[error("the offer can't be answered: {0}")]
    Sdp(String),
    /// The client's fault: 406.
    #[error("the offer has no codec in common with channel {0:?}")]
    NoCommonCodec(String),
}

/// Why a change to a session was not made. The client's fault.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    #[error("there is no session {0}")]
    NoSession(SessionId),
    #[error("session {session} has no rendition {rendition:?} to choose")]
    NoRendition { session: SessionId, rendition: String },
    #[error("the trickle fragment can't be read: {0}")]
    Trickle(String),
    /// This server's limit: 503, worth a retry.
    #[error("the shard of session {0} is overloaded")]
    Busy(SessionId),
}

/// What a viewer is doing, about once a second and at each change of rendition.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SessionReport {
    pub session: SessionId,
    pub channel: String,
    pub state: SessionState,
    pub choice: RenditionChoice,
    /// The rendition that is being sent; None before the first picture.
    pub active: Option<String>,
    /// Track of the active rendition.
    pub track: Option<TrackId>,
    /// Video codec of the active rendition.
    pub codec: Option<Codec>,
    /// Renditions that this viewer could be given, best first.
    pub layers: Vec<Layer>,
    /// Where the viewer's packets go. None until ICE has found a path.
    pub remote: Option<SocketAddr>,
    pub since: SystemTime,
    /// What was sent over the last report interval, headers included.
    pub bitrate: BitsPerSecond,
    /// Bandwidth estimate; None while there is nothing to estimate from.
    pub estimate: Option<BitsPerSecond>,
    /// Fraction of packets lost in the last report interval, 0 to 1.
    pub loss: f32,
    #[serde(serialize_with = "as_millis")]
    pub rtt: Option<Duration>,
    /// Totals of this session.
    pub packets: u64,
    pub bytes: u64,
    /// Sequence numbers that the viewer asked for again.
    pub nacks: u64,
    /// Packets sent again.
    pub retransmissions: u64,
    /// Keyframe requests from the viewer.
    pub plis: u64,
    /// Rendition switches.
    pub switches: u64,
    /// Join request to first picture sent.
    #[serde(serialize_with = "as_millis")]
    pub first_frame: Option<Duration>,
}

/// A rendition as a viewer sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Layer {
    pub name: String,
    pub track: TrackId,
    pub codec: Codec,
    pub resolution: Resolution,
    pub bitrate: BitsPerSecond,
    /// Packets of it came in within the last second.
    pub running: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionState {
    /// ICE and DTLS are under way.
    Connecting,
    Connected,
    Ended,
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// The viewer left: DELETE.
    Left,
    /// The viewer closed its DTLS association or said RTCP BYE.
    Closed,
    /// DTLS failed: the viewer isn't who its offer says, or has nothing in common with us.
    Failed,
    /// Nothing was heard of the viewer for `dead_after`.
    Dead,
    /// ICE and DTLS didn't come about in `dead_after`.
    NeverConnected,
    /// The channel closed.
    ChannelClosed,
    /// The server is draining.
    Drained,
}

/// What the control plane must know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FanoutEvent {
    /// How many viewers need this track. Sent at each change; the last one counts.
    Demand {
        channel: String,
        track: TrackId,
        viewers: u32,
    },
    /// Ask the track's encoder for a keyframe. At most one a second per track.
    KeyframeWanted {
        channel: String,
        track: TrackId,
    },
    Ended {
        channel: String,
        session: SessionId,
        reason: EndReason,
    },
}

/// Not a session id.
#[derive(Debug, thiserror::Error)]
#[error("a session id is 32 hexadecimal digits")]
pub struct SessionIdError;

fn as_millis<S: Serializer>(time: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => serializer.serialize_some(&(time.as_secs_f64() * 1000.0)),
        None => serializer.serialize_none(),
    }
}

// === impl SessionId ===

impl SessionId {
    const SHARD_BITS: u32 = 8;

    pub(super) fn new(random: u128, shard: usize) -> Self {
        Self(random << Self::SHARD_BITS | (shard as u128 & 0xff))
    }

    pub(super) fn shard(self) -> usize {
        (self.0 & 0xff) as usize
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for SessionId {
    type Err = SessionIdError;

    fn from_str(text: &str) -> Result<Self, SessionIdError> {
        if text.len() != 32 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(SessionIdError);
        }
        u128::from_str_radix(text, 16).map(Self).map_err(|_| SessionIdError)
    }
}

impl Serialize for SessionId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

// === impl EndReason ===

impl EndReason {
    pub const ALL: [Self; 7] = [
        Self::Left,
        Self::Closed,
        Self::Failed,
        Self::Dead,
        Self::NeverConnected,
        Self::ChannelClosed,
        Self::Drained,
    ];

    /// The reason as a metric label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Closed => "closed",
            Self::Failed => "failed",
            Self::Dead => "dead",
            Self::NeverConnected => "never_connected",
            Self::ChannelClosed => "channel_closed",
            Self::Drained => "drained",
        }
    }
}

// === impl JoinError ===

impl JoinError {
    /// All that [`as_str`](Self::as_str) gives.
    pub const REASONS: [&str; 7] =
        ["no_channel", "no_rendition", "full", "busy", "draining", "sdp", "no_common_codec"];

    /// The reason as a metric label.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::NoChannel(_) => "no_channel",
            Self::NoRendition { .. } => "no_rendition",
            Self::Full(_) => "full",
            Self::Busy => "busy",
            Self::Draining => "draining",
            Self::Sdp(_) => "sdp",
            Self::NoCommonCodec(_) => "no_common_codec",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_id_survives_its_text_and_knows_its_shard() {
        let id = SessionId::new(u128::MAX / 3, 5);
        assert_eq!(id.to_string().parse::<SessionId>().unwrap(), id);
        assert_eq!(id.shard(), 5);
    }

    #[test]
    fn a_foreign_session_id_is_refused() {
        for text in ["", "zz", "+1234567890123456789012345678901", "é"] {
            assert!(text.parse::<SessionId>().is_err(), "{text}");
        }
    }
}
