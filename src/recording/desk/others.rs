//! What other servers with the same store of files are told of recordings that have no files yet, or
//! get none: how each stands, as often as that changes.

use std::collections::{BTreeMap, BTreeSet};

use super::{KeepError, Recordings, now_ms};
use crate::recording::catalogue::{Entry, State};
use crate::recording::ids::RecordingId;
use crate::recording::papers::{self, News, Source, Standing, VERSION};

/// What was told last, of those that aren't finished.
#[derive(Debug, Default)]
pub struct Told(BTreeMap<RecordingId, Last>);

#[derive(Debug)]
struct Last {
    standing: Standing,
    /// The name of the news of it.
    news: String,
}

/// One that changes nothing is told again, so that the others know that somebody has it still.
const AGAIN_MS: i64 = 3_600_000;
/// Whoever wasn't heard of for so long may not come back: what they had goes on no more.
const SILENT_MS: i64 = 3 * AGAIN_MS;

// === impl Recordings ===

impl Recordings {
    /// The others are told how those stand that aren't finished.
    pub(super) async fn tell_others(&self) -> Result<(), KeepError> {
        let mut unfinished = BTreeSet::new();
        for state in [State::Recording, State::Ending, State::Ended] {
            let entries = self.inner.catalogue.in_state(state).await?;
            unfinished.extend(entries.into_iter().map(|entry| entry.id));
        }
        for id in &unfinished {
            self.tell_others_of(id).await?;
        }
        self.inner.told.lock().await.0.retain(|id, _| unfinished.contains(id));
        Ok(())
    }

    async fn tell_others_of(&self, id: &RecordingId) -> Result<(), KeepError> {
        let mut told = self.inner.told.lock().await;
        let entry = self.inner.catalogue.get(id).await?;
        let Some(entry) = entry.filter(|entry| !entry.state.is_final()) else { return Ok(()) };
        let standing = self.standing(&entry).await?;
        if !told.is_news(&standing) {
            return Ok(());
        }
        let news = self.put_standing(&standing).await?;
        let before = told.0.insert(id.clone(), Last { standing, news: news.clone() });
        self.drop_news(before, &news).await
    }

    /// And that there will be no files.
    pub(super) async fn tell_others_failed(
        &self,
        told: &mut Told,
        entry: &Entry,
        reason: &str,
    ) -> Result<(), KeepError> {
        if !self.inner.rules.is_shared {
            return Ok(());
        }
        let (state, reason) = (State::Failed, Some(reason.to_owned()));
        let standing = Standing { state, reason, ..self.standing(entry).await? };
        let news = self.put_standing(&standing).await?;
        self.drop_news(told.0.remove(&entry.id), &news).await
    }

    /// And that there are: the manifest says so, and nothing else any more.
    pub(super) async fn tell_others_ready(
        &self,
        told: &mut Told,
        id: &RecordingId,
    ) -> Result<(), KeepError> {
        if !self.inner.rules.is_shared {
            return Ok(());
        }
        self.inner.files.delete(&papers::standing(id)).await?;
        let news = self.put_news(id).await?;
        self.drop_news(told.0.remove(id), &news).await
    }

    /// Those that say what later ones say.
    async fn drop_news(&self, before: Option<Last>, later: &str) -> Result<(), KeepError> {
        if let Some(Last { news, .. }) = before.filter(|before| before.news != later) {
            self.inner.files.delete(&news).await?;
        }
        Ok(())
    }

    /// The others are told that there is something to be looked at.
    pub(super) async fn leave_news(&self, id: &RecordingId) -> Result<(), KeepError> {
        if self.inner.rules.is_shared {
            self.put_news(id).await?;
        }
        Ok(())
    }

    async fn put_standing(&self, standing: &Standing) -> Result<String, KeepError> {
        let id = &standing.recording;
        self.inner.files.put(&papers::standing(id), papers::written(standing)).await?;
        self.put_news(id).await
    }

    async fn put_news(&self, id: &RecordingId) -> Result<String, KeepError> {
        let name = News { at_ms: now_ms(), recording: id.clone() }.name();
        self.inner.files.put(&name, Vec::new()).await?;
        Ok(name)
    }

    async fn standing(&self, entry: &Entry) -> Result<Standing, KeepError> {
        let participants = self.inner.catalogue.participants(&entry.id).await?;
        let participants = participants.into_iter().map(|who| Source {
            source: who.source,
            user: who.user,
            name: who.name,
            joined_ms: who.joined_ms,
            left_ms: who.left_ms,
            chunks: Vec::new(),
        });
        Ok(Standing {
            version: VERSION,
            recording: entry.id.clone(),
            subject: entry.subject.clone(),
            node: entry.node.clone(),
            started_by: entry.started_by.clone(),
            started_ms: entry.started_ms,
            ended_ms: entry.ended_ms,
            state: entry.state,
            reason: entry.reason.clone(),
            troubles: entry.troubles,
            participants: participants.collect(),
            told_ms: now_ms(),
        })
    }
}

// === impl Told ===

impl Told {
    /// Whether it stands otherwise than it was told, or that is too long ago.
    fn is_news(&self, standing: &Standing) -> bool {
        let Some(Last { standing: last, .. }) = self.0.get(&standing.recording) else {
            return true;
        };
        let same = Standing { told_ms: last.told_ms, ..standing.clone() };
        standing.told_ms >= last.told_ms.saturating_add(AGAIN_MS) || same != *last
    }
}

// === impl Entry ===

impl Entry {
    /// Whether it is finished, or whoever had it isn't heard of any more.
    pub(super) fn is_over(&self, now_ms: i64) -> bool {
        let is_silent = |told_ms: i64| told_ms < now_ms.saturating_sub(SILENT_MS);
        self.state.is_final() || self.told_ms.is_some_and(is_silent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::papers::Subject;

    #[test]
    fn what_changes_is_told_and_what_does_not_is_told_again_after_an_hour() {
        let standing = Standing {
            version: VERSION,
            recording: "r000000000000000000000001".parse().unwrap(),
            subject: Subject::Channel("gate".to_owned()),
            node: None,
            started_by: None,
            started_ms: 0,
            ended_ms: None,
            state: State::Recording,
            reason: None,
            troubles: 0,
            participants: Vec::new(),
            told_ms: 1000,
        };
        let mut told = Told::default();
        assert!(told.is_news(&standing));
        let last = Last { standing: standing.clone(), news: String::new() };
        told.0.insert(standing.recording.clone(), last);
        let at = |told_ms, state| Standing { told_ms, state, ..standing.clone() };
        for (standing, expected) in [
            (at(2000, State::Recording), false),
            (at(2000, State::Ending), true),
            (at(1000 + AGAIN_MS - 1, State::Recording), false),
            (at(1000 + AGAIN_MS, State::Recording), true),
            // The clock was set back.
            (at(0, State::Recording), false),
        ] {
            assert_eq!(told.is_news(&standing), expected, "{standing:?}");
        }
    }
}
