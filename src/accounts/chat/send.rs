//! Sending: a place in the order, once, however often it is tried.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::message::{Body, COLUMNS, ClientId, ConversationId, Message};
use super::rooms::{check_may_write, members};
use super::search::index;
use super::{Chat, ChatError, Reach};
use crate::accounts::Moment;
use crate::identity::{DeviceId, UserId};

/// A message that is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    pub message: Message,
    /// Whose devices are to be told, the sender's among them. None where it was sent before.
    pub tell: Vec<UserId>,
}

// === impl Chat ===

impl Chat {
    /// Stores a message. With the client id of one that is stored already, it is that one.
    pub async fn send(
        &self,
        sender: (&UserId, &DeviceId),
        room: ConversationId,
        client_id: ClientId,
        body: Body,
        moment: Moment,
    ) -> Result<Sent, ChatError> {
        let (user, device, reach) = (sender.0.clone(), sender.1.clone(), self.reach);
        self.database
            .write(move |c| {
                let draft = Draft { user: &user, device: &device, room, client_id, body };
                draft.send(c, reach, moment.unix_ms())
            })
            .await
    }
}

struct Draft<'a> {
    user: &'a UserId,
    device: &'a DeviceId,
    room: ConversationId,
    client_id: ClientId,
    body: Body,
}

// === impl Draft ===

impl Draft<'_> {
    fn send(&self, c: &Connection, reach: Reach, now_ms: i64) -> Result<Sent, ChatError> {
        if let Some(message) = self.stored(c)? {
            let same = message.conversation == self.room && message.body == self.body.as_str();
            let sent = Sent { message, tell: Vec::new() };
            return if same { Ok(sent) } else { Err(ChatError::ClientIdUsed) };
        }
        check_may_write(c, self.room, self.user, reach)?;
        let sql = "UPDATE conversations SET next_seq = next_seq + 1 WHERE id = ?1
                   RETURNING next_seq - 1";
        let seq: i64 = c.prepare_cached(sql)?.query_row([self.room.0], |row| row.get(0))?;
        let sql = "INSERT INTO messages
                   (conversation, seq, sender, device, client_id, at_ms, body)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        c.prepare_cached(sql)?.execute(params![
            self.room.0,
            seq,
            self.user.as_str(),
            self.device.as_str(),
            self.client_id.as_str(),
            now_ms,
            self.body.as_str()
        ])?;
        index(c, c.last_insert_rowid(), self.room, self.body.as_str())?;
        // Read as others will read it.
        let message = self.stored(c)?.ok_or(ChatError::NotAMember)?;
        Ok(Sent { message, tell: members(c, self.room)? })
    }

    fn stored(&self, c: &Connection) -> Result<Option<Message>, ChatError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM messages m WHERE sender = ?1 AND device = ?2 AND client_id = ?3"
        );
        let names = [self.user.as_str(), self.device.as_str(), self.client_id.as_str()];
        Ok(c.prepare_cached(&sql)?.query_row(names, Message::read).optional()?)
    }
}
