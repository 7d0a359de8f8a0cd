//! The rows of users.

use rusqlite::{Connection, OptionalExtension as _};

use super::{DatabaseError, DisplayName, Name};
use crate::identity::UserId;

pub struct NewUser<'a> {
    pub id: &'a UserId,
    pub name: &'a Name,
    pub display: &'a DisplayName,
    pub password: &'a str,
}

type Done<T> = Result<T, DatabaseError>;

/// False where the name is taken.
pub fn insert(connection: &Connection, user: &NewUser<'_>, now_ms: i64) -> Done<bool> {
    let sql = "INSERT INTO users (id, name, display, password, created_ms)
               VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (name) DO NOTHING";
    let name = (user.id.as_str(), user.name.as_str(), user.display.as_str());
    let values = (name.0, name.1, name.2, user.password, now_ms);
    Ok(connection.prepare_cached(sql)?.execute(values)? == 1)
}

/// Id and hash of whoever signs in with this name.
pub fn by_name(connection: &Connection, name: &Name) -> Done<Option<(UserId, String)>> {
    let mut statement =
        connection.prepare_cached("SELECT id, password FROM users WHERE name = ?1")?;
    let found = statement.query_row([name.as_str()], |row| Ok((id(row, 0)?, row.get(1)?)));
    Ok(found.optional()?)
}

/// Name and hash of a user.
pub fn by_id(connection: &Connection, user: &UserId) -> Done<Option<(String, String)>> {
    let mut statement =
        connection.prepare_cached("SELECT name, password FROM users WHERE id = ?1")?;
    let found = statement.query_row([user.as_str()], |row| Ok((row.get(0)?, row.get(1)?)));
    Ok(found.optional()?)
}

pub fn exists(connection: &Connection, user: &UserId) -> Done<bool> {
    Ok(connection.prepare_cached("SELECT 1 FROM users WHERE id = ?1")?.exists([user.as_str()])?)
}

/// Replaces the hash if it is still the one that was compared.
pub fn set_password(connection: &Connection, user: &UserId, old: &str, new: &str) -> Done<bool> {
    let sql = "UPDATE users SET password = ?3 WHERE id = ?1 AND password = ?2";
    Ok(connection.prepare_cached(sql)?.execute((user.as_str(), old, new))? == 1)
}

pub fn set_display(connection: &Connection, user: &UserId, display: &DisplayName) -> Done<bool> {
    let sql = "UPDATE users SET display = ?2 WHERE id = ?1";
    Ok(connection.prepare_cached(sql)?.execute((user.as_str(), display.as_str()))? == 1)
}

/// Until when the user isn't rung.
pub fn set_undisturbed(
    connection: &Connection,
    user: &UserId,
    until_ms: Option<i64>,
) -> Done<bool> {
    let sql = "UPDATE users SET undisturbed_until_ms = ?2 WHERE id = ?1";
    Ok(connection.prepare_cached(sql)?.execute((user.as_str(), until_ms))? == 1)
}

/// An id out of a column.
pub fn id<T: std::str::FromStr<Err = crate::identity::NotAnId>>(
    row: &rusqlite::Row<'_>,
    column: usize,
) -> rusqlite::Result<T> {
    let text = row.get_ref(column)?.as_str()?;
    text.parse().map_err(|error: crate::identity::NotAnId| {
        let kind = rusqlite::types::Type::Text;
        rusqlite::Error::FromSqlConversionFailure(column, kind, Box::new(error))
    })
}
