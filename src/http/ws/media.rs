//! Makes what calls want of the call server: a channel for each participant who sends through it,
//! and passes for those who publish and watch.
//!
//! One task, which goes by what is wanted at the time it looks: it misses nothing by being late.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use tokio::sync::mpsc;
use tracing::{debug, warn};

use super::board::Board;
use crate::calls::hub::{Leg, MediaWanted, Recorded};
use crate::calls::ids::{CallId, UserId};
use crate::channels::{Channels, Heard};
use crate::fanout::Fanout;
use crate::http::passes::{Pass, Passes};
use crate::http::sessions::Sessions;
use crate::http::state::State;
use crate::recording::{CallWanted, Recordings};

pub struct MediaDriver {
    pub board: Arc<Board>,
    pub channels: Channels,
    pub fanout: Fanout,
    pub sessions: Arc<Sessions>,
    pub passes: Arc<Passes>,
    pub heard: mpsc::Receiver<Heard>,
    /// None: nothing is recorded.
    pub recordings: Option<Recordings>,
    /// Knows people's names.
    pub state: Arc<State>,
}

/// What there is.
#[derive(Default)]
struct Made {
    /// By call and pass.
    legs: BTreeMap<CallId, BTreeMap<String, Leg>>,
    /// Calls for some of whose channels there was no room.
    waiting: BTreeSet<CallId>,
    /// Whom a channel is of.
    voices: HashMap<String, (CallId, UserId)>,
}

// === impl MediaDriver ===

impl MediaDriver {
    /// Never ends.
    pub async fn run(mut self) {
        let mut made = Made::default();
        loop {
            tokio::select! {
                call = self.board.next_unsettled() => self.settle(call, &mut made).await,
                Some(Heard { channel, level }) = self.heard.recv() => {
                    if let Some((call, user)) = made.voices.get(&channel) {
                        let talks = self.board.with(|hub, now| hub.hear(call, user, level, now));
                        if let (Some(recordings), Some(talks)) = (&self.recordings, talks) {
                            recordings.set_speaker(call, talks);
                        }
                    }
                }
            }
        }
    }

    async fn settle(&self, call: CallId, made: &mut Made) {
        let MediaWanted { revision, legs, recorded } =
            self.board.with(|hub, _| hub.media_of(&call));
        let before = made.legs.remove(&call).unwrap_or_default();
        let missing = self.give(&legs);
        self.record(&call, recorded, &missing).await;
        self.board.with(|hub, now| hub.media_ready(&call, revision, &missing, now));
        // Devices are told first: whoever finds a session gone would ask for another.
        let is_room = self.take_back(&before, &legs).await;
        if is_room {
            self.board.unsettle(std::mem::take(&mut made.waiting));
        }
        if !missing.is_empty() {
            made.waiting.insert(call.clone());
        } else {
            made.waiting.remove(&call);
        }
        debug!(%call, revision, devices = legs.len(), "media made");
        made.voices.retain(|_, (of, _)| *of != call);
        for (user, channel) in legs.values().flat_map(|leg| &leg.watch) {
            made.voices.insert(channel.clone(), (call.clone(), user.clone()));
        }
        if !legs.is_empty() {
            made.legs.insert(call, legs);
        }
    }

    /// Channels are there by now, but for those that are missing.
    async fn record(&self, call: &CallId, recorded: Option<Recorded>, missing: &BTreeSet<String>) {
        let Some(recordings) = &self.recordings else { return };
        let Some(Recorded { by, people, mut channels }) = recorded else {
            return recordings.set_call(call, None);
        };
        channels.retain(|channel, _| !missing.contains(channel));
        let mut named = BTreeMap::new();
        for user in people {
            let name = self.state.people.name_of(&user).await;
            named.insert(user, name);
        }
        let wanted = CallWanted { started_by: by, people: named, channels };
        recordings.set_call(call, Some(wanted));
    }

    /// Gives the channels for which there is no room at present.
    fn give(&self, legs: &BTreeMap<String, Leg>) -> BTreeSet<String> {
        let mut missing = BTreeSet::new();
        for (token, leg) in legs {
            if let Some(channel) = &leg.publish
                && let Err(error) = self.channels.open_call(channel)
            {
                warn!(channel, %error, "a participant can't be passed on");
                self.board.metrics.refused.with_label_values(&["no_channel"]).inc();
                missing.insert(channel.clone());
            }
            let watch = leg.watch.values().cloned().collect();
            self.passes.set(token, Pass { publish: leg.publish.clone(), watch });
        }
        missing
    }

    /// Passes first: nobody comes in while others are put out. Those that are still good for
    /// something are good for nothing else by now. Gives whether there is room for channels now.
    async fn take_back(
        &self,
        before: &BTreeMap<String, Leg>,
        after: &BTreeMap<String, Leg>,
    ) -> bool {
        for (token, leg) in before {
            let kept = after.get(token);
            if kept.is_none() {
                self.passes.remove(token);
            }
            let kept: BTreeSet<&String> = kept.iter().flat_map(|leg| leg.watch.values()).collect();
            if leg.watch.values().all(|channel| kept.contains(channel)) {
                continue;
            }
            let lost = |channel: &str| !kept.iter().any(|kept| *kept == channel);
            for session in self.sessions.made_with(token, lost) {
                self.fanout.leave(session).await;
                self.sessions.remove(session, "not_allowed");
            }
        }
        let publishes = |legs: &BTreeMap<String, Leg>| -> BTreeSet<String> {
            legs.values().filter_map(|leg| leg.publish.clone()).collect()
        };
        let (before, after) = (publishes(before), publishes(after));
        let mut closed = before.difference(&after).peekable();
        let is_room = closed.peek().is_some();
        for channel in closed {
            // A worker takes its time to end.
            tokio::spawn(self.channels.close_call(channel));
        }
        is_room
    }
}
