//! Devices that come, lose their sockets, resume and go, and times that run out.

use std::time::Instant;

use crate::calls::ids::{Address, UserId};
use crate::calls::messages::{LeftCause, OutCause, RingStop, ServerMessage};

use super::Call;
use super::input::DeviceChange;
use super::output::{Outputs, Turn};
use super::participant::Stage;

// === impl Call ===

impl Call {
    pub(super) fn device(
        &mut self,
        address: &Address,
        change: DeviceChange,
        now: Instant,
        out: &mut Outputs,
    ) {
        match change {
            DeviceChange::Came => self.came(address, now, out),
            DeviceChange::Lost => self.lost(address, now, out),
            DeviceChange::Back => self.back(address, out),
            DeviceChange::Gone => self.gone(address, OutCause::Lost, out),
        }
    }

    /// A device that comes anew has lost what it was told: one that rang rings again, and one in
    /// the call isn't until it rejoins.
    fn came(&mut self, address: &Address, now: Instant, out: &mut Outputs) {
        self.lost(address, now, out);
        let Some(participant) = self.participant_mut(&address.user) else { return };
        if !participant.is_ringing() {
            return;
        }
        participant.known(&address.device).rings = false;
        self.ring(address, now, out);
    }

    fn lost(&mut self, address: &Address, now: Instant, out: &mut Outputs) {
        let until = now + self.rules.resume;
        let Some(participant) = self.participant_mut(&address.user) else { return };
        let is_in = participant.in_call().as_ref() == Some(address);
        let Some(device) = participant.device_mut(&address.device) else { return };
        if (is_in || device.rings) && device.lost_until.is_none() {
            device.lost_until = Some(until);
            out.event(Some(address), Turn::SocketLost);
            if is_in {
                self.tell_of(&address.user, out);
            }
        }
    }

    pub(super) fn back(&mut self, address: &Address, out: &mut Outputs) {
        let Some(participant) = self.participant_mut(&address.user) else { return };
        let is_in = participant.in_call().as_ref() == Some(address);
        let Some(device) = participant.device_mut(&address.device) else { return };
        if device.lost_until.take().is_some() {
            out.event(Some(address), Turn::SocketResumed);
            if is_in {
                self.tell_of(&address.user, out);
            }
        }
    }

    /// The device won't come back.
    pub(super) fn gone(&mut self, address: &Address, cause: OutCause, out: &mut Outputs) {
        let call = self.id.clone();
        let Some(participant) = self.participant_mut(&address.user) else { return };
        let Some(at) = participant.devices.iter().position(|d| d.id == address.device) else {
            return;
        };
        let was_in = participant.in_call().as_ref() == Some(address);
        let rang = participant.devices.remove(at).rings;
        if was_in && cause == OutCause::Lost {
            // Should it be there after all, as a page that was reloaded is, it isn't in the call.
            let message = ServerMessage::Left { call: call.clone(), cause: LeftCause::Left };
            out.send(address.clone(), message);
        }
        if rang {
            // Should it be there after all, it doesn't ring on.
            let reason = RingStop::CallOver;
            out.send(address.clone(), ServerMessage::RingStopped { call, reason });
        }
        match &participant.stage {
            Stage::In(device) if *device == address.device => {
                self.put_out(&address.user, cause, out);
            }
            Stage::Ringing { .. } if rang && participant.ringing().next().is_none() => {
                let cause = match cause {
                    OutCause::NodeGone => cause,
                    _ => OutCause::Unreachable,
                };
                self.put_out(&address.user, cause, out);
            }
            _ => {}
        }
    }

    /// What ran out by now.
    pub(super) fn expire(&mut self, now: Instant, out: &mut Outputs) {
        if self.over.is_some() {
            return;
        }
        let is_due = |until: Option<Instant>| until.is_some_and(|at| at <= now);
        let mut gone: Vec<Address> = Vec::new();
        let mut unanswered: Vec<UserId> = Vec::new();
        for participant in &self.participants {
            let late = participant.devices.iter().filter(|device| is_due(device.lost_until));
            gone.extend(late.map(|device| participant.address(&device.id)));
            if matches!(participant.stage, Stage::Ringing { until, .. } if until <= now) {
                unanswered.push(participant.user.clone());
            }
        }
        for user in unanswered {
            self.put_out(&user, OutCause::NoAnswer, out);
        }
        for address in gone {
            self.gone(&address, OutCause::Lost, out);
        }
    }
}
