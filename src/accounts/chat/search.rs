//! Full-text search in a user's conversations.
//!
//! In the index each word has its conversation before it: `r7xhello`. What others wrote are other
//! words, so a search costs what there is in the conversations that it looks into, however much
//! there is in all others. Words are told apart here, for the index and for questions alike.

use std::fmt::Write as _;
use std::str::FromStr;
use std::time::Duration;

use rusqlite::{Connection, params};

use super::history::page;
use super::message::{COLUMNS, ConversationId, Message, MessageId};
use super::rooms::{Kind, check_was_in};
use super::{Chat, ChatError};
use crate::accounts::{DatabaseError, Misfit};
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
/// Words that are looked up, each in every conversation: with more words in fewer of them.
const MAX_TERMS: usize = 1000;
/// Conversations that are looked into: with users first, and then calls, the last ones first.
const MAX_ROOMS: usize = 500;
/// How long a search waits for others.
const PATIENCE: Duration = Duration::from_secs(5);

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
        let turn = tokio::time::timeout(PATIENCE, self.searches.clone().acquire_owned()).await;
        let Ok(Ok(turn)) = turn else { return Err(DatabaseError::Busy.into()) };
        let user = user.clone();
        let search = move |c: &Connection| {
            // Held by the work, and not by who waits for it and may be gone.
            let _turn = turn;
            search(c, &user, room, &query, before, page(most))
        };
        self.database.read(search).await
    }
}

/// Of all messages: the index begins anew.
pub fn index_all(c: &Connection) -> Result<(), DatabaseError> {
    let mut statement = c.prepare("SELECT id, conversation, body FROM messages")?;
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()? {
        let body: String = row.get(2)?;
        index(c, row.get(0)?, ConversationId(row.get(1)?), &body)?;
    }
    Ok(())
}

/// Makes a message one that is found.
pub fn index(c: &Connection, id: i64, room: ConversationId, body: &str) -> rusqlite::Result<()> {
    let terms: Vec<String> = words(body).map(|word| term(room, word)).collect();
    let sql = "INSERT INTO messages_text (rowid, body) VALUES (?1, ?2)";
    c.prepare_cached(sql)?.execute(params![id, terms.join(" ")])?;
    Ok(())
}

/// What isn't a letter or a digit parts words.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && !is_mark(c))
        .filter(|word| word.chars().any(char::is_alphanumeric))
}

fn term(room: ConversationId, word: &str) -> String {
    format!("r{}x{word}", room.0)
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
        None => rooms_of(c, user, query.rooms())?,
    };
    if rooms.is_empty() {
        return Ok(Found { messages: Vec::new(), before: None });
    }
    // The index looks into the rooms, the stays say what in them is for this user.
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

fn rooms_of(c: &Connection, user: &UserId, most: usize) -> Result<Vec<ConversationId>, ChatError> {
    let sql = "SELECT DISTINCT s.conversation FROM stays s JOIN conversations r
               ON r.id = s.conversation WHERE s.user = ?1
               ORDER BY r.kind = ?2 DESC, s.conversation DESC LIMIT ?3";
    let mut statement = c.prepare_cached(sql)?;
    let values = params![user.as_str(), Kind::Direct.name(), most as i64];
    let rooms = statement.query_map(values, |row| Ok(ConversationId(row.get(0)?)))?;
    Ok(rooms.collect::<Result<_, _>>()?)
}

// === impl Query ===

impl Query {
    /// Into how many conversations one may look for it.
    fn rooms(&self) -> usize {
        (MAX_TERMS / self.0.len().max(1)).min(MAX_ROOMS)
    }

    /// In FTS5's language, in which a quoted word means itself.
    fn expression(&self, rooms: &[ConversationId]) -> String {
        let mut text = String::new();
        for (n, room) in rooms.iter().enumerate() {
            let or = if n == 0 { "" } else { " OR " };
            let terms = self.0.iter().map(|word| format!("\"{}\"", term(*room, word)));
            let terms: Vec<String> = terms.collect();
            // Writing to a string doesn't fail.
            let _ = write!(text, "{or}({}*)", terms.join(" AND "));
        }
        text
    }
}

impl FromStr for Query {
    type Err = Misfit;

    fn from_str(text: &str) -> Result<Self, Misfit> {
        let misfit = Misfit { expected: "1 to 8 words of 64 characters or fewer" };
        if text.len() > 4 * (MAX_WORD + 1) * MAX_WORDS {
            return Err(misfit);
        }
        let words: Vec<String> = words(text).map(str::to_owned).collect();
        let fits = words.iter().all(|word| word.chars().count() <= MAX_WORD);
        if (1..=MAX_WORDS).contains(&words.len()) && fits { Ok(Self(words)) } else { Err(misfit) }
    }
}

/// Diacritics that stand by themselves belong to the letter before.
fn is_mark(c: char) -> bool {
    ('\u{300}'..='\u{36f}').contains(&c)
}
