//! A user's devices. A token is good while its device is here.

use std::str::FromStr;
use std::time::SystemTime;

use rusqlite::Connection;

use super::profile::line;
use super::users::id;
use super::{Accounts, DatabaseError, Misfit, Moment, from_unix_ms};
use crate::identity::{DeviceId, UserId};

/// One of a user's devices, as the user sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    pub id: DeviceId,
    pub name: String,
    pub created: SystemTime,
    /// When it last signed in or connected.
    pub seen: SystemTime,
}

/// What a user calls a device, such as `Firefox on Linux`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceName(String);

/// Of one user. One more takes the place of the one unused for longest.
pub const MAX_DEVICES: u32 = 20;
/// Characters.
const MAX_NAME: usize = 64;

type Done<T> = Result<T, DatabaseError>;

// === impl Accounts ===

impl Accounts {
    /// Whether the user has the device: asked when a socket opens, since a token outlives
    /// signing out.
    pub async fn is_signed_in(
        &self,
        user: &UserId,
        device: &DeviceId,
        moment: Moment,
    ) -> Done<bool> {
        let (user, device) = (user.clone(), device.clone());
        self.database().write(move |c| touch(c, &user, &device, moment.unix_ms())).await
    }

    /// The user's devices, the one that was last seen first.
    pub async fn devices(&self, user: &UserId) -> Done<Vec<Device>> {
        let user = user.clone();
        self.database().read(move |c| list(c, &user)).await
    }

    /// Takes the device away. Its tokens are good for nothing from now on. False where the user
    /// has no such device.
    pub async fn sign_out(&self, user: &UserId, device: &DeviceId) -> Done<bool> {
        let (user, device) = (user.clone(), device.clone());
        self.database().write(move |c| remove(c, &user, &device)).await
    }
}

/// Adds a device, or finds the one that the user has already. Those beyond the bound go, and are
/// named.
pub(super) fn add(
    connection: &Connection,
    user: &UserId,
    wanted: Option<&DeviceId>,
    name: &DeviceName,
    now_ms: i64,
) -> Done<(DeviceId, Vec<DeviceId>)> {
    if let Some(known) = wanted
        && touch(connection, user, known, now_ms)?
    {
        let sql = "UPDATE devices SET name = ?2 WHERE id = ?1";
        connection.prepare_cached(sql)?.execute([known.as_str(), &name.0])?;
        return Ok((known.clone(), Vec::new()));
    }
    let device = DeviceId::random()?;
    let sql = "INSERT INTO devices (id, user, name, created_ms, seen_ms)
               VALUES (?1, ?2, ?3, ?4, ?4)";
    let values = (device.as_str(), user.as_str(), &name.0, now_ms);
    connection.prepare_cached(sql)?.execute(values)?;
    let sql = "DELETE FROM devices WHERE id IN (
        SELECT id FROM devices WHERE user = ?1 AND id != ?2
        ORDER BY seen_ms DESC, id LIMIT -1 OFFSET ?3) RETURNING id";
    let others = MAX_DEVICES - 1;
    let mut statement = connection.prepare_cached(sql)?;
    let gone = statement.query_map((user.as_str(), device.as_str(), others), |row| id(row, 0))?;
    let gone = gone.collect::<Result<_, _>>()?;
    Ok((device, gone))
}

pub(super) fn list(connection: &Connection, user: &UserId) -> Done<Vec<Device>> {
    let sql = "SELECT id, name, created_ms, seen_ms FROM devices WHERE user = ?1
               ORDER BY seen_ms DESC, id";
    let mut statement = connection.prepare_cached(sql)?;
    let devices = statement.query_map([user.as_str()], |row| {
        Ok(Device {
            id: id(row, 0)?,
            name: row.get(1)?,
            created: from_unix_ms(row.get(2)?),
            seen: from_unix_ms(row.get(3)?),
        })
    })?;
    Ok(devices.collect::<Result<_, _>>()?)
}

