//! Calls between nodes. A call lives on the node of whoever started it, and its name says on which.
//!
//! A device on another node takes part by its own node, which keeps its session: what it says of
//! the call goes to the call's node, what that has for it comes back and gets its number there.
//! `owner` is the side of the calls that live here, `member` that of the devices here, `presence`
//! is who is there elsewhere. What another node says is checked as what comes from outside: it
//! speaks for the calls that are named after it, and for devices that the directory has there.

mod book;
mod crossing;
mod member;
mod owner;
mod people;
mod presence;
mod wire;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Instant;

use crate::calls::ids::{Address, CallId, DeviceId, NodeId, UserId};
use crate::calls::messages::{Availability, Capabilities, LeftCause, ServerMessage};

use super::{Effect, Hub, Note, Origin, Refused, SocketId};
use book::Book;

pub use owner::cut_off;
pub use presence::MOST_ANNOUNCED;
pub(super) use presence::stronger;
pub use wire::{Card, Held, Spot, Wire};

/// What a hub knows of other nodes.
#[derive(Debug, Default)]
pub struct Nodes {
    /// None: there are no others, and calls need no node in their names.
    me: Option<NodeId>,
    others: BTreeSet<NodeId>,
    /// Who is being listened to, where that is a device elsewhere.
    speaker: Option<Speaker>,
    /// Of calls here: devices that aren't here, and where they are.
    pub(super) away: Book<Place>,
    /// Of calls elsewhere: devices that are here.
    foreign: Book<Part>,
    /// Who is in those that devices here are in.
    people: HashMap<CallId, BTreeSet<UserId>>,
    /// Users whom the directory holds to be in a call.
    busy: HashSet<UserId>,
    /// What other nodes were told of who is here.
    announced: HashMap<UserId, Availability>,
    guests: presence::Guests,
    /// Of nodes that are telling who is there: those who were, and weren't named yet.
    doubted: HashMap<NodeId, HashSet<UserId>>,
}

#[derive(Debug)]
struct Speaker {
    node: NodeId,
    address: Address,
    /// What it speaks about.
    call: CallId,
}

/// Where a device is, and what it can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub node: NodeId,
    pub capabilities: Capabilities,
    pub site: Option<String>,
    pub spot: Option<Spot>,
}

/// How a device here is part of a call elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Rung {
        by: UserId,
    },
    /// It comes: it was rung, or was in the call before. Whether it is let in is for the call's node
    /// to say.
    Entering {
        /// None: it wasn't rung.
        by: Option<UserId>,
    },
    In,
}

/// Where else than here a user is. Of one who is in a call, the devices on the nodes that say so:
/// they know better by the time they are rung.
#[derive(Debug, Clone, Default)]
pub struct Whereabouts {
    pub devices: Vec<(DeviceId, Place)>,
    /// In a call there.
    pub busy: bool,
    /// Other nodes couldn't be asked.
    pub incomplete: bool,
}

/// Why a message of another node isn't followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// About a call for which that node doesn't speak, or that isn't here.
    NotOwner,
    /// About a device that isn't there.
    NotYours,
}

/// Stands for the socket of a device on another node.
pub(super) const AWAY: SocketId = SocketId(0);
/// Nodes that are told of who is here.
const MOST_NODES: usize = 256;

// === impl Hub ===

impl Hub {
    /// As one of several nodes. Before anything else.
    pub fn on_node(mut self, node: NodeId) -> Self {
        self.nodes.me = Some(node);
        self
    }

