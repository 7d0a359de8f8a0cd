//! What is around a user: contacts, devices, and whether they may be disturbed.

use std::collections::BTreeSet;
use std::time::SystemTime;

use rusqlite::{Connection, OptionalExtension as _};
use serde::{Deserialize, Serialize};

use super::contacts::Person;
use super::users::id;
use super::{Accounts, DatabaseError, from_unix_ms};
use crate::identity::{DeviceId, UserId};

/// What decides who sees a user, and where.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Around {
    pub contacts: BTreeSet<UserId>,
    pub devices: BTreeSet<DeviceId>,
    pub undisturbed_until: Option<SystemTime>,
}

/// A user as they see themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    pub person: Person,
    /// Until when they aren't rung. It may be over.
    pub undisturbed_until: Option<SystemTime>,
}

type Done<T> = Result<T, DatabaseError>;

// === impl Accounts ===

impl Accounts {
    /// Nothing is around someone who isn't known.
    pub async fn around(&self, user: &UserId) -> Done<Around> {
        let user = user.clone();
        self.database().read(move |c| around(c, &user)).await
    }

    /// Whether the user has the device. Unlike [`Self::is_signed_in`], nothing is written.
    pub async fn has_device(&self, user: &UserId, device: &DeviceId) -> Done<bool> {
        let (user, device) = (user.clone(), device.clone());
        self.database().read(move |c| has_device(c, &user, &device)).await
    }

    pub async fn profile(&self, user: &UserId) -> Done<Option<Profile>> {
        let user = user.clone();
        self.database().read(move |c| profile(c, &user)).await
    }
}

fn around(c: &Connection, user: &UserId) -> Done<Around> {
    Ok(Around {
        contacts: ids(c, "SELECT peer FROM contacts WHERE user = ?1", user)?,
        devices: ids(c, "SELECT id FROM devices WHERE user = ?1", user)?,
        undisturbed_until: profile(c, user)?.and_then(|profile| profile.undisturbed_until),
    })
}

fn ids<T>(c: &Connection, sql: &str, user: &UserId) -> Done<BTreeSet<T>>
where
    T: std::str::FromStr<Err = crate::identity::NotAnId> + Ord,
{
    let mut statement = c.prepare_cached(sql)?;
    let found = statement.query_map([user.as_str()], |row| id(row, 0))?;
    Ok(found.collect::<Result<_, _>>()?)
}

fn has_device(c: &Connection, user: &UserId, device: &DeviceId) -> Done<bool> {
    let sql = "SELECT 1 FROM devices WHERE id = ?1 AND user = ?2";
    Ok(c.prepare_cached(sql)?.exists([device.as_str(), user.as_str()])?)
}

fn profile(c: &Connection, user: &UserId) -> Done<Option<Profile>> {
    let sql = "SELECT id, name, display, undisturbed_until_ms FROM users WHERE id = ?1";
    let found = c.prepare_cached(sql)?.query_row([user.as_str()], |row| {
        let until: Option<i64> = row.get(3)?;
        Ok(Profile { person: Person::read(row)?, undisturbed_until: until.map(from_unix_ms) })
    });
    Ok(found.optional()?)
}
