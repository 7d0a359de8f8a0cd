//! What the server says to a device.

use serde::{Deserialize, Serialize};

use crate::calls::ids::{CallId, ChatId, SessionId, UserId};

use super::bounded::Few;
use super::media::{Configuration, ConfigureCause, Stream, Watch};
use super::shapes::{
    Availability, CandidateLine, ChatMessage, Conversation, EndReason, ErrorCode, IceServer,
    LeftCause, Media, Participant, Path, RingStop, Sdp, Sentence, Text256, Token, Topology,
};

/// A message with its number, as it stands on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Numbered {
    /// Per session, from 1, without a gap. 0: outside of a session, before `welcome`.
    pub seq: u64,
    /// The client's `request` that this answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<u32>,
    #[serde(flatten)]
    pub message: ServerMessage,
}

/// A message to a device. On the wire its name stands in `type`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ServerMessage {
    /// Answers `hello` and `resume`. Not `resumed`: the session is new, and what was in the old
    /// one is lost. After `resume`, what was missed comes before this.
    Welcome {
        version: u32,
        user: UserId,
        session: SessionId,
        resumed: bool,
        resume_within_ms: u32,
        /// For connections with peers.
        ice_servers: Vec<IceServer>,
    },
    /// The token is good for so long: a minute before its end, and as the answer to `token`. Then
    /// the socket is closed with 4007, and the device is out of its calls.
    TokenExpires {
        /// At most 4294967295.
        in_ms: u32,
    },
    /// What was asked for is refused. The socket stays open.
    Error {
        code: ErrorCode,
        /// For people; names what was wrong.
        detail: Sentence,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        call: Option<CallId>,
        /// Whom it is about, where that is one of several.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        user: Option<UserId>,
    },
    Pong {},

    Ring {
        call: CallId,
        from: UserId,
        media: Media,
        /// Everybody else who is in the call or rung.
        others: Vec<UserId>,
        stops_in_ms: u32,
    },
    RingStopped {
        call: CallId,
        reason: RingStop,
    },
    /// The device is in the call, and this is what it looks like.
    Call {
        call: CallId,
        host: UserId,
        participants: Vec<Participant>,
        topology: Topology,
        recorded: bool,
    },
    /// Someone came, went or changed.
    Participant {
        call: CallId,
        participant: Participant,
    },
    /// This device is no longer in a call that goes on.
    Left {
        call: CallId,
        cause: LeftCause,
    },
    CallEnded {
        call: CallId,
        reason: EndReason,
    },

    /// There is to be a connection with this peer; in a new epoch: another instead of the last.
    Peer {
        call: CallId,
        session: u32,
        epoch: u32,
        user: UserId,
        /// This end makes the first offer.
        offers: bool,
    },
    PeerClosed {
        call: CallId,
        session: u32,
    },
    Offer {
        call: CallId,
        session: u32,
        epoch: u32,
        from: UserId,
        sdp: Sdp,
    },
    Answer {
        call: CallId,
        session: u32,
        epoch: u32,
        from: UserId,
        sdp: Sdp,
    },
    Candidate {
        call: CallId,
        session: u32,
        epoch: u32,
        from: UserId,
        candidate: CandidateLine,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mid: Option<Text256>,
    },

    /// Send like this from now on.
    Configure {
        call: CallId,
        revision: u32,
        configuration: Configuration,
        cause: ConfigureCause,
    },
    /// Make the connections that this takes, then let go of those that it doesn't.
    Topology {
        call: CallId,
        topology: Topology,
        reason: Sentence,
    },
    /// What this device is to have with the call server, in place of what it had before.
    Legs {
        call: CallId,
        /// The WHIP endpoint to send to, on this server. None: nothing is to be sent there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        publish: Option<Text256>,
        watch: Few<Watch, 100>,
        /// The bearer token of these, and of nothing else.
        token: Token,
    },
    /// The way that media from one user to another takes from now on.
    Path {
        call: CallId,
        from: UserId,
        to: UserId,
        path: Path,
        cause: Sentence,
    },
    /// What this device gets through the server of each tile.
    Streams {
        call: CallId,
        streams: Vec<Stream>,
    },
    /// None: nobody talks.
    Speaker {
        call: CallId,
        user: Option<UserId>,
    },
    Recorded {
        call: CallId,
        recorded: bool,
    },
    /// A recording of a call that the user was in is there, or there will be none.
    RecordingFinished {
        recording: Text256,
        call: CallId,
        ready: bool,
        /// Why there is none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<Sentence>,
    },
    /// Of a contact.
    Presence {
        user: UserId,
        availability: Availability,
    },

    /// The user's contacts, requests or blocks are no longer what they were.
    ContactsChanged {},

    /// Answers `chat_send`: stored, once however often it was sent.
    ChatStored {
        conversation: Conversation,
        id: ChatId,
        order: u64,
        at_ms: u64,
    },
    ChatMessage {
        conversation: Conversation,
        message: ChatMessage,
    },
    ChatDelivered {
        conversation: Conversation,
        user: UserId,
        order: u64,
    },
    ChatRead {
        conversation: Conversation,
        user: UserId,
        order: u64,
    },
    ChatTyping {
        conversation: Conversation,
        user: UserId,
        typing: bool,
    },
    /// Answers `chat_history` and `chat_search`.
    ChatPage {
        /// The newest first.
        entries: Vec<ChatEntry>,
        /// What to ask with, as `before`, for the page that goes on where this one ends. None:
        /// there is nothing more.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next: Option<u64>,
    },
}

/// A message found, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChatEntry {
    pub conversation: Conversation,
    pub message: ChatMessage,
}
