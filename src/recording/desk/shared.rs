//! Recordings of other servers that have the same store of files: each server lists them all.
//!
//! Whoever has one leaves a piece of news in the store for what becomes of it, whose name says when,
//! and of which; the others look for news. What is so is said by the manifest, or, as long as there
//! is none, by its own server's paper.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt as _};
use futures_util::stream::{self, StreamExt as _};
use tracing::{info, warn};

use super::{KeepError, Recordings, now_ms};
use crate::depot::DepotError;
use crate::recording::catalogue::{Entry, State, Telling, Theirs, Way};
use crate::recording::papers::{self, Manifest, News, Standing};

/// How far news were read.
#[derive(Debug, Default)]
pub struct Heard {
    latest_ms: i64,
    /// Names of the last.
    names: BTreeSet<String>,
}

/// A name among news.
struct Name {
    name: String,
    news: News,
    /// There are later ones of the same recording, which say what this says.
    is_old: bool,
}

const LOOK: Duration = Duration::from_secs(3);
/// Recordings that are looked at in the store at once.
pub(super) const AT_ONCE: usize = 16;
/// News that are prepared together.
const TOGETHER: usize = 1024;
/// News that come so much too late, by clocks that differ or by slow ways, are heard.
const OVERLAP_MS: i64 = 600_000;
/// Nobody is told of what is older.
const OLD_MS: i64 = 86_400_000;
/// News of what was deleted are removed after this.
const FORGOTTEN_MS: i64 = 30 * OLD_MS;

// === impl Recordings ===

impl Recordings {
    /// Takes up what others recorded, drops what they deleted, and tells them what is recorded
    /// here. Never ends.
    pub async fn share(self) {
        let mut heard = Heard::default();
        let mut looked = false;
        loop {
            let done = if looked { Ok(()) } else { self.look_after_adopted().await };
            looked |= done.is_ok();
            self.log("news of others", done.and(self.hear(&mut heard).await));
            self.log("news for others", self.tell_others().await);
            tokio::time::sleep(LOOK).await;
        }
    }

    /// What was deleted elsewhere so long ago that there are no news of it any more.
    async fn look_after_adopted(&self) -> Result<(), KeepError> {
        let adopted = self.inner.catalogue.adopted().await?;
        for adopted in adopted.chunks(TOGETHER) {
            let looking: Vec<BoxFuture<'_, _>> = adopted
                .iter()
                .map(|id| self.look_at(News { at_ms: now_ms(), recording: id.clone() }).boxed())
                .collect();
            let mut looking = stream::iter(looking).buffer_unordered(AT_ONCE);
            while let Some(looked) = looking.next().await {
                looked?;
            }
        }
        Ok(())
    }

    pub(super) async fn hear(&self, heard: &mut Heard) -> Result<(), KeepError> {
        let names = self.inner.files.list_after(papers::NEWS, &heard.after()).await?;
        for names in heard.unheard(names).chunks(TOGETHER) {
            let hearing: Vec<BoxFuture<'_, _>> =
                names.iter().map(|name| self.hear_of(name).boxed()).collect();
            // In order: what comes after one that failed is heard again.
            let mut hearing = stream::iter(hearing).buffered(AT_ONCE).zip(stream::iter(names));
            while let Some((done, Name { name, news, .. })) = hearing.next().await {
                done?;
                heard.note(name.clone(), news.at_ms);
            }
        }
        Ok(())
    }

    async fn hear_of(&self, name: &Name) -> Result<(), KeepError> {
        if name.is_old { Ok(()) } else { self.look_at(name.news.clone()).await }
    }

    /// One that can't be looked at keeps none of the others waiting.
    async fn look_at(&self, news: News) -> Result<(), KeepError> {
        match self.believe(&news).await {
            Err(error) if error.is_of_one() => {
                warn!(recording = %news.recording, %error, "news of it are passed over");
                Ok(())
            }
            believed => believed,
        }
    }

    async fn believe(&self, news: &News) -> Result<(), KeepError> {
        let (inner, id) = (&self.inner, &news.recording);
        let known = inner.catalogue.get(id).await?;
        if known.as_ref().is_some_and(|entry| !entry.is_elsewhere && !entry.state.is_final()) {
            // Nobody knows more of it than this server.
            return Ok(());
        }
        let (standing, manifest) = (papers::standing(id), papers::manifest(id));
        if let Some(entry) = known.filter(|entry| !entry.is_elsewhere || entry.state.is_final()) {
            // In this order: the first isn't taken away before the second is there.
            let mut is_there = entry.state != State::Ready && self.has(&standing).await?;
            is_there |= self.has(&manifest).await?;
            return match (is_there, entry.state) {
                (true, State::Failed) if entry.is_elsewhere => self.adopt(news).await.map(drop),
                (true, _) => Ok(()),
                (false, _) => self.forget(&entry).await,
            };
        }
        if !self.adopt(news).await? {
            inner.catalogue.delete_theirs(id).await?;
            if news.at_ms < now_ms().saturating_sub(FORGOTTEN_MS) {
                inner.files.delete(&news.name()).await?;
            }
        }
        Ok(())
    }

