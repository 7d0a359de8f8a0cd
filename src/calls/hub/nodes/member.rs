//! The side of devices here: they take part in calls that live elsewhere.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::calls::ids::{Address, CallId, NodeId, UserId};
use crate::calls::messages::{ClientMessage, EndReason, Few, RingStop, ServerMessage};
use crate::calls::signalling::DeviceChange;

use super::super::inviting::in_another_call;
use super::super::{Hub, Origin, Refused};
use super::wire::MOST_HELD;
use super::{Fault, Held, Part, Wire};

// === impl Hub ===

impl Hub {
    /// A device here says something to a call elsewhere.
    pub(in super::super) fn pass_on(
        &mut self,
        origin: Origin,
        from: Address,
        node: NodeId,
        message: ClientMessage,
    ) -> Result<(), Refused> {
        let rejoins = matches!(message, ClientMessage::Rejoin { .. });
        let enters = rejoins || matches!(message, ClientMessage::Accept { .. });
        if let Some(call) = message.call().filter(|_| enters) {
            if self.is_in_another(&from.user, call) {
                return Err(in_another_call().of(call));
            }
            self.enter(call, &from, rejoins);
        }
        let user = from.user.clone();
        self.send(node, Wire::Say { from, request: origin.request, message });
        if enters {
            self.tell_presence(&user);
        }
        Ok(())
    }

    /// A device that comes is as good as in the call: else its user could be in two before the
    /// call's node has answered.
    fn enter(&mut self, call: &CallId, device: &Address, rejoins: bool) {
        let has_room = self.nodes.foreign.len() < self.limits.calls;
        match self.nodes.foreign.get_mut(call, device) {
            Some(part) => {
                if let Part::Rung { by } = part {
                    *part = Part::Entering { by: Some(by.clone()) };
                }
            }
            None if rejoins && has_room => {
                self.nodes.foreign.insert(call, device, Part::Entering { by: None });
            }
            None => {}
        }
    }

    /// It was refused, or went unheard.
    pub(super) fn stay_out(&mut self, call: &CallId, device: &Address) {
        let Some(part) = self.nodes.foreign.get_mut(call, device) else { return };
        match part {
            Part::Entering { by: Some(by) } => *part = Part::Rung { by: by.clone() },
            Part::Entering { by: None } => drop(self.part_with(call, device)),
            Part::Rung { .. } | Part::In => {}
        }
    }

    /// A call elsewhere has something for a device here.
    pub(super) fn told(
        &mut self,
        node: &NodeId,
        to: &Address,
        request: Option<u32>,
        mut message: ServerMessage,
        now: Instant,
    ) -> Result<(), Fault> {
        let call = message.call().cloned().ok_or(Fault::NotOwner)?;
        if self.nodes.elsewhere(&call).as_ref() != Some(node) {
            return Err(Fault::NotOwner);
        }
        let session = self.users.get(&to.user).and_then(|user| user.devices.get(&to.device));
        let Some(session) = session.cloned() else {
            return self.not_here(&call, to, &message);
        };
        let part = self.nodes.foreign.get(&call, to);
        let (is_part, is_entering) = (part.is_some(), part.is_some_and(Part::is_entering));
        match &message {
            ring @ ServerMessage::Ring { from, .. } => {
                if self.cross(node, to, ring, now) {
                    return Ok(());
                }
                if self.is_in_another(&to.user, &call) {
                    self.say_busy(node, &call, to);
                    return Ok(());
                }
                if !is_part && self.nodes.foreign.len() >= self.limits.calls {
                    return self.not_here(&call, to, &message);
                }
                // One that comes already is told twice.
                if !is_entering {
                    self.nodes.foreign.insert(&call, to, Part::Rung { by: from.clone() });
                }
            }
            ServerMessage::Call { .. } => self.nodes.foreign.insert(&call, to, Part::In),
            ServerMessage::Error { .. } => self.stay_out(&call, to),
            // It never rang here.
            ServerMessage::RingStopped { .. } if !is_part => return Ok(()),
            last if is_last(last) => {
                let is_heard = matches!(last, ServerMessage::RingStopped { .. });
                let rang = matches!(self.part_with(&call, to), Some(Part::Rung { .. }));
                // What is over for one that still rings is its ringing: it wasn't heard to stop.
                if rang && !is_heard {
                    let reason = RingStop::CallOver;
                    message = ServerMessage::RingStopped { call: call.clone(), reason };
                }
            }
            message if !is_part => return self.not_here(&call, to, message),
            _ => {}
        }
        self.note_people(&call, &message);
        self.push(&session, request, message);
        self.tell_presence(&to.user);
        Ok(())
    }

    /// The call's node is to know that it holds a device to be here that isn't. What is the last
    /// of a call needn't be answered.
    fn not_here(
        &mut self,
        call: &CallId,
        to: &Address,
        message: &ServerMessage,
    ) -> Result<(), Fault> {
        if !is_last(message) {
            self.report(call, to, DeviceChange::Gone);
        }
        Err(Fault::NotYours)
    }

    fn say_busy(&mut self, node: &NodeId, call: &CallId, from: &Address) {
        let message = ClientMessage::Busy { call: call.clone() };
        self.send(node.clone(), Wire::Say { from: from.clone(), request: None, message });
    }

