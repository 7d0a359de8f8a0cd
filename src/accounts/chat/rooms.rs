//! Conversations and who is in them.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::message::ConversationId;
use super::{Chat, ChatError, Reach};
use crate::accounts::contacts::may_write;
use crate::accounts::{DatabaseError, Misfit};
use crate::identity::{UserId, is_id};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Between two users, for good.
    Direct,
    /// Between those who are in a call, while they are.
    Call,
}

/// A call's id.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CallName(String);

type Done<T = ()> = Result<T, ChatError>;

// === impl Chat ===

impl Chat {
    /// The conversation of two users, made where there is none yet.
    pub async fn open_direct(&self, user: &UserId, peer: &UserId) -> Done<ConversationId> {
        let (user, peer, reach) = (user.clone(), peer.clone(), self.reach);
        self.database.write(move |c| open_direct(c, &user, &peer, reach)).await
    }

    /// Lets a user into a call's conversation. Who may be in a call is decided where calls are.
    pub async fn enter_call(&self, call: &CallName, user: &UserId) -> Done<ConversationId> {
        let (call, user) = (call.clone(), user.clone());
        self.database
            .write(move |c| {
                let room = find_or_make(c, Kind::Call, &call.0)?;
                enter(c, room, &user)?;
                Ok(room)
            })
            .await
    }

    /// Ends a user's stay: what is written from now on is not for them.
    pub async fn leave_call(&self, call: &CallName, user: &UserId) -> Done {
        let (call, user) = (call.clone(), user.clone());
        self.database.write(move |c| Ok(leave(c, &call, Some(&user))?)).await
    }

    /// Ends everyone's stay. They keep what they have read.
    pub async fn end_call(&self, call: &CallName) -> Done {
        let call = call.clone();
        self.database.write(move |c| Ok(leave(c, &call, None)?)).await
    }

    /// Who is in the conversation now; told only to one of them.
    pub async fn members(&self, user: &UserId, room: ConversationId) -> Done<Vec<UserId>> {
        let user = user.clone();
        self.database
            .read(move |c| {
                let members = members(c, room)?;
                if members.contains(&user) { Ok(members) } else { Err(ChatError::NotAMember) }
            })
            .await
    }
}

fn open_direct(c: &Connection, user: &UserId, peer: &UserId, reach: Reach) -> Done<ConversationId> {
    if user == peer {
        return Err(ChatError::Yourself);
    }
    if reach == Reach::Contacts {
        may_write(c, user, peer)?;
    }
    let room = find_or_make(c, Kind::Direct, &pair(user, peer))?;
    enter(c, room, user)?;
    enter(c, room, peer)?;
    Ok(room)
}

/// The same whoever of the two begins. Ids hold no blank.
pub fn pair(one: &UserId, other: &UserId) -> String {
    format!("{} {}", one.min(other), one.max(other))
}

pub fn find_or_make(
    c: &Connection,
    kind: Kind,
    key: &str,
) -> Result<ConversationId, DatabaseError> {
    let sql = "INSERT INTO conversations (kind, key) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
    c.prepare_cached(sql)?.execute([kind.name(), key])?;
    let sql = "SELECT id FROM conversations WHERE kind = ?1 AND key = ?2";
    let id = c.prepare_cached(sql)?.query_row([kind.name(), key], |row| row.get(0))?;
    Ok(ConversationId(id))
}

/// Begins a stay where there is none. One that ended with nothing written since goes on.
pub fn enter(c: &Connection, room: ConversationId, user: &UserId) -> Result<(), DatabaseError> {
    if is_in(c, room, user)? {
        return Ok(());
    }
    let sql = "UPDATE stays SET until_seq = NULL, until_id = NULL
               WHERE user = ?1 AND conversation = ?2
               AND until_seq = (SELECT next_seq FROM conversations WHERE id = ?2)";
    if c.prepare_cached(sql)?.execute(params![user.as_str(), room.0])? > 0 {
        return Ok(());
    }
    let sql = "INSERT INTO stays (user, conversation, from_seq)
               SELECT ?1, id, next_seq FROM conversations WHERE id = ?2";
    c.prepare_cached(sql)?.execute(params![user.as_str(), room.0])?;
    Ok(())
}

/// Ends the stay of one, or of all.
pub fn leave(c: &Connection, call: &CallName, user: Option<&UserId>) -> Result<(), DatabaseError> {
    let sql = "UPDATE stays SET until_seq = room.next_seq,
                   until_id = (SELECT coalesce(max(id), 0) FROM messages)
               FROM (SELECT id, next_seq FROM conversations WHERE kind = ?1 AND key = ?2) AS room
               WHERE conversation = room.id AND until_seq IS NULL
               AND (?3 IS NULL OR user = ?3)";
    let values = params![Kind::Call.name(), call.0, user.map(UserId::as_str)];
    c.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

/// Whether the user is there now.
pub fn is_in(c: &Connection, room: ConversationId, user: &UserId) -> Result<bool, DatabaseError> {
    let sql = "SELECT 1 FROM stays WHERE user = ?1 AND conversation = ?2 AND until_seq IS NULL";
    Ok(c.prepare_cached(sql)?.exists(params![user.as_str(), room.0])?)
}

/// Whether the user is there or was.
pub fn check_was_in(c: &Connection, room: ConversationId, user: &UserId) -> Done {
    let sql = "SELECT 1 FROM stays WHERE user = ?1 AND conversation = ?2";
    let was = c.prepare_cached(sql)?.exists(params![user.as_str(), room.0])?;
    if was { Ok(()) } else { Err(ChatError::NotAMember) }
}

pub fn members(c: &Connection, room: ConversationId) -> Result<Vec<UserId>, DatabaseError> {
    let sql = "SELECT user FROM stays WHERE conversation = ?1 AND until_seq IS NULL ORDER BY user";
    let mut statement = c.prepare_cached(sql)?;
    let members = statement.query_map([room.0], |row| crate::accounts::users::id(row, 0))?;
    Ok(members.collect::<Result<_, _>>()?)
}

/// Whether the user may write there now.
pub fn check_may_write(c: &Connection, room: ConversationId, user: &UserId, reach: Reach) -> Done {
    if !is_in(c, room, user)? {
        return Err(ChatError::NotAMember);
    }
    if reach == Reach::Contacts
        && let Some(key) = direct_key(c, room)?
        && let Some(peer) = peer_in(&key, user)
    {
        may_write(c, user, &peer)?;
    }
    Ok(())
}

fn direct_key(c: &Connection, room: ConversationId) -> Result<Option<String>, DatabaseError> {
    let sql = "SELECT key FROM conversations WHERE id = ?1 AND kind = ?2";
    let found =
        c.prepare_cached(sql)?.query_row(params![room.0, Kind::Direct.name()], |r| r.get(0));
    Ok(found.optional()?)
}

/// The other one of a pair.
pub fn peer_in(key: &str, user: &UserId) -> Option<UserId> {
    key.split(' ').find(|id| *id != user.as_str())?.parse().ok()
}

// === impl Kind ===

impl Kind {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Call => "call",
        }
    }
}

// === impl CallName ===

impl CallName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for CallName {
    type Err = Misfit;

    fn from_str(text: &str) -> Result<Self, Misfit> {
        let misfit = Misfit { expected: "a call's id" };
        if is_id(text) { Ok(Self(text.to_owned())) } else { Err(misfit) }
    }
}
