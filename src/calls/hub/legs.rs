//! What devices get and give through the call server, as the driver and as devices are told.

use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::digest;

use crate::calls::ids::{CallId, UserId};
use crate::calls::messages::{Path, Sentence, ServerMessage, Text, Text256, Token, Watch};
use crate::channels::settings::call_channel;

/// What a call needs of the call server, by pass.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MediaWanted {
    /// Grows with each change.
    pub revision: u64,
    pub legs: BTreeMap<String, Leg>,
    /// None: the call isn't recorded.
    pub recorded: Option<Recorded>,
}

/// What is to be recorded of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// Who wanted it so.
    pub by: Option<UserId>,
    /// Everybody in it.
    pub people: BTreeSet<UserId>,
    /// Whose way in each channel is.
    pub channels: BTreeMap<String, UserId>,
}

/// What a device may do with its pass. Channels by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Leg {
    pub publish: Option<String>,
    /// Whom it watches, and where.
    pub watch: BTreeMap<UserId, String>,
}

// === impl Leg ===

impl Leg {
    /// What of it there is while these channels aren't.
    pub fn without(&self, missing: &BTreeSet<String>) -> Self {
        let is_there = |channel: &&String| !missing.contains(*channel);
        let watch = self.watch.iter().filter(|(_, channel)| is_there(channel));
        Self {
            publish: self.publish.as_ref().filter(is_there).cloned(),
            watch: watch.map(|(user, channel)| (user.clone(), channel.clone())).collect(),
        }
    }
}

/// A device's way through the server. Of the pass, so that whoever had it before is out.
pub fn channel_of(call: &CallId, user: &UserId, pass: &str) -> String {
    let text = format!("{call} {user} {pass}");
    let hash = digest::digest(&digest::SHA256, text.as_bytes());
    let bytes = hash.as_ref().iter().take(16);
    call_channel(bytes.fold(0, |number, byte| number << 8 | u128::from(*byte)))
}

/// What is so already, to one who doesn't know.
pub fn still_served(call: &CallId, (from, to): (UserId, UserId)) -> ServerMessage {
    let (call, cause) = (call.clone(), Sentence::cut("it went through the server before"));
    ServerMessage::Path { call, from, to, path: Path::Server, cause }
}

/// `base` is where this node is, for a device on another one; empty for one here.
pub fn legs(call: &CallId, pass: &str, leg: &Leg, base: &str) -> ServerMessage {
    let watch = leg.watch.iter().map(|(user, channel)| Watch {
        user: user.clone(),
        url: Text256::cut(&format!("{base}/whep/{channel}")),
    });
    let publish = |channel| Text256::cut(&format!("{base}/whip/{channel}"));
    ServerMessage::Legs {
        call: call.clone(),
        publish: leg.publish.as_ref().map(publish),
        watch: watch.collect::<Vec<_>>().try_into().unwrap_or_default(),
        token: Token(Text::cut(pass)),
    }
}
