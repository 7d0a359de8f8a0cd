//! Recordings of calls: one for each time that a call is recorded, with a source for each user.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;

use tracing::warn;

use super::{KeepError, Recordings, now_ms};
use crate::calls::ids::{CallId, UserId};
use crate::recording::catalogue::{Entry, Participant};
use crate::recording::papers::{Subject, Turn};

/// What is to be recorded of a call at present.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallWanted {
    pub started_by: Option<UserId>,
    /// Those who are in it, as others call them.
    pub people: BTreeMap<UserId, String>,
    /// Those who send, and the channel of each.
    pub channels: BTreeMap<String, UserId>,
}

/// Someone who talks from then on.
pub struct Spoken {
    call: CallId,
    user: UserId,
    monotonic_us: i64,
}

/// Of all calls, before they are written down: each second.
const SPOKEN: usize = 4096;

/// What there is of it.
pub struct LiveCall {
    entry: Entry,
    /// Each has one source, however often they come.
    sources: BTreeMap<UserId, String>,
    present: BTreeSet<UserId>,
    /// Channels that are recorded.
    channels: BTreeSet<String>,
}

// === impl Recordings ===

impl Recordings {
    /// Says what is wanted of a call from now on; none: nothing. Never waits.
    pub fn set_call(&self, call: &CallId, wanted: Option<CallWanted>) {
        let mut calls = self.inner.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let before = match wanted.clone() {
            Some(wanted) => calls.insert(call.clone(), wanted),
            None => calls.remove(call),
        };
        drop(calls);
        if before != wanted {
            self.inner.signals.keeper.notify_one();
        }
    }

    /// Someone else talks in a call. Never waits.
    pub fn set_speaker(&self, call: &CallId, user: UserId) {
        let monotonic_us = self.inner.clock.now().1;
        let mut spoken = self.inner.speakers.lock().unwrap_or_else(PoisonError::into_inner);
        if spoken.len() < SPOKEN {
            spoken.push(Spoken { call: call.clone(), user, monotonic_us });
        }
    }

    pub(super) async fn settle_speakers(&self, live: &BTreeMap<CallId, LiveCall>) {
        let spoken = {
            let mut spoken = self.inner.speakers.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *spoken)
        };
        for Spoken { call, user, monotonic_us } in spoken {
            let Some(live) = live.get(&call) else { continue };
            let Some(source) = live.sources.get(&user).cloned() else { continue };
            let at_us = monotonic_us.saturating_sub(live.entry.epoch_us).max(0);
            let turn = Turn { at_us, source };
            let added = self.inner.catalogue.add_speaker(&live.entry.id, turn).await;
            self.log("who talks", added.map_err(KeepError::from));
        }
    }

    pub(super) async fn settle_calls(&self, live: &mut BTreeMap<CallId, LiveCall>) {
        let wanted = self.wanted_calls();
        let over: Vec<CallId> =
            live.keys().filter(|call| !wanted.contains_key(*call)).cloned().collect();
        for call in over {
            if let Some(gone) = live.remove(&call)
                && let Err(error) = self.end_call(&gone).await
            {
                warn!(%call, %error, "a call's recording can't be ended yet");
                live.insert(call, gone);
            }
        }
        for (call, wanted) in &wanted {
            let settled = self.settle_call(call, wanted, live).await;
            self.log("a call's recording", settled);
        }
    }

    async fn settle_call(
        &self,
        call: &CallId,
        wanted: &CallWanted,
        live: &mut BTreeMap<CallId, LiveCall>,
    ) -> Result<(), KeepError> {
        if !live.contains_key(call) {
            let subject = Subject::Call(call.to_string());
            let by = wanted.started_by.as_ref().map(ToString::to_string);
            let Some(entry) = self.begin(subject, by, false).await? else { return Ok(()) };
            live.insert(call.clone(), LiveCall::new(entry));
        }
        let Some(live) = live.get_mut(call) else { return Ok(()) };
        // Whoever can't be written down or recorded yet keeps none of the others waiting.
        let written = self.settle_people(wanted, live).await;
        live.channels.retain(|channel| wanted.channels.contains_key(channel));
        for (channel, user) in &wanted.channels {
            let Some(source) = live.sources.get(user) else { continue };
            if live.channels.contains(channel) {
                continue;
            }
            let record = self.record_of(&live.entry, source);
            if let Some(channels) = self.channels()
                && let Err(error) = channels.record(channel, record).await
            {
                self.log_of(&live.entry.id, "a sender", Err(error.into()));
                continue;
            }
            live.channels.insert(channel.clone());
        }
        written
    }

    async fn settle_people(
        &self,
        wanted: &CallWanted,
        live: &mut LiveCall,
    ) -> Result<(), KeepError> {
        let (catalogue, id) = (&self.inner.catalogue, live.entry.id.clone());
        let mut settled = Ok(());
        for (user, name) in &wanted.people {
            let count = live.sources.len() + 1;
            let source = live.sources.entry(user.clone()).or_insert_with(|| format!("p{count}"));
            if live.present.contains(user) {
                continue;
            }
            let participant = Participant {
                source: source.clone(),
                user: Some(user.to_string()),
                name: name.clone(),
                joined_ms: now_ms(),
                left_ms: None,
            };
            if let Err(error) = catalogue.join(&id, participant).await {
                settled = Err(error.into());
                continue;
            }
            live.present.insert(user.clone());
        }
        let gone: Vec<UserId> =
            live.present.iter().filter(|u| !wanted.people.contains_key(*u)).cloned().collect();
        for user in gone {
            if let Some(source) = live.sources.get(&user)
                && let Err(error) = catalogue.leave(&id, source, now_ms()).await
            {
                settled = Err(error.into());
                continue;
            }
            live.present.remove(&user);
        }
        settled
    }

    async fn end_call(&self, live: &LiveCall) -> Result<(), KeepError> {
        let at_ms = now_ms();
        live.channels.iter().for_each(|channel| self.detach(channel, &live.entry.id));
        Ok(self.end(&live.entry.id, at_ms).await?)
    }
}

// === impl LiveCall ===

impl LiveCall {
    fn new(entry: Entry) -> Self {
        let (sources, present, channels) = Default::default();
        Self { entry, sources, present, channels }
    }
}
