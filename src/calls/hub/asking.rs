//! What a device says, and who deals with it.

use std::time::Instant;

use crate::calls::ids::{Address, CallId};
use crate::calls::messages::{
    Capabilities, ClientMessage, ConfigureCause, Direction, ErrorCode, PathReport, ServerMessage,
};
use crate::calls::signalling::Request;

use super::calls::refused;
use super::inviting::{hello_first, unknown_call};
use super::live::LiveCall;
use super::shown::Screen;
use super::{Hub, Origin, Refused};

// === impl Hub ===

impl Hub {
    /// A message other than `hello`, `resume` and `invite`: [`Hub::hello`], [`Hub::resume`] and
    /// [`Hub::invite`] take what those come with.
    pub fn handle(&mut self, origin: Origin, message: ClientMessage, now: Instant) {
        let answered = match self.address_of(origin.socket) {
            Some(from) => self.take(origin, from, message, now),
            None => Err(hello_first()),
        };
        if let Err(refused) = answered {
            self.refuse(origin, refused, now);
        }
        self.finish(now);
    }

    fn take(
        &mut self,
        origin: Origin,
        from: Address,
        message: ClientMessage,
        now: Instant,
    ) -> Result<(), Refused> {
        if let Some(node) = message.call().and_then(|call| self.nodes.elsewhere(call)) {
            return self.pass_on(origin, from, node, message);
        }
        match message {
            ClientMessage::Hello { .. } | ClientMessage::Resume { .. } => {
                let detail = "somebody has signed in over this socket already";
                return Err(Refused::new(ErrorCode::Invalid, detail));
            }
            ClientMessage::Ack { seq } => self.acknowledge(origin, seq),
            ClientMessage::Ping {} => self.answer(origin, ServerMessage::Pong {}),
            ClientMessage::Capabilities { capabilities } => {
                self.change_capabilities(origin, &from, capabilities, now);
            }
            ClientMessage::PathReport { call, reports } => {
                if reports.as_slice().iter().any(arrives) {
                    self.connected(&call, &from, now);
                }
                self.take_reports(&call, &from, reports.as_slice(), now);
            }
            ClientMessage::Tiles { call, users, height, large, .. } => {
                let screen = Screen { tiles: users.into_vec(), height, large };
                self.take_screen(&call, &from, screen);
            }
            ClientMessage::Record { call, recorded } => {
                return self.record(origin, &from, &call, recorded, now);
            }
            // That it was done is all that it says.
            ClientMessage::Applied { .. } => {}
            message => return self.ask_of_call(origin, from, message, now),
        }
        Ok(())
    }

    fn ask_of_call(
        &mut self,
        origin: Origin,
        from: Address,
        message: ClientMessage,
        now: Instant,
    ) -> Result<(), Refused> {
        let enters = matches!(message, ClientMessage::Accept { .. } | ClientMessage::Rejoin { .. });
        let Some((call, request)) = Request::of(message) else {
            let detail = "this server doesn't do that";
            return Err(Refused::new(ErrorCode::Unavailable, detail));
        };
        let Some(live) = self.calls.get(&call) else { return Err(unknown_call(&call)) };
        if enters && !live.is_in(&from.user) && self.is_in_call(&from.user) {
            let detail = "the user is in another call: leave it first";
            return Err(Refused::new(ErrorCode::AlreadyIn, detail).of(&call));
        }
        match self.ask(origin, from, &call, request, now) {
            Ok(()) => Ok(()),
            Err(refusal) => refused(&call, refusal).map_or(Ok(()), Err),
        }
    }

    fn change_capabilities(
        &mut self,
        origin: Origin,
        from: &Address,
        capabilities: Capabilities,
        now: Instant,
    ) {
        let Some(id) = self.session_of(origin.socket).cloned() else { return };
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let before = std::mem::replace(&mut session.capabilities, capabilities);
        let cause = cause(&before, &session.capabilities);
        self.register(from);
        self.capabilities_of_foreign(from);
        for call in self.calls_of(&from.user) {
            self.settle_for(&call, from, cause, now);
        }
    }

    /// A device of the call's, perhaps, can do other things than before.
    pub(super) fn settle_for(
        &mut self,
        call: &CallId,
        device: &Address,
        cause: ConfigureCause,
        now: Instant,
    ) {
        let has_device =
            |live: &LiveCall| live.is_in(&device.user) && live.configured.contains(device);
        if self.calls.get(call).is_some_and(has_device) {
            self.settle(call, Some(cause), now);
        }
    }
}

/// Media comes by the direct path.
fn arrives(report: &PathReport) -> bool {
    report.direction == Direction::Receive && report.direct_alive && report.packets > 0
}

pub(super) fn cause(before: &Capabilities, after: &Capabilities) -> ConfigureCause {
    if (&before.encode, &before.decode) != (&after.encode, &after.decode) {
        ConfigureCause::DeviceChanged
    } else if before.network != after.network {
        ConfigureCause::NetworkChanged
    } else {
        ConfigureCause::BandwidthChanged
    }
}
