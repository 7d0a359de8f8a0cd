//! A call's directions, the way that each takes, and what that needs of the call server.
//!
//! In a mesh each direction decides for itself; in a call through the server all go there. What
//! moves is made before what it replaces is broken: a receiver watches until it shows what comes
//! directly, and direct connections stay until everybody shows what comes by the server. The server
//! stands by for a direction by which nothing comes for a moment, and where one is cut, for the other.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::calls::ids::UserId;
use crate::calls::messages::{Path, PathReport, Topology};
use crate::calls::path::{Cause, Direction, Move, Sample};

/// Everybody's. In a call of a hundred there are ten thousand directions, of which few carry
/// anything: what is asked often looks at those of who sends alone.
#[derive(Debug, Default)]
pub struct Paths {
    /// By sender, then by receiver.
    ways: BTreeMap<UserId, BTreeMap<UserId, Way>>,
    /// Measured directly, the lesser user first. They outlive the direct connections.
    round_trips: BTreeMap<(UserId, UserId), Duration>,
    /// Who has sent something: silence alone closes nobody's way.
    senders: BTreeSet<UserId>,
    topology: Option<Topology>,
    /// When the topology changed last. None: it was said that all are served since.
    changed: Option<Instant>,
}

#[derive(Debug)]
struct Way {
    direction: Direction,
    /// Since when it could be connected directly.
    began: Instant,
    /// It was connected directly at one time.
    met: bool,
    /// Something goes through the server, or may yet.
    served: bool,
    /// When it moved last.
    moved: Instant,
    /// It moved because nothing came.
    cut: bool,
    /// When nothing came last for a moment, so that the server stands by.
    doubted: Option<Instant>,
    /// The way by which the receiver shows what comes.
    shown: Path,
}

/// A direction that takes another way from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    pub from: UserId,
    pub to: UserId,
    pub step: Move,
}

/// What a report changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Reported {
    pub moved: Option<Moved>,
    /// What is needed of the server isn't what it was.
    pub changed: bool,
}

/// How long a direct connection has to come up before the server helps out.
const MEET_WITHIN: Duration = Duration::from_secs(4);
/// How long a way through the server is kept for a receiver that doesn't say that it shows what
/// comes directly; and direct connections, the other way round.
const PATIENCE: Duration = Duration::from_secs(10);
/// And at least for so long.
const OVERLAP: Duration = Duration::from_secs(1);
/// A connection that is cut one way gives up the other, since nobody answers its checks: in
/// Chromium after 5 s. Before that the server stands by; not at once, so that what is cut goes
/// first.
const STAND_BY_AFTER: Duration = Duration::from_millis(1500);
/// How long the server stands by for a direction by which nothing came for a moment, once all is well:
/// a path that stutters doesn't start and end what serves it each time.
const STAND_BY_FOR: Duration = Duration::from_secs(10);

// === impl Paths ===

impl Paths {
    /// Who is in the call, and whether each sends something. Gives whether anything changed.
    pub fn set_people(&mut self, people: &[(UserId, bool)], now: Instant) -> bool {
        let mut changed = false;
        for (user, sends) in people {
            changed |= *sends && self.senders.insert(user.clone());
        }
        let here: BTreeSet<&UserId> = people.iter().map(|(user, _)| user).collect();
        let gone = self.ways.keys().filter(|user| !here.contains(user));
        let gone: Vec<UserId> = gone.cloned().collect();
        for user in &gone {
            self.ways.remove(user);
            for ways in self.ways.values_mut() {
                ways.remove(user);
            }
            self.senders.remove(user);
            self.round_trips.retain(|(a, b), _| a != user && b != user);
        }
        changed |= !gone.is_empty();
        let served = self.topology == Some(Topology::Server);
        for user in here {
            if self.ways.contains_key(user) {
                continue;
            }
            changed = true;
            let to_all = self.ways.keys().map(|to| (to.clone(), Way::new(served, now)));
            let to_all: BTreeMap<UserId, Way> = to_all.collect();
            for ways in self.ways.values_mut() {
                ways.insert(user.clone(), Way::new(served, now));
            }
            self.ways.insert(user.clone(), to_all);
        }
        changed
    }

    /// Gives whether it is another than before. On the way back to the mesh each direction stays
    /// at the server until its new connection is good.
    pub fn set_topology(&mut self, topology: Topology, now: Instant) -> bool {
        let before = self.topology.replace(topology);
        if before == self.topology {
            return false;
        }
        self.changed = Some(now);
        for way in self.ways.values_mut().flat_map(BTreeMap::values_mut) {
            if topology == Topology::Server {
                way.served = true;
            } else if before == Some(Topology::Server) {
                way.direction = Direction::at_server(now);
                way.moved = now;
            }
        }
        true
    }

    /// The user's device begins anew: connections are being made. What goes through the server
    /// stays there until they are good.
    pub fn renew(&mut self, user: &UserId, now: Instant) {
        let of_user = self.ways.iter_mut().flat_map(|(from, ways)| {
            ways.iter_mut().filter(move |(to, _)| from == user || *to == user)
        });
        for (_, way) in of_user {
            way.direction = match way.direction.path() {
                Path::Direct => Direction::new(now),
                Path::Server => Direction::at_server(now),
            };
            (way.began, way.met) = (now, false);
        }
    }

