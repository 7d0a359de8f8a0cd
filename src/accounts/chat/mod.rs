//! Chat, one to one and in calls: stored, in one order for all who are in a conversation, and
//! delivered once to each device.
//!
//! A message has a place in its conversation (`seq`) and one among all messages (`id`). Both are
//! given in the order of commits. A device has everything up to its cursor, which is an `id`: it
//! is sent what comes after and says what it has got, so a socket that drops loses and repeats
//! nothing. A client names each message it sends, so sending again is harmless.
//!
//! Whoever is in a conversation reads what was written during their stays there, and nothing else.

mod deliver;
mod history;
mod message;
mod places;
mod receipts;
mod rooms;
mod search;
mod send;

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::{ContactError, Database, DatabaseError, Misfit, from_sqlite};

pub use deliver::{MAX_CURSORS, Undelivered};
pub use history::{MAX_PAGE, Page};
pub use message::{Body, ClientId, ConversationId, Message, MessageId};
pub use places::Place;
pub use receipts::{Conversation, Receipt};
pub use rooms::{CallName, Kind};
pub(super) use search::index_all;
pub use search::{Found, Query};
pub use send::Sent;

/// What users write to each other. Clones share the database.
#[derive(Clone)]
pub struct Chat {
    database: Database,
    reach: Reach,
    /// Searches at a time: fewer than may read, so that nobody who reads waits for them.
    searches: Arc<Semaphore>,
}

const SEARCHES: usize = 2;

/// Who may write to whom, outside calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Contacts who have not blocked each other.
    Contacts,
    /// Everyone: an operator's own user service has been asked before.
    Anyone,
}

#[derive(Debug, thiserror::Error)]
pub enum ChatError {
    /// Or there is no such conversation: who isn't in it doesn't learn which.
    #[error("not one of your conversations")]
    NotAMember,
    #[error("that is you")]
    Yourself,
    /// Why one doesn't reach the other.
    #[error(transparent)]
    MayNotWrite(#[from] ContactError),
    #[error("another message was sent with this client id")]
    ClientIdUsed,
    #[error(transparent)]
    Misfit(#[from] Misfit),
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

from_sqlite!(ChatError);

// === impl Chat ===

impl Chat {
    pub fn new(database: Database, reach: Reach) -> Self {
        Self { database, reach, searches: Arc::new(Semaphore::new(SEARCHES)) }
    }
}

#[cfg(test)]
mod tests;