    /// What another node says. Where [`Hub::wants_proof`] asks for one, after [`Hub::prove`].
    pub fn handle_wire(&mut self, node: &NodeId, wire: Wire, now: Instant) {
        let followed = match wire {
            Wire::Say { from, request, message } => {
                self.listen_to(node, from, request, message.call().cloned(), |hub| {
                    hub.handle(Origin { socket: AWAY, request }, message, now);
                })
            }
            Wire::Device { call, address, change } => {
                self.device_changed(node, &call, &address, change, now)
            }
            Wire::Capabilities { call, address, capabilities } => {
                self.place_changed(node, &call, &address, capabilities, now)
            }
            Wire::Tell { to, request, message } => self.told(node, &to, request, message, now),
            // What the directory has of it comes along: see [`Hub::arrived`], [`Hub::notice`].
            Wire::Arrived { .. } | Wire::Notice { .. } => Err(Fault::NotYours),
            Wire::Chat { users } => {
                users.as_slice().iter().for_each(|user| self.nudge_chat(user));
                Ok(())
            }
            // It is for those who know where to look.
            Wire::Look { .. } => Ok(()),
            Wire::Check { held } => {
                held.into_vec().into_iter().for_each(|held| self.check(node, &held));
                Ok(())
            }
            Wire::Leaving {} => {
                self.node_gone(node, now);
                Ok(())
            }
            Wire::Presence { users, all } => {
                self.guests_changed(node, users.into_vec(), all);
                if all {
                    // It sees this node anew, so it may have given it up before.
                    self.check_with(Some(node));
                }
                Ok(())
            }
        };
        self.note_fault(followed, now);
    }

    fn note_fault(&mut self, followed: Result<(), Fault>, now: Instant) {
        if let Err(fault) = followed {
            self.note(Note::NotFollowed(fault));
        }
        self.finish(now);
    }

    /// Another node is there.
    pub fn node_here(&mut self, node: NodeId, now: Instant) {
        if self.nodes.others.len() < MOST_NODES && self.nodes.others.insert(node.clone()) {
            self.tell_who_is_here(&node);
        }
        self.finish(now);
    }

    /// A node has ended: its devices are gone, and so are its calls.
    pub fn node_gone(&mut self, node: &NodeId, now: Instant) {
        self.nodes.others.remove(node);
        self.lose_devices(node, now);
        self.lose_calls(node);
        self.guests_changed(node, Vec::new(), true);
        self.finish(now);
    }

    /// This node ends.
    pub(super) fn leave_others(&mut self) {
        for node in self.nodes.others.clone() {
            self.send(node, Wire::Leaving {});
        }
    }

    /// Other nodes can be reached again. What was said meanwhile may be lost.
    pub fn reconnected(&mut self, now: Instant) {
        self.check_with(None);
        for node in self.nodes.others.clone() {
            self.tell_who_is_here(&node);
        }
        self.finish(now);
    }

    /// What a device said couldn't be brought to its call's node.
    pub fn undelivered(
        &mut self,
        address: &Address,
        request: Option<u32>,
        refused: Refused,
        now: Instant,
    ) {
        self.note(Note::Refused(refused.code));
        let Refused { code, detail, call, user } = refused;
        if let Some(call) = &call {
            self.stay_out(call, address);
            self.tell_presence(&address.user);
        }
        self.deliver(address, request, ServerMessage::Error { code, detail, call, user });
        self.finish(now);
    }

    /// A device here said that it leaves a call, and that couldn't be brought to the call's node. It
    /// is out: the call's node finds that out once it can be reached, see [`Hub::check_with`].
    pub fn left_unheard(
        &mut self,
        address: &Address,
        request: Option<u32>,
        refused: Refused,
        now: Instant,
    ) {
        let Some(call) = refused.call.clone() else { return };
        self.note(Note::Refused(refused.code));
        if self.part_with(&call, address).is_some() {
            self.deliver(address, request, ServerMessage::Left { call, cause: LeftCause::Left });
            self.tell_presence(&address.user);
        }
        self.finish(now);
    }

    /// Whether a call lives here, or doesn't at all.
    pub fn is_at_home(&self, call: &CallId) -> bool {
        self.nodes.elsewhere(call).is_none()
    }

    /// Calls elsewhere that devices here are in, or rung for.
    pub fn calls_elsewhere(&self) -> usize {
        self.nodes.foreign.len()
    }

    pub(super) fn send(&mut self, to: NodeId, wire: Wire) {
        self.effects.push(Effect::Send { to, wire: Box::new(wire) });
    }

    /// Answers the device elsewhere that is being listened to.
    pub(super) fn answer_speaker(&mut self, request: Option<u32>, mut message: ServerMessage) {
        let Some(Speaker { node, address, call: about }) = &self.nodes.speaker else { return };
        if let ServerMessage::Error { call, .. } = &mut message {
            call.get_or_insert_with(|| about.clone());
        }
        let (node, to) = (node.clone(), address.clone());
        self.send(node, Wire::Tell { to, request, message });
    }

