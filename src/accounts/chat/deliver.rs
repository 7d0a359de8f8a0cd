//! What a device has still to get: everything after its cursor.

use rusqlite::{Connection, params};

use super::history::{MAX_PAGE, page};
use super::message::{COLUMNS, Message, MessageId};
use super::{Chat, ChatError};
use crate::accounts::DatabaseError;
use crate::identity::{DeviceId, UserId};

/// What a device is to be handed, and how far was looked for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undelivered {
    pub messages: Vec<Message>,
    /// Everything up to here was looked at: from here the next look goes on.
    pub up_to: MessageId,
    /// There may be more after it.
    pub more: bool,
}

/// Of one user. One more takes the place of the one that is furthest behind.
pub const MAX_CURSORS: u32 = 20;

// === impl Chat ===

impl Chat {
    /// Where the device stands. A device that is new begins with what is sent from now on; what
    /// was before it finds in the history.
    pub async fn cursor(&self, user: &UserId, device: &DeviceId) -> Result<MessageId, ChatError> {
        let (user, device) = (user.clone(), device.clone());
        self.database.write(move |c| Ok(open_cursor(c, &user, &device)?)).await
    }

    /// The messages after `after`, the oldest first, of at most a page that is looked at; the
    /// device's own are left out. `after` is the cursor at first, and then `up_to` of the last look.
    pub async fn undelivered(
        &self,
        user: &UserId,
        device: &DeviceId,
        after: MessageId,
        most: u32,
    ) -> Result<Undelivered, ChatError> {
        let (user, device) = (user.clone(), device.clone());
        self.database.read(move |c| Ok(undelivered(c, &user, &device, after, page(most))?)).await
    }

    /// The device says that it has everything up to here. The cursor only moves forward.
    pub async fn delivered(
        &self,
        user: &UserId,
        device: &DeviceId,
        up_to: MessageId,
    ) -> Result<(), ChatError> {
        let (user, device) = (user.clone(), device.clone());
        self.database.write(move |c| Ok(advance(c, &user, &device, up_to)?)).await
    }
}

fn open_cursor(
    c: &Connection,
    user: &UserId,
    device: &DeviceId,
) -> Result<MessageId, DatabaseError> {
    let sql = "INSERT INTO cursors (user, device, message)
               SELECT ?1, ?2, coalesce(max(id), 0) FROM messages WHERE true
               ON CONFLICT DO NOTHING";
    let is_new = c.prepare_cached(sql)?.execute([user.as_str(), device.as_str()])? > 0;
    if is_new {
        let sql = "DELETE FROM cursors WHERE user = ?1 AND device IN (
            SELECT device FROM cursors WHERE user = ?1 AND device != ?2
            ORDER BY message DESC, device LIMIT -1 OFFSET ?3)";
        let others = MAX_CURSORS - 1;
        c.prepare_cached(sql)?.execute(params![user.as_str(), device.as_str(), others])?;
    }
    let sql = "SELECT message FROM cursors WHERE user = ?1 AND device = ?2";
    let mut statement = c.prepare_cached(sql)?;
    Ok(MessageId(statement.query_row([user.as_str(), device.as_str()], |row| row.get(0))?))
}

/// By way of the user's stays, so that others' messages cost nothing; those that ended before the
/// cursor are passed over.
fn undelivered(
    c: &Connection,
    user: &UserId,
    device: &DeviceId,
    after: MessageId,
    most: u32,
) -> Result<Undelivered, DatabaseError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM stays s
         CROSS JOIN messages m ON m.conversation = s.conversation AND m.id > ?2
         WHERE s.user = ?1 AND (s.until_id IS NULL OR s.until_id > ?2)
         AND m.seq >= s.from_seq AND (s.until_seq IS NULL OR m.seq < s.until_seq)
         ORDER BY m.id LIMIT ?3"
    );
    let mut statement = c.prepare_cached(&sql)?;
    let most = most.min(MAX_PAGE);
    let seen = statement.query_map(params![user.as_str(), after.0, most], Message::read)?;
    let mut messages = seen.collect::<Result<Vec<_>, _>>()?;
    let more = messages.len() >= most as usize;
    let up_to = messages.last().map_or(after, |message| message.id);
    // Left out here and not there, so that they count as looked at.
    messages.retain(|message| message.sender != *user || message.device != *device);
    Ok(Undelivered { messages, up_to, more })
}

/// Not past the newest message: what doesn't exist yet hasn't been delivered.
fn advance(
    c: &Connection,
    user: &UserId,
    device: &DeviceId,
    up_to: MessageId,
) -> Result<(), DatabaseError> {
    let sql = "UPDATE cursors
               SET message = min(?3, (SELECT coalesce(max(id), 0) FROM messages))
               WHERE user = ?1 AND device = ?2 AND message < ?3";
    c.prepare_cached(sql)?.execute(params![user.as_str(), device.as_str(), up_to.0])?;
    Ok(())
}
