//! Chat over a socket: what a device writes is stored and told to those whom it is for; what is for
//! a device is handed to it in the order in which it was stored.
//!
//! Nothing is pushed from whoever writes to whoever reads: a reader is nudged, and looks for what
//! comes after what it had. So two who write at once can't overtake each other on the way.

mod deliver;

use deliver::{cut, entries, entry, place, unix_ms};

use super::socket::Connection;
use crate::accounts::chat::{
    Body, CallName, Chat, ChatError, ClientId, ConversationId, MessageId, Place, Query, Sent,
};
use crate::accounts::{ContactError, Moment};
use crate::calls::hub::{Origin, Refused, hello_first};
use crate::calls::ids::{Address, ChatId, UserId};
use crate::calls::messages::{ChatText, ClientMessage, Conversation, ErrorCode, ServerMessage};
use crate::http::people::Decider;

type Done<T = ()> = Result<T, Refused>;

/// What a receipt, a notice or a look back costs of what a user may write.
const ASIDE: f64 = 0.2;
/// What a search costs of it.
const SEARCH: f64 = 2.0;

/// One message of one device.
struct Desk<'a> {
    connection: &'a Connection,
    chat: &'a Chat,
    from: Address,
    origin: Origin,
}

// === impl Connection ===

impl Connection {
    /// A message whose name begins with `chat_`.
    pub(super) async fn chat(&self, origin: Origin, message: ClientMessage) {
        if let Err(refused) = self.take_chat(origin, message).await {
            self.state.people.metrics.chat_refusals.inc();
            self.refuse(origin.request, refused);
        }
    }

    async fn take_chat(&self, origin: Origin, message: ClientMessage) -> Done {
        let Some(from) = self.board.with(|hub, _| hub.address_of(self.id)) else {
            return Err(hello_first());
        };
        let Some(chat) = &self.state.people.chat else {
            return Err(Refused::new(ErrorCode::Unavailable, "this server keeps no chat"));
        };
        let cost = match message {
            ClientMessage::ChatSend { .. } => 1.0,
            ClientMessage::ChatSearch { .. } => SEARCH,
            _ => ASIDE,
        };
        self.state.people.take_writing(&from.user, cost)?;
        let desk = Desk { connection: self, chat, from, origin };
        match message {
            ClientMessage::ChatSend { conversation, id, text } => {
                desk.send(conversation, id, text).await
            }
            ClientMessage::ChatDelivered { conversation, order } => {
                desk.delivered(conversation, order).await
            }
            ClientMessage::ChatRead { conversation, order } => desk.read(conversation, order).await,
            ClientMessage::ChatTyping { conversation, typing } => {
                desk.typing(conversation, typing).await
            }
            ClientMessage::ChatHistory { conversation, before, limit } => {
                desk.history(conversation, before, limit).await
            }
            ClientMessage::ChatSearch { query, conversation, before, limit } => {
                desk.search(query.as_str(), conversation, before, limit).await
            }
            _ => Err(Refused::new(ErrorCode::Unavailable, "this server doesn't do that")),
        }
    }
}

// === impl Desk ===

