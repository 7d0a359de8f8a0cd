//! Recordings of other servers, which have the same store of files.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::rows::parsed;
use super::{Catalogue, Done, State, Telling, notices, put_files};
use crate::recording::ids::RecordingId;
use crate::recording::papers::{FileEntry, Manifest, Source, Standing};

/// What is so of a recording that another server has.
#[derive(Debug, Clone)]
pub struct Theirs {
    standing: Standing,
    files: Vec<FileEntry>,
}

// === impl Theirs ===

impl From<Standing> for Theirs {
    fn from(standing: Standing) -> Self {
        Self { standing, files: Vec::new() }
    }
}

impl From<Manifest> for Theirs {
    fn from(manifest: Manifest) -> Self {
        let standing = Standing {
            version: manifest.version,
            recording: manifest.recording,
            subject: manifest.subject,
            node: manifest.node,
            started_by: manifest.started_by,
            started_ms: manifest.started_ms,
            ended_ms: Some(manifest.ended_ms),
            state: State::Ready,
            reason: None,
            troubles: 0,
            participants: manifest.participants,
            told_ms: 0,
        };
        Self { standing, files: manifest.files }
    }
}

impl Theirs {
    pub fn state(&self) -> State {
        self.standing.state
    }

    pub fn users(&self) -> impl Iterator<Item = &String> {
        self.standing.participants.iter().filter_map(|source| source.user.as_ref())
    }
}

// === impl Catalogue ===

