//! Ringing someone: who may, whether there is room, and where they are.
//!
//! Who may takes asking a database or a service, which nothing here does: an invitation comes with
//! the answers.

use std::collections::BTreeSet;
use std::time::Instant;

use crate::calls::ids::{Address, CallId, DeviceId, NodeId, UserId};
use crate::calls::messages::{ClientMessage, ErrorCode, Media, OutCause};
use crate::calls::signalling::{Call, Callee, Reach, Refusal, Request};

use super::calls::refused;
use super::devices::{draining, no_randomness};
use super::live::LiveCall;
use super::nodes::{Whereabouts, cut_off};
use super::{Hub, Origin, Refused};

/// A call that is to be started, or added to.
#[derive(Debug, Clone)]
pub struct Invitation {
    /// None: a new one.
    pub call: Option<CallId>,
    pub invitees: Vec<Invitee>,
    pub media: Media,
}

/// Someone who is to be rung.
#[derive(Debug, Clone)]
pub struct Invitee {
    pub user: UserId,
    /// Whether the inviter may ring them. The first refusal is the answer to the invitation, and
    /// nobody is rung then.
    pub allowed: Result<(), Refused>,
    /// Beside the devices that are connected here.
    pub elsewhere: Whereabouts,
}

// === impl Hub ===

impl Hub {
    /// A device invites.
    pub fn invite(&mut self, origin: Origin, invitation: Invitation, now: Instant) {
        let answered = match self.address_of(origin.socket) {
            Some(from) => self.take_invitation(origin, from, invitation, now),
            None => Err(hello_first()),
        };
        if let Err(refused) = answered {
            self.refuse(origin, refused, now);
        }
        self.finish(now);
    }

    fn take_invitation(
        &mut self,
        origin: Origin,
        from: Address,
        invitation: Invitation,
        now: Instant,
    ) -> Result<(), Refused> {
        if let Some(call) = self.crossed(&from, &invitation) {
            let accept = Request::Accept { media: invitation.media };
            let asked = self.ask(origin, from, &call, accept, now);
            return asked.map_err(|refusal| as_refused(&call, refusal));
        }
        if let Some((node, call)) = self.crossed_elsewhere(&from, &invitation) {
            let accept = ClientMessage::Accept { call, media: invitation.media };
            return self.pass_on(origin, from, node, accept);
        }
        self.check_invitation(&from.user, &invitation.invitees, now)?;
        let Invitation { call, invitees, media } = invitation;
        if let Some(node) = call.as_ref().and_then(|call| self.nodes.elsewhere(call)) {
            let users: Vec<UserId> = invitees.into_iter().map(|invitee| invitee.user).collect();
            // As many as a message names.
            let users = users.try_into().unwrap_or_default();
            return self.pass_on(origin, from, node, ClientMessage::Invite { call, users, media });
        }
        let callees: Vec<Callee> = invitees.iter().map(|invitee| self.callee(invitee)).collect();
        if invitees.iter().any(|i| i.elsewhere.incomplete) && callees.iter().all(is_nowhere) {
            return Err(cut_off());
        }
        let is_new = call.is_none();
        let user = from.user.clone();
        let call = match call {
            Some(call) if self.calls.contains_key(&call) => call,
            Some(call) => return Err(unknown_call(&call)),
            None if self.draining => return Err(draining()),
            None => self.begin_call(&from, media, now)?,
        };
        for Invitee { user, elsewhere, .. } in invitees {
            self.place(&call, &user, elsewhere);
        }
        let request = Request::Invite { callees, media };
        let asked = self.ask(origin, from, &call, request, now);
        asked.map_err(|refusal| {
            if is_new {
                self.forget_call(&call);
                self.tell_presence(&user);
            }
            as_refused(&call, refusal)
        })
    }

    /// A call by which the one who is invited rings the inviter already: two who ring each other
    /// at the same time mean the same call, and the later invitation accepts the earlier one.
    fn crossed(&self, from: &Address, invitation: &Invitation) -> Option<CallId> {
        let [invitee] = &invitation.invitees[..] else { return None };
        if invitation.call.is_some() || self.is_in_call(&from.user) {
            return None;
        }
        let calls = self.users.get(&from.user)?.calls.iter();
        let mut live = calls.filter_map(|id| Some((id, self.calls.get(id)?)));
        let rings = |live: &LiveCall| {
            live.is_in(&invitee.user) && live.call.ringing().any(|address| address == *from)
        };
        live.find(|(_, live)| rings(live)).map(|(id, _)| id.clone())
    }

