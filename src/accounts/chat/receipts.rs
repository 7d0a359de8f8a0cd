//! Who has read how far, and a user's conversations.

use std::time::SystemTime;

use rusqlite::{Connection, OptionalExtension as _, params};

use super::message::{COLUMNS, ConversationId, Message};
use super::rooms::{Kind, check_was_in, is_in, peer_in};
use super::{Chat, ChatError};
use crate::accounts::users::id;
use crate::accounts::{Moment, from_unix_ms};
use crate::identity::UserId;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    pub user: UserId,
    /// The last message read.
    pub seq: i64,
    pub at: SystemTime,
}

/// One of a user's conversations with another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversation {
    pub id: ConversationId,
    pub peer: UserId,
    pub last: Option<Message>,
    /// Messages of the peer's that the user has not read; no more than 100 are counted.
    pub unread: u32,
}

/// Conversations in a list.
const MAX_LISTED: u32 = 1000;

// === impl Chat ===

impl Chat {
    /// The user has read up to here. Says how far that is where it is further than before: then
    /// others are to be told.
    pub async fn mark_read(
        &self,
        user: &UserId,
        room: ConversationId,
        seq: i64,
        moment: Moment,
    ) -> Result<Option<i64>, ChatError> {
        let user = user.clone();
        self.database.write(move |c| mark_read(c, &user, room, seq, moment.unix_ms())).await
    }

    /// How far each has read. For those who are there.
    pub async fn receipts(
        &self,
        user: &UserId,
        room: ConversationId,
    ) -> Result<Vec<Receipt>, ChatError> {
        let user = user.clone();
        self.database.read(move |c| receipts(c, &user, room)).await
    }

    /// The user's conversations with others, the one that was written in last first.
    pub async fn conversations(&self, user: &UserId) -> Result<Vec<Conversation>, ChatError> {
        let user = user.clone();
        self.database.read(move |c| conversations(c, &user)).await
    }
}

fn mark_read(
    c: &Connection,
    user: &UserId,
    room: ConversationId,
    seq: i64,
    now_ms: i64,
) -> Result<Option<i64>, ChatError> {
    check_was_in(c, room, user)?;
    // Not past the last message that the user may read.
    let sql = "SELECT min(?3, max(coalesce(s.until_seq, r.next_seq)) - 1) FROM stays s
               JOIN conversations r ON r.id = s.conversation
               WHERE s.user = ?1 AND s.conversation = ?2";
    let values = params![user.as_str(), room.0, seq];
    let seq: i64 = c.prepare_cached(sql)?.query_row(values, |row| row.get(0))?;
    if seq < 1 {
        return Ok(None);
    }
    let sql = "INSERT INTO reads (conversation, user, seq, at_ms) VALUES (?1, ?2, ?3, ?4)
               ON CONFLICT DO UPDATE SET seq = ?3, at_ms = ?4 WHERE seq < ?3";
    let values = params![room.0, user.as_str(), seq, now_ms];
    Ok((c.prepare_cached(sql)?.execute(values)? > 0).then_some(seq))
}

fn receipts(
    c: &Connection,
    user: &UserId,
    room: ConversationId,
) -> Result<Vec<Receipt>, ChatError> {
    if !is_in(c, room, user)? {
        return Err(ChatError::NotAMember);
    }
    let sql = "SELECT user, seq, at_ms FROM reads WHERE conversation = ?1 ORDER BY user";
    let mut statement = c.prepare_cached(sql)?;
    let receipts = statement.query_map([room.0], |row| {
        Ok(Receipt { user: id(row, 0)?, seq: row.get(1)?, at: from_unix_ms(row.get(2)?) })
    })?;
    Ok(receipts.collect::<Result<_, _>>()?)
}

fn conversations(c: &Connection, user: &UserId) -> Result<Vec<Conversation>, ChatError> {
    let sql = "SELECT r.id, r.key,
        (SELECT max(id) FROM messages WHERE conversation = r.id) AS last,
        (SELECT count(*) FROM (SELECT 1 FROM messages m
            WHERE m.conversation = r.id AND m.sender != ?1 AND m.seq > coalesce(
                (SELECT seq FROM reads WHERE conversation = r.id AND user = ?1), 0)
            LIMIT 100))
        FROM stays s JOIN conversations r ON r.id = s.conversation AND r.kind = ?2
        WHERE s.user = ?1 ORDER BY last DESC NULLS LAST, r.id DESC LIMIT ?3";
    let mut statement = c.prepare_cached(sql)?;
    let mut rows = statement.query(params![user.as_str(), Kind::Direct.name(), MAX_LISTED])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let Some(peer) = peer_in(row.get_ref(1)?.as_str().unwrap_or_default(), user) else {
            continue;
        };
        let last: Option<i64> = row.get(2)?;
        let last = last.map(|last| message(c, last)).transpose()?.flatten();
        let id = ConversationId(row.get(0)?);
        found.push(Conversation { id, peer, last, unread: row.get(3)? });
    }
    Ok(found)
}

fn message(c: &Connection, id: i64) -> Result<Option<Message>, ChatError> {
    let sql = format!("SELECT {COLUMNS} FROM messages m WHERE id = ?1");
    Ok(c.prepare_cached(&sql)?.query_row([id], Message::read).optional()?)
}