    /// Another server deleted it. It may have been killed amid that, and has other chunks.
    async fn forget(&self, entry: &Entry) -> Result<(), KeepError> {
        self.remove_objects(&entry.id).await?;
        self.inner.catalogue.delete(&entry.id).await?;
        info!(recording = %entry.id, "another server deleted the recording");
        Ok(())
    }

    /// Takes up what another server says. False: there is nothing.
    async fn adopt(&self, news: &News) -> Result<bool, KeepError> {
        let (inner, id) = (&self.inner, &news.recording);
        // In this order, as above.
        let standing = inner.files.get(&papers::standing(id), papers::MOST).await?;
        let manifest = inner.files.get(&papers::manifest(id), papers::MOST).await?;
        let theirs = match (manifest, standing) {
            (Some(bytes), _) => read::<Manifest>(&bytes, |manifest| &manifest.recording == id),
            (None, Some(bytes)) => read::<Standing>(&bytes, |standing| &standing.recording == id),
            (None, None) => return Ok(false),
        };
        let Some(theirs) = theirs else {
            warn!(recording = %id, "what another server says of it can't be read");
            return Ok(true);
        };
        // Webhook and mail are the other server's.
        let to = theirs.users().map(|user| (Way::Socket, user.clone())).collect();
        let is_old = news.at_ms < now_ms().saturating_sub(OLD_MS);
        let telling = Telling { to: if is_old { Vec::new() } else { to }, from_ms: now_ms() };
        let state = theirs.state().name();
        if inner.catalogue.adopt(theirs, telling).await? {
            info!(recording = %id, state, "another server has a recording");
            inner.signals.notices.notify_one();
        }
        Ok(true)
    }

    async fn has(&self, name: &str) -> Result<bool, KeepError> {
        Ok(self.inner.files.size(name).await?.is_some())
    }
}

fn read<T>(bytes: &[u8], is_its: impl Fn(&T) -> bool) -> Option<Theirs>
where
    T: serde::de::DeserializeOwned + Into<Theirs>,
{
    serde_json::from_slice(bytes).ok().filter(is_its).map(Into::into)
}

// === impl KeepError ===

impl KeepError {
    /// Neither a store's nor the catalogue's trouble, which the others would have, too.
    const fn is_of_one(&self) -> bool {
        !matches!(self, Self::Database(_) | Self::Depot(DepotError::Store(_)))
    }
}

// === impl Heard ===

impl Heard {
    #[cfg(test)]
    pub fn count(&self) -> usize {
        self.names.len()
    }

    /// Those that weren't heard, in order.
    fn unheard(&self, mut names: Vec<String>) -> Vec<Name> {
        names.sort_unstable();
        let names = names.into_iter().filter(|name| !self.names.contains(name));
        let mut names: Vec<Name> = names
            .filter_map(|name| Some(Name { news: News::named(&name)?, name, is_old: false }))
            .collect();
        let mut later = BTreeSet::new();
        for name in names.iter_mut().rev() {
            name.is_old = !later.insert(name.news.recording.clone());
        }
        names
    }

    /// Where to go on.
    fn after(&self) -> String {
        papers::time_in_a_name(self.latest_ms.saturating_sub(OVERLAP_MS))
    }

    fn note(&mut self, name: String, at_ms: i64) {
        // A clock that is far ahead would hide what others say.
        self.latest_ms = self.latest_ms.max(at_ms.min(now_ms()));
        self.names.insert(name);
        let first = format!("{}/{}", papers::NEWS, self.after());
        self.names = self.names.split_off(&first);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::ids::RecordingId;

    #[test]
    fn news_that_come_a_little_late_are_heard_and_none_is_heard_twice() {
        let id: RecordingId = "r000000000000000000000001".parse().unwrap();
        let name = |at_ms| News { at_ms, recording: id.clone() }.name();
        let mut heard = Heard::default();
        assert_eq!(heard.after(), "0000000000000");
        for at_ms in [1_000_000, 2_000_000, 2_500_000] {
            heard.note(name(at_ms), at_ms);
        }
        assert_eq!(heard.after(), "0000001900000");
        let kept: Vec<i64> =
            heard.names.iter().map(|name| News::named(name).unwrap().at_ms).collect();
        assert_eq!(kept, [2_000_000, 2_500_000]);
        // Of one whose clock is far ahead.
        heard.note(name(i64::MAX / 2), i64::MAX / 2);
        assert!(heard.latest_ms <= now_ms());
    }

    #[test]
    fn of_several_news_of_one_recording_the_last_is_looked_at() {
        let id = |last| format!("r00000000000000000000000{last}").parse::<RecordingId>().unwrap();
        let name = |at_ms, last| News { at_ms, recording: id(last) }.name();
        let names = vec![name(3, 1), name(1, 1), name(2, 2), "news/another".to_owned()];
        let mut heard = Heard::default();
        let list = |heard: &Heard| -> Vec<(i64, bool)> {
            let names = heard.unheard(names.clone()).into_iter();
            names.map(|name| (name.news.at_ms, name.is_old)).collect()
        };
        assert_eq!(list(&heard), [(1, true), (2, false), (3, false)]);
        heard.note(name(3, 1), 3);
        assert_eq!(list(&heard), [(1, false), (2, false)]);
    }
}
