//! Ringing someone, and letting them in.

use std::time::Instant;

use crate::calls::ids::{Address, DeviceId, UserId};
use crate::calls::messages::{LeftCause, Media, OutCause, RingStop, ServerMessage, Topology};

use super::Call;
use super::input::{Callee, Reach};
use super::output::{Outputs, Turn};
use super::participant::{Participant, Stage};
use super::peers::PeerSession;
use super::refusal::Refusal;

// === impl Call ===

impl Call {
    pub(super) fn invite(
        &mut self,
        by: &Address,
        callees: Vec<Callee>,
        media: Media,
        now: Instant,
        out: &mut Outputs,
    ) -> Result<(), Refusal> {
        let mut fresh: Vec<Callee> = Vec::new();
        for callee in callees {
            let there = self.participant(&callee.user).is_some_and(|p| !is_out(p));
            if !there && fresh.iter().all(|other| other.user != callee.user) {
                fresh.push(callee);
            }
        }
        if fresh.is_empty() {
            return Err(Refusal::NobodyNew);
        }
        let live = self.participants.iter().filter(|p| !is_out(p)).count();
        if live + fresh.len() > self.rules.participants {
            return Err(Refusal::CallFull(self.rules.participants));
        }
        if let Some(inviter) = self.participant_mut(&by.user) {
            inviter.media = media;
        }
        self.send_snapshot(by, out);
        let stage = Stage::Ringing { by: by.user.clone(), media, until: now + self.rules.ring };
        let mut to_ring = Vec::new();
        for callee in fresh {
            to_ring.extend(self.invite_one(&by.user, callee, &stage, out));
        }
        // Once all are rung, so that each is told of the others.
        for address in to_ring {
            self.ring(&address, now, out);
        }
        Ok(())
    }

    /// Gives the devices to ring.
    fn invite_one(
        &mut self,
        by: &UserId,
        callee: Callee,
        stage: &Stage,
        out: &mut Outputs,
    ) -> Vec<Address> {
        if self.participant(&callee.user).is_none() {
            self.participants.push(Participant::new(callee.user.clone()));
        }
        out.event_of_user(&callee.user, Turn::Invited { by: by.clone() });
        let devices = match callee.reach {
            Reach::Devices(devices) if devices.is_empty() => Err(OutCause::Unreachable),
            Reach::Devices(devices) => Ok(devices),
            Reach::Not(cause) => Err(cause),
        };
        let devices = match devices {
            Ok(devices) => devices,
            Err(cause) => {
                self.put_out(&callee.user, cause, out);
                return Vec::new();
            }
        };
        if let Some(participant) = self.participant_mut(&callee.user) {
            participant.stage = stage.clone();
        }
        self.tell_of(&callee.user, out);
        let address = |device| Address { user: callee.user.clone(), device };
        devices.into_iter().map(address).collect()
    }

    /// Rings a device of someone who is rung.
    pub(super) fn ring(&mut self, address: &Address, now: Instant, out: &mut Outputs) {
        let others = self.participants.iter().filter(|p| !is_out(p));
        let others: Vec<UserId> = others.map(|p| p.user.clone()).collect();
        let call = self.id.clone();
        let Some(participant) = self.participant_mut(&address.user) else { return };
        let Stage::Ringing { by, media, until } = participant.stage.clone() else { return };
        let device = participant.known(&address.device);
        device.lost_until = None;
        if std::mem::replace(&mut device.rings, true) {
            return;
        }
        let left = until.saturating_duration_since(now);
        let message = ServerMessage::Ring {
            call,
            others: others.into_iter().filter(|u| *u != by && *u != address.user).collect(),
            from: by,
            media,
            stops_in_ms: u32::try_from(left.as_millis()).unwrap_or(u32::MAX),
        };
        out.send(address.clone(), message);
    }

    /// Stops every device of the user that rings, but for the one that the user is in on.
    pub(super) fn stop_ringing(&mut self, user: &UserId, reason: RingStop, out: &mut Outputs) {
        let call = self.id.clone();
        let Some(participant) = self.participant_mut(user) else { return };
        let kept = participant.in_call().map(|address| address.device);
        let mut stopped: Vec<DeviceId> = Vec::new();
        for device in &mut participant.devices {
            if std::mem::take(&mut device.rings) && Some(&device.id) != kept.as_ref() {
                stopped.push(device.id.clone());
            }
        }
        for device in stopped {
            let to = Address { user: user.clone(), device };
            out.send(to, ServerMessage::RingStopped { call: call.clone(), reason });
        }
    }

    /// Lets a user in on a device, from wherever they were.
    pub(super) fn enter(&mut self, address: &Address, media: Media, turn: Turn, out: &mut Outputs) {
        let Some(participant) = self.participant_mut(&address.user) else { return };
        let before = participant.in_call();
        participant.known(&address.device).lost_until = None;
        participant.stage = Stage::In(address.device.clone());
        participant.media = media;
        participant.was_in = true;
        out.event(Some(address), turn);
        self.stop_ringing(&address.user, RingStop::AnsweredElsewhere, out);
        self.send_snapshot(address, out);
        self.tell_of(&address.user, out);
        match before {
            // What connections there were are those of a device that is no longer in it, or of a
            // page that was reloaded.
            Some(before) => {
                if before != *address {
                    let cause = LeftCause::Moved;
                    out.send(before, ServerMessage::Left { call: self.id.clone(), cause });
                }
                for session in self.peers.renew_of(&address.user) {
                    self.tell_peers(&session, out);
                }
            }
            None if self.topology == Topology::Mesh => self.connect(&address.user, out),
            None => {}
        }
    }

    /// Everybody in the call is to have a direct connection with this user.
    pub(super) fn connect(&mut self, user: &UserId, out: &mut Outputs) {
        let present: Vec<UserId> = self.present().map(|address| address.user).collect();
        if present.len() > self.rules.mesh {
            return;
        }
        for other in present {
            if let Some(session) = self.peers.open(user, &other) {
                self.tell_peers(&session, out);
            }
        }
    }

    pub(super) fn tell_peers(&self, session: &PeerSession, out: &mut Outputs) {
        for (end, user) in session.ends.iter().enumerate() {
            let Some(to) = self.participant(user).and_then(Participant::in_call) else { continue };
            let message = ServerMessage::Peer {
                call: self.id.clone(),
                session: session.id,
                epoch: session.epoch,
                user: session.ends[1 - end].clone(),
                offers: end == 0,
            };
            out.send(to, message);
        }
    }

    pub(super) fn tell_closed(&self, session: &PeerSession, out: &mut Outputs) {
        for user in &session.ends {
            let Some(to) = self.participant(user).and_then(Participant::in_call) else { continue };
            let call = self.id.clone();
            out.send(to, ServerMessage::PeerClosed { call, session: session.id });
        }
    }

    /// What a device in the call is to know of it.
    pub fn snapshot(&self) -> ServerMessage {
        ServerMessage::Call {
            call: self.id.clone(),
            host: self.host.clone(),
            participants: self.participants.iter().map(Participant::shown).collect(),
            topology: self.topology,
            recorded: self.recorded,
        }
    }

    fn send_snapshot(&self, to: &Address, out: &mut Outputs) {
        out.send(to.clone(), self.snapshot());
    }
}

fn is_out(participant: &Participant) -> bool {
    matches!(participant.stage, Stage::Out(_))
}
