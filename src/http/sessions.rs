//! Viewers' sessions as the HTTP side knows them: their channel, what their offer said, and
//! their event streams.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde::Deserialize;
use tokio::sync::watch;

use super::viewers;
use crate::events::Events;
use crate::events::kinds::Location;
use crate::fanout::{RenditionChoice, SessionId, SessionReport};

/// Event streams that one session may have.
const MAX_STREAMS: usize = 4;

#[derive(Default)]
pub struct Sessions {
    table: Mutex<Table>,
    events: Events,
}

#[derive(Default)]
struct Table {
    sessions: HashMap<SessionId, Session>,
    per_channel: HashMap<String, usize>,
}

pub struct Session {
    pub channel: String,
    /// The token that it was made with, where there was one.
    token: Option<String>,
    /// The viewer's `ice-ufrag`: another one in a PATCH is an ICE restart.
    pub ice_ufrag: String,
    /// ICE restarts so far.
    pub restarts: u32,
    /// The place of the video among the offer's media.
    pub video_index: usize,
    /// What was asked for.
    pub choice: RenditionChoice,
    pub location: Option<Location>,
    pub since: Instant,
    /// What it is doing.
    pub reports: Option<watch::Receiver<SessionReport>>,
    streams: HashMap<String, BTreeSet<EventKind>>,
}

/// What an event stream can carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EventKind {
    Active,
    Inactive,
    /// The renditions that the viewer can choose from.
    Layers,
    /// The rendition that is sent.
    Layer,
    Reconnect,
    ViewerCount,
}

// === impl EventKind ===

impl EventKind {
    pub const ALL: [Self; 6] = [
        Self::Active,
        Self::Inactive,
        Self::Layers,
        Self::Layer,
        Self::Reconnect,
        Self::ViewerCount,
    ];
}

// === impl Session ===

impl Session {
    pub fn new(channel: &str, token: Option<&str>, ice_ufrag: &str, video_index: usize) -> Self {
        Self {
            channel: channel.to_owned(),
            token: token.map(str::to_owned),
            ice_ufrag: ice_ufrag.to_owned(),
            restarts: 0,
            video_index,
            choice: RenditionChoice::Auto,
            location: None,
            since: Instant::now(),
            reports: None,
            streams: HashMap::new(),
        }
    }
}

// === impl Sessions ===

impl Sessions {
    /// Who comes and goes is told to `events`.
    pub fn new(events: Events) -> Self {
        Self { events, ..Self::default() }
    }

    pub fn add(&self, id: SessionId, session: Session) {
        viewers::joined(id, &session).into_iter().for_each(|event| self.events.emit(event));
        let mut table = self.lock();
        *table.per_channel.entry(session.channel.clone()).or_default() += 1;
        table.sessions.insert(id, session);
    }

    /// Where it is told what the session is doing.
    pub fn follow(&self, id: SessionId, reports: watch::Receiver<SessionReport>) {
        if let Some(session) = self.lock().sessions.get_mut(&id) {
            session.reports = Some(reports);
        }
    }

    /// The session is over; `cause` is a word. Nothing happens where it was over before.
    pub fn remove(&self, id: SessionId, cause: &str) {
        let mut table = self.lock();
        let Some(session) = table.sessions.remove(&id) else {
            return;
        };
        viewers::left(id, &session, cause).into_iter().for_each(|event| self.events.emit(event));
        if let Some(count) = table.per_channel.get_mut(&session.channel) {
            *count -= 1;
            if *count == 0 {
                table.per_channel.remove(&session.channel);
            }
        }
    }

    /// Those that were made with this token, of the channels that `which` names.
    pub fn made_with(&self, token: &str, which: impl Fn(&str) -> bool) -> Vec<SessionId> {
        let table = self.lock();
        let sessions = table.sessions.iter();
        let made = sessions.filter(|(_, s)| s.token.as_deref() == Some(token) && which(&s.channel));
        made.map(|(id, _)| *id).collect()
    }

