//! The side of calls that live here: devices elsewhere take part in them.

use std::collections::BTreeSet;
use std::time::Instant;

use crate::calls::ids::{Address, CallId, NodeId, UserId};
use crate::calls::messages::{
    Capabilities, EndReason, ErrorCode, LeftCause, RingStop, ServerMessage,
};
use crate::calls::signalling::{DeviceChange, Input};

use super::super::asking::cause;
use super::super::inviting::Invitation;
use super::super::live::LiveCall;
use super::super::{Hub, Origin, Refused};
use super::{AWAY, Card, Fault, Held, Place, Speaker, Whereabouts, Wire};

// === impl Hub ===

impl Hub {
    /// Whose place isn't known, though it matters: only where the directory says that the device is
    /// on that node, [`Hub::prove`] makes it known.
    pub fn wants_proof(&self, node: &NodeId, wire: &Wire) -> Option<(CallId, Address)> {
        let (call, address) = match wire {
            Wire::Say { from, message, .. } => (message.call()?, from),
            Wire::Device { call, address, change: DeviceChange::Came | DeviceChange::Back } => {
                (call, address)
            }
            _ => return None,
        };
        let is_part = self.calls.get(call)?.call.admits(&address.user);
        let wanted = is_part && !self.is_placed(node, call, address);
        wanted.then(|| (call.clone(), address.clone()))
    }

    /// The directory has the device on that node.
    pub fn prove(&mut self, node: &NodeId, call: &CallId, address: &Address, card: Card) {
        if self.calls.contains_key(call) {
            self.nodes.away.insert(call, address, Place::of(node.clone(), card));
        }
    }

    /// A device came to another node, as the directory says: what rings for its user rings there,
    /// too. Calls elsewhere are told if that node told us.
    pub fn arrived(
        &mut self,
        from: &NodeId,
        at: &NodeId,
        address: &Address,
        card: Card,
        now: Instant,
    ) {
        let mut owners = BTreeSet::new();
        for call in self.calls_of(&address.user) {
            // One that rings already was told of by another.
            let rings = |live: &LiveCall| {
                let mut devices = live.call.ringing();
                !live.has_part(address) && devices.any(|device| device.user == address.user)
            };
            match self.nodes.elsewhere(&call) {
                Some(owner) => drop(owners.insert(owner)),
                None if self.calls.get(&call).is_some_and(rings) => {
                    self.prove(at, &call, address, card.clone());
                    let (address, change) = (address.clone(), DeviceChange::Came);
                    self.drive(&call, Input::Device { address, change }, None, now);
                }
                None => {}
            }
        }
        for owner in owners.into_iter().filter(|owner| from == at && owner != at) {
            self.send(owner, Wire::Arrived { address: address.clone(), at: at.clone() });
        }
        self.finish(now);
    }

    /// A device elsewhere invites to a call here. It was looked at there whether it may.
    pub fn invite_from(
        &mut self,
        node: &NodeId,
        from: Address,
        request: Option<u32>,
        invitation: Invitation,
        now: Instant,
    ) {
        let call = invitation.call.clone();
        let followed = self.listen_to(node, from, request, call, |hub| {
            hub.invite(Origin { socket: AWAY, request }, invitation, now);
        });
        self.note_fault(followed, now);
    }

    /// Listens to a device elsewhere, as to one of ours. One that isn't known to be there is told so:
    /// it may be as good as in the call for its node until it is answered.
    pub(super) fn listen_to(
        &mut self,
        node: &NodeId,
        from: Address,
        request: Option<u32>,
        call: Option<CallId>,
        said: impl FnOnce(&mut Self),
    ) -> Result<(), Fault> {
        let call = call.filter(|call| self.is_at_home(call)).ok_or(Fault::NotOwner)?;
        let admits = |live: &LiveCall| live.call.admits(&from.user);
        if self.calls.get(&call).is_some_and(admits) && !self.is_placed(node, &call, &from) {
            let detail = "the call's server doesn't find the device: try again";
            let Refused { code, detail, call, user } =
                Refused::new(ErrorCode::Unavailable, detail).of(&call);
            let message = ServerMessage::Error { code, detail, call, user };
            self.send(node.clone(), Wire::Tell { to: from, request, message });
            return Err(Fault::NotYours);
        }
        self.nodes.speaker = Some(Speaker { node: node.clone(), address: from, call });
        said(self);
        self.nodes.speaker = None;
        Ok(())
    }