impl Catalogue {
    /// Another server's, as it is now, and whom to tell where that is the end of it. True where it
    /// is, and wasn't known.
    pub async fn adopt(&self, theirs: Theirs, telling: Telling) -> Done<bool> {
        self.database.write(move |c| adopt(c, &theirs, &telling)).await
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

fn adopt(c: &Connection, theirs: &Theirs, telling: &Telling) -> Done<bool> {
    let (standing, id) = (&theirs.standing, &theirs.standing.recording);
    let sql = "SELECT state FROM recordings WHERE id = ?1";
    let mut statement = c.prepare_cached(sql)?;
    let before: Option<String> = statement.query_row([id.as_str()], |row| row.get(0)).optional()?;
    if !put(c, standing)? {
        return Ok(false);
    }
    put_participants(c, id, &standing.participants)?;
    put_files(c, id, &theirs.files)?;
    let is_news = standing.state.is_final() && before.as_deref() != Some(standing.state.name());
    if is_news {
        notices::add(c, id, telling)?;
    }
    Ok(is_news)
}

/// False: it is this server's, or nothing can become of it any more.
fn put(c: &Connection, standing: &Standing) -> Done<bool> {
    let sql = "INSERT INTO recordings (id, kind, subject, started_by, is_fixed, started_ms,
                   ended_ms, state, reason, troubles, node, told_ms, boot, epoch_us, elsewhere)
               VALUES (?1, ?2, ?3, ?4, 0, ?5, ?6, ?7, ?8, ?9, ?10, ?11, '', 0, 1)
               ON CONFLICT DO UPDATE SET ended_ms = excluded.ended_ms, state = excluded.state,
                   reason = excluded.reason, troubles = max(troubles, excluded.troubles),
                   node = excluded.node, told_ms = excluded.told_ms
               WHERE elsewhere = 1 AND state <> 'ready'";
    let (subject, is_ready) = (&standing.subject, standing.state == State::Ready);
    let values = params![
        standing.recording.as_str(),
        subject.kind(),
        subject.of(),
        standing.started_by,
        standing.started_ms,
        standing.ended_ms,
        standing.state.name(),
        standing.reason,
        standing.troubles,
        standing.node,
        Some(standing.told_ms).filter(|_| !is_ready),
    ];
    Ok(c.prepare_cached(sql)?.execute(values)? == 1)
}

fn put_participants(c: &Connection, id: &RecordingId, participants: &[Source]) -> Done {
    let sql = "DELETE FROM participants WHERE recording = ?1";
    c.prepare_cached(sql)?.execute([id.as_str()])?;
    let sql = "INSERT INTO participants (recording, source, user, name, joined_ms, left_ms)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING";
    let mut statement = c.prepare_cached(sql)?;
    for who in participants {
        let (joined, left) = (who.joined_ms, who.left_ms);
        statement.execute(params![id.as_str(), who.source, who.user, who.name, joined, left])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::catalogue::{Viewer, Way};
    use crate::recording::papers::{Subject, VERSION};

    const ID: &str = "r000000000000000000000001";

    fn sources() -> Vec<Source> {
        let source = |source: &str, user: &str| Source {
            source: source.to_owned(),
            user: Some(user.to_owned()),
            name: user.to_owned(),
            joined_ms: 10,
            left_ms: Some(20),
            chunks: Vec::new(),
        };
        vec![source("p1", "ann"), source("p2", "bert")]
    }

    fn manifest() -> Manifest {
        Manifest {
            version: VERSION,
            recording: ID.parse().unwrap(),
            subject: Subject::Call("c1".to_owned()),
            node: Some("n1".to_owned()),
            started_by: Some("ann".to_owned()),
            started_ms: 10,
            ended_ms: 20,
            participants: sources(),
            files: Vec::new(),
            left_out: Vec::new(),
        }
    }

    fn standing(state: State, users: usize) -> Standing {
        let mut participants = sources();
        participants.truncate(users);
        let standing = Theirs::from(manifest()).standing;
        Standing { state, participants, ended_ms: None, told_ms: 15, ..standing }
    }

    fn telling() -> Telling {
        Telling { to: vec![(Way::Socket, "ann".to_owned())], from_ms: 30 }
    }

    async fn seen(catalogue: &Catalogue) -> [usize; 3] {
        let mut seen = [0; 3];
        for (at, user) in ["ann", "bert", "eve"].into_iter().enumerate() {
            let viewer = Viewer::User(user.to_owned());
            seen[at] = catalogue.list(viewer, None, 10).await.unwrap().entries.len();
        }
        seen
    }

    #[tokio::test]
    async fn who_was_in_it_sees_it_and_nobody_else_and_it_is_not_this_servers_to_delete_by_age() {
        let folder = tempfile::tempdir().unwrap();
        let catalogue = Catalogue::open(&folder.path().join("recordings.db")).unwrap();
        assert!(catalogue.adopt(manifest().into(), telling()).await.unwrap());
        assert!(!catalogue.adopt(manifest().into(), telling()).await.unwrap(), "it is known");
        assert_eq!(seen(&catalogue).await, [1, 1, 0]);
        let entry = catalogue.get(&manifest().recording).await.unwrap().unwrap();
        assert_eq!((entry.state, entry.started_by.as_deref()), (State::Ready, Some("ann")));
        assert_eq!(catalogue.waiting_for("ann").await.unwrap().len(), 1);
        assert_eq!(catalogue.older_than(1000).await.unwrap(), []);
        assert_eq!(catalogue.adopted().await.unwrap(), [manifest().recording]);
    }

    #[tokio::test]
    async fn one_that_goes_on_elsewhere_is_seen_by_who_is_in_it_and_is_nothing_to_be_done_here() {
        let folder = tempfile::tempdir().unwrap();
        let catalogue = Catalogue::open(&folder.path().join("recordings.db")).unwrap();
        let adopt = async |theirs: Theirs| catalogue.adopt(theirs, telling()).await.unwrap();
        for (state, users, sees) in
            [(State::Recording, 1, [1, 0, 0]), (State::Recording, 2, [1, 1, 0])]
        {
            assert!(!adopt(standing(state, users).into()).await);
            assert_eq!(seen(&catalogue).await, sees);
        }
        assert_eq!(catalogue.in_state(State::Recording).await.unwrap(), []);
        assert_eq!(catalogue.waiting_for("ann").await.unwrap(), []);
        let mut failed = standing(State::Failed, 2);
        failed.reason = Some("as asked for".to_owned());
        assert!(adopt(failed.clone().into()).await);
        assert!(!adopt(failed.into()).await, "it is told once");
        let entry = catalogue.get(&manifest().recording).await.unwrap().unwrap();
        assert_eq!((entry.state, entry.reason.as_deref()), (State::Failed, Some("as asked for")));
        assert_eq!((entry.node.as_deref(), entry.told_ms), (Some("n1"), Some(15)));
        assert_eq!(catalogue.waiting_for("ann").await.unwrap().len(), 1);
        // A file that could be made after all; nothing leads back from there.
        assert!(adopt(manifest().into()).await);
        assert!(!adopt(standing(State::Ended, 2).into()).await);
        let entry = catalogue.get(&manifest().recording).await.unwrap().unwrap();
        assert_eq!((entry.state, entry.told_ms), (State::Ready, None));
    }
}
