//! What a device says to the server.

use serde::{Deserialize, Serialize};

use crate::calls::ids::{CallId, ChatId, DeviceId, SessionId, UserId};

use super::bounded::{Few, Text};
use super::media::{Capabilities, Configuration, Network, PageSize, PathReport};
use super::report::{QualitySample, ReportReason};
use super::shapes::{CandidateLine, ChatText, Conversation, Media, Sdp, Text256, Token};

/// A message of a device. On the wire its name stands in `type`; any may carry a number in
/// `request`, which stands in the answer or the error again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum ClientMessage {
    /// The first message on a socket, or [`Self::Resume`].
    Hello {
        version: u32,
        device: DeviceId,
        capabilities: Capabilities,
        /// One of the role `user`, where the server asks for tokens.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<Token>,
        /// Who it is, where the server asks for none; else what the token says, or nothing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        user: Option<UserId>,
    },
    /// Goes on with a session whose socket dropped: everything after `seq` comes again.
    Resume {
        version: u32,
        session: SessionId,
        seq: u64,
        /// Of the same user, where the server asks for tokens.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<Token>,
    },
    /// Everything up to `seq` has arrived. Unacknowledged messages are few: say so every few
    /// seconds.
    Ack {
        seq: u64,
    },
    /// Another token of the same user, and device: the socket stays open for as long as it is good.
    /// Answered by `token_expires`.
    Token {
        token: Token,
    },
    /// Is anybody there? Browsers can't send a web socket's own ping.
    Ping {},

    /// Starts a call, or adds to one.
    Invite {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        call: Option<CallId>,
        users: Few<UserId, 99>,
        media: Media,
    },
    Accept {
        call: CallId,
        media: Media,
    },
    /// The user declines: all of the user's devices stop ringing.
    Decline {
        call: CallId,
    },
    /// This device is in another call. The user's others go on ringing.
    Busy {
        call: CallId,
    },
    /// Withdraws an invitation that this user gave, or the host any: of `user`, or all of them.
    Cancel {
        call: CallId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        user: Option<UserId>,
    },
    /// Ends the call for all: in a group only the host may.
    HangUp {
        call: CallId,
    },
    /// The call goes on, and the user may rejoin.
    Leave {
        call: CallId,
    },
    /// Also takes the call over from another device of the user, or after a reload.
    Rejoin {
        call: CallId,
        media: Media,
    },
    /// Mute, camera, screen.
    Media {
        call: CallId,
        media: Media,
    },

    /// Has the call recorded, or no longer: for those who may. Everybody in it is told.
    Record {
        call: CallId,
        recorded: bool,
    },

    Offer {
        call: CallId,
        session: u32,
        epoch: u32,
        sdp: Sdp,
    },
    Answer {
        call: CallId,
        session: u32,
        epoch: u32,
        sdp: Sdp,
    },
    /// One ICE candidate; an empty line says that there are no more.
    Candidate {
        call: CallId,
        session: u32,
        epoch: u32,
        candidate: CandidateLine,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mid: Option<Text256>,
    },
    /// A new peer connection instead of this one: both ends start again in the next epoch.
    Restart {
        call: CallId,
        session: u32,
        epoch: u32,
    },

    /// The device or its line changed.
    Capabilities {
        capabilities: Capabilities,
    },
    /// A configuration was put into effect, perhaps not to the letter.
    Applied {
        call: CallId,
        revision: u32,
        configuration: Configuration,
    },
    /// Every second, and at once when a path breaks.
    PathReport {
        call: CallId,
        reports: Few<PathReport, 200>,
    },
    /// What the device is, and what it has seen and heard since its last report. Kept as an event,
    /// and not answered.
    Report {
        /// The call that it is in.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        call: Option<CallId>,
        reason: ReportReason,
        /// Kind of device and browser, such as `phone, Chromium 140`.
        client: Text<64>,
        /// Of the screen, in device pixels.
        width: u16,
        height: u16,
        network: Network,
        quality: Few<QualitySample, 200>,
    },
    /// What is on the screen.
    Tiles {
        call: CallId,
        page_size: PageSize,
        /// From 0.
        page: u16,
        /// Those shown, in order.
        users: Few<UserId, 25>,
        /// Of each, in device pixels.
        height: u32,
        /// Shown larger than the rest.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        large: Option<UserId>,
    },

    ChatSend {
        conversation: Conversation,
        id: ChatId,
        text: ChatText,
    },
    /// Everything that came before it, and the conversation's messages up to `order`, have arrived
    /// on this device: they won't come again in a later session.
    ChatDelivered {
        conversation: Conversation,
        order: u64,
    },
    ChatRead {
        conversation: Conversation,
        order: u64,
    },
    ChatTyping {
        conversation: Conversation,
        typing: bool,
    },
    /// The `limit` messages before `before`, or the last ones.
    ChatHistory {
        conversation: Conversation,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        before: Option<u64>,
        limit: u8,
    },
    /// Full text, in one conversation or in all of the user's, newest first.
    ChatSearch {
        query: Text256,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        conversation: Option<Conversation>,
        /// What `next` of the page before this one said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        before: Option<u64>,
        limit: u8,
    },
}

// === impl ClientMessage ===

impl ClientMessage {
    /// Every `type` that is known.
    pub const NAMES: &[&str] = &[
        "hello",
        "resume",
        "ack",
        "token",
        "ping",
        "invite",
        "accept",
        "decline",
        "busy",
        "cancel",
        "hang_up",
        "leave",
        "rejoin",
        "media",
        "record",
        "offer",
        "answer",
        "candidate",
        "restart",
        "capabilities",
        "applied",
        "path_report",
        "report",
        "tiles",
        "chat_send",
        "chat_delivered",
        "chat_read",
        "chat_typing",
        "chat_history",
        "chat_search",
    ];
}
