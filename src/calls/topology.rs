//! Mesh or call server: a decision on plain data, with its reason.
//!
//! A mesh has the shortest paths and keeps the server out of it, and each sender pays for a copy
//! to everybody. So the size alone doesn't decide: ten people in one office may stay in a mesh
//! where three across the world, each with a long path to each, don't.
//!
//! To the server at once where something is impossible, and after a moment where a path is slow.
//! Back only when everything has been well within bounds for a while.

use std::time::{Duration, Instant};

use stentor_protocol::BitsPerSecond;

use super::ids::UserId;
use super::messages::Topology;

/// A call as the choice sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    pub members: Vec<Member>,
    /// Measured between two members, by their places in `members`.
    pub round_trips: Vec<(usize, usize, Duration)>,
    /// What one copy takes, of those who send a picture.
    pub per_copy: BitsPerSecond,
    /// The server has to have the media.
    pub recorded: bool,
    /// The most that may be in a mesh, whatever the lines.
    pub most: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    pub user: UserId,
    pub up: BitsPerSecond,
    pub down: BitsPerSecond,
    /// Sends a picture, or else sound alone.
    pub sends_video: bool,
    pub place: Option<Place>,
    /// Whoever has the same comes from one network: the public address, or its prefix.
    pub site: Option<String>,
}

/// Degrees, north and east.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    pub latitude: f64,
    pub longitude: f64,
}

/// What to do, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    pub topology: Topology,
    pub reason: Reason,
}

/// What decided. Its text is for people.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Reason {
    #[error("the call is recorded")]
    Recorded,
    #[error("{size} people are too many for a mesh, {most} may be in one")]
    Size { size: usize, most: usize },
    #[error("{user} would send {needed}, and has {has} up")]
    Up { user: UserId, needed: BitsPerSecond, has: BitsPerSecond },
    #[error("{user} would receive {needed}, and has {has} down")]
    Down { user: UserId, needed: BitsPerSecond, has: BitsPerSecond },
    #[error("between {a} and {b} it is {round_trip_ms} ms, {most_ms} are good for {size} people")]
    RoundTrip { a: UserId, b: UserId, round_trip_ms: u64, most_ms: u64, size: usize },
    #[error("nothing is known of the path between {a} and {b}")]
    Unknown { a: UserId, b: UserId },
    #[error("two people talk directly")]
    Pair,
    #[error("{size} people are near enough to each other, and their lines carry it")]
    Near { size: usize },
    #[error("it was moved to the server lately, and stays until all is well for a while")]
    Settling,
}

/// A call's topology, and what it leans to.
#[derive(Debug)]
pub struct Judge {
    current: Topology,
    /// Since when the other has looked better.
    leaning: Option<Instant>,
}

/// The usual most in a mesh: every member encodes for each other, and decodes all others.
pub const MESH_MOST: usize = 12;
/// Sound alone.
const AUDIO: BitsPerSecond = BitsPerSecond::from_kilo(40);
/// Percent of a line that a mesh may take.
const LINE_SHARE: u64 = 80;
/// The longest round trip for three; for more it shrinks with the copies that each sends.
const ROUND_TRIP: Duration = Duration::from_millis(160);
/// Percent of each bound that must not be passed for a way back to the mesh.
const BACK: u64 = 75;
/// How long a path must be slow. Lines that don't carry it don't wait.
const SLOW_FOR: Duration = Duration::from_secs(3);
/// How long all must be well before the way back.
const WELL_FOR: Duration = Duration::from_secs(15);
/// Kilometres that a packet and its answer go in a millisecond, with the usual detours: two
/// thirds of light's speed, half of it for the way back, two thirds of that for the detours.
const KILOMETRES_PER_MS: f64 = 66.0;
/// Within one site.
const SITE_ROUND_TRIP: Duration = Duration::from_millis(2);
/// On top of the distance: last miles.
const LAST_MILES: Duration = Duration::from_millis(15);

// === impl Judge ===

impl Judge {
    pub fn new() -> Self {
        Self { current: Topology::Mesh, leaning: None }
    }

    pub fn current(&self) -> Topology {
        self.current
    }

    pub fn decide(&mut self, group: &Group, now: Instant) -> Decision {
        let strictness = if self.current == Topology::Mesh { 100 } else { BACK };
        let wanted = verdict(group, strictness);
        if wanted.topology == self.current {
            self.leaning = None;
            return wanted;
        }
        let since = *self.leaning.get_or_insert(now);
        if now.saturating_duration_since(since) < wanted.reason.patience() {
            let reason = match self.current {
                Topology::Server => Reason::Settling,
                Topology::Mesh => Reason::Near { size: group.members.len() },
            };
            return Decision { topology: self.current, reason };
        }
        self.current = wanted.topology;
        self.leaning = None;
        wanted
    }
}

