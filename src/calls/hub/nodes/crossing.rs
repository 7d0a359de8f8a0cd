//! Two who ring each other at the same time mean the same call, wherever the two calls live.
//!
//! Whoever hears of the other's call before their own is made accepts that ([`Hub::crossed_there`]).
//! Where both were made, both nodes hear of the other's, and go by the calls' names: the greater one
//! gives way, and its caller's device accepts the lesser.

use std::time::Instant;

use crate::calls::ids::{Address, CallId, NodeId, UserId};
use crate::calls::messages::{ClientMessage, EndReason, ServerMessage};
use crate::calls::signalling::Input;

use super::super::Hub;
use super::{Part, Wire};

// === impl Hub ===

impl Hub {
    /// A call elsewhere by which this user rings the device.
    pub(in super::super) fn crossed_there(&self, from: &Address, by: &UserId) -> Option<CallId> {
        let rings = Part::Rung { by: by.clone() };
        let mut calls = self.nodes.foreign.calls_of(&from.user);
        calls.find(|call| self.nodes.foreign.get(call, from) == Some(&rings)).cloned()
    }

    /// Takes a ring for someone whose own call rings the one who rings, and nobody else. False: it
    /// is a ring like others.
    pub(super) fn cross(
        &mut self,
        node: &NodeId,
        to: &Address,
        ring: &ServerMessage,
        now: Instant,
    ) -> bool {
        let ServerMessage::Ring { call, from, others, .. } = ring else { return false };
        let Some((own, device)) = self.rings_back(&to.user, from) else { return false };
        if !others.is_empty() {
            return false;
        }
        if own > *call {
            self.give_way(&own, device, (node, call, from), now);
        }
        true
    }

    /// A call of the user's in which they are alone, and ring the other alone; and their device.
    fn rings_back(&self, user: &UserId, other: &UserId) -> Option<(CallId, Address)> {
        let of_device = |address: &Address| address.user == *user;
        let indexed = self.users.get(user)?.calls.iter();
        let mut alone = indexed.filter_map(|id| {
            let call = &self.calls.get(id)?.call;
            let mut present = call.present();
            let device = present.next().filter(of_device)?;
            let mut ringing = call.ringing().peekable();
            let rings = ringing.peek().is_some() && ringing.all(|rung| rung.user == *other);
            let goes_on = call.over().is_none();
            (goes_on && rings && present.next().is_none()).then(|| (id.clone(), device))
        });
        alone.next()
    }

    fn give_way(
        &mut self,
        own: &CallId,
        device: Address,
        (node, theirs, by): (&NodeId, &CallId, &UserId),
        now: Instant,
    ) {
        let sends = self.calls.get(own).and_then(|live| live.call.sending().next());
        let Some((_, media)) = sends else { return };
        self.drive(own, Input::End(EndReason::Crossed), None, now);
        self.nodes.foreign.insert(theirs, &device, Part::Entering { by: Some(by.clone()) });
        let message = ClientMessage::Accept { call: theirs.clone(), media };
        self.send(node.clone(), Wire::Say { from: device, request: None, message });
    }
}
