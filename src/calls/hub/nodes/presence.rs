//! Who is there on other nodes, and telling them who is here.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Instant;

use crate::calls::ids::{NodeId, UserId};
use crate::calls::messages::{Availability, Few};

use super::super::Hub;
use super::wire::{MOST_SEEN, Seen, Wire};

/// Users who are there on other nodes.
#[derive(Debug, Default)]
pub struct Guests(HashMap<UserId, Guest>);

#[derive(Debug)]
struct Guest {
    nodes: BTreeMap<NodeId, Availability>,
    /// What those here were told last.
    told: Availability,
}

/// Users of whom each of the other nodes is told.
pub const MOST_ANNOUNCED: usize = 20_000;

// === impl Hub ===

impl Hub {
    /// What another node says of those who are there. `all`: of nobody else there is anything. That
    /// comes in parts, of which the last isn't full: nobody is gone before.
    pub(super) fn guests_changed(&mut self, node: &NodeId, mut users: Vec<Seen>, all: bool) {
        let most = self.limits.guests;
        if all {
            self.nodes.doubted.insert(node.clone(), self.nodes.guests.on(node));
        }
        if let Some(doubted) = self.nodes.doubted.get_mut(node) {
            for seen in &users {
                doubted.remove(&seen.user);
            }
        }
        if users.len() < MOST_SEEN {
            let left = self.nodes.doubted.remove(node).unwrap_or_default();
            let availability = Availability::Offline;
            users.extend(left.into_iter().map(|user| Seen { user, availability }));
        }
        let mut changed: Vec<UserId> = Vec::new();
        for Seen { user, availability } in users {
            if self.nodes.guests.set(node, &user, availability, most) {
                changed.push(user);
            }
        }
        for user in changed {
            self.tell_of_guest(&user);
        }
    }

    /// What other nodes know of the user.
    pub(in super::super) fn availability_elsewhere(&self, user: &UserId) -> Availability {
        self.nodes.guests.availability(user)
    }

    /// Users who are elsewhere.
    pub(in super::super) fn guests(&self) -> impl Iterator<Item = &UserId> {
        self.nodes.guests.0.keys()
    }

    pub(in super::super) fn is_guest(&self, user: &UserId) -> bool {
        self.guest(user).is_some()
    }

    /// What those here were told of a user who is elsewhere.
    pub(in super::super) fn guest(&self, user: &UserId) -> Option<Availability> {
        self.nodes.guests.0.get(user).map(|guest| guest.told)
    }

    /// Other nodes are told of a user who is here, where that is news to them.
    pub(in super::super) fn announce(&mut self, user: &UserId, here: Availability) {
        let announced = &mut self.nodes.announced;
        if announced.len() >= MOST_ANNOUNCED && !announced.contains_key(user) {
            return;
        }
        let before = match here {
            Availability::Offline => announced.remove(user),
            here => announced.insert(user.clone(), here),
        };
        if before.unwrap_or(Availability::Offline) == here {
            return;
        }
        let seen = Seen { user: user.clone(), availability: here };
        for node in self.nodes.others.clone() {
            let users = vec![seen.clone()].try_into().unwrap_or_default();
            self.send(node, Wire::Presence { users, all: false });
        }
    }

    pub(super) fn tell_who_is_here(&mut self, node: &NodeId) {
        let users = self.nodes.announced.iter();
        let users: Vec<Seen> =
            users.map(|(user, here)| Seen { user: user.clone(), availability: *here }).collect();
        // The last part isn't full, and of nobody there is something to be said, too.
        let none: &[Seen] = &[];
        let last = users.len().is_multiple_of(MOST_SEEN).then_some(none);
        let parts = users.chunks(MOST_SEEN).chain(last);
        for (number, part) in parts.enumerate() {
            let users: Few<Seen, MOST_SEEN> = part.to_vec().try_into().unwrap_or_default();
            self.send(node.clone(), Wire::Presence { users, all: number == 0 });
        }
    }

    /// What the node was told of who is here may not have arrived.
    pub fn tell_anew(&mut self, node: &NodeId, now: Instant) {
        if self.nodes.others.contains(node) {
            self.tell_who_is_here(node);
        }
        self.finish(now);
    }

    /// Someone who is here as well is told of as one of ours.
    fn tell_of_guest(&mut self, user: &UserId) {
        let elsewhere = self.nodes.guests.availability(user);
        let told = self.nodes.guests.told(user, elsewhere);
        if self.users.get(user).is_some_and(|user| user.shown) {
            self.tell_presence(user);
        } else if told != elsewhere {
            self.tell_of_absent(user, elsewhere);
        }
    }
}

// === impl Guests ===

impl Guests {
    /// Whether there was room, or nothing to keep.
    fn set(
        &mut self,
        node: &NodeId,
        user: &UserId,
        availability: Availability,
        most: usize,
    ) -> bool {
        if availability == Availability::Offline {
            let guest = self.0.get_mut(user);
            return guest.is_some_and(|guest| guest.nodes.remove(node).is_some());
        }
        if !self.0.contains_key(user) && self.0.len() >= most {
            return false;
        }
        let new = || Guest { nodes: BTreeMap::new(), told: Availability::Offline };
        let guest = self.0.entry(user.clone()).or_insert_with(new);
        guest.nodes.insert(node.clone(), availability);
        true
    }

    /// Those who are there.
    fn on(&self, node: &NodeId) -> HashSet<UserId> {
        let there = self.0.iter().filter(|(_, guest)| guest.nodes.contains_key(node));
        there.map(|(user, _)| user.clone()).collect()
    }

    fn availability(&self, user: &UserId) -> Availability {
        let nodes = self.0.get(user).into_iter().flat_map(|guest| guest.nodes.values());
        nodes.fold(Availability::Offline, |most, next| stronger(most, *next))
    }

    /// Those here are told this now. Gives what they were told before.
    fn told(&mut self, user: &UserId, now: Availability) -> Availability {
        let Some(guest) = self.0.get_mut(user) else { return Availability::Offline };
        let before = std::mem::replace(&mut guest.told, now);
        if guest.nodes.is_empty() {
            self.0.remove(user);
        }
        before
    }
}

/// Of what two nodes say of a user, what counts.
pub(in super::super) fn stronger(one: Availability, other: Availability) -> Availability {
    let rank = |availability| match availability {
        Availability::Offline => 0,
        Availability::Available => 1,
        Availability::DoNotDisturb => 2,
        Availability::InCall => 3,
    };
    if rank(other) > rank(one) { other } else { one }
}