/// Takes away all devices but one, and says which.
pub(super) fn keep_only(
    connection: &Connection,
    user: &UserId,
    kept: &DeviceId,
) -> Done<Vec<DeviceId>> {
    let sql = "DELETE FROM devices WHERE user = ?1 AND id != ?2 RETURNING id";
    let mut statement = connection.prepare_cached(sql)?;
    let gone = statement.query_map([user.as_str(), kept.as_str()], |row| id(row, 0))?;
    Ok(gone.collect::<Result<_, _>>()?)
}

fn touch(connection: &Connection, user: &UserId, device: &DeviceId, now_ms: i64) -> Done<bool> {
    let sql = "UPDATE devices SET seen_ms = max(seen_ms, ?3) WHERE id = ?2 AND user = ?1";
    let values = (user.as_str(), device.as_str(), now_ms);
    Ok(connection.prepare_cached(sql)?.execute(values)? == 1)
}

fn remove(connection: &Connection, user: &UserId, device: &DeviceId) -> Done<bool> {
    let sql = "DELETE FROM devices WHERE id = ?2 AND user = ?1";
    Ok(connection.prepare_cached(sql)?.execute([user.as_str(), device.as_str()])? == 1)
}

// === impl DeviceName ===

impl FromStr for DeviceName {
    type Err = Misfit;

    fn from_str(text: &str) -> Result<Self, Misfit> {
        let misfit = Misfit { expected: "1 to 64 characters that can be seen" };
        line(text, MAX_NAME).map(Self).ok_or(misfit)
    }
}

#[cfg(test)]
mod tests {
    use super::super::schema::tests::memory;
    use super::super::users::{NewUser, insert};
    use super::*;

    fn user(connection: &Connection, name: &str) -> UserId {
        let id: UserId = format!("u-{name}").parse().unwrap();
        let (name, display) = (name.parse().unwrap(), name.parse().unwrap());
        let user = NewUser { id: &id, name: &name, display: &display, password: "" };
        assert!(insert(connection, &user, 0).unwrap());
        id
    }

    fn phone() -> DeviceName {
        "Phone".parse().unwrap()
    }

    #[test]
    fn a_device_that_signs_in_again_stays_the_same_one() {
        let c = memory();
        let anna = user(&c, "anna");
        let first = add(&c, &anna, None, &phone(), 1).unwrap().0;
        let again = add(&c, &anna, Some(&first), &"Tablet".parse().unwrap(), 2).unwrap().0;
        assert_eq!(again, first);
        let devices = list(&c, &anna).unwrap();
        assert_eq!(devices.len(), 1);
        assert_eq!((devices[0].name.as_str(), devices[0].seen), ("Tablet", from_unix_ms(2)));
    }

    #[test]
    fn another_users_device_is_not_taken_over() {
        let c = memory();
        let (anna, bert) = (user(&c, "anna"), user(&c, "bert"));
        let hers = add(&c, &anna, None, &phone(), 1).unwrap().0;
        let his = add(&c, &bert, Some(&hers), &phone(), 2).unwrap().0;
        assert_ne!(his, hers);
        assert!(!touch(&c, &bert, &hers, 3).unwrap());
        assert!(!remove(&c, &bert, &hers).unwrap());
        assert!(touch(&c, &anna, &hers, 3).unwrap());
    }

    #[test]
    fn one_more_than_the_bound_takes_the_place_of_the_one_unused_for_longest() {
        let c = memory();
        let anna = user(&c, "anna");
        let devices: Vec<_> =
            (0..20).map(|n| add(&c, &anna, None, &phone(), 100 + n).unwrap().0).collect();
        assert!(touch(&c, &anna, &devices[0], 500).unwrap());
        // Even a clock that went back doesn't cost the new one its place.
        let (new, gone) = add(&c, &anna, None, &phone(), 50).unwrap();
        assert_eq!(gone, [devices[1].clone()]);
        let left: Vec<_> = list(&c, &anna).unwrap().into_iter().map(|d| d.id).collect();
        assert_eq!(left.len(), MAX_DEVICES as usize);
        assert!(left.contains(&new) && left.contains(&devices[0]));
        assert!(!left.contains(&devices[1]));
    }
}
