//! What each receiver gets of each sender, in a group through the server.
//!
//! Sound of everybody audible always goes to everybody. Of pictures, those that a client shows: a
//! capable receiver gets what the sender sends, untouched; a weaker one gets the picture in SD,
//! encoded once for all who need it and only while someone does. Nothing goes up: a sender who
//! sends SD is passed on as it is.

use std::collections::{BTreeMap, BTreeSet};

use stentor_protocol::{BitsPerSecond, Codec, Resolution};

use super::ids::UserId;
use super::messages::{CodecLimit, Rendition, Stream};

/// Someone who sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender {
    pub user: UserId,
    /// Isn't muted.
    pub audible: bool,
    pub picture: Option<Picture>,
}

/// A picture as it comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Picture {
    pub codec: Codec,
    pub resolution: Resolution,
    pub frame_rate: u32,
    pub bitrate: BitsPerSecond,
}

/// Someone who receives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receiver {
    pub user: UserId,
    /// Those shown, the most important first.
    pub tiles: Vec<UserId>,
    /// Of a tile, in device pixels.
    pub tile_height: u32,
    /// Shown larger than the rest.
    pub large: Option<UserId>,
    pub decode: Vec<CodecLimit>,
    /// What the line carries, sound included.
    pub down: BitsPerSecond,
}

/// The SD picture that the server makes where one is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sd {
    pub codec: Codec,
    /// Pictures of at most this many lines are SD already.
    pub height: u32,
    pub bitrate: BitsPerSecond,
}

/// Everybody's share.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Routing {
    /// By receiver; a stream for each tile that isn't the receiver's own, in the tiles' order.
    pub streams: BTreeMap<UserId, Vec<Stream>>,
    /// Whose sound each receiver gets.
    pub audio: BTreeMap<UserId, Vec<UserId>>,
    /// Whose picture is to be encoded in SD.
    pub encode: BTreeSet<UserId>,
}

/// What one receiver's line has left.
struct Budget {
    left: u64,
}

/// The largest page.
const MOST_TILES: usize = 25;
/// Of one voice, with its headers.
const AUDIO: u64 = 40_000;
/// Percent of the line that is used.
const SHARE: u64 = 90;
/// Percent of what a rendition takes that must be left for a receiver to move up to it.
const UP_MARGIN: u64 = 125;
/// A tile this much higher than SD, in percent, shows the difference.
const SHOWS: u32 = 125;

/// Decides for all. `before`: the last routing, which gets the benefit of the doubt.
pub fn route(senders: &[Sender], receivers: &[Receiver], sd: &Sd, before: &Routing) -> Routing {
    let mut routing = Routing::default();
    for receiver in receivers {
        let audible = senders.iter().filter(|s| s.audible && s.user != receiver.user);
        let audio: Vec<UserId> = audible.map(|sender| sender.user.clone()).collect();
        let streams = pictures(senders, receiver, audio.len() as u64, sd, before);
        for stream in streams.iter().filter(|stream| stream.rendition == Rendition::Sd) {
            routing.encode.insert(stream.user.clone());
        }
        routing.audio.insert(receiver.user.clone(), audio);
        routing.streams.insert(receiver.user.clone(), streams);
    }
    routing
}

fn pictures(
    senders: &[Sender],
    receiver: &Receiver,
    voices: u64,
    sd: &Sd,
    before: &Routing,
) -> Vec<Stream> {
    let mut shown: Vec<&UserId> = Vec::new();
    for user in receiver.tiles.iter().take(MOST_TILES) {
        if *user != receiver.user && !shown.contains(&user) {
            shown.push(user);
        }
    }
    let picture = |user: &UserId| senders.iter().find(|s| s.user == *user).and_then(|s| s.picture);
    let had = |user: &UserId| {
        let streams = before.streams.get(&receiver.user).into_iter().flatten();
        streams.into_iter().find(|s| s.user == *user).map_or(Rendition::None, |s| s.rendition)
    };
    let usable = receiver.down.0 / 100 * SHARE;
    let mut budget = Budget { left: usable.saturating_sub(voices * AUDIO) };
    let mut given: BTreeMap<&UserId, Rendition> = BTreeMap::new();
    let mut order = shown.clone();
    // The large one is what people look at.
    order.sort_by_key(|user| receiver.large.as_ref() != Some(*user));
    // Something of everybody first, then more of those who matter most.
    for user in &order {
        let least = picture(user).and_then(|picture| receiver.least(&picture, sd));
        if let Some((rendition, cost)) = least
            && budget.take(cost, had(user) != Rendition::None)
        {
            given.insert(user, rendition);
        }
    }
    for user in &order {
        let Some(picture) = picture(user) else { continue };
        let has_sd = given.get(user) == Some(&Rendition::Sd);
        if !has_sd || !receiver.wants_more(user, sd) || !receiver.decodes(&picture) {
            continue;
        }
        let more = picture.bitrate.0.saturating_sub(sd.bitrate.0);
        if budget.take(more, had(user) == Rendition::Original) {
            given.insert(user, Rendition::Original);
        }
    }
    let stream = |user: &UserId| Stream {
        user: user.clone(),
        rendition: given.get(user).copied().unwrap_or(Rendition::None),
    };
    shown.into_iter().map(stream).collect()
}

// === impl Receiver ===

impl Receiver {
    /// The least that shows this picture, and what it takes.
    fn least(&self, picture: &Picture, sd: &Sd) -> Option<(Rendition, u64)> {
        let original = self.decodes(picture).then_some((Rendition::Original, picture.bitrate.0));
        let reads_sd = self.decode.iter().any(|limit| limit.codec == sd.codec);
        // An original that is no larger than SD is what SD would be, without encoding.
        let is_small = sd.is_no_less_than(picture);
        if original.is_some() && (is_small || !reads_sd) {
            return original;
        }
        // In another codec, if need be, and never above its own rate.
        reads_sd.then_some((Rendition::Sd, sd.bitrate.0.min(picture.bitrate.0)))
    }

    fn decodes(&self, picture: &Picture) -> bool {
        self.decode.iter().any(|limit| {
            limit.codec == picture.codec
                && limit.resolution.pixels() >= picture.resolution.pixels()
                && limit.frame_rate >= picture.frame_rate
        })
    }

    fn wants_more(&self, user: &UserId, sd: &Sd) -> bool {
        let height = self.tile_height.saturating_mul(100);
        self.large.as_ref() == Some(user) || height >= sd.height * SHOWS
    }
}

// === impl Sd ===

impl Sd {
    fn is_no_less_than(&self, picture: &Picture) -> bool {
        let lines = picture.resolution.width.min(picture.resolution.height);
        lines <= self.height || picture.bitrate <= self.bitrate
    }
}

// === impl Budget ===

impl Budget {
    /// Whoever has it already keeps it while it fits; others need some more than that.
    fn take(&mut self, bits: u64, had: bool) -> bool {
        let needed = if had { bits } else { bits / 100 * UP_MARGIN };
        let fits = needed <= self.left;
        if fits {
            self.left -= bits;
        }
        fits
    }
}

#[cfg(test)]
mod tests;