    /// Tells a call elsewhere what became of a device here.
    pub(in super::super) fn device_of_foreign(
        &mut self,
        call: &CallId,
        address: &Address,
        change: DeviceChange,
    ) {
        let is_part = match change {
            // One that isn't part of the call may become so: it rings, too.
            DeviceChange::Came => true,
            DeviceChange::Lost | DeviceChange::Back => {
                self.nodes.foreign.get(call, address).is_some()
            }
            DeviceChange::Gone => self.part_with(call, address).is_some(),
        };
        if is_part {
            self.report(call, address, change);
        }
    }

    /// A device here can do other things than before: calls elsewhere are told.
    pub(in super::super) fn capabilities_of_foreign(&mut self, address: &Address) {
        let session = self.users.get(&address.user).and_then(|u| u.devices.get(&address.device));
        let Some(session) = session.and_then(|id| self.sessions.get(id)) else { return };
        let capabilities = session.capabilities.clone();
        let calls: Vec<CallId> = self.nodes.foreign.calls_of(&address.user).cloned().collect();
        for call in calls {
            if self.nodes.foreign.get(&call, address).is_some()
                && let Some(node) = self.nodes.elsewhere(&call)
            {
                let (address, capabilities) = (address.clone(), capabilities.clone());
                self.send(node, Wire::Capabilities { call, address, capabilities });
            }
        }
    }

    pub(in super::super) fn is_in_foreign(&self, user: &UserId) -> bool {
        self.nodes.foreign.calls_of(user).any(|call| self.is_taken_by(user, call))
    }

    pub(super) fn is_in_foreign_call(&self, user: &UserId, call: &CallId) -> bool {
        let mut devices = self.nodes.foreign.devices(call);
        devices.any(|(address, part)| address.user == *user && *part == Part::In)
    }

    /// Whether the user is in the call, or comes.
    fn is_taken_by(&self, user: &UserId, call: &CallId) -> bool {
        let mut devices = self.nodes.foreign.devices(call);
        devices.any(|(address, part)| {
            address.user == *user && (*part == Part::In || part.is_entering())
        })
    }

    fn is_in_another(&self, user: &UserId, call: &CallId) -> bool {
        self.is_in_own_call(user)
            || self
                .nodes
                .foreign
                .calls_of(user)
                .any(|other| other != call && self.is_taken_by(user, other))
    }

    /// Calls went with their node.
    pub(super) fn lose_calls(&mut self, node: &NodeId) {
        let lost = self.nodes.foreign.iter();
        let lost = lost.filter(|(call, ..)| self.nodes.elsewhere(call).as_ref() == Some(node));
        let lost: Vec<(CallId, Address, Part)> = lost
            .map(|(call, address, part)| (call.clone(), address.clone(), part.clone()))
            .collect();
        for (call, address, part) in lost {
            self.part_with(&call, &address);
            let message = match part {
                Part::Rung { .. } => {
                    ServerMessage::RingStopped { call, reason: RingStop::CallOver }
                }
                Part::Entering { .. } | Part::In => {
                    ServerMessage::CallEnded { call, reason: EndReason::NodeGone }
                }
            };
            self.deliver(&address, None, message);
            self.tell_presence(&address.user);
        }
    }

    /// A call elsewhere holds a device to be here.
    pub(super) fn check(&mut self, node: &NodeId, held: &Held) {
        match self.nodes.elsewhere(&held.call) {
            None => self.check_part(node, held),
            Some(owner) if owner == *node => {
                if self.nodes.foreign.get(&held.call, &held.address).is_none() {
                    self.report(&held.call, &held.address, DeviceChange::Gone);
                }
            }
            Some(_) => {}
        }
    }

    /// What another node has to do with is compared with what it knows. None: with
    /// each of them.
    pub(super) fn check_with(&mut self, other: Option<&NodeId>) {
        let mut held: BTreeMap<NodeId, Vec<Held>> = BTreeMap::new();
        let copy = |call: &CallId, address: &Address| Held {
            call: call.clone(),
            address: address.clone(),
        };
        for (call, address, place) in self.nodes.away.iter() {
            if self.calls.get(call).is_some_and(|live| live.has_part(address)) {
                held.entry(place.node.clone()).or_default().push(copy(call, address));
            }
        }
        for (call, address, _) in self.nodes.foreign.iter() {
            if let Some(node) = self.nodes.elsewhere(call) {
                held.entry(node).or_default().push(copy(call, address));
            }
        }
        held.retain(|node, _| other.is_none_or(|other| other == node));
        for (node, held) in held {
            for part in held.chunks(MOST_HELD) {
                let part: Few<Held, MOST_HELD> = part.to_vec().try_into().unwrap_or_default();
                self.send(node.clone(), Wire::Check { held: part });
            }
        }
    }

    fn report(&mut self, call: &CallId, address: &Address, change: DeviceChange) {
        if let Some(node) = self.nodes.elsewhere(call) {
            let (call, address) = (call.clone(), address.clone());
            self.send(node, Wire::Device { call, address, change });
        }
    }
}

/// After it the device has nothing to do with the call.
fn is_last(message: &ServerMessage) -> bool {
    matches!(
        message,
        ServerMessage::RingStopped { .. }
            | ServerMessage::Left { .. }
            | ServerMessage::CallEnded { .. }
    )
}
