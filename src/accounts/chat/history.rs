//! What was written before, page by page, the newest first.

use rusqlite::{Connection, params};

use super::message::{COLUMNS, ConversationId, Message};
use super::rooms::check_was_in;
use super::{Chat, ChatError};
use crate::identity::UserId;

/// Part of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The newest first.
    pub messages: Vec<Message>,
    /// What to ask with for the page before this one. None: there is nothing before.
    pub before: Option<i64>,
}

/// Messages on a page.
pub const MAX_PAGE: u32 = 100;

/// A length that one may ask for.
pub fn page(wanted: u32) -> u32 {
    wanted.clamp(1, MAX_PAGE)
}

// === impl Chat ===

impl Chat {
    /// The messages before place `before` in the conversation, or the newest ones.
    pub async fn history(
        &self,
        user: &UserId,
        room: ConversationId,
        before: Option<i64>,
        most: u32,
    ) -> Result<Page, ChatError> {
        let user = user.clone();
        self.database.read(move |c| history(c, &user, room, before, page(most))).await
    }
}

fn history(
    c: &Connection,
    user: &UserId,
    room: ConversationId,
    before: Option<i64>,
    most: u32,
) -> Result<Page, ChatError> {
    check_was_in(c, room, user)?;
    let sql = format!(
        "SELECT {COLUMNS} FROM messages m JOIN stays s
         ON s.conversation = m.conversation AND s.user = ?1
         AND m.seq >= s.from_seq AND (s.until_seq IS NULL OR m.seq < s.until_seq)
         WHERE m.conversation = ?2 AND m.seq < ?3 ORDER BY m.seq DESC LIMIT ?4"
    );
    let mut statement = c.prepare_cached(&sql)?;
    // One more than asked for tells whether there is a page before.
    let values = params![user.as_str(), room.0, before.unwrap_or(i64::MAX), most + 1];
    let messages = statement.query_map(values, Message::read)?;
    let mut messages = messages.collect::<Result<Vec<_>, _>>()?;
    let more = messages.len() > most as usize;
    messages.truncate(most as usize);
    let before = messages.last().filter(|_| more).map(|message| message.seq);
    Ok(Page { messages, before })
}
