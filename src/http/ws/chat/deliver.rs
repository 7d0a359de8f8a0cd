//! What there is for a device, in the order in which it was stored, and messages as the wire has
//! them.

use std::time::Duration;

use super::Connection;
use crate::accounts::chat::{Chat, ChatError, Message, MessageId, Place, Undelivered};
use crate::calls::hub::Hub;
use crate::calls::ids::{Address, UserId};
use crate::calls::messages::{ChatEntry, ChatMessage, Conversation, ServerMessage};

/// Handed over at a time.
const PAGE: u32 = 20;
/// Bytes of text in one answer: several fit into what may wait for a device.
const MOST_TEXT: usize = 200 * 1024;
/// After the database failed.
const RETRY: Duration = Duration::from_secs(5);

// === impl Connection ===

impl Connection {
    /// Hands the device what there is for it and wasn't handed over before.
    pub(in crate::http::ws) async fn deliver_chat(&self) {
        let Some(chat) = &self.state.people.chat else { return };
        if let Err(error) = self.hand_over(chat).await {
            self.state.people.count(&error);
            let bell = self.board.bell(self.id);
            tokio::spawn(async move {
                tokio::time::sleep(RETRY).await;
                bell.chat.notify_one();
            });
        }
    }

    async fn hand_over(&self, chat: &Chat) -> Result<(), ChatError> {
        while let Some(turn) = self.board.with(|hub, _| hub.chat_turn(self.id)) {
            let Address { user, device } = &turn.address;
            let after = match turn.after {
                Some(after) => MessageId(after),
                None => chat.cursor(user, device).await?,
            };
            let Undelivered { messages, up_to, more } =
                chat.undelivered(user, device, after, PAGE).await?;
            if turn.after.is_none() && messages.is_empty() && up_to > after {
                // Its own alone, which no acknowledgement will be about: the next session begins
                // after them.
                chat.delivered(user, device, up_to).await?;
            }
            let count = messages.len();
            let entries = entries(chat, user, messages).await?;
            let messages = entries.into_iter().map(|entry| ServerMessage::ChatMessage {
                conversation: entry.conversation,
                message: entry.message,
            });
            let messages: Vec<_> = messages.collect();
            let push = |hub: &mut Hub, now| hub.push_chat(self.id, &turn, messages, up_to.0, now);
            if !self.board.with(push) {
                return Ok(());
            }
            self.state.people.metrics.chat_delivered.inc_by(count as u64);
            if !more {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// A number of the wire as the database counts; what is past its end is its end.
pub fn place(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub fn unix_ms(message: &Message) -> u64 {
    let since = message.at.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    since.as_millis() as u64
}

/// Leaves as many as fit into one answer, and says whether that is fewer.
pub fn cut(messages: &mut Vec<Message>) -> bool {
    let mut bytes = 0;
    let fits = |message: &&Message| {
        bytes += message.body.len();
        bytes <= MOST_TEXT
    };
    let kept = messages.iter().take_while(fits).count();
    let is_cut = kept < messages.len();
    messages.truncate(kept);
    is_cut
}

/// Messages of several conversations, as the user calls them.
pub async fn entries(
    chat: &Chat,
    user: &UserId,
    messages: Vec<Message>,
) -> Result<Vec<ChatEntry>, ChatError> {
    let rooms = messages.iter().map(|message| message.conversation).collect();
    let places = chat.places(user, rooms).await?;
    let named = messages.into_iter().filter_map(|message| {
        let conversation = match places.get(&message.conversation)? {
            Place::Direct(peer) => Conversation::User(peer.clone()),
            Place::Call(call) => Conversation::Call(call.as_str().parse().ok()?),
        };
        entry(conversation, message)
    });
    Ok(named.collect())
}

pub fn entry(conversation: Conversation, message: Message) -> Option<ChatEntry> {
    let at_ms = unix_ms(&message);
    let message = ChatMessage {
        id: message.client_id.parse().ok()?,
        from: message.sender,
        order: message.seq as u64,
        at_ms,
        text: message.body.try_into().ok()?,
    };
    Some(ChatEntry { conversation, message })
}
