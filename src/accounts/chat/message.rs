//! A message and its parts.

use std::str::FromStr;
use std::time::SystemTime;

use rusqlite::Row;
use serde::{Deserialize, Serialize};

use crate::accounts::users::id;
use crate::accounts::{Misfit, from_unix_ms};
use crate::identity::{DeviceId, UserId, is_id};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ConversationId(pub i64);

/// A message's place among all messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MessageId(pub i64);

/// The name that a client gives a message before it sends it, unique on its device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientId(String);

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body(String);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub id: MessageId,
    pub conversation: ConversationId,
    /// Its place in the conversation, from 1.
    pub seq: i64,
    pub sender: UserId,
    pub device: DeviceId,
    pub client_id: String,
    pub at: SystemTime,
    pub body: String,
}

/// Characters.
const MAX_BODY: usize = 4000;

/// What [`Message::read`] wants, of a table called `m`.
pub const COLUMNS: &str =
    "m.id, m.conversation, m.seq, m.sender, m.device, m.client_id, m.at_ms, m.body";

// === impl Message ===

impl Message {
    pub fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: MessageId(row.get(0)?),
            conversation: ConversationId(row.get(1)?),
            seq: row.get(2)?,
            sender: id(row, 3)?,
            device: id(row, 4)?,
            client_id: row.get(5)?,
            at: from_unix_ms(row.get(6)?),
            body: row.get(7)?,
        })
    }
}

// === impl Body ===

impl Body {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Body {
    type Err = Misfit;

    fn from_str(text: &str) -> Result<Self, Misfit> {
        let misfit = Misfit { expected: "a text of 1 to 4000 characters" };
        if text.len() > 4 * MAX_BODY || text.trim().is_empty() {
            return Err(misfit);
        }
        let fits = |c: char| !c.is_control() || c == '\n' || c == '\t';
        let bounded = text.chars().count() <= MAX_BODY && text.chars().all(fits);
        if bounded { Ok(Self(text.to_owned())) } else { Err(misfit) }
    }
}

// === impl ClientId ===

impl ClientId {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ClientId {
    type Err = Misfit;

    fn from_str(text: &str) -> Result<Self, Misfit> {
        let misfit = Misfit { expected: "1 to 64 letters, digits, `-`, `_`, `.` or `@`" };
        if is_id(text) { Ok(Self(text.to_owned())) } else { Err(misfit) }
    }
}