impl Desk<'_> {
    async fn send(&self, conversation: Conversation, id: ChatId, text: ChatText) -> Done {
        let misfit = |misfit| self.refused(ChatError::Misfit(misfit));
        let body: Body = text.as_str().parse().map_err(misfit)?;
        let client_id: ClientId = id.as_str().parse().map_err(misfit)?;
        let room = self.room_to_write(&conversation).await?;
        let sender = (&self.from.user, &self.from.device);
        let sent = self.chat.send(sender, room, client_id, body, Moment::now()).await;
        let Sent { message, tell } = sent.map_err(|error| self.refused(error))?;
        let kind = match conversation {
            Conversation::User(_) => "direct",
            Conversation::Call(_) => "call",
        };
        if !tell.is_empty() {
            self.connection.state.people.metrics.chat_messages.with_label_values(&[kind]).inc();
        }
        let (order, at_ms) = (message.seq as u64, unix_ms(&message));
        self.connection.board.with(|hub, now| {
            let stored = ServerMessage::ChatStored { conversation, id, order, at_ms };
            hub.reply(self.origin, stored, now);
            tell.iter().for_each(|user| hub.nudge_chat(user));
        });
        Ok(())
    }

    /// The conversation, made where there is none; whether one may write there is looked at again
    /// when something is stored.
    async fn room_to_write(&self, conversation: &Conversation) -> Done<ConversationId> {
        let refused = |error| self.refused(error);
        match conversation {
            Conversation::User(peer) => {
                if let Decider::Service(service) = &self.connection.state.people.decider {
                    let asked = service.may_write(&self.from, peer, Moment::now()).await;
                    asked.map_err(|no| self.connection.state.people.refused(&no))?;
                }
                let user = &self.from.user;
                let known = self.chat.find(user, &Place::Direct(peer.clone())).await;
                match known.map_err(refused)? {
                    Some(room) => Ok(room),
                    None => self.chat.open_direct(user, peer).await.map_err(refused),
                }
            }
            Conversation::Call(call) => {
                let people = self.people_in(call).ok_or_else(unknown)?;
                let name = call.as_str().parse::<CallName>();
                let name = name.map_err(|misfit| refused(ChatError::Misfit(misfit)))?;
                self.chat.gather(&name, people).await.map_err(refused)
            }
        }
    }

    async fn delivered(&self, conversation: Conversation, order: u64) -> Done {
        let Some(room) = self.find(&conversation).await? else { return Err(unknown()) };
        let Address { user, device } = &self.from;
        let delivered = self.chat.delivered_in(user, device, room, place(order)).await;
        if let Some(news) = delivered.map_err(|error| self.refused(error))? {
            let order = news.seq as u64;
            self.tell(&conversation, news.tell, |conversation, user| {
                ServerMessage::ChatDelivered { conversation, user, order }
            });
        }
        Ok(())
    }

    async fn read(&self, conversation: Conversation, order: u64) -> Done {
        let Some(room) = self.find(&conversation).await? else { return Err(unknown()) };
        let user = &self.from.user;
        let read = self.chat.mark_read(user, room, place(order), Moment::now()).await;
        let Some(seq) = read.map_err(|error| self.refused(error))? else { return Ok(()) };
        // Of a call that the user has left, nobody is told.
        let members = self.chat.members(user, room).await.unwrap_or_default();
        let others = members.into_iter().filter(|member| member != user).collect();
        let order = seq as u64;
        self.tell(&conversation, others, |conversation, user| ServerMessage::ChatRead {
            conversation,
            user,
            order,
        });
        // The user's other devices, for which it is no longer unread.
        let own = ServerMessage::ChatRead { conversation, user: user.clone(), order };
        self.connection.board.with(|hub, _| hub.tell(user, Some(&self.from.device), &own));
        Ok(())
    }

    async fn typing(&self, conversation: Conversation, typing: bool) -> Done {
        let user = &self.from.user;
        let others = match &conversation {
            Conversation::User(peer) => {
                if let Decider::Service(service) = &self.connection.state.people.decider {
                    let may = service.may_show_typing(&self.from, peer, Moment::now()).await;
                    may.map_err(|no| self.connection.state.people.refused(&no))?;
                }
                let reached = self.chat.check_reach(user, peer).await;
                reached.map_err(|error| self.refused(error))?;
                vec![peer.clone()]
            }
            Conversation::Call(call) => {
                let people = self.people_in(call).ok_or_else(unknown)?;
                people.into_iter().filter(|member| member != user).collect()
            }
        };
        self.tell(&conversation, others, |conversation, user| ServerMessage::ChatTyping {
            conversation,
            user,
            typing,
        });
        Ok(())
    }

    async fn history(&self, conversation: Conversation, before: Option<u64>, limit: u8) -> Done {
        let Some(room) = self.find(&conversation).await? else {
            return self.empty_page(&conversation);
        };
        let (user, refused) = (&self.from.user, |error| self.refused(error));
        let page = self.chat.history(user, room, before.map(place), limit.into()).await;
        let mut page = page.map_err(refused)?;
        if cut(&mut page.messages) {
            page.before = page.messages.last().map(|message| message.seq);
        }
        let entry = |message| entry(conversation.clone(), message);
        let entries = page.messages.into_iter().filter_map(entry).collect();
        let next = page.before.map(|seq| seq as u64);
        // How far the others have read, for those who are there still.
        let receipts = self.chat.receipts(user, room).await.unwrap_or_default();
        self.connection.board.with(|hub, now| {
            hub.reply(self.origin, ServerMessage::ChatPage { entries, next }, now);
            let origin = Origin { request: None, ..self.origin };
            for receipt in receipts {
                let (user, order) = (receipt.user, receipt.seq as u64);
                let conversation = conversation.clone();
                hub.reply(origin, ServerMessage::ChatRead { conversation, user, order }, now);
            }
        });
        Ok(())
    }

    /// Nothing was written yet; of a call, that is told to those who are in it.
    fn empty_page(&self, conversation: &Conversation) -> Done {
        if let Conversation::Call(call) = conversation {
            self.people_in(call).ok_or_else(unknown)?;
        }
        let page = ServerMessage::ChatPage { entries: Vec::new(), next: None };
        self.connection.board.with(|hub, now| hub.reply(self.origin, page, now));
        Ok(())
    }

    async fn search(
        &self,
        query: &str,
        conversation: Option<Conversation>,
        before: Option<u64>,
        limit: u8,
    ) -> Done {
        let refused = |error| self.refused(error);
        let query = query.parse::<Query>().map_err(|misfit| refused(ChatError::Misfit(misfit)))?;
        let room = match &conversation {
            None => None,
            Some(conversation) => match self.find(conversation).await? {
                Some(room) => Some(room),
                None => return self.empty_page(conversation),
            },
        };
        let user = &self.from.user;
        let before = before.map(|id| MessageId(place(id)));
        let found = self.chat.search(user, room, query, before, limit.into()).await;
        let mut found = found.map_err(refused)?;
        if cut(&mut found.messages) {
            found.before = found.messages.last().map(|message| message.id);
        }
        let next = found.before.map(|id| id.0 as u64);
        let entries = entries(self.chat, user, found.messages).await.map_err(refused)?;
        let page = ServerMessage::ChatPage { entries, next };
        self.connection.board.with(|hub, now| hub.reply(self.origin, page, now));
        Ok(())
    }

    /// The conversation that the user is in or was.
    async fn find(&self, conversation: &Conversation) -> Done<Option<ConversationId>> {
        let place = match conversation {
            Conversation::User(peer) => Place::Direct(peer.clone()),
            Conversation::Call(call) => match call.as_str().parse::<CallName>() {
                Ok(call) => Place::Call(call),
                Err(misfit) => return Err(self.refused(ChatError::Misfit(misfit))),
            },
        };
        let found = self.chat.find(&self.from.user, &place).await;
        found.map_err(|error| self.refused(error))
    }

    fn people_in(&self, call: &crate::calls::ids::CallId) -> Option<Vec<UserId>> {
        self.connection.board.with(|hub, _| hub.people_in(call, &self.from.user))
    }

    /// Tells all devices of these, each by its own name for the conversation.
    fn tell(
        &self,
        conversation: &Conversation,
        users: Vec<UserId>,
        message: impl Fn(Conversation, UserId) -> ServerMessage,
    ) {
        let from = &self.from.user;
        let theirs = match conversation {
            Conversation::User(_) => Conversation::User(from.clone()),
            Conversation::Call(call) => Conversation::Call(call.clone()),
        };
        let message = message(theirs, from.clone());
        self.connection.board.with(|hub, _| {
            for user in &users {
                hub.tell(user, None, &message);
            }
        });
    }

    fn refused(&self, error: ChatError) -> Refused {
        let code = match &error {
            ChatError::NotAMember => return unknown(),
            ChatError::Yourself => ErrorCode::Yourself,
            ChatError::MayNotWrite(why) => match why {
                ContactError::BlockedByThem => ErrorCode::BlockedByCallee,
                ContactError::BlockedByYou => ErrorCode::BlockedByCaller,
                ContactError::Database(error) => {
                    return self.connection.state.people.unavailable(error);
                }
                _ => ErrorCode::NotContacts,
            },
            ChatError::ClientIdUsed => ErrorCode::IdUsed,
            ChatError::Misfit(_) => ErrorCode::Invalid,
            ChatError::Database(error) => return self.connection.state.people.unavailable(error),
        };
        Refused::new(code, error.to_string())
    }
}

/// What isn't one's own and what isn't there are told alike.
fn unknown() -> Refused {
    Refused::new(ErrorCode::UnknownConversation, ChatError::NotAMember.to_string())
}
