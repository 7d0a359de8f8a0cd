//! Chat's part in a session: how far its messages were handed to the device, and whether there is
//! room for more. What they are, and who may read them, is decided where they are stored.

use std::time::Instant;

use crate::calls::ids::{Address, CallId, UserId};
use crate::calls::messages::{Conversation, ServerMessage};

use super::{Effect, Fault, Hub, Note, SocketId};

/// Of a session: the last message that was handed over, by its place among all messages.
#[derive(Debug, Clone, Copy, Default)]
pub struct ChatPlace {
    after: Option<i64>,
    /// There may be more, for which there was no room.
    held: bool,
}

/// A device whose messages are to be looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatTurn {
    pub address: Address,
    /// None: as far as the device said that it has them.
    pub after: Option<i64>,
}

/// Chat waits while more than this part of what may be is unacknowledged: calls' messages find room.
const PART: usize = 3;

// === impl Hub ===

impl Hub {
    /// There may be something for a user.
    pub fn nudge_chat(&mut self, user: &UserId) {
        let Some(user) = self.users.get(user) else { return };
        let sessions = user.devices.values().filter_map(|id| self.sessions.get(id));
        let sockets: Vec<SocketId> = sessions.filter_map(|session| session.socket).collect();
        self.effects.extend(sockets.into_iter().map(Effect::Chat));
    }

    /// What a user whom the directory has on another node did in a chat.
    pub fn notice(
        &mut self,
        from: &UserId,
        users: &[UserId],
        message: &ServerMessage,
        now: Instant,
    ) {
        let is_own = |conversation: &Conversation| match conversation {
            // Whom they write with, as the other calls it, or as their own devices do.
            Conversation::User(peer) => peer == from || users.iter().all(|user| user == from),
            Conversation::Call(_) => true,
        };
        match message.notice() {
            Some((conversation, user)) if user == from && is_own(conversation) => {
                users.iter().for_each(|user| self.tell(user, None, message));
            }
            _ => self.note(Note::NotFollowed(Fault::NotYours)),
        }
        self.finish(now);
    }

    /// From where the socket's device goes on. None: there is no room at present, or nobody.
    pub fn chat_turn(&mut self, socket: SocketId) -> Option<ChatTurn> {
        let id = self.session_of(socket)?.clone();
        let session = self.sessions.get_mut(&id)?;
        if !session.outbox.is_below(PART) {
            session.chat.held = true;
            return None;
        }
        Some(ChatTurn { address: session.address.clone(), after: session.chat.after })
    }

    /// Hands messages over that come after what was handed over before, the last of them at
    /// `upto`. Nothing happens where the session has gone elsewhere meanwhile.
    pub fn push_chat(
        &mut self,
        socket: SocketId,
        turn: &ChatTurn,
        messages: Vec<ServerMessage>,
        upto: i64,
        now: Instant,
    ) -> bool {
        let Some(id) = self.session_of(socket).cloned() else { return false };
        let session = self.sessions.get_mut(&id);
        let Some(session) = session.filter(|session| session.chat.after == turn.after) else {
            return false;
        };
        session.chat = ChatPlace { after: Some(upto), held: false };
        for message in messages {
            self.push(&id, None, message);
        }
        self.finish(now);
        true
    }

    /// Some of what waited was acknowledged.
    pub(super) fn resume_chat(&mut self, socket: SocketId) {
        let Some(id) = self.session_of(socket).cloned() else { return };
        let Some(session) = self.sessions.get_mut(&id) else { return };
        if session.chat.held && session.outbox.is_below(PART) {
            session.chat.held = false;
            self.effects.push(Effect::Chat(socket));
        }
    }

    /// Those who are in a call, for one of them.
    pub fn people_in(&self, call: &CallId, user: &UserId) -> Option<Vec<UserId>> {
        if !self.is_at_home(call) {
            return self.people_in_foreign(call, user);
        }
        let live = self.calls.get(call).filter(|live| live.is_in(user))?;
        Some(live.call.present().map(|address| address.user).collect())
    }
}
