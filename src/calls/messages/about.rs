//! Which call a message is about: who has the call has to do with it.

use crate::calls::ids::{CallId, UserId};

use super::client::ClientMessage;
use super::server::ServerMessage;
use super::shapes::Conversation;

// === impl ClientMessage ===

impl ClientMessage {
    /// None: about the device's session, a call that is to be made, or no call's own business.
    pub fn call(&self) -> Option<&CallId> {
        match self {
            Self::Invite { call, .. } => call.as_ref(),
            Self::Accept { call, .. }
            | Self::Decline { call }
            | Self::Busy { call }
            | Self::Cancel { call, .. }
            | Self::HangUp { call }
            | Self::Leave { call }
            | Self::Rejoin { call, .. }
            | Self::Media { call, .. }
            | Self::Record { call, .. }
            | Self::Offer { call, .. }
            | Self::Answer { call, .. }
            | Self::Candidate { call, .. }
            | Self::Restart { call, .. }
            | Self::Applied { call, .. }
            | Self::PathReport { call, .. }
            | Self::Tiles { call, .. } => Some(call),
            // Of its own node's business, wherever the call is.
            Self::Report { .. }
            | Self::Hello { .. }
            | Self::Resume { .. }
            | Self::Ack { .. }
            | Self::Ping {}
            | Self::Capabilities { .. }
            | Self::ChatSend { .. }
            | Self::ChatDelivered { .. }
            | Self::ChatRead { .. }
            | Self::ChatTyping { .. }
            | Self::ChatHistory { .. }
            | Self::ChatSearch { .. }
            | Self::Token { .. } => None,
        }
    }
}

impl ClientMessage {
    /// What it is written in, or about.
    pub fn conversation(&self) -> Option<&Conversation> {
        match self {
            Self::ChatSend { conversation, .. }
            | Self::ChatDelivered { conversation, .. }
            | Self::ChatRead { conversation, .. }
            | Self::ChatTyping { conversation, .. }
            | Self::ChatHistory { conversation, .. } => Some(conversation),
            Self::ChatSearch { conversation, .. } => conversation.as_ref(),
            _ => None,
        }
    }
}

// === impl ServerMessage ===

impl ServerMessage {
    /// A notice about chat, and whose it is.
    pub fn notice(&self) -> Option<(&Conversation, &UserId)> {
        match self {
            Self::ChatDelivered { conversation, user, .. }
            | Self::ChatRead { conversation, user, .. }
            | Self::ChatTyping { conversation, user, .. } => Some((conversation, user)),
            _ => None,
        }
    }

    pub fn call(&self) -> Option<&CallId> {
        match self {
            Self::Error { call, .. } => call.as_ref(),
            Self::Ring { call, .. }
            | Self::RingStopped { call, .. }
            | Self::Call { call, .. }
            | Self::Participant { call, .. }
            | Self::Left { call, .. }
            | Self::CallEnded { call, .. }
            | Self::Peer { call, .. }
            | Self::PeerClosed { call, .. }
            | Self::Offer { call, .. }
            | Self::Answer { call, .. }
            | Self::Candidate { call, .. }
            | Self::Configure { call, .. }
            | Self::Topology { call, .. }
            | Self::Legs { call, .. }
            | Self::Path { call, .. }
            | Self::Streams { call, .. }
            | Self::Speaker { call, .. }
            | Self::Recorded { call, .. } => Some(call),
            Self::Welcome { .. }
            | Self::Pong {}
            // Whoever was in it hears of it wherever they are.
            | Self::RecordingFinished { .. }
            | Self::Presence { .. }
            | Self::ChatStored { .. }
            | Self::ChatMessage { .. }
            | Self::ChatDelivered { .. }
            | Self::ChatRead { .. }
            | Self::ChatTyping { .. }
            | Self::ChatPage { .. }
            | Self::ContactsChanged {}
            | Self::TokenExpires { .. } => None,
        }
    }
}
