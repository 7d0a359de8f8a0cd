//! The tables of recordings. A step that was released is never changed.

use crate::accounts::Step;

/// The one at `n` leads to version `n + 1`. Times are milliseconds since 1970.
pub const STEPS: &[Step] = &[
    Step { sql: RECORDINGS, then: |_| Ok(()) },
    Step { sql: ELSEWHERE, then: |_| Ok(()) },
    Step { sql: WHOSE, then: |_| Ok(()) },
];

const RECORDINGS: &str = "
CREATE TABLE recordings (
    id TEXT PRIMARY KEY,
    -- channel or call, and its name.
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    started_by TEXT,
    -- The configuration wants it.
    is_fixed INTEGER NOT NULL,
    started_ms INTEGER NOT NULL,
    ended_ms INTEGER,
    -- recording, ending, ended, ready, failed.
    state TEXT NOT NULL,
    reason TEXT,
    -- Something is missing.
    troubles INTEGER NOT NULL DEFAULT 0,
    -- The machine's start, and CLOCK_MONOTONIC in microseconds when the recording began.
    boot TEXT NOT NULL,
    epoch_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX recordings_by_state ON recordings (state);
CREATE INDEX recordings_by_start ON recordings (started_ms DESC, id);
CREATE UNIQUE INDEX recordings_at_once ON recordings (kind, subject) WHERE state = 'recording';

CREATE TABLE participants (
    recording TEXT NOT NULL REFERENCES recordings (id) ON DELETE CASCADE,
    source TEXT NOT NULL,
    -- NULL: of a channel.
    user TEXT,
    name TEXT NOT NULL,
    joined_ms INTEGER NOT NULL,
    left_ms INTEGER,
    PRIMARY KEY (recording, source)
) STRICT, WITHOUT ROWID;
CREATE INDEX participants_by_user ON participants (user, recording);

-- Who talks from when on, in microseconds since the recording began.
CREATE TABLE speakers (
    recording TEXT NOT NULL REFERENCES recordings (id) ON DELETE CASCADE,
    at_us INTEGER NOT NULL,
    source TEXT NOT NULL,
    PRIMARY KEY (recording, at_us)
) STRICT, WITHOUT ROWID;

-- Those that are in the chunk store, until files are made of them.
CREATE TABLE chunks (
    recording TEXT NOT NULL REFERENCES recordings (id) ON DELETE CASCADE,
    -- Of the object, in the recording's folder.
    name TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    PRIMARY KEY (recording, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE files (
    recording TEXT NOT NULL REFERENCES recordings (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    object TEXT NOT NULL,
    -- A FileEntry of the manifest, JSON.
    entry TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (recording, name)
) STRICT, WITHOUT ROWID;

-- Who is still to be told of a recording.
CREATE TABLE notices (
    id INTEGER PRIMARY KEY,
    recording TEXT NOT NULL REFERENCES recordings (id) ON DELETE CASCADE,
    -- socket, webhook, mail.
    way TEXT NOT NULL,
    -- A user; empty for the webhook.
    target TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    next_ms INTEGER NOT NULL,
    made_ms INTEGER NOT NULL,
    UNIQUE (recording, way, target)
) STRICT;
CREATE INDEX notices_due ON notices (way, next_ms);
";

/// Whether another server made it.
const ELSEWHERE: &str = "
ALTER TABLE recordings ADD COLUMN elsewhere INTEGER NOT NULL DEFAULT 0;
";

/// Those of other servers are listed while they go on, too, several of one name.
const WHOSE: &str = "
-- The server that has it, or had it last.
ALTER TABLE recordings ADD COLUMN node TEXT;
-- When another server said so. NULL: this one's, or ready.
ALTER TABLE recordings ADD COLUMN told_ms INTEGER;
DROP INDEX recordings_at_once;
CREATE UNIQUE INDEX recordings_at_once ON recordings (kind, subject)
    WHERE state = 'recording' AND elsewhere = 0;
";
