//! The tables, and the steps from one version to the next. `PRAGMA user_version` says which steps
//! a file has behind it. A step that was released is never changed.

use rusqlite::{Connection, TransactionBehavior};

use super::chat;
use super::database::DatabaseError;

/// Brings the file from one version to the next.
pub struct Step {
    pub sql: &'static str,
    /// What SQL alone can't do, afterwards.
    pub then: fn(&Connection) -> Result<(), DatabaseError>,
}

/// The one at `n` leads to version `n + 1`.
pub const STEPS: &[Step] = &[
    Step { sql: ACCOUNTS, then: |_| Ok(()) },
    Step { sql: CHAT, then: |_| Ok(()) },
    Step { sql: SEARCH, then: chat::index_all },
];

/// Times are milliseconds since 1970.
const ACCOUNTS: &str = "
CREATE TABLE users (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    display TEXT NOT NULL,
    -- A PHC string: algorithm, cost, salt and hash.
    password TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    -- Rings nobody lets through until then. NULL: may be rung.
    undisturbed_until_ms INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE devices (
    id TEXT PRIMARY KEY,
    user TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    seen_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX devices_of_user ON devices (user);

-- Two rows for each pair.
CREATE TABLE contacts (
    user TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    peer TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    since_ms INTEGER NOT NULL,
    PRIMARY KEY (user, peer)
) STRICT, WITHOUT ROWID;

CREATE TABLE requests (
    sender TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    recipient TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    at_ms INTEGER NOT NULL,
    -- Kept for a while, so that a no isn't asked about again at once.
    declined_ms INTEGER,
    PRIMARY KEY (sender, recipient)
) STRICT, WITHOUT ROWID;
CREATE INDEX requests_to ON requests (recipient);

CREATE TABLE blocks (
    user TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    peer TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (user, peer)
) STRICT, WITHOUT ROWID;
";

/// Chat's users may be those of an operator's own service, so nothing here refers to `users`.
const CHAT: &str = "
CREATE TABLE conversations (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    -- Both users of a direct one; the id of a call.
    key TEXT NOT NULL,
    next_seq INTEGER NOT NULL DEFAULT 1,
    UNIQUE (kind, key)
) STRICT;

-- What of a conversation a member may read: a row for each stay, from one message up to another.
CREATE TABLE stays (
    user TEXT NOT NULL,
    conversation INTEGER NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    from_seq INTEGER NOT NULL,
    -- NULL: still there.
    until_seq INTEGER,
    -- The last message of all when it ended: a device that has it needs to look no further.
    until_id INTEGER,
    PRIMARY KEY (user, conversation, from_seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX stays_in ON stays (conversation);

CREATE TABLE reads (
    conversation INTEGER NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    user TEXT NOT NULL,
    seq INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (conversation, user)
) STRICT, WITHOUT ROWID;

-- Ids grow in the order of commits: a device's cursor is one of them.
CREATE TABLE messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    conversation INTEGER NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    sender TEXT NOT NULL,
    device TEXT NOT NULL,
    client_id TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    body TEXT NOT NULL,
    -- A word for the full-text index, so that a search looks into its own conversations only.
    room TEXT NOT NULL AS ('room' || conversation) VIRTUAL,
    UNIQUE (conversation, seq),
    UNIQUE (sender, device, client_id)
) STRICT;
CREATE INDEX messages_after ON messages (conversation, id);

CREATE TABLE cursors (
    user TEXT NOT NULL,
    device TEXT NOT NULL,
    -- Everything up to here has reached the device.
    message INTEGER NOT NULL,
    PRIMARY KEY (user, device)
) STRICT, WITHOUT ROWID;

CREATE VIRTUAL TABLE messages_text USING fts5 (
    body, room,
    content = 'messages', content_rowid = 'id',
    tokenize = 'unicode61 remove_diacritics 2'
);
CREATE TRIGGER messages_text_insert AFTER INSERT ON messages BEGIN
    INSERT INTO messages_text (rowid, body, room)
    VALUES (new.id, new.body, 'room' || new.conversation);
END;
CREATE TRIGGER messages_text_delete AFTER DELETE ON messages BEGIN
    INSERT INTO messages_text (messages_text, rowid, body, room)
    VALUES ('delete', old.id, old.body, 'room' || old.conversation);
END;
";

/// The index has each word with its conversation before it (`chat::search`), so that what others
/// wrote is other words and costs a search nothing. Words come parted by blanks; nothing else parts
/// them. Of the text it keeps nothing: that stands in `messages`.
const SEARCH: &str = "
DROP TRIGGER messages_text_insert;
DROP TRIGGER messages_text_delete;
DROP TABLE messages_text;
ALTER TABLE messages DROP COLUMN room;
CREATE VIRTUAL TABLE messages_text USING fts5 (
    body,
    content = '', contentless_delete = 1,
    tokenize = \"unicode61 remove_diacritics 2 categories 'L* M* N* P* S* C* Z*' separators ' '\"
);
CREATE TRIGGER messages_text_delete AFTER DELETE ON messages BEGIN
    DELETE FROM messages_text WHERE rowid = old.id;
END;
";

/// Brings a file up to date, each step as a whole. Two processes may try at once.
pub fn migrate(connection: &mut Connection, steps: &[Step]) -> Result<(), DatabaseError> {
    let known = steps.len() as u32;
    loop {
        let step = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let version: u32 = step.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let Some(Step { sql, then }) = steps.get(version as usize) else {
            let newer = DatabaseError::Newer { version, known };
            return if version == known { Ok(()) } else { Err(newer) };
        };
        step.execute_batch(sql)?;
        then(&step)?;
        step.pragma_update(None, "user_version", version + 1)?;
        step.commit()?;
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    const VERSION: u32 = STEPS.len() as u32;

    /// A database in memory.
    pub fn memory() -> Connection {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.pragma_update(None, "foreign_keys", true).unwrap();
        migrate(&mut connection, STEPS).unwrap();
        connection
    }

    fn shape(connection: &Connection) -> Vec<String> {
        let sql = "SELECT coalesce(sql, name) FROM sqlite_schema ORDER BY name";
        let mut statement = connection.prepare(sql).unwrap();
        statement.query_map((), |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn a_file_of_any_earlier_version_ends_up_like_a_new_one() {
        let new = shape(&memory());
        for version in 0..VERSION {
            let mut connection = Connection::open_in_memory().unwrap();
            for step in &STEPS[..version as usize] {
                connection.execute_batch(step.sql).unwrap();
            }
            connection.pragma_update(None, "user_version", version).unwrap();
            migrate(&mut connection, STEPS).unwrap();
            assert_eq!(shape(&connection), new, "from version {version}");
            migrate(&mut connection, STEPS).unwrap();
        }
    }

    #[test]
    fn what_a_user_had_survives_the_steps() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(STEPS[0].sql).unwrap();
        connection.pragma_update(None, "user_version", 1).unwrap();
        connection
            .execute("INSERT INTO users VALUES ('u1', 'anna', 'Anna', '', 5, NULL)", ())
            .unwrap();
        migrate(&mut connection, STEPS).unwrap();
        let name: String =
            connection.query_row("SELECT name FROM users", (), |row| row.get(0)).unwrap();
        assert_eq!(name, "anna");
    }

    #[test]
    fn what_was_written_before_a_step_is_found_after_it() {
        let mut connection = Connection::open_in_memory().unwrap();
        for step in &STEPS[..2] {
            connection.execute_batch(step.sql).unwrap();
        }
        connection.pragma_update(None, "user_version", 2).unwrap();
        let rows = "INSERT INTO conversations VALUES (7, 'direct', 'anna bert', 2);
            INSERT INTO messages (conversation, seq, sender, device, client_id, at_ms, body)
            VALUES (7, 1, 'anna', 'd', 'x', 0, 'a Camera')";
        connection.execute_batch(rows).unwrap();
        migrate(&mut connection, STEPS).unwrap();
        let count = |text: &str| -> u32 {
            let sql = "SELECT count(*) FROM messages_text WHERE messages_text MATCH ?1";
            connection.query_row(sql, [text], |row| row.get(0)).unwrap()
        };
        assert_eq!((count("r7xcam*"), count("r8xcam*"), count("camera")), (1, 0, 0));
        connection.execute("DELETE FROM messages", ()).unwrap();
        assert_eq!(count("r7xcamera"), 0);
    }

    #[test]
    fn a_file_of_a_newer_version_is_left_alone() {
        let mut connection = memory();
        connection.pragma_update(None, "user_version", VERSION + 1).unwrap();
        let before = shape(&connection);
        let error = migrate(&mut connection, STEPS).unwrap_err();
        assert!(matches!(error, DatabaseError::Newer { version, .. } if version == VERSION + 1));
        assert_eq!(shape(&connection), before);
    }
}
