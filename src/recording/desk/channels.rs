//! Recordings of channels: by an operator's wish, or the configuration's.

use std::collections::BTreeMap;
use std::sync::{MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::{info, warn};

use super::{KeepError, Recordings, StartError, now_ms};
use crate::recording::catalogue::{Entry, Participant, State};
use crate::recording::papers::Subject;
use crate::recording::pauses::{Pauses, chance};
use crate::recording::spool::last_written;

/// A recording that is to follow on one that was long enough.
pub struct NextOne {
    by: Option<String>,
    is_fixed: bool,
    pauses: Pauses,
    not_before: Instant,
}

/// What a channel's only source is called.
const SOURCE: &str = "main";
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

// === impl Recordings ===

impl Recordings {
    /// Records a channel. One that is recorded already goes on as it is, which false says.
    pub async fn start_channel(
        &self,
        name: &str,
        by: Option<String>,
        is_fixed: bool,
    ) -> Result<(Entry, bool), StartError> {
        let _changing = self.inner.changes.lock().await;
        let (entry, is_new) = self.open(name, by, is_fixed).await?;
        if let Err(error) = self.attach(name, &entry).await {
            // One that goes on may do so still.
            if is_new {
                self.end(&entry.id, now_ms()).await?;
            }
            return Err(error);
        }
        Ok((entry, is_new))
    }

    /// The one that there is, or a new one, which true says. [`Self::attach`] records it.
    async fn open(
        &self,
        name: &str,
        by: Option<String>,
        is_fixed: bool,
    ) -> Result<(Entry, bool), StartError> {
        let no_channel = || StartError::NoChannel(name.to_owned());
        if !self.channels().is_some_and(|channels| channels.has(name)) {
            return Err(no_channel());
        }
        if let Some(entry) = self.of_channel(name).await? {
            return Ok((entry, false));
        }
        let subject = Subject::Channel(name.to_owned());
        let began = self.begin(subject, by, is_fixed).await?;
        Ok((began.ok_or_else(no_channel)?, true))
    }

    /// Also of one that was begun halfway. What is recorded already goes on as it is.
    async fn attach(&self, name: &str, entry: &Entry) -> Result<(), StartError> {
        let channels = self.channels().ok_or_else(|| StartError::NoChannel(name.to_owned()))?;
        let (source, user, joined_ms) = (SOURCE.to_owned(), None, entry.started_ms);
        let participant =
            Participant { source, user, name: name.to_owned(), joined_ms, left_ms: None };
        self.inner.catalogue.join(&entry.id, participant).await?;
        Ok(channels.record(name, self.record_of(entry, SOURCE)).await?)
    }

    /// None: it isn't recorded.
    pub async fn stop_channel(&self, name: &str) -> Result<Option<Entry>, StartError> {
        let _changing = self.inner.changes.lock().await;
        self.next_ones().remove(name);
        let Some(entry) = self.of_channel(name).await? else { return Ok(None) };
        self.stop(name, &entry).await?;
        Ok(self.inner.catalogue.get(&entry.id).await?)
    }

    async fn stop(&self, name: &str, entry: &Entry) -> Result<(), StartError> {
        let at_ms = now_ms();
        self.detach(name, &entry.id);
        Ok(self.end(&entry.id, at_ms).await?)
    }

    /// What goes on of a channel.
    pub async fn of_channel(&self, name: &str) -> Result<Option<Entry>, StartError> {
        let going_on = self.inner.catalogue.in_state(State::Recording).await?;
        let is_it = |entry: &Entry| entry.subject == Subject::Channel(name.to_owned());
        Ok(going_on.into_iter().find(is_it))
    }

    /// What a former life left.
    pub(super) async fn take_up(&self, entry: &Entry, fixed: &[String]) -> Result<(), StartError> {
        self.inner.metrics.current.inc();
        let folder = self.inner.spool.of(&entry.id);
        // Nobody wrote down when it ended.
        let last = tokio::task::spawn_blocking(move || last_written(&folder)).await;
        let last = last.ok().and_then(Result::ok).flatten();
        let ended_ms = last.and_then(|ms| i64::try_from(ms).ok()).unwrap_or_else(now_ms);
        let Subject::Channel(name) = &entry.subject else {
            return Ok(self.end(&entry.id, ended_ms).await?);
        };
        let is_wanted = !entry.is_fixed || fixed.contains(name);
        let channels = self.channels().filter(|channels| is_wanted && channels.has(name));
        let Some(channels) = channels else {
            return Ok(self.end(&entry.id, ended_ms).await?);
        };
        info!(recording = %entry.id, channel = name, "recording goes on");
        Ok(channels.record(name, self.record_of(entry, SOURCE)).await?)
    }

    /// Ends those whose channel is gone, and cuts those that are long enough.
    pub(super) async fn keep_channels(&self) -> Result<(), KeepError> {
        let longest = i64::try_from(self.inner.rules.channel_length.as_millis());
        let longest = longest.unwrap_or(i64::MAX);
        for entry in self.inner.catalogue.in_state(State::Recording).await? {
            let Subject::Channel(name) = &entry.subject else { continue };
            let is_there = self.channels().is_some_and(|channels| channels.has(name));
            if is_there && self.inner.clock.lasted_ms(&entry) < longest {
                continue;
            }
            self.cut(name, &entry, is_there).await?;
        }
        self.begin_next().await;
        Ok(())
    }

    /// Another follows if the channel is there.
    pub(super) async fn cut(
        &self,
        name: &str,
        entry: &Entry,
        is_there: bool,
    ) -> Result<(), KeepError> {
        let _changing = self.inner.changes.lock().await;
        // Whoever stopped it meanwhile wants no other.
        let still = self.inner.catalogue.get(&entry.id).await?;
        if still.is_none_or(|now| now.state != State::Recording) {
            return Ok(());
        }
        match self.stop(name, entry).await {
            Ok(()) if is_there => self.next_of(name, entry),
            Ok(()) => {}
            Err(error) => warn!(channel = name, %error, "its recording can't be ended yet"),
        }
        Ok(())
    }

    /// One that was long enough is followed by another, whatever it takes.
    fn next_of(&self, name: &str, entry: &Entry) {
        let (by, is_fixed) = (entry.started_by.clone(), entry.is_fixed);
        let pauses = Pauses::new(FIRST_PAUSE, LONGEST_PAUSE);
        let next = NextOne { by, is_fixed, pauses, not_before: Instant::now() };
        self.next_ones().insert(name.to_owned(), next);
    }

    async fn begin_next(&self) {
        let now = Instant::now();
        let names: Vec<String> = {
            let all = self.next_ones();
            let due = all.iter().filter(|(_, next)| next.not_before <= now);
            due.map(|(name, _)| name.clone()).collect()
        };
        for name in names {
            let _changing = self.inner.changes.lock().await;
            // Somebody may have stopped it.
            let Some(mut next) = self.next_ones().remove(&name) else { continue };
            let begun = match self.open(&name, next.by.clone(), next.is_fixed).await {
                // What is begun halfway is kept: each try goes on with it.
                Ok((entry, _)) => self.attach(&name, &entry).await,
                Err(error) => Err(error),
            };
            let Err(error) = begun else { continue };
            if let StartError::NoChannel(_) = error {
                continue;
            }
            if let StartError::Database(_) = error {
                self.inner.metrics.database_errors.inc();
            }
            let pause = next.pauses.next(chance());
            warn!(channel = name, %error, ?pause, "its next recording can't be begun yet");
            next.not_before = Instant::now() + pause;
            self.next_ones().insert(name, next);
        }
    }

    fn next_ones(&self) -> MutexGuard<'_, BTreeMap<String, NextOne>> {
        self.inner.next_ones.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
