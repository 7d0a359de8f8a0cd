//! Who is still to be told: what isn't told yet is tried again, by the next daemon, too.

use rusqlite::{Connection, Row, params};

use super::rows::parsed;
use super::{Catalogue, Done};
use crate::recording::ids::RecordingId;

/// How someone is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// On a device of theirs that is connected, or connects.
    Socket,
    Webhook,
    Mail,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    pub id: i64,
    pub recording: RecordingId,
    /// A user; empty for the webhook.
    pub target: String,
    pub attempts: u32,
    pub made_ms: i64,
}

/// Who is to be told from when on.
#[derive(Debug, Clone)]
pub struct Telling {
    /// A user; empty for the webhook.
    pub to: Vec<(Way, String)>,
    pub from_ms: i64,
}

/// None is put off for longer.
const AHEAD_MS: i64 = 2 * 86_400_000;

const COLUMNS: &str = "id, recording, target, attempts, made_ms";

// === impl Catalogue ===

impl Catalogue {
    /// Those whose time has come, or was set before the clock was set back; a few at a time.
    pub async fn due(&self, way: Way, now_ms: i64) -> Done<Vec<Notice>> {
        let sql = format!(
            "SELECT {COLUMNS} FROM notices WHERE way = ?1 AND (next_ms <= ?2 OR next_ms > ?3)
             ORDER BY next_ms, id LIMIT 100"
        );
        self.database
            .read(move |c| {
                let mut statement = c.prepare_cached(&sql)?;
                let ahead_ms = now_ms.saturating_add(AHEAD_MS);
                let found = statement.query_map(params![way.name(), now_ms, ahead_ms], notice)?;
                Ok(found.collect::<Result<_, _>>()?)
            })
            .await
    }

    /// Those for a user who is there.
    pub async fn waiting_for(&self, user: &str) -> Done<Vec<Notice>> {
        let user = user.to_owned();
        let sql = format!(
            "SELECT {COLUMNS} FROM notices WHERE way = 'socket' AND target = ?1
             ORDER BY id LIMIT 100"
        );
        self.database
            .read(move |c| {
                let mut statement = c.prepare_cached(&sql)?;
                let found = statement.query_map([user], notice)?;
                Ok(found.collect::<Result<_, _>>()?)
            })
            .await
    }

    pub async fn remove_notice(&self, id: i64) -> Done {
        self.write(move |c| c.prepare_cached("DELETE FROM notices WHERE id = ?1")?.execute([id]))
            .await
    }

    pub async fn retry_notice(&self, id: i64, next_ms: i64) -> Done {
        let sql = "UPDATE notices SET attempts = attempts + 1, next_ms = ?2 WHERE id = ?1";
        self.write(move |c| c.prepare_cached(sql)?.execute([id, next_ms])).await
    }
}

/// Each once, whatever is asked again.
pub(super) fn add(c: &Connection, id: &RecordingId, telling: &Telling) -> rusqlite::Result<()> {
    let sql = "INSERT INTO notices (recording, way, target, next_ms, made_ms)
               VALUES (?1, ?2, ?3, ?4, ?4) ON CONFLICT DO NOTHING";
    let mut statement = c.prepare_cached(sql)?;
    for (way, target) in &telling.to {
        statement.execute(params![id.as_str(), way.name(), target, telling.from_ms])?;
    }
    Ok(())
}

fn notice(row: &Row<'_>) -> rusqlite::Result<Notice> {
    Ok(Notice {
        id: row.get(0)?,
        recording: parsed(row, 1)?,
        target: row.get(2)?,
        attempts: row.get(3)?,
        made_ms: row.get(4)?,
    })
}

// === impl Way ===

impl Way {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Socket => "socket",
            Self::Webhook => "webhook",
            Self::Mail => "mail",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::catalogue::NewRecording;
    use crate::recording::papers::Subject;

    #[tokio::test]
    async fn one_is_told_when_it_is_time_and_not_when_a_clock_that_was_set_back_comes_there_again()
    {
        let folder = tempfile::tempdir().unwrap();
        let catalogue = Catalogue::open(&folder.path().join("recordings.db")).unwrap();
        let day_ms = 86_400_000;
        for (from_ms, is_due) in
            [(1000, true), (1001, false), (1000 + day_ms, false), (1000 + 365 * day_ms, true)]
        {
            let new = NewRecording::of(
                RecordingId::random().unwrap(),
                Subject::Channel(from_ms.to_string()),
                0,
            );
            let id = new.id.clone();
            assert!(catalogue.begin(new).await.unwrap());
            let telling = Telling { to: vec![(Way::Webhook, String::new())], from_ms };
            catalogue.set_failed(&id, "as asked for".to_owned(), telling).await.unwrap();
            let due = catalogue.due(Way::Webhook, 1000).await.unwrap();
            assert_eq!(due.iter().any(|notice| notice.recording == id), is_due, "{from_ms}");
        }
    }
}