    /// Takes what `to` says of what comes from `report.user`.
    pub fn handle_report(
        &mut self,
        to: &UserId,
        report: &PathReport,
        is_sent: bool,
        now: Instant,
    ) -> Reported {
        let served = self.topology == Some(Topology::Server);
        let round_trip = report.round_trip_ms.map(|ms| Duration::from_millis(u64::from(ms)));
        if let Some(round_trip) = round_trip.filter(|_| report.direct_alive) {
            self.round_trips.insert(pair(to, &report.user), round_trip);
        }
        let back = self.ways.get(to).and_then(|ways| ways.get(&report.user));
        let stands_by = back.is_some_and(|back| {
            back.cut && now.saturating_duration_since(back.moved) >= STAND_BY_AFTER
        });
        let ways = self.ways.get_mut(&report.user);
        let Some(way) = ways.and_then(|ways| ways.get_mut(to)) else { return Reported::default() };
        way.shown = report.path;
        if served {
            return Reported::default();
        }
        let sample = Sample {
            is_sent,
            packets: report.packets,
            silent: report.silent_ms.map(|ms| Duration::from_millis(u64::from(ms))),
            lost_permille: report.lost_permille,
            alive: report.direct_alive,
            round_trip,
        };
        let step = way.handle_sample(&sample, now);
        let changed = match step.map(|step| step.to) {
            Some(Path::Server) => !std::mem::replace(&mut way.served, true),
            Some(Path::Direct) => false,
            None if stands_by || way.is_in_doubt(now) => !std::mem::replace(&mut way.served, true),
            None => way.retire(now),
        };
        let (from, to) = (report.user.clone(), to.clone());
        Reported { moved: step.map(|step| Moved { from, to, step }), changed }
    }

    /// Every receiver shows what comes through the server, or has had the time to. Said once.
    pub fn take_all_served(&mut self, now: Instant) -> bool {
        let Some(changed) = self.changed else { return false };
        let since = now.saturating_duration_since(changed);
        if self.topology != Some(Topology::Server) || since < OVERLAP {
            return false;
        }
        let shown = |(_, _, way): (&UserId, &UserId, &Way)| way.shown == Path::Server;
        let all = since >= PATIENCE || self.sent().all(shown);
        if all {
            self.changed = None;
        }
        all
    }

    /// Whom each sender's channel is watched by. Those who never sent anything have none.
    pub fn served(&self) -> BTreeMap<&UserId, BTreeSet<&UserId>> {
        let mut served: BTreeMap<&UserId, BTreeSet<&UserId>> = BTreeMap::new();
        for (from, to, _) in self.sent().filter(|(.., way)| way.served) {
            served.entry(from).or_default().insert(to);
        }
        served
    }

    /// Directions of those who have sent something.
    fn sent(&self) -> impl Iterator<Item = (&UserId, &UserId, &Way)> {
        let senders = self.senders.iter().filter_map(|from| self.ways.get_key_value(from));
        senders.flat_map(|(from, ways)| ways.iter().map(move |(to, way)| (from, to, way)))
    }

    /// Directions of this user's that moved to the server by themselves.
    pub fn moved_of(&self, user: &UserId) -> Vec<(UserId, UserId)> {
        if self.topology != Some(Topology::Mesh) {
            return Vec::new();
        }
        let ways = self
            .ways
            .iter()
            .flat_map(|(from, ways)| ways.iter().map(move |(to, way)| (from, to, way)));
        let moved = ways.filter(|(.., way)| way.direction.path() == Path::Server);
        let of_user = moved.filter(|(from, to, _)| *from == user || *to == user);
        of_user.map(|(from, to, _)| (from.clone(), to.clone())).collect()
    }

    /// Measured between these two.
    pub fn round_trip(&self, a: &UserId, b: &UserId) -> Option<Duration> {
        self.round_trips.get(&pair(a, b)).copied()
    }

    /// Directions that carry something directly, and through the server.
    pub fn count(&self) -> [i64; 2] {
        let mut counts = [0, 0];
        let through_server = self.topology == Some(Topology::Server);
        for (.., way) in self.sent() {
            let at_server = through_server || way.direction.path() == Path::Server;
            counts[usize::from(at_server)] += 1;
        }
        counts
    }
}

fn pair(a: &UserId, b: &UserId) -> (UserId, UserId) {
    if a < b { (a.clone(), b.clone()) } else { (b.clone(), a.clone()) }
}

// === impl Way ===

impl Way {
    fn new(served: bool, now: Instant) -> Self {
        let shown = if served { Path::Server } else { Path::Direct };
        let direction = Direction::new(now);
        let (moved, cut, doubted) = (now, false, None);
        Self { direction, began: now, met: false, served, moved, cut, doubted, shown }
    }

    fn handle_sample(&mut self, sample: &Sample, now: Instant) -> Option<Move> {
        if !self.met && sample.alive {
            self.met = true;
            if self.direction.path() == Path::Direct {
                self.direction = Direction::new(now);
            }
        }
        // It is being made.
        if !self.met && now < self.began + MEET_WITHIN {
            return None;
        }
        let step = self.direction.handle_sample(sample, now);
        if let Some(step) = step {
            self.moved = now;
            self.cut = matches!(step.cause, Cause::Cut | Cause::Down);
            self.doubted = None;
        }
        step
    }

    fn is_in_doubt(&mut self, now: Instant) -> bool {
        let doubt = self.met && self.direction.is_in_doubt(now);
        if doubt {
            self.doubted = Some(now);
        }
        doubt
    }

    /// Gives whether the server isn't needed any more.
    fn retire(&mut self, now: Instant) -> bool {
        let since = now.saturating_duration_since(self.moved);
        let shows = self.shown == Path::Direct && since >= OVERLAP || since >= PATIENCE;
        let sure = self.doubted.is_none_or(|at| now.saturating_duration_since(at) >= STAND_BY_FOR);
        let over = self.served && self.direction.path() == Path::Direct && shows && sure;
        self.served &= !over;
        over
    }
}

#[cfg(test)]
mod tests;
