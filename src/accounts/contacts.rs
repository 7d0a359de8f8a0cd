//! Contacts: asked for, accepted, removed; and blocks.

use std::sync::PoisonError;
use std::time::{Duration, SystemTime};

use rusqlite::{Connection, Row};

use super::users::id;
use super::{Accounts, DatabaseError, Moment, Name, from_sqlite, from_unix_ms, users};
use crate::identity::UserId;

mod rows;

/// A user as others see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    pub id: UserId,
    pub name: String,
    pub display: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    pub person: Person,
    pub since: SystemTime,
}

/// What waits for an answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Requests {
    pub sent: Vec<Contact>,
    pub received: Vec<Contact>,
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requested {
    /// It waits for an answer.
    Waiting,
    /// The other had asked already: both are contacts now.
    Accepted,
}

/// Who finds something else than before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    Nobody,
    /// Whoever did it; what the other sees is as it was.
    Oneself,
    Both,
}

/// Why contacts stay as they are. The client's fault, but for the last.
#[derive(Debug, thiserror::Error)]
pub enum ContactError {
    #[error("no such user")]
    NoSuchUser,
    #[error("that is you")]
    Yourself,
    #[error("already one of your contacts")]
    AlreadyContacts,
    #[error("already asked")]
    AlreadyAsked,
    #[error("declined not long ago")]
    Declined,
    #[error("takes no requests from you")]
    BlockedByThem,
    #[error("you have blocked this user")]
    BlockedByYou,
    #[error("there is no such request")]
    NoRequest,
    #[error("not one of your contacts")]
    NotContacts,
    #[error("too many {what}, {most} at most")]
    TooMany { what: &'static str, most: u32 },
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

from_sqlite!(ContactError);

/// Of one user.
pub const MAX_CONTACTS: u32 = 1000;
pub const MAX_BLOCKS: u32 = 1000;
/// Requests that wait.
pub const MAX_SENT: u32 = 100;
pub const MAX_RECEIVED: u32 = 200;
/// For so long a no is a no.
const DECLINED: Duration = Duration::from_secs(7 * 86_400);

type Done<T = ()> = Result<T, ContactError>;

// === impl Accounts ===

impl Accounts {
    /// Takes from what the user may change at a time, or says how long to wait.
    pub fn take_change(&self, user: &UserId, moment: Moment) -> Result<(), Duration> {
        let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        changes.take(user.clone(), 1.0, moment.now)
    }

    /// Whoever signs in with this name.
    pub async fn find(&self, name: &Name) -> Result<Option<Person>, DatabaseError> {
        let name = name.clone();
        self.database().read(move |c| rows::person_named(c, &name)).await
    }

    pub async fn person(&self, user: &UserId) -> Result<Option<Person>, DatabaseError> {
        let user = user.clone();
        self.database().read(move |c| rows::person(c, &user)).await
    }

    pub async fn contacts(&self, user: &UserId) -> Result<Vec<Contact>, DatabaseError> {
        let user = user.clone();
        self.database().read(move |c| rows::contacts(c, &user)).await
    }

    pub async fn contact_requests(&self, user: &UserId) -> Result<Requests, DatabaseError> {
        let user = user.clone();
        self.database().read(move |c| rows::requests(c, &user)).await
    }

    pub async fn blocked(&self, user: &UserId) -> Result<Vec<Contact>, DatabaseError> {
        let user = user.clone();
        self.database().read(move |c| rows::blocked(c, &user)).await
    }

    pub async fn request_contact(
        &self,
        user: &UserId,
        peer: &UserId,
        moment: Moment,
    ) -> Done<Requested> {
        let (user, peer) = (user.clone(), peer.clone());
        self.database().write(move |c| request(c, &user, &peer, moment.unix_ms())).await
    }

    /// Says yes to a request of the peer's.
    pub async fn accept_contact(&self, user: &UserId, peer: &UserId, moment: Moment) -> Done {
        let (user, peer) = (user.clone(), peer.clone());
        self.database().write(move |c| accept(c, &user, &peer, moment.unix_ms())).await
    }

    /// Says no to it. The peer can't ask again for a week.
    pub async fn decline_contact(&self, user: &UserId, peer: &UserId, moment: Moment) -> Done {
        let (user, peer) = (user.clone(), peer.clone());
        self.database().write(move |c| decline(c, &user, &peer, moment.unix_ms())).await
    }

    /// Ends a contact for both, or takes back a request of one's own.
    pub async fn remove_contact(&self, user: &UserId, peer: &UserId) -> Done {
        let (user, peer) = (user.clone(), peer.clone());
        self.database().write(move |c| remove(c, &user, &peer)).await
    }

    /// Keeps the peer from ringing, asking and writing. Ends the contact, too.
    pub async fn block(&self, user: &UserId, peer: &UserId, moment: Moment) -> Done<Changed> {
        let (user, peer) = (user.clone(), peer.clone());
        self.database().write(move |c| block(c, &user, &peer, moment.unix_ms())).await
    }

    pub async fn unblock(&self, user: &UserId, peer: &UserId) -> Result<bool, DatabaseError> {
        let (user, peer) = (user.clone(), peer.clone());
        self.database().write(move |c| rows::delete_block(c, &user, &peer)).await
    }
}

fn request(c: &Connection, user: &UserId, peer: &UserId, now_ms: i64) -> Done<Requested> {
    if user == peer {
        return Err(ContactError::Yourself);
    }
    if !users::exists(c, peer)? {
        return Err(ContactError::NoSuchUser);
    }
    if rows::are_contacts(c, user, peer)? {
        return Err(ContactError::AlreadyContacts);
    }
    check_blocks(c, user, peer)?;
    if is_waiting(c, peer, user)? {
        accept(c, user, peer, now_ms)?;
        return Ok(Requested::Accepted);
    }
    match rows::request_of(c, user, peer)? {
        Some(rows::Request { declined_ms: None }) => return Err(ContactError::AlreadyAsked),
        Some(rows::Request { declined_ms: Some(at) })
            if now_ms.saturating_sub(at) < DECLINED.as_millis() as i64 =>
        {
            return Err(ContactError::Declined);
        }
        _ => {}
    }
    within(rows::count_sent(c, user)?, "requests that wait", MAX_SENT)?;
    within(rows::count_received(c, peer)?, "requests for this user", MAX_RECEIVED)?;
    rows::insert_request(c, user, peer, now_ms)?;
    Ok(Requested::Waiting)
}

/// Not one that was declined: its sender can't take it back any more and may have changed minds.
fn accept(c: &Connection, user: &UserId, peer: &UserId, now_ms: i64) -> Done {
    if !is_waiting(c, peer, user)? {
        return Err(ContactError::NoRequest);
    }
    check_blocks(c, user, peer)?;
    within(rows::count_contacts(c, user)?, "contacts", MAX_CONTACTS)?;
    within(rows::count_contacts(c, peer)?, "contacts of this user", MAX_CONTACTS)?;
    rows::delete_requests(c, user, peer)?;
    Ok(rows::insert_contact(c, user, peer, now_ms)?)
}

fn decline(c: &Connection, user: &UserId, peer: &UserId, now_ms: i64) -> Done {
    if rows::mark_declined(c, peer, user, now_ms)? { Ok(()) } else { Err(ContactError::NoRequest) }
}

fn remove(c: &Connection, user: &UserId, peer: &UserId) -> Done {
    let contact = rows::delete_contact(c, user, peer)?;
    let request = rows::delete_waiting_request(c, user, peer)?;
    if contact || request { Ok(()) } else { Err(ContactError::NotContacts) }
}

fn block(c: &Connection, user: &UserId, peer: &UserId, now_ms: i64) -> Done<Changed> {
    if user == peer {
        return Err(ContactError::Yourself);
    }
    if !users::exists(c, peer)? {
        return Err(ContactError::NoSuchUser);
    }
    if rows::has_blocked(c, user, peer)? {
        return Ok(Changed::Nobody);
    }
    within(rows::count_blocks(c, user)?, "blocked users", MAX_BLOCKS)?;
    let contact = rows::delete_contact(c, user, peer)?;
    let request = rows::delete_requests(c, user, peer)?;
    rows::insert_block(c, user, peer, now_ms)?;
    Ok(if contact || request { Changed::Both } else { Changed::Oneself })
}

fn check_blocks(c: &Connection, user: &UserId, peer: &UserId) -> Done {
    if rows::has_blocked(c, user, peer)? {
        return Err(ContactError::BlockedByYou);
    }
    if rows::has_blocked(c, peer, user)? {
        return Err(ContactError::BlockedByThem);
    }
    Ok(())
}

fn is_waiting(c: &Connection, sender: &UserId, recipient: &UserId) -> Done<bool> {
    let request = rows::request_of(c, sender, recipient)?;
    Ok(request.is_some_and(|request| request.declined_ms.is_none()))
}

/// Whether there is room for one more.
fn within(count: u32, what: &'static str, most: u32) -> Done {
    if count < most { Ok(()) } else { Err(ContactError::TooMany { what, most }) }
}

/// Whether a user may write to another: as with ringing, but undisturbed ones may be written to.
pub(super) fn may_write(c: &Connection, user: &UserId, peer: &UserId) -> Done {
    check_blocks(c, user, peer)?;
    if rows::are_contacts(c, user, peer)? { Ok(()) } else { Err(ContactError::NotContacts) }
}

// === impl Person ===

impl Person {
    /// From the first three columns.
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self { id: id(row, 0)?, name: row.get(1)?, display: row.get(2)? })
    }
}

// === impl Contact ===

impl Contact {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self { person: Person::read(row)?, since: from_unix_ms(row.get(3)?) })
    }
}

#[cfg(test)]
mod tests;