    pub(super) fn device_changed(
        &mut self,
        node: &NodeId,
        call: &CallId,
        address: &Address,
        change: DeviceChange,
        now: Instant,
    ) -> Result<(), Fault> {
        if !self.is_at_home(call) {
            return Err(Fault::NotOwner);
        }
        if !self.is_placed(node, call, address) {
            let is_stale = matches!(change, DeviceChange::Lost | DeviceChange::Gone);
            return if is_stale { Ok(()) } else { Err(Fault::NotYours) };
        }
        match change {
            DeviceChange::Came => self.forget_told(call, address, now),
            // What the call still has for it needn't go anywhere.
            DeviceChange::Gone => drop(self.nodes.away.remove(call, address)),
            DeviceChange::Lost | DeviceChange::Back => {}
        }
        self.drive(call, Input::Device { address: address.clone(), change }, None, now);
        Ok(())
    }

    pub(super) fn place_changed(
        &mut self,
        node: &NodeId,
        call: &CallId,
        address: &Address,
        capabilities: Capabilities,
        now: Instant,
    ) -> Result<(), Fault> {
        let place = self.nodes.away.get_mut(call, address).filter(|place| place.node == *node);
        let place = place.ok_or(Fault::NotYours)?;
        let before = std::mem::replace(&mut place.capabilities, capabilities);
        let cause = cause(&before, &place.capabilities);
        self.settle_for(call, address, cause, now);
        Ok(())
    }

    /// Another node holds one of its devices to be part of a call here.
    pub(super) fn check_part(&mut self, node: &NodeId, Held { call, address }: &Held) {
        let id = call.clone();
        let message = match self.calls.get(call).map(|live| &live.call) {
            // It ended so long ago that it is forgotten.
            None => ServerMessage::CallEnded { call: id, reason: EndReason::Lost },
            Some(call) if call.over().is_some() => {
                let reason = call.over().unwrap_or(EndReason::Lost);
                ServerMessage::CallEnded { call: id, reason }
            }
            _ if !self.is_placed(node, call, address) => {
                ServerMessage::CallEnded { call: id, reason: EndReason::NodeGone }
            }
            Some(call) if call.present().any(|present| present == *address) => call.snapshot(),
            Some(call) if call.ringing().any(|ringing| ringing == *address) => return,
            Some(call) if call.present().any(|present| present.user == address.user) => {
                ServerMessage::RingStopped { call: id, reason: RingStop::AnsweredElsewhere }
            }
            Some(_) => ServerMessage::Left { call: id, cause: LeftCause::Left },
        };
        let to = address.clone();
        self.send(node.clone(), Wire::Tell { to, request: None, message });
    }

    /// Devices of calls here went with their node.
    pub(super) fn lose_devices(&mut self, node: &NodeId, now: Instant) {
        let lost = self.nodes.away.iter().filter(|(_, _, place)| place.node == *node);
        let lost: Vec<(CallId, Address)> =
            lost.map(|(call, address, _)| (call.clone(), address.clone())).collect();
        for calls in lost.chunk_by(|one, next| one.0 == next.0) {
            let Some((call, _)) = calls.first() else { continue };
            let devices: Vec<Address> = calls.iter().map(|(_, device)| device.clone()).collect();
            for device in &devices {
                self.nodes.away.remove(call, device);
            }
            self.drive(call, Input::NodeGone { devices }, None, now);
        }
    }

    /// Whoever is rung is where the directory found them, but for devices that are part of the
    /// call: those are where they say.
    pub(in super::super) fn place(&mut self, call: &CallId, user: &UserId, elsewhere: Whereabouts) {
        let Some(live) = self.calls.get(call) else { return };
        for (device, place) in elsewhere.devices {
            let address = Address { user: user.clone(), device };
            if !live.has_part(&address) {
                self.nodes.away.insert(call, &address, place);
            }
        }
    }

    fn is_placed(&self, node: &NodeId, call: &CallId, address: &Address) -> bool {
        self.nodes.away.get(call, address).is_some_and(|place| place.node == *node)
    }
}

/// Nobody named is here, and who is elsewhere isn't known.
pub fn cut_off() -> Refused {
    let detail = "nobody named is connected to this server, and others can't be reached at present";
    Refused::new(ErrorCode::Unavailable, detail)
}
