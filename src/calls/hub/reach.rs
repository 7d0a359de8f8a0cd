//! Devices of a call as its media sees them, wherever they are: what each can do, and whether it
//! reaches this node's call server.

use crate::calls::ids::{Address, CallId};
use crate::calls::messages::Capabilities;
use crate::calls::topology::Place;

use super::Hub;

// === impl Hub ===

impl Hub {
    /// Devices on other nodes reach this one at a URL, without a slash at its end.
    pub fn reached_at(mut self, url: Option<String>) -> Self {
        self.reached = url;
        self
    }

    /// Whether a device of the call's has a way to this node's call server.
    pub(super) fn reaches_server(&self, call: &CallId, device: &Address) -> bool {
        let is_here = || {
            let user = self.users.get(&device.user);
            user.is_some_and(|user| user.devices.contains_key(&device.device))
        };
        match self.nodes.away.get(call, device) {
            Some(_) => self.reached.is_some(),
            None => is_here(),
        }
    }

    /// Whether somebody who is in the call, or rung, is where there is no way from.
    pub(super) fn leaves_out(&self, call: &CallId) -> bool {
        let Some(live) = self.calls.get(call).filter(|_| self.reached.is_none()) else {
            return false;
        };
        self.nodes.away.devices(call).any(|(device, _)| live.has_part(device))
    }

    /// What a device of the call's can do, and the network that it comes from.
    pub(super) fn of_device(
        &self,
        call: &CallId,
        device: &Address,
    ) -> Option<(&Capabilities, Option<&str>)> {
        if let Some(place) = self.nodes.away.get(call, device) {
            return Some((&place.capabilities, place.site.as_deref()));
        }
        let session = self.users.get(&device.user)?.devices.get(&device.device)?;
        let session = self.sessions.get(session)?;
        Some((&session.capabilities, session.site.as_deref()))
    }

    /// Where the network of a device of the call's is, as far as its node knows.
    pub(super) fn place_of(&self, call: &CallId, device: &Address) -> Option<Place> {
        if let Some(place) = self.nodes.away.get(call, device) {
            return place.spot?.place();
        }
        let session = self.users.get(&device.user)?.devices.get(&device.device)?;
        self.sessions.get(session)?.place
    }
}
