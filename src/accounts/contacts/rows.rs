//! The rows of contacts, requests and blocks.

use rusqlite::{Connection, OptionalExtension as _, Params, params};

use super::{Contact, Person, Requests};
use crate::accounts::{DatabaseError, Name};
use crate::identity::UserId;

pub struct Request {
    pub declined_ms: Option<i64>,
}

type Done<T = ()> = Result<T, DatabaseError>;

fn exists(c: &Connection, sql: &str, parameters: impl Params) -> Done<bool> {
    Ok(c.prepare_cached(sql)?.exists(parameters)?)
}

fn count(c: &Connection, sql: &str, user: &UserId) -> Done<u32> {
    Ok(c.prepare_cached(sql)?.query_row([user.as_str()], |row| row.get(0))?)
}

fn list(c: &Connection, sql: &str, user: &UserId) -> Done<Vec<Contact>> {
    let mut statement = c.prepare_cached(sql)?;
    let found = statement.query_map([user.as_str()], Contact::read)?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// Whether rows were changed.
fn change(c: &Connection, sql: &str, parameters: impl Params) -> Done<bool> {
    Ok(c.prepare_cached(sql)?.execute(parameters)? > 0)
}

pub fn person_named(c: &Connection, name: &Name) -> Done<Option<Person>> {
    let sql = "SELECT id, name, display FROM users WHERE name = ?1";
    Ok(c.prepare_cached(sql)?.query_row([name.as_str()], Person::read).optional()?)
}

pub fn person(c: &Connection, user: &UserId) -> Done<Option<Person>> {
    let sql = "SELECT id, name, display FROM users WHERE id = ?1";
    Ok(c.prepare_cached(sql)?.query_row([user.as_str()], Person::read).optional()?)
}

pub fn contacts(c: &Connection, user: &UserId) -> Done<Vec<Contact>> {
    let sql = "SELECT id, name, display, since_ms FROM contacts JOIN users ON id = peer
               WHERE user = ?1 ORDER BY name";
    list(c, sql, user)
}

/// A request that was declined is still waiting as far as its sender can see.
pub fn requests(c: &Connection, user: &UserId) -> Done<Requests> {
    let sent = "SELECT id, name, display, at_ms FROM requests JOIN users ON id = recipient
                WHERE sender = ?1 ORDER BY at_ms DESC LIMIT 100";
    let received = "SELECT id, name, display, at_ms FROM requests JOIN users ON id = sender
                    WHERE recipient = ?1 AND declined_ms IS NULL ORDER BY at_ms DESC";
    Ok(Requests { sent: list(c, sent, user)?, received: list(c, received, user)? })
}

pub fn blocked(c: &Connection, user: &UserId) -> Done<Vec<Contact>> {
    let sql = "SELECT id, name, display, at_ms FROM blocks JOIN users ON id = peer
               WHERE user = ?1 ORDER BY name";
    list(c, sql, user)
}

pub fn are_contacts(c: &Connection, user: &UserId, peer: &UserId) -> Done<bool> {
    let sql = "SELECT 1 FROM contacts WHERE user = ?1 AND peer = ?2";
    exists(c, sql, params![user.as_str(), peer.as_str()])
}

pub fn has_blocked(c: &Connection, user: &UserId, peer: &UserId) -> Done<bool> {
    let sql = "SELECT 1 FROM blocks WHERE user = ?1 AND peer = ?2";
    exists(c, sql, params![user.as_str(), peer.as_str()])
}

pub fn request_of(c: &Connection, sender: &UserId, recipient: &UserId) -> Done<Option<Request>> {
    let sql = "SELECT declined_ms FROM requests WHERE sender = ?1 AND recipient = ?2";
    let parameters = params![sender.as_str(), recipient.as_str()];
    let read = |row: &rusqlite::Row<'_>| Ok(Request { declined_ms: row.get(0)? });
    Ok(c.prepare_cached(sql)?.query_row(parameters, read).optional()?)
}

pub fn count_contacts(c: &Connection, user: &UserId) -> Done<u32> {
    count(c, "SELECT count(*) FROM contacts WHERE user = ?1", user)
}

pub fn count_blocks(c: &Connection, user: &UserId) -> Done<u32> {
    count(c, "SELECT count(*) FROM blocks WHERE user = ?1", user)
}

/// Declined ones count until they are asked again: a sender has so many open at most.
pub fn count_sent(c: &Connection, user: &UserId) -> Done<u32> {
    count(c, "SELECT count(*) FROM requests WHERE sender = ?1 AND declined_ms IS NULL", user)
}

pub fn count_received(c: &Connection, user: &UserId) -> Done<u32> {
    count(c, "SELECT count(*) FROM requests WHERE recipient = ?1 AND declined_ms IS NULL", user)
}

pub fn insert_request(c: &Connection, sender: &UserId, recipient: &UserId, at: i64) -> Done {
    let sql = "INSERT INTO requests (sender, recipient, at_ms) VALUES (?1, ?2, ?3)
               ON CONFLICT (sender, recipient) DO UPDATE SET at_ms = ?3, declined_ms = NULL";
    change(c, sql, params![sender.as_str(), recipient.as_str(), at])?;
    Ok(())
}

pub fn mark_declined(c: &Connection, sender: &UserId, recipient: &UserId, at: i64) -> Done<bool> {
    let sql = "UPDATE requests SET declined_ms = ?3
               WHERE sender = ?1 AND recipient = ?2 AND declined_ms IS NULL";
    change(c, sql, params![sender.as_str(), recipient.as_str(), at])
}

/// Those of both.
pub fn delete_requests(c: &Connection, one: &UserId, other: &UserId) -> Done<bool> {
    let sql = "DELETE FROM requests
               WHERE (sender = ?1 AND recipient = ?2) OR (sender = ?2 AND recipient = ?1)";
    change(c, sql, params![one.as_str(), other.as_str()])
}

/// One that was declined stays: else taking it back would be the way around the no.
pub fn delete_waiting_request(c: &Connection, sender: &UserId, recipient: &UserId) -> Done<bool> {
    let sql = "DELETE FROM requests
               WHERE sender = ?1 AND recipient = ?2 AND declined_ms IS NULL";
    change(c, sql, params![sender.as_str(), recipient.as_str()])
}

pub fn insert_contact(c: &Connection, one: &UserId, other: &UserId, at: i64) -> Done {
    let sql = "INSERT INTO contacts (user, peer, since_ms) VALUES (?1, ?2, ?3), (?2, ?1, ?3)
               ON CONFLICT DO NOTHING";
    change(c, sql, params![one.as_str(), other.as_str(), at])?;
    Ok(())
}

pub fn delete_contact(c: &Connection, one: &UserId, other: &UserId) -> Done<bool> {
    let sql = "DELETE FROM contacts WHERE (user = ?1 AND peer = ?2) OR (user = ?2 AND peer = ?1)";
    change(c, sql, params![one.as_str(), other.as_str()])
}

pub fn insert_block(c: &Connection, user: &UserId, peer: &UserId, at: i64) -> Done {
    let sql = "INSERT INTO blocks (user, peer, at_ms) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
    change(c, sql, params![user.as_str(), peer.as_str(), at])?;
    Ok(())
}

pub fn delete_block(c: &Connection, user: &UserId, peer: &UserId) -> Done<bool> {
    let sql = "DELETE FROM blocks WHERE user = ?1 AND peer = ?2";
    change(c, sql, params![user.as_str(), peer.as_str()])
}
