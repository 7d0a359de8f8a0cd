//! Where the daemon's rooms ask about users: the database, the hasher and the limits in one.

use std::net::IpAddr;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use rusqlite::Connection;

use super::chat::{Chat, Reach};
use super::password::Hasher;
use super::ringing::{self, RingRefusal, may_ring};
use super::{Cost, Database, DatabaseError, DisplayName, Moment, PasswordError, unix_ms, users};
use crate::identity::{DeviceId, UserId};
use crate::limit::{Limit, Rate};

/// All that is known about users.
pub struct Accounts {
    database: Database,
    pub(super) hasher: Hasher,
    pub(super) rules: Rules,
    /// Each is locked for itself, and never across an await.
    pub(super) by_address: Mutex<Limit<IpAddr>>,
    pub(super) by_name: Mutex<Limit<String>>,
    pub(super) by_device: Mutex<Limit<DeviceId>>,
    pub(super) by_user: Mutex<Limit<UserId>>,
    pub(super) changes: Mutex<Limit<UserId>>,
    rings: Mutex<Limit<UserId>>,
}

/// What the operator sets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rules {
    /// How long a token is good. Default 12 h.
    pub token_life: Duration,
    pub cost: Cost,
    /// Sign-ins that fail, and sign-ups, of one address. Default 20 at once, then one in 3 s.
    pub sign_in_address: Rate,
    /// Sign-ins that fail with one name, those apart on a device that has signed in with it
    /// before: that one has as many of its own. Default 10 at once, then one in 30 s.
    pub sign_in_name: Rate,
    /// Sign-ins of one user that succeed, and changes of the password: each costs a hash. Default 30
    /// at once, then one in 10 s.
    pub sign_in_user: Rate,
    /// What one user does to contacts, requests and blocks. Default 30 at once, then one in 3 s.
    pub contacts: Rate,
    /// Calls that one user starts. Default 10 at once, then one in 6 s.
    pub ring: Rate,
    /// Keys with a count of their own in each limit; the rest share one. About 100 bytes each.
    /// Default 100,000.
    pub limit_entries: usize,
}

/// Undisturbed for good.
const FOR_GOOD: Duration = Duration::from_secs(100 * 365 * 86_400);

// === impl Rules ===

impl Default for Rules {
    fn default() -> Self {
        Self {
            token_life: Duration::from_secs(12 * 3600),
            cost: Cost::default(),
            sign_in_address: Rate::one_each(Duration::from_secs(3), 20),
            sign_in_name: Rate::one_each(Duration::from_secs(30), 10),
            sign_in_user: Rate::one_each(Duration::from_secs(10), 30),
            contacts: Rate::one_each(Duration::from_secs(3), 30),
            ring: Rate::one_each(Duration::from_secs(6), 10),
            limit_entries: 100_000,
        }
    }
}

/// Why accounts can't be used. The operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error("the cost of a password's hash is out of bounds")]
    Cost(#[from] PasswordError),
}

// === impl Accounts ===

impl Accounts {
    /// Opens the database file, or makes it.
    pub fn open(path: &Path, rules: Rules, now: Instant) -> Result<Self, OpenError> {
        Ok(Self {
            database: Database::open(path)?,
            hasher: Hasher::new(rules.cost)?,
            by_address: Mutex::new(Limit::new(rules.sign_in_address, rules.limit_entries, now)),
            by_name: Mutex::new(Limit::new(rules.sign_in_name, rules.limit_entries, now)),
            by_device: Mutex::new(Limit::new(rules.sign_in_name, rules.limit_entries, now)),
            by_user: Mutex::new(Limit::new(rules.sign_in_user, rules.limit_entries, now)),
            changes: Mutex::new(Limit::new(rules.contacts, rules.limit_entries, now)),
            rings: Mutex::new(Limit::new(rules.ring, rules.limit_entries, now)),
            rules,
        })
    }

    /// What users write to each other, in the same file.
    pub fn chat(&self) -> Chat {
        Chat::new(self.database.clone(), Reach::Contacts)
    }

    /// Whether the caller may ring the callee now. Every question counts towards the caller's
    /// limit.
    pub async fn may_ring(
        &self,
        caller: &UserId,
        callee: &UserId,
        moment: Moment,
    ) -> Result<(), RingRefusal> {
        let mut answers = self.may_ring_all(caller, vec![callee.clone()], moment).await?;
        answers.pop().unwrap_or(Ok(()))
    }

    /// The same for some at once, in their order.
    pub async fn may_ring_all(
        &self,
        caller: &UserId,
        callees: Vec<UserId>,
        moment: Moment,
    ) -> Result<Vec<Result<(), RingRefusal>>, RingRefusal> {
        {
            let mut rings = self.rings.lock().unwrap_or_else(PoisonError::into_inner);
            let taken = rings.take(caller.clone(), callees.len() as f64, moment.now);
            taken.map_err(|wait| RingRefusal::TooOften { wait })?;
        }
        let caller = caller.clone();
        let read = move |c: &Connection| {
            let standings = callees.iter().map(|callee| ringing::standing(c, &caller, callee));
            standings.collect::<Result<Vec<_>, DatabaseError>>()
        };
        let standings = self.database.read(read).await?;
        Ok(standings.iter().map(|standing| may_ring(standing, moment.wall)).collect())
    }

    /// The user isn't rung before `until`; not at all where that is further off than a century.
    /// None: the user may be rung again.
    pub async fn set_undisturbed(
        &self,
        user: &UserId,
        until: Option<SystemTime>,
        moment: Moment,
    ) -> Result<bool, DatabaseError> {
        let latest = moment.wall.checked_add(FOR_GOOD).unwrap_or(moment.wall);
        let until_ms = until.map(|until| unix_ms(until.min(latest)));
        let user = user.clone();
        self.database.write(move |c| users::set_undisturbed(c, &user, until_ms)).await
    }

    pub async fn set_display_name(
        &self,
        user: &UserId,
        display: DisplayName,
    ) -> Result<bool, DatabaseError> {
        let user = user.clone();
        self.database.write(move |c| users::set_display(c, &user, &display)).await
    }

    pub(super) fn database(&self) -> &Database {
        &self.database
    }
}