    /// Viewers of a channel.
    pub fn count(&self, channel: &str) -> usize {
        self.lock().per_channel.get(channel).copied().unwrap_or(0)
    }

    /// Viewers in all.
    pub fn total(&self) -> usize {
        self.lock().sessions.len()
    }

    /// Looks a session up under its channel; what is under another is not there.
    pub fn find<T>(
        &self,
        channel: &str,
        id: SessionId,
        of: impl FnOnce(&Session) -> T,
    ) -> Option<T> {
        self.lock().sessions.get(&id).filter(|s| s.channel == channel).map(of)
    }

    /// The viewer has restarted ICE. Gives how many times, now.
    pub fn restart(&self, id: SessionId, ice_ufrag: &str) -> Option<u32> {
        let mut table = self.lock();
        let session = table.sessions.get_mut(&id)?;
        ice_ufrag.clone_into(&mut session.ice_ufrag);
        session.restarts += 1;
        Some(session.restarts)
    }

    /// None: no such session. False: it has as many streams as it may.
    pub fn add_stream(
        &self,
        channel: &str,
        id: SessionId,
        stream: &str,
        kinds: BTreeSet<EventKind>,
    ) -> Option<bool> {
        let mut table = self.lock();
        let session = table.sessions.get_mut(&id).filter(|s| s.channel == channel)?;
        if session.streams.len() >= MAX_STREAMS {
            return Some(false);
        }
        session.streams.insert(stream.to_owned(), kinds);
        Some(true)
    }

    /// What a stream carries.
    pub fn stream(
        &self,
        channel: &str,
        id: SessionId,
        stream: &str,
    ) -> Option<BTreeSet<EventKind>> {
        self.find(channel, id, |s| s.streams.get(stream).cloned()).flatten()
    }

    /// False: there was none.
    pub fn remove_stream(&self, channel: &str, id: SessionId, stream: &str) -> bool {
        let mut table = self.lock();
        let session = table.sessions.get_mut(&id).filter(|s| s.channel == channel);
        session.is_some_and(|s| s.streams.remove(stream).is_some())
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u32) -> SessionId {
        format!("{number:032x}").parse().unwrap()
    }

    #[test]
    fn sessions_are_counted_by_channel_and_end_once() {
        let sessions = Sessions::default();
        sessions.add(id(1), Session::new("a", None, "u", 1));
        sessions.add(id(2), Session::new("a", Some("t"), "u", 1));
        assert_eq!((sessions.count("a"), sessions.count("b"), sessions.total()), (2, 0, 2));
        assert_eq!(sessions.made_with("t", |channel| channel == "a"), [id(2)]);
        assert_eq!(sessions.made_with("t", |channel| channel == "b"), []);
        sessions.remove(id(1), "left");
        sessions.remove(id(1), "left");
        assert_eq!(sessions.count("a"), 1);
        assert!(sessions.find("a", id(2), |_| ()).is_some());
        assert!(sessions.find("b", id(2), |_| ()).is_none(), "another channel's");
    }

    #[test]
    fn a_session_has_a_few_event_streams() {
        let sessions = Sessions::default();
        sessions.add(id(1), Session::new("a", None, "u", 1));
        let all = || BTreeSet::from(EventKind::ALL);
        for stream in 0..MAX_STREAMS {
            assert_eq!(sessions.add_stream("a", id(1), &stream.to_string(), all()), Some(true));
        }
        assert_eq!(sessions.add_stream("a", id(1), "x", all()), Some(false));
        assert!(sessions.remove_stream("a", id(1), "0"));
        assert!(!sessions.remove_stream("a", id(1), "0"));
        assert_eq!(sessions.stream("a", id(1), "0"), None);
        assert_eq!(sessions.stream("a", id(1), "1"), Some(all()));
        assert_eq!(sessions.add_stream("a", id(2), "x", all()), None);
    }
}
