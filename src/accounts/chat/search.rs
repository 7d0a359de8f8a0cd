//! Full-text search in a user's conversations.

use std::fmt::Write as _;
use std::str::FromStr;

use rusqlite::{Connection, params};

use super::history::page;
use super::message::{COLUMNS, ConversationId, Message, MessageId};
use super::rooms::check_was_in;
use super::{Chat, ChatError};
use crate::accounts::Misfit;
use crate::identity::UserId;

/// Words that must all be there. The last may go on: it is still being typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query(Vec<String>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The newest first.
    pub messages: Vec<Message>,
    /// What to ask with for more. None: that was all.
    pub before: Option<MessageId>,
}

const MAX_WORDS: usize = 8;
/// Characters.
const MAX_WORD: usize = 64;
/// Conversations that are looked into, those that were begun last.
const MAX_ROOMS: u32 = 500;

// === impl Chat ===

impl Chat {
    /// Looks in one conversation, or in all of the user's.
    pub async fn search(
        &self,
        user: &UserId,
        room: Option<ConversationId>,
        query: Query,
        before: Option<MessageId>,
        most: u32,
    ) -> Result<Found, ChatError> {
        let user = user.clone();
        self.database.read(move |c| search(c, &user, room, &query, before, page(most))).await
    }
}

fn search(
    c: &Connection,
    user: &UserId,
    room: Option<ConversationId>,
    query: &Query,
    before: Option<MessageId>,
    most: u32,
) -> Result<Found, ChatError> {
    let rooms = match room {
        Some(room) => {
            check_was_in(c, room, user)?;
            vec![room]
        }
        None => rooms_of(c, user)?,
    };
    if rooms.is_empty() {
        return Ok(Found { messages: Vec::new(), before: None });
    }
    // The index finds the rooms, the stays say what in them is for this user.
    let sql = format!(
        "SELECT {COLUMNS} FROM messages_text t
         CROSS JOIN messages m ON m.id = t.rowid
         CROSS JOIN stays s ON s.user = ?2 AND s.conversation = m.conversation
         AND m.seq >= s.from_seq AND (s.until_seq IS NULL OR m.seq < s.until_seq)
         WHERE t.messages_text MATCH ?1 AND t.rowid < ?3 ORDER BY t.rowid DESC LIMIT ?4"
    );
    let before = before.map_or(i64::MAX, |id| id.0);
    let mut statement = c.prepare_cached(&sql)?;
    let values = params![query.expression(&rooms), user.as_str(), before, most + 1];
    let messages = statement.query_map(values, Message::read)?;
    let mut messages = messages.collect::<Result<Vec<_>, _>>()?;
    let more = messages.len() > most as usize;
    messages.truncate(most as usize);
    let before = messages.last().filter(|_| more).map(|message| message.id);
    Ok(Found { messages, before })
}

fn rooms_of(c: &Connection, user: &UserId) -> Result<Vec<ConversationId>, ChatError> {
    let sql = "SELECT DISTINCT conversation FROM stays WHERE user = ?1
               ORDER BY conversation DESC LIMIT ?2";
    let mut statement = c.prepare_cached(sql)?;
    let rooms = statement
        .query_map(params![user.as_str(), MAX_ROOMS], |row| Ok(ConversationId(row.get(0)?)))?;
    Ok(rooms.collect::<Result<_, _>>()?)
}

// === impl Query ===

impl Query {
    /// In FTS5's language, in which a quoted word means itself.
    fn expression(&self, rooms: &[ConversationId]) -> String {
        let words: Vec<String> = self.0.iter().map(|word| format!("\"{word}\"")).collect();
        let mut text = format!("body : ({}*) AND room : (", words.join(" AND "));
        for (n, room) in rooms.iter().enumerate() {
            let or = if n == 0 { "" } else { " OR " };
            // Writing to a string doesn't fail.
            let _ = write!(text, "{or}room{}", room.0);
        }
        text + ")"
    }
}

impl FromStr for Query {
    type Err = Misfit;

    /// What isn't a letter or a digit parts words, as it does in the index.
    fn from_str(text: &str) -> Result<Self, Misfit> {
        let misfit = Misfit { expected: "1 to 8 words of 64 characters or fewer" };
        if text.len() > 4 * (MAX_WORD + 1) * MAX_WORDS {
            return Err(misfit);
        }
        let words: Vec<String> = text
            .split(|c: char| !c.is_alphanumeric() && !is_mark(c))
            .filter(|word| word.chars().any(char::is_alphanumeric))
            .map(str::to_owned)
            .collect();
        let fits = words.iter().all(|word| word.chars().count() <= MAX_WORD);
        if (1..=MAX_WORDS).contains(&words.len()) && fits { Ok(Self(words)) } else { Err(misfit) }
    }
}

/// Diacritics that stand by themselves belong to the letter before.
fn is_mark(c: char) -> bool {
    ('\u{300}'..='\u{36f}').contains(&c)
}
