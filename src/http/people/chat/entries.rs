//! Messages as the wire has them, and numbers of the wire as the database has them.

use crate::accounts::chat::{Chat, ChatError, Message, Place};
use crate::calls::ids::UserId;
use crate::calls::messages::{ChatEntry, ChatMessage, Conversation};

/// Bytes of text in one answer: several fit into what may wait for a device.
const MOST_TEXT: usize = 200 * 1024;

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