    /// The same of a call on another node.
    fn crossed_elsewhere(
        &self,
        from: &Address,
        invitation: &Invitation,
    ) -> Option<(NodeId, CallId)> {
        let [invitee] = &invitation.invitees[..] else { return None };
        if invitation.call.is_some() || self.is_in_call(&from.user) {
            return None;
        }
        let call = self.crossed_there(from, &invitee.user)?;
        Some((self.nodes.elsewhere(&call)?, call))
    }

    fn check_invitation(
        &mut self,
        from: &UserId,
        invitees: &[Invitee],
        now: Instant,
    ) -> Result<(), Refused> {
        if self.stopping {
            return Err(Refused::new(ErrorCode::Unavailable, "the server stops"));
        }
        if invitees.iter().all(|invitee| invitee.user == *from) {
            return Err(Refused::new(ErrorCode::NobodyNew, "nobody else is named to be rung"));
        }
        if let Some(refused) = invitees.iter().find_map(|i| i.allowed.as_ref().err()) {
            return Err(refused.clone());
        }
        let rate = self.limits.rings;
        let Some(inviter) = self.users.get_mut(from) else { return Ok(()) };
        inviter.rings.take(invitees.len() as f64, rate, now).map_err(|wait| {
            let seconds = wait.as_secs_f64().ceil();
            let detail = format!("too many were rung of late: try again in {seconds} s");
            Refused::new(ErrorCode::TooManyRequests, detail)
        })
    }

    fn begin_call(
        &mut self,
        from: &Address,
        media: Media,
        now: Instant,
    ) -> Result<CallId, Refused> {
        if self.is_in_call(&from.user) {
            return Err(in_another_call());
        }
        if self.calls.len() >= self.limits.calls {
            let detail = format!("{} calls go on, the most that may", self.limits.calls);
            return Err(Refused::new(ErrorCode::Unavailable, detail));
        }
        let id = self.random_id().map(|id| self.nodes.named(id));
        let id = id.and_then(|id| CallId::new(&id).ok()).ok_or_else(no_randomness)?;
        let call = Call::new(id.clone(), from.clone(), media, self.limits.rules, now);
        self.calls.insert(id.clone(), LiveCall::new(call, now));
        Ok(id)
    }

    fn callee(&self, Invitee { user, elsewhere, .. }: &Invitee) -> Callee {
        if self.is_in_call(user) {
            return Callee { user: user.clone(), reach: Reach::Not(OutCause::Busy) };
        }
        // The directory may be late: those who say that the user is in a call are asked, and
        // nobody else is rung meanwhile.
        let here = if elsewhere.busy { Vec::new() } else { self.devices_of(user) };
        let here = here.into_iter();
        let there = elsewhere.devices.iter().map(|(device, _)| device.clone());
        let devices: BTreeSet<DeviceId> = here.chain(there).collect();
        let reach = Reach::Devices(devices.into_iter().collect());
        Callee { user: user.clone(), reach }
    }
}

/// On this node or another.
pub fn in_another_call() -> Refused {
    Refused::new(ErrorCode::AlreadyIn, "the user is in another call: leave it first")
}

fn is_nowhere(callee: &Callee) -> bool {
    matches!(&callee.reach, Reach::Devices(devices) if devices.is_empty())
}

pub(super) fn as_refused(call: &CallId, refusal: Refusal) -> Refused {
    let refused = refused(call, refusal);
    refused.unwrap_or_else(|| Refused::new(ErrorCode::Stale, refusal.to_string()))
}

pub fn hello_first() -> Refused {
    Refused::new(ErrorCode::HelloFirst, "expected hello or resume first")
}

pub(super) fn unknown_call(call: &CallId) -> Refused {
    Refused::new(ErrorCode::UnknownCall, "there is no such call").of(call)
}
