//! Recording a call: who may have it done, and what of it is there to be recorded.

use std::collections::BTreeSet;
use std::time::Instant;

use crate::calls::ids::{Address, CallId, DeviceId, UserId};
use crate::calls::messages::{ErrorCode, ServerMessage};
use crate::calls::signalling::Input;

use super::inviting::unknown_call;
use super::legs::Recorded;
use super::live::LiveCall;
use super::{Hub, Origin, RecordBy, Refused};

// === impl Hub ===

impl Hub {
    /// A device wants its call recorded, or no longer.
    pub(super) fn record(
        &mut self,
        origin: Origin,
        from: &Address,
        call: &CallId,
        recorded: bool,
        now: Instant,
    ) -> Result<(), Refused> {
        let Some(live) = self.calls.get(call) else { return Err(unknown_call(call)) };
        self.check_record(live, from, call).map_err(|refused| refused.of(call))?;
        if live.call.is_recorded() == recorded {
            let message = ServerMessage::Recorded { call: call.clone(), recorded };
            self.answer(origin, message);
            return Ok(());
        }
        if let Some(live) = self.calls.get_mut(call) {
            live.recorded_by = recorded.then(|| from.user.clone());
        }
        self.drive(call, Input::Recording(recorded), Some((from, origin.request)), now);
        Ok(())
    }

    fn check_record(&self, live: &LiveCall, from: &Address, id: &CallId) -> Result<(), Refused> {
        let is_on = live.call.over().is_none();
        if !is_on || !live.call.present().any(|address| address == *from) {
            return Err(Refused::new(ErrorCode::NotAllowed, "the device isn't in the call"));
        }
        match self.limits.record {
            RecordBy::Anyone => {}
            RecordBy::Inviter if live.call.host() == &from.user => {}
            RecordBy::Inviter => {
                let detail = "only whoever started the call may have it recorded";
                return Err(Refused::new(ErrorCode::NotAllowed, detail));
            }
            RecordBy::Nobody => {
                let detail = "this server records no calls";
                return Err(Refused::new(ErrorCode::Unavailable, detail));
            }
        }
        // What another node's devices send doesn't come by here.
        if self.leaves_out(id) {
            let detail = "somebody is on another server, from which nothing can be recorded";
            return Err(Refused::new(ErrorCode::Unavailable, detail));
        }
        Ok(())
    }

    /// Tells a user's devices. False: none of them is connected here.
    pub fn reach(&mut self, user: &UserId, message: &ServerMessage) -> bool {
        let devices = self.devices_of(user);
        let is_here = !self.stopping && devices.iter().any(|one| self.is_connected(user, one));
        self.tell(user, None, message);
        is_here
    }

    fn is_connected(&self, user: &UserId, device: &DeviceId) -> bool {
        let session = self.users.get(user).and_then(|user| user.devices.get(device));
        session.and_then(|id| self.sessions.get(id)).is_some_and(|s| s.socket.is_some())
    }

    /// Somebody came from whom nothing can be recorded: nobody is to believe that all is.
    pub(super) fn end_recording(&mut self, call: &CallId, now: Instant) {
        if self.calls.get(call).is_some_and(|live| live.call.is_recorded()) {
            self.drive(call, Input::Recording(false), None, now);
        }
    }
}

// === impl LiveCall ===

impl LiveCall {
    /// What there is to be recorded. None: nothing is.
    pub fn recorded(&self) -> Option<Recorded> {
        if !self.call.is_recorded() || self.call.over().is_some() {
            return None;
        }
        let people: BTreeSet<_> = self.call.present().map(|address| address.user).collect();
        let channels = self.media.published().collect();
        Some(Recorded { by: self.recorded_by.clone(), people, channels })
    }
}