    /// The directory is told of a device, or told anew.
    pub(super) fn register(&mut self, address: &Address) {
        if let Some((card, is_connected)) = self.card_of(address) {
            let address = address.clone();
            self.effects.push(match is_connected {
                true => Effect::Register { address, card },
                false => Effect::Amend { address, card },
            });
        }
    }

    /// What the directory is told of a device here, and whether it has a socket.
    fn card_of(&self, address: &Address) -> Option<(Card, bool)> {
        let busy = self.nodes.busy.contains(&address.user);
        let session = self.users.get(&address.user).and_then(|u| u.devices.get(&address.device));
        let session = session.and_then(|id| self.sessions.get(id))?;
        let (capabilities, site) = (session.capabilities.clone(), session.site.clone());
        let spot = session.place.map(Spot::of);
        Some((Card { busy, capabilities, site, spot }, session.socket.is_some()))
    }

    /// The directory is told whether the user is in a call, where that is news. A device whose
    /// socket is gone, though that may not have been found out yet, may be on another node by now,
    /// whose word counts.
    pub(super) fn tell_busy(&mut self, id: &UserId) {
        let busy = self.is_in_call(id);
        let Some(user) = self.users.get(id).filter(|user| !user.devices.is_empty()) else {
            self.nodes.busy.remove(id);
            return;
        };
        let is_news =
            if busy { self.nodes.busy.insert(id.clone()) } else { self.nodes.busy.remove(id) };
        if is_news {
            let devices: Vec<DeviceId> = user.devices.keys().cloned().collect();
            for device in devices {
                let address = Address { user: id.clone(), device };
                if let Some((card, _)) = self.card_of(&address) {
                    self.effects.push(Effect::Amend { address, card });
                }
            }
        }
    }
}

// === impl Whereabouts ===

impl Whereabouts {
    /// What the directory has of devices elsewhere.
    pub fn of(cards: impl Iterator<Item = (DeviceId, NodeId, Card)>, most: usize) -> Self {
        let cards: Vec<_> = cards.take(most).collect();
        let busy = cards.iter().any(|(.., card)| card.busy);
        let counts = cards.into_iter().filter(|(.., card)| card.busy == busy);
        let devices = counts.map(|(device, node, card)| (device, Place::of(node, card)));
        Self { devices: devices.collect(), busy, incomplete: false }
    }
}

// === impl Place ===

impl Place {
    /// What the directory has of a device there.
    pub fn of(node: NodeId, card: Card) -> Self {
        let Card { capabilities, site, spot, busy: _ } = card;
        Self { node, capabilities, site, spot }
    }
}

// === impl Nodes ===

impl Nodes {
    /// The name of a call that is to live here.
    pub fn named(&self, random: String) -> String {
        match &self.me {
            Some(me) => format!("{me}.{random}"),
            None => random,
        }
    }

    /// Where a call lives, if not here. Whether it does is for that node to say.
    pub fn elsewhere(&self, call: &CallId) -> Option<NodeId> {
        let (node, _) = call.as_str().rsplit_once('.')?;
        let is_mine = self.me.as_ref().is_none_or(|me| me.as_str() == node);
        if is_mine { None } else { NodeId::new(node).ok() }
    }

    /// Where a message of a call here is to go, if not to a device here.
    pub fn place_for(&self, to: &Address, message: &ServerMessage) -> Option<NodeId> {
        Some(self.away.get(message.call()?, to)?.node.clone())
    }

    /// Calls that devices elsewhere bring with them, and those that live elsewhere.
    pub fn calls_of(&self, user: &UserId) -> impl Iterator<Item = &CallId> {
        self.away.calls_of(user).chain(self.foreign.calls_of(user))
    }

    /// Who is being listened to, if that is a device elsewhere.
    pub fn speaker(&self) -> Option<Address> {
        Some(self.speaker.as_ref()?.address.clone())
    }
}

// === impl Part ===

impl Part {
    const fn is_entering(&self) -> bool {
        matches!(self, Self::Entering { .. })
    }
}

// === impl Fault ===

impl Fault {
    /// The metric label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotOwner => "not_owner",
            Self::NotYours => "not_yours",
        }
    }
}

#[cfg(test)]
mod tests;
