//! Chat, where it is kept: what a device says is stored, and what follows is for the node that the
//! device is connected to, be that this one or another.
//!
//! Nothing is pushed from whoever writes to whoever reads: a reader is nudged, and looks for what
//! comes after what it had. So two who write at once can't overtake each other on the way.

mod entries;

use serde::{Deserialize, Serialize};

use entries::{cut, entries, entry, place, unix_ms};

use super::elsewhere::Away;
use super::question::{Page, Question};
use super::{Decider, People, out_of_order};
use crate::accounts::chat::{
    Body, CallName, Chat, ChatError, ClientId, ConversationId, MessageId, Place, Query, Sent,
    Undelivered,
};
use crate::accounts::{ContactError, Moment};
use crate::calls::hub::Refused;
use crate::calls::ids::{Address, ChatId, DeviceId, UserId};
use crate::calls::messages::{ChatText, ClientMessage, Conversation, ErrorCode, ServerMessage};

type Done<T = ()> = Result<T, Refused>;

/// A message of one device whose name begins with `chat_`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Said {
    pub from: Address,
    /// Those in the call that it is about, if it is about one that the user is in.
    pub people: Option<Vec<UserId>>,
    pub message: ClientMessage,
}

/// What follows from it.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// To the device. The first answers what it asked.
    pub replies: Vec<ServerMessage>,
    pub told: Vec<Told>,
    /// For whom there is something to look for.
    pub nudged: Vec<UserId>,
}

/// Something for all devices of these, but for one.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Told {
    pub users: Vec<UserId>,
    pub but: Option<DeviceId>,
    pub message: ServerMessage,
}

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    #[error(transparent)]
    Chat(#[from] ChatError),
    #[error(transparent)]
    Away(#[from] Away),
    #[error("the server that keeps chat couldn't look")]
    There,
}

/// Handed over at a time.
const PAGE: u32 = 20;

/// One message of one device.
struct Desk<'a> {
    people: &'a People,
    chat: &'a Chat,
    from: Address,
    in_call: Option<Vec<UserId>>,
}

// === impl People ===

impl People {
    /// Whether there is chat at all.
    pub fn keeps_chat(&self) -> bool {
        self.chat.is_some() || matches!(self.decider, Decider::Elsewhere(_))
    }

    pub async fn chat(&self, said: Said) -> Result<Outcome, Refused> {
        if let Decider::Elsewhere(node) = &self.decider {
            let answered: Result<Done<Outcome>, Away> = node.ask(&Question::Said(said)).await;
            return answered.unwrap_or_else(|_| Err(out_of_order()));
        }
        let Some(chat) = &self.chat else {
            return Err(Refused::new(ErrorCode::Unavailable, "this server keeps no chat"));
        };
        let Said { from, people: in_call, message } = said;
        Desk { people: self, chat, from, in_call }.take(message).await
    }

    /// What a device wasn't handed yet, after this message; None: after what it said that it has.
    pub async fn undelivered(
        &self,
        address: &Address,
        after: Option<i64>,
    ) -> Result<Page, Trouble> {
        if let Decider::Elsewhere(node) = &self.decider {
            let question = Question::Undelivered { address: address.clone(), after };
            return node.ask::<Option<Page>>(&question).await?.ok_or(Trouble::There);
        }
        let Some(chat) = &self.chat else {
            return Ok(Page { messages: Vec::new(), upto: after.unwrap_or_default(), full: false });
        };
        let Address { user, device } = address;
        let is_first = after.is_none();
        let after = match after {
            Some(after) => MessageId(after),
            None => chat.cursor(user, device).await?,
        };
        let Undelivered { messages, up_to, more } =
            chat.undelivered(user, device, after, PAGE).await?;
        if is_first && messages.is_empty() && up_to > after {
            // Its own alone, which no acknowledgement will be about: the next session begins after
            // them.
            chat.delivered(user, device, up_to).await?;
        }
        let entries = entries(chat, user, messages).await?;
        let messages = entries.into_iter().map(|entry| ServerMessage::ChatMessage {
            conversation: entry.conversation,
            message: entry.message,
        });
        Ok(Page { messages: messages.collect(), upto: up_to.0, full: more })
    }
}