impl Default for Judge {
    fn default() -> Self {
        Self::new()
    }
}

// === impl Reason ===

impl Reason {
    /// How long it must hold before anything is moved for it.
    fn patience(&self) -> Duration {
        match self {
            Self::RoundTrip { .. } | Self::Unknown { .. } => SLOW_FOR,
            Self::Pair | Self::Near { .. } => WELL_FOR,
            _ => Duration::ZERO,
        }
    }
}

/// What suits the group now, with every bound at so many percent.
fn verdict(group: &Group, percent: u64) -> Decision {
    let size = group.members.len();
    let objection = recorded(group)
        .or_else(|| too_many(size, group.most))
        .or_else(|| narrow_line(group, percent))
        .or_else(|| long_path(group, percent));
    if let Some(reason) = objection {
        return Decision { topology: Topology::Server, reason };
    }
    let reason = if size <= 2 { Reason::Pair } else { Reason::Near { size } };
    Decision { topology: Topology::Mesh, reason }
}

fn recorded(group: &Group) -> Option<Reason> {
    group.recorded.then_some(Reason::Recorded)
}

/// At one number of people, and no less on the way back: people come and go one by one.
fn too_many(size: usize, most: usize) -> Option<Reason> {
    (size > most).then_some(Reason::Size { size, most })
}

/// Two share a line as well as with the server: one copy each way.
fn narrow_line(group: &Group, percent: u64) -> Option<Reason> {
    let size = group.members.len();
    if size <= 2 {
        return None;
    }
    let copy = |member: &Member| if member.sends_video { group.per_copy.0 } else { 0 } + AUDIO.0;
    let all: u64 = group.members.iter().map(copy).sum();
    let usable = |line: BitsPerSecond| line.0 / 100 * LINE_SHARE / 100 * percent;
    group.members.iter().find_map(|member| {
        let user = member.user.clone();
        let up = BitsPerSecond(copy(member) * (size as u64 - 1));
        let down = BitsPerSecond(all - copy(member));
        if up.0 > usable(member.up) {
            return Some(Reason::Up { user, needed: up, has: member.up });
        }
        let fits = down.0 <= usable(member.down);
        (!fits).then_some(Reason::Down { user, needed: down, has: member.down })
    })
}

/// Two have no shorter path than their own.
fn long_path(group: &Group, percent: u64) -> Option<Reason> {
    let size = group.members.len();
    if size <= 2 {
        return None;
    }
    let most = ROUND_TRIP * 2 / (size as u32 - 1) * percent as u32 / 100;
    let mut unknown = None;
    let mut longest: Option<(usize, usize, Duration)> = None;
    for a in 0..size {
        for b in a + 1..size {
            match round_trip(group, a, b) {
                None => unknown = unknown.or(Some((a, b))),
                Some(rtt) if longest.is_none_or(|(.., most)| rtt > most) => {
                    longest = Some((a, b, rtt));
                }
                Some(_) => {}
            }
        }
    }
    let name = |at: usize| group.members[at].user.clone();
    if let Some((a, b, rtt)) = longest.filter(|(.., rtt)| *rtt > most) {
        let round_trip_ms = rtt.as_millis() as u64;
        let most_ms = most.as_millis() as u64;
        return Some(Reason::RoundTrip { a: name(a), b: name(b), round_trip_ms, most_ms, size });
    }
    unknown.map(|(a, b)| Reason::Unknown { a: name(a), b: name(b) })
}

/// Measured, or what the places make likely.
fn round_trip(group: &Group, a: usize, b: usize) -> Option<Duration> {
    let between = |&&(x, y, _): &&(usize, usize, Duration)| (x, y) == (a, b) || (y, x) == (a, b);
    if let Some((.., measured)) = group.round_trips.iter().find(between) {
        return Some(*measured);
    }
    let (a, b) = (&group.members[a], &group.members[b]);
    if a.site.is_some() && a.site == b.site {
        return Some(SITE_ROUND_TRIP);
    }
    let kilometres = distance(a.place?, b.place?);
    Some(LAST_MILES + Duration::from_secs_f64(kilometres / KILOMETRES_PER_MS / 1000.0))
}

/// Kilometres along the surface (haversine).
fn distance(a: Place, b: Place) -> f64 {
    const EARTH_RADIUS: f64 = 6371.0;
    let (from, to) = (a.latitude.to_radians(), b.latitude.to_radians());
    let half_north = (to - from) / 2.0;
    let half_east = (b.longitude - a.longitude).to_radians() / 2.0;
    let chord = half_north.sin().powi(2) + from.cos() * to.cos() * half_east.sin().powi(2);
    // What isn't a place at all comes to no distance.
    2.0 * EARTH_RADIUS * chord.clamp(0.0, 1.0).sqrt().asin()
}

#[cfg(test)]
mod tests;
