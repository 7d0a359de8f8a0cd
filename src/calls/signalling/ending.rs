//! Who goes out, and when that ends the call.

use std::time::Instant;

use crate::calls::ids::{Address, UserId};
use crate::calls::messages::{EndReason, OutCause, RingStop, ServerMessage};

use super::Call;
use super::output::{Outputs, Turn};
use super::participant::Stage;

// === impl Call ===

impl Call {
    /// A user is no longer rung, or no longer in.
    pub(super) fn put_out(&mut self, user: &UserId, cause: OutCause, out: &mut Outputs) {
        let Some(participant) = self.participant_mut(user) else { return };
        participant.stage = Stage::Out(cause);
        self.last_out = Some(cause);
        out.event_of_user(user, Turn::Out(cause));
        self.stop_ringing(user, ring_stop(cause), out);
        self.tell_of(user, out);
        for session in self.peers.close_of(user) {
            self.tell_closed(&session, out);
        }
    }

    /// Ends the call where nobody is left to talk to.
    pub(super) fn settle(&mut self, now: Instant, out: &mut Outputs) {
        if self.over.is_some() {
            return;
        }
        let present = self.participants.iter().filter(|p| p.is_in()).count();
        let ringing = self.participants.iter().any(|p| p.is_ringing());
        self.met |= present >= 2;
        let is_alone = present == 1 && !ringing;
        let reason = match self.last_out {
            // Ringing for nobody: the one who called has gone.
            Some(_) if present == 0 && ringing => Some(EndReason::Cancelled),
            Some(cause) if present == 0 => Some(end_reason(cause)),
            Some(cause) if is_alone && !self.met => Some(end_reason(cause)),
            // It has been waited for already.
            Some(cause @ (OutCause::Lost | OutCause::NodeGone)) if is_alone => {
                Some(end_reason(cause))
            }
            _ => None,
        };
        if let Some(reason) = reason {
            self.end(reason, out);
        } else if !is_alone {
            self.alone_until = None;
        } else if *self.alone_until.get_or_insert(now + self.rules.alone) <= now {
            self.end(EndReason::EverybodyLeft, out);
        }
    }

    pub(super) fn end(&mut self, reason: EndReason, out: &mut Outputs) {
        if self.over.replace(reason).is_some() {
            return;
        }
        let users: Vec<UserId> = self.participants.iter().map(|p| p.user.clone()).collect();
        for user in &users {
            self.stop_ringing(user, RingStop::CallOver, out);
        }
        let message = ServerMessage::CallEnded { call: self.id.clone(), reason };
        for participant in self.participants.iter().filter(|p| p.was_in) {
            for device in &participant.devices {
                let to = Address { user: participant.user.clone(), device: device.id.clone() };
                out.send(to, message.clone());
            }
        }
        self.peers.close_all();
        out.event(None, Turn::Ended(reason));
    }
}

fn ring_stop(cause: OutCause) -> RingStop {
    match cause {
        OutCause::Declined => RingStop::Declined,
        OutCause::Busy | OutCause::DoNotDisturb => RingStop::Busy,
        OutCause::NoAnswer => RingStop::NoAnswer,
        OutCause::Cancelled => RingStop::Cancelled,
        OutCause::Left | OutCause::Unreachable | OutCause::Lost | OutCause::NodeGone => {
            RingStop::CallOver
        }
    }
}

fn end_reason(cause: OutCause) -> EndReason {
    match cause {
        OutCause::Left => EndReason::EverybodyLeft,
        OutCause::Declined => EndReason::Declined,
        OutCause::Busy => EndReason::Busy,
        OutCause::DoNotDisturb => EndReason::DoNotDisturb,
        OutCause::NoAnswer => EndReason::NoAnswer,
        OutCause::Unreachable => EndReason::Unreachable,
        OutCause::Cancelled => EndReason::Cancelled,
        OutCause::Lost => EndReason::Lost,
        OutCause::NodeGone => EndReason::NodeGone,
    }
}
