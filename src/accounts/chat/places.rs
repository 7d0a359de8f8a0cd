//! Conversations by the names that users have for them.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension as _, params};

use super::message::{ConversationId, MessageId};
use super::rooms::{
    CallName, Kind, check_was_in, enter, find_or_make, leave, members, pair, peer_in,
};
use super::{Chat, ChatError, Reach};
use crate::accounts::DatabaseError;
use crate::accounts::contacts::may_write;
use crate::identity::{DeviceId, UserId};

/// A conversation as one of its users calls it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Place {
    /// The other user.
    Direct(UserId),
    Call(CallName),
}

/// What a device's word that it has a message changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    pub seq: i64,
    /// Others who are to know.
    pub tell: Vec<UserId>,
}

type Done<T = ()> = Result<T, ChatError>;

// === impl Chat ===

impl Chat {
    /// What the user calls these conversations.
    pub async fn places(
        &self,
        user: &UserId,
        rooms: Vec<ConversationId>,
    ) -> Done<HashMap<ConversationId, Place>> {
        let user = user.clone();
        self.database
            .read(move |c| {
                let named = |room: &ConversationId| Some((*room, place(c, *room, &user).ok()??));
                Ok(rooms.iter().filter_map(named).collect())
            })
            .await
    }

    /// The conversation, where the user is in it or was.
    pub async fn find(&self, user: &UserId, place: &Place) -> Done<Option<ConversationId>> {
        let (user, place) = (user.clone(), place.clone());
        self.database.read(move |c| find(c, &user, &place)).await
    }

    /// From now on those in the call's conversation are these, who are in the call.
    pub async fn gather(&self, call: &CallName, users: Vec<UserId>) -> Done<ConversationId> {
        let call = call.clone();
        self.database
            .write(move |c| {
                let room = find_or_make(c, Kind::Call, call.as_str())?;
                for gone in members(c, room)?.iter().filter(|user| !users.contains(user)) {
                    leave(c, &call, Some(gone))?;
                }
                for user in &users {
                    enter(c, room, user)?;
                }
                Ok(room)
            })
            .await
    }

    /// Nobody is in a call: what calls there were before a start are over.
    pub async fn end_calls(&self) -> Done {
        self.database
            .write(|c| {
                let sql = "UPDATE stays SET
                    until_seq = (SELECT next_seq FROM conversations WHERE id = conversation),
                    until_id = (SELECT coalesce(max(id), 0) FROM messages)
                    WHERE until_seq IS NULL
                    AND conversation IN (SELECT id FROM conversations WHERE kind = ?1)";
                c.prepare_cached(sql)?.execute([Kind::Call.name()])?;
                Ok(())
            })
            .await
    }

    /// Whether one may write to the other.
    pub async fn check_reach(&self, user: &UserId, peer: &UserId) -> Done {
        let (user, peer, reach) = (user.clone(), peer.clone(), self.reach);
        if user == peer {
            return Err(ChatError::Yourself);
        }
        if reach == Reach::Anyone {
            return Ok(());
        }
        self.database.read(move |c| Ok(may_write(c, &user, &peer)?)).await
    }

    /// The device has everything that came before message `seq` of the conversation, and it. None
    /// where it had said so before.
    pub async fn delivered_in(
        &self,
        user: &UserId,
        device: &DeviceId,
        room: ConversationId,
        seq: i64,
    ) -> Done<Option<Delivered>> {
        let (user, device) = (user.clone(), device.clone());
        self.database.write(move |c| delivered(c, &user, &device, room, seq)).await
    }
}

fn place(c: &Connection, room: ConversationId, user: &UserId) -> Done<Option<Place>> {
    let sql = "SELECT kind, key FROM conversations WHERE id = ?1";
    let found: Option<(String, String)> = c
        .prepare_cached(sql)?
        .query_row([room.0], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((kind, key)) = found else { return Ok(None) };
    if kind == Kind::Direct.name() {
        return Ok(peer_in(&key, user).map(Place::Direct));
    }
    Ok(key.parse().ok().map(Place::Call))
}

fn find(c: &Connection, user: &UserId, place: &Place) -> Done<Option<ConversationId>> {
    let (kind, key) = match place {
        Place::Direct(peer) => (Kind::Direct, pair(user, peer)),
        Place::Call(call) => (Kind::Call, call.as_str().to_owned()),
    };
    let sql = "SELECT id FROM conversations r WHERE kind = ?1 AND key = ?2
               AND EXISTS (SELECT 1 FROM stays WHERE user = ?3 AND conversation = r.id)";
    let values = [kind.name(), &key, user.as_str()];
    let found = c.prepare_cached(sql)?.query_row(values, |row| row.get(0)).optional()?;
    Ok(found.map(ConversationId))
}

fn delivered(
    c: &Connection,
    user: &UserId,
    device: &DeviceId,
    room: ConversationId,
    seq: i64,
) -> Done<Option<Delivered>> {
    check_was_in(c, room, user)?;
    let Some((seq, id)) = last_up_to(c, room, seq)? else { return Ok(None) };
    let sql = "UPDATE cursors SET message = ?3 WHERE user = ?1 AND device = ?2 AND message < ?3";
    let values = params![user.as_str(), device.as_str(), id.0];
    if c.prepare_cached(sql)?.execute(values)? == 0 {
        return Ok(None);
    }
    let others = members(c, room)?.into_iter().filter(|member| member != user);
    Ok(Some(Delivered { seq, tell: others.collect() }))
}

fn last_up_to(
    c: &Connection,
    room: ConversationId,
    seq: i64,
) -> Result<Option<(i64, MessageId)>, DatabaseError> {
    let sql = "SELECT seq, id FROM messages WHERE conversation = ?1 AND seq <= ?2
               ORDER BY seq DESC LIMIT 1";
    let found = c
        .prepare_cached(sql)?
        .query_row(params![room.0, seq], |row| Ok((row.get(0)?, MessageId(row.get(1)?))));
    Ok(found.optional()?)
}
