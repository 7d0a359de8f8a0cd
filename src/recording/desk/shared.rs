//! Recordings of other servers that have the same store of files: each server lists them all.
//!
//! Whoever makes or deletes one leaves a piece of news in the store, whose name says when, and of
//! which; the others look for news. What is so is said by the manifest alone.

use std::collections::BTreeSet;
use std::time::Duration;

use tracing::{info, warn};

use super::{KeepError, Recordings, now_ms};
use crate::depot::DepotError;
use crate::recording::catalogue::{State, Telling, Way};
use crate::recording::ids::RecordingId;
use crate::recording::papers::{self, Manifest, News};

/// How far news were read.
#[derive(Debug, Default)]
pub struct Heard {
    latest_ms: i64,
    /// Names of the last.
    names: BTreeSet<String>,
}

const LOOK: Duration = Duration::from_secs(3);
/// News that come so much too late, by clocks that differ or by slow ways, are heard.
const OVERLAP_MS: i64 = 600_000;
/// Nobody is told of what is older.
const OLD_MS: i64 = 86_400_000;
/// News of what was deleted are removed after this.
const FORGOTTEN_MS: i64 = 30 * OLD_MS;

// === impl Recordings ===

impl Recordings {
    /// Takes up what others recorded, and drops what they deleted. Never ends.
    pub async fn share(self) {
        let mut heard = Heard::default();
        let mut looked = false;
        loop {
            let done = if looked { Ok(()) } else { self.look_after_adopted().await };
            looked |= done.is_ok();
            self.log("news of others", done.and(self.hear(&mut heard).await));
            tokio::time::sleep(LOOK).await;
        }
    }

    /// The others are told that it is there, or isn't any more.
    pub(super) async fn leave_news(&self, id: &RecordingId) -> Result<(), KeepError> {
        if self.inner.rules.is_shared {
            let news = News { at_ms: now_ms(), recording: id.clone() };
            self.inner.files.put(&news.name(), Vec::new()).await?;
        }
        Ok(())
    }

    /// What was deleted elsewhere so long ago that there are no news of it any more.
    async fn look_after_adopted(&self) -> Result<(), KeepError> {
        for recording in self.inner.catalogue.adopted().await? {
            self.believe(&News { at_ms: now_ms(), recording }).await?;
        }
        Ok(())
    }

    pub(super) async fn hear(&self, heard: &mut Heard) -> Result<(), KeepError> {
        let mut names = self.inner.files.list_after(papers::NEWS, &heard.after()).await?;
        names.sort_unstable();
        for name in names {
            let Some(news) = News::named(&name).filter(|_| !heard.names.contains(&name)) else {
                continue;
            };
            match self.believe(&news).await {
                Err(error) if error.is_of_one() => {
                    warn!(recording = %news.recording, %error, "news of it are passed over");
                }
                believed => believed?,
            }
            heard.note(name, news.at_ms);
        }
        Ok(())
    }

    async fn believe(&self, news: &News) -> Result<(), KeepError> {
        let (inner, id) = (&self.inner, &news.recording);
        if let Some(entry) = inner.catalogue.get(id).await? {
            let is_there = inner.files.size(&papers::manifest(id)).await?.is_some();
            if entry.state == State::Ready && !is_there {
                // Whoever deleted it may have been killed amid that, and has other chunks.
                self.remove_objects(id).await?;
                inner.catalogue.delete(id).await?;
                info!(recording = %id, "another server deleted the recording");
            }
            return Ok(());
        }
        let Some(bytes) = inner.files.get(&papers::manifest(id), papers::MOST).await? else {
            if news.at_ms < now_ms().saturating_sub(FORGOTTEN_MS) {
                inner.files.delete(&news.name()).await?;
            }
            return Ok(());
        };
        let manifest = serde_json::from_slice::<Manifest>(&bytes);
        let Some(manifest) = manifest.ok().filter(|manifest| manifest.recording == *id) else {
            warn!(recording = %id, "the manifest can't be read");
            return Ok(());
        };
        let users = manifest.participants.iter().filter_map(|source| source.user.clone());
        // Webhook and mail are the other server's.
        let to = users.map(|user| (Way::Socket, user)).collect();
        let is_old = news.at_ms < now_ms().saturating_sub(OLD_MS);
        let telling = Telling { to: if is_old { Vec::new() } else { to }, from_ms: now_ms() };
        if inner.catalogue.adopt(manifest, telling).await? {
            info!(recording = %id, "another server has a recording");
            inner.signals.notices.notify_one();
        }
        Ok(())
    }
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
}
