//! What messages are made of: a call's and a participant's state, and why it is so.

use serde::{Deserialize, Serialize};

use crate::calls::ids::{CallId, ChatId, UserId};

use super::bounded::Text;

/// Session descriptions: a hundred sections are below this.
pub type Sdp = Text<65_536>;
/// One ICE candidate line (RFC 8839, 5.1).
pub type CandidateLine = Text<1024>;
pub type ChatText = Text<8192>;
pub type Sentence = Text<300>;
pub type Text256 = Text<256>;

/// A token of ours.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Token(pub Text<4096>);

/// What a participant sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Media {
    pub audio: bool,
    pub video: bool,
    /// The picture is a screen: sharpness counts more than motion.
    #[serde(default)]
    pub screen: bool,
}

/// A participant as the others see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Participant {
    pub user: UserId,
    pub state: Presence,
    /// Why it is out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<OutCause>,
    pub media: Media,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    Ringing,
    In,
    /// In, and without a socket at present.
    Lost,
    Out,
}

/// Why someone isn't in the call, or no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutCause {
    Left,
    Declined,
    Busy,
    DoNotDisturb,
    NoAnswer,
    /// No device is connected.
    Unreachable,
    /// The invitation was withdrawn.
    Cancelled,
    /// The socket dropped and wasn't resumed in time.
    Lost,
    /// The node that held the device is gone.
    NodeGone,
}

/// Why a call is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    HungUp,
    EverybodyLeft,
    Cancelled,
    Declined,
    Busy,
    DoNotDisturb,
    NoAnswer,
    Unreachable,
    Lost,
    NodeGone,
    /// The one who was rung rang back: their call is the one that goes on, and comes next.
    Crossed,
    ServerStopping,
}

/// Why a device no longer rings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RingStop {
    AnsweredElsewhere,
    Declined,
    /// This device said so.
    Busy,
    Cancelled,
    NoAnswer,
    CallOver,
}

/// Why this device is no longer in a call that goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeftCause {
    Left,
    /// Another device of the user took the call over.
    Moved,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Topology {
    /// Everybody sends to everybody.
    Mesh,
    /// Everybody sends to the call server, which passes on.
    Server,
}

/// The way that one direction between two participants takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Path {
    Direct,
    Server,
}

/// What a contact may know of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Availability {
    Available,
    InCall,
    DoNotDisturb,
    Offline,
}

/// Whom a chat message goes to, as the receiver of the message sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Conversation {
    /// The other user.
    User(UserId),
    Call(CallId),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChatMessage {
    pub id: ChatId,
    pub from: UserId,
    /// Place in its conversation, from 1.
    pub order: u64,
    /// Milliseconds since 1970, by the server's clock.
    pub at_ms: u64,
    pub text: ChatText,
}

/// A STUN or TURN server, as RTCPeerConnection takes it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IceServer {
    pub urls: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
}

/// What is wrong, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    // The message itself.
    TooLong,
    NotJson,
    UnknownType,
    Invalid,
    UnsupportedVersion,
    // The socket's session.
    HelloFirst,
    NotResumable,
    TooManyRequests,
    // Who may.
    NotAllowed,
    UnknownUser,
    UnknownCall,
    // Why someone isn't rung, or written to.
    Yourself,
    NotContacts,
    BlockedByCallee,
    BlockedByCaller,
    DoNotDisturb,
    /// By the operator's user service.
    Denied,
    /// It gave no answer.
    Undecided,
    // Chat.
    UnknownConversation,
    /// Another message was sent with this id.
    IdUsed,
    // The call.
    CallOver,
    NotInvited,
    NotRinging,
    StillRinging,
    AnsweredElsewhere,
    AlreadyIn,
    NotInCall,
    OnOtherDevice,
    OnlyTheHost,
    NobodyRinging,
    NobodyNew,
    CallFull,
    Withdrawn,
    UnknownPeer,
    Stale,
    TooManyCandidates,
    // The server.
    Unavailable,
}

// === impl Token ===

/// A secret: this may end up in a log.
impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token")
    }
}

// === impl IceServer ===

/// Without its credential: this may end up in a log.
impl std::fmt::Debug for IceServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IceServer").field("urls", &self.urls).finish_non_exhaustive()
    }
}