// === impl Outcome ===

impl Outcome {
    fn replying(message: ServerMessage) -> Self {
        Self { replies: vec![message], ..Self::default() }
    }
}

// === impl Desk ===

impl Desk<'_> {
    async fn take(&self, message: ClientMessage) -> Done<Outcome> {
        match message {
            ClientMessage::ChatSend { conversation, id, text } => {
                self.send(conversation, id, text).await
            }
            ClientMessage::ChatDelivered { conversation, order } => {
                self.delivered(conversation, order).await
            }
            ClientMessage::ChatRead { conversation, order } => self.read(conversation, order).await,
            ClientMessage::ChatTyping { conversation, typing } => {
                self.typing(conversation, typing).await
            }
            ClientMessage::ChatHistory { conversation, before, limit } => {
                self.history(conversation, before, limit).await
            }
            ClientMessage::ChatSearch { query, conversation, before, limit } => {
                self.search(query.as_str(), conversation, before, limit).await
            }
            _ => Err(Refused::new(ErrorCode::Unavailable, "this server doesn't do that")),
        }
    }

    async fn send(&self, conversation: Conversation, id: ChatId, text: ChatText) -> Done<Outcome> {
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
            self.people.metrics.chat_messages.with_label_values(&[kind]).inc();
        }
        let (order, at_ms) = (message.seq as u64, unix_ms(&message));
        let stored = ServerMessage::ChatStored { conversation, id, order, at_ms };
        Ok(Outcome { nudged: tell, ..Outcome::replying(stored) })
    }

    /// The conversation, made where there is none; whether one may write there is looked at again
    /// when something is stored.
    async fn room_to_write(&self, conversation: &Conversation) -> Done<ConversationId> {
        let refused = |error| self.refused(error);
        match conversation {
            Conversation::User(peer) => {
                if let Decider::Service(service) = &self.people.decider {
                    let asked = service.may_write(&self.from, peer, Moment::now()).await;
                    asked.map_err(|no| self.people.refused(&no))?;
                }
                let user = &self.from.user;
                let known = self.chat.find(user, &Place::Direct(peer.clone())).await;
                match known.map_err(refused)? {
                    Some(room) => Ok(room),
                    None => self.chat.open_direct(user, peer).await.map_err(refused),
                }
            }
            Conversation::Call(call) => {
                let people = self.people_in()?;
                let name = call.as_str().parse::<CallName>();
                let name = name.map_err(|misfit| refused(ChatError::Misfit(misfit)))?;
                self.chat.gather(&name, people).await.map_err(refused)
            }
        }
    }

    async fn delivered(&self, conversation: Conversation, order: u64) -> Done<Outcome> {
        let Some(room) = self.find(&conversation).await? else { return Err(unknown()) };
        let Address { user, device } = &self.from;
        let delivered = self.chat.delivered_in(user, device, room, place(order)).await;
        let Some(news) = delivered.map_err(|error| self.refused(error))? else {
            return Ok(Outcome::default());
        };
        let order = news.seq as u64;
        Ok(self.telling(&conversation, news.tell, |conversation, user| {
            ServerMessage::ChatDelivered { conversation, user, order }
        }))
    }

    async fn read(&self, conversation: Conversation, order: u64) -> Done<Outcome> {
        let Some(room) = self.find(&conversation).await? else { return Err(unknown()) };
        let user = &self.from.user;
        let read = self.chat.mark_read(user, room, place(order), Moment::now()).await;
        let Some(seq) = read.map_err(|error| self.refused(error))? else {
            return Ok(Outcome::default());
        };
        // Of a call that the user has left, nobody is told.
        let members = self.chat.members(user, room).await.unwrap_or_default();
        let others = members.into_iter().filter(|member| member != user).collect();
        let order = seq as u64;
        let mut outcome = self.telling(&conversation, others, |conversation, user| {
            ServerMessage::ChatRead { conversation, user, order }
        });
        // The user's other devices, for which it is no longer unread.
        let own = ServerMessage::ChatRead { conversation, user: user.clone(), order };
        let but = Some(self.from.device.clone());
        outcome.told.push(Told { users: vec![user.clone()], but, message: own });
        Ok(outcome)
    }

    async fn typing(&self, conversation: Conversation, typing: bool) -> Done<Outcome> {
        let user = &self.from.user;
        let others = match &conversation {
            Conversation::User(peer) => {
                if let Decider::Service(service) = &self.people.decider {
                    let may = service.may_show_typing(&self.from, peer, Moment::now()).await;
                    may.map_err(|no| self.people.refused(&no))?;
                }
                let reached = self.chat.check_reach(user, peer).await;
                reached.map_err(|error| self.refused(error))?;
                vec![peer.clone()]
            }
            Conversation::Call(_) => {
                let people = self.people_in()?;
                people.into_iter().filter(|member| member != user).collect()
            }
        };
        Ok(self.telling(&conversation, others, |conversation, user| ServerMessage::ChatTyping {
            conversation,
            user,
            typing,
        }))
    }

    async fn history(
        &self,
        conversation: Conversation,
        before: Option<u64>,
        limit: u8,
    ) -> Done<Outcome> {
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
        let mut outcome = Outcome::replying(ServerMessage::ChatPage { entries, next });
        let read = receipts.into_iter().map(|receipt| ServerMessage::ChatRead {
            conversation: conversation.clone(),
            user: receipt.user,
            order: receipt.seq as u64,
        });
        outcome.replies.extend(read);
        Ok(outcome)
    }

    /// Nothing was written yet; of a call, that is told to those who are in it.
    fn empty_page(&self, conversation: &Conversation) -> Done<Outcome> {
        if let Conversation::Call(_) = conversation {
            self.people_in()?;
        }
        Ok(Outcome::replying(ServerMessage::ChatPage { entries: Vec::new(), next: None }))
    }

    async fn search(
        &self,
        query: &str,
        conversation: Option<Conversation>,
        before: Option<u64>,
        limit: u8,
    ) -> Done<Outcome> {
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
        Ok(Outcome::replying(ServerMessage::ChatPage { entries, next }))
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

    fn people_in(&self) -> Done<Vec<UserId>> {
        self.in_call.clone().ok_or_else(unknown)
    }

    /// All devices of these are to know, each by its own name for the conversation.
    fn telling(
        &self,
        conversation: &Conversation,
        users: Vec<UserId>,
        message: impl Fn(Conversation, UserId) -> ServerMessage,
    ) -> Outcome {
        let from = &self.from.user;
        let theirs = match conversation {
            Conversation::User(_) => Conversation::User(from.clone()),
            Conversation::Call(call) => Conversation::Call(call.clone()),
        };
        let message = message(theirs, from.clone());
        Outcome { told: vec![Told { users, but: None, message }], ..Outcome::default() }
    }

    fn refused(&self, error: ChatError) -> Refused {
        let code = match &error {
            ChatError::NotAMember => return unknown(),
            ChatError::Yourself => ErrorCode::Yourself,
            ChatError::MayNotWrite(why) => match why {
                ContactError::BlockedByThem => ErrorCode::BlockedByCallee,
                ContactError::BlockedByYou => ErrorCode::BlockedByCaller,
                ContactError::Database(error) => {
                    return self.people.unavailable(error);
                }
                _ => ErrorCode::NotContacts,
            },
            ChatError::ClientIdUsed => ErrorCode::IdUsed,
            ChatError::Misfit(_) => ErrorCode::Invalid,
            ChatError::Database(error) => return self.people.unavailable(error),
        };
        Refused::new(code, error.to_string())
    }
}

/// What isn't one's own and what isn't there are told alike.
fn unknown() -> Refused {
    Refused::new(ErrorCode::UnknownConversation, ChatError::NotAMember.to_string())
}
