//! Recordings that other servers made, which have the same store of files.

use rusqlite::{Connection, params};

use super::rows::parsed;
use super::{Catalogue, Done, Telling, notices, put_files};
use crate::recording::ids::RecordingId;
use crate::recording::papers::Manifest;

// === impl Catalogue ===

impl Catalogue {
    /// One that is ready elsewhere, and whom to tell of it. False where it was known.
    pub async fn adopt(&self, manifest: Manifest, telling: Telling) -> Done<bool> {
        self.database.write(move |c| adopt(c, &manifest, &telling)).await
    }

    /// All of those.
    pub async fn adopted(&self) -> Done<Vec<RecordingId>> {
        self.database
            .read(|c| {
                let sql = "SELECT id FROM recordings WHERE elsewhere = 1";
                let mut statement = c.prepare_cached(sql)?;
                let found = statement.query_map((), |row| parsed(row, 0))?;
                Ok(found.collect::<Result<_, _>>()?)
            })
            .await
    }
}

fn adopt(c: &Connection, manifest: &Manifest, telling: &Telling) -> Done<bool> {
    let id = &manifest.recording;
    let sql = "INSERT INTO recordings (id, kind, subject, started_by, is_fixed, started_ms,
                   ended_ms, state, boot, epoch_us, elsewhere)
               VALUES (?1, ?2, ?3, ?4, 0, ?5, ?6, 'ready', '', 0, 1) ON CONFLICT DO NOTHING";
    let (subject, ended_ms) = (&manifest.subject, manifest.ended_ms);
    let values = params![
        id.as_str(),
        subject.kind(),
        subject.of(),
        manifest.started_by,
        manifest.started_ms,
        ended_ms,
    ];
    if c.prepare_cached(sql)?.execute(values)? == 0 {
        return Ok(false);
    }
    let sql = "INSERT INTO participants (recording, source, user, name, joined_ms, left_ms)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING";
    let mut statement = c.prepare_cached(sql)?;
    for who in &manifest.participants {
        let (joined, left) = (who.joined_ms, who.left_ms);
        statement.execute(params![id.as_str(), who.source, who.user, who.name, joined, left])?;
    }
    put_files(c, manifest)?;
    notices::add(c, id, telling)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::catalogue::{State, Viewer, Way};
    use crate::recording::papers::{Source, Subject, VERSION};

    fn manifest() -> Manifest {
        let source = |source: &str, user: &str| Source {
            source: source.to_owned(),
            user: Some(user.to_owned()),
            name: user.to_owned(),
            joined_ms: 10,
            left_ms: Some(20),
            chunks: Vec::new(),
        };
        Manifest {
            version: VERSION,
            recording: "r000000000000000000000001".parse().unwrap(),
            subject: Subject::Call("c1".to_owned()),
            started_by: Some("ann".to_owned()),
            started_ms: 10,
            ended_ms: 20,
            participants: vec![source("p1", "ann"), source("p2", "bert")],
            files: Vec::new(),
            left_out: Vec::new(),
        }
    }

    #[tokio::test]
    async fn who_was_in_it_sees_it_and_nobody_else_and_it_is_not_this_servers_to_delete_by_age() {
        let folder = tempfile::tempdir().unwrap();
        let catalogue = Catalogue::open(&folder.path().join("recordings.db")).unwrap();
        let telling = || Telling { to: vec![(Way::Socket, "ann".to_owned())], from_ms: 30 };
        assert!(catalogue.adopt(manifest(), telling()).await.unwrap());
        assert!(!catalogue.adopt(manifest(), telling()).await.unwrap(), "it is known");
        for (user, sees) in [("ann", 1), ("bert", 1), ("eve", 0)] {
            let viewer = Viewer::User(user.to_owned());
            let page = catalogue.list(viewer, None, 10).await.unwrap();
            assert_eq!(page.entries.len(), sees, "{user}");
        }
        let entry = catalogue.get(&manifest().recording).await.unwrap().unwrap();
        assert_eq!((entry.state, entry.started_by.as_deref()), (State::Ready, Some("ann")));
        assert_eq!(catalogue.waiting_for("ann").await.unwrap().len(), 1);
        assert_eq!(catalogue.older_than(1000).await.unwrap(), []);
        assert_eq!(catalogue.adopted().await.unwrap(), [manifest().recording]);
    }
}
