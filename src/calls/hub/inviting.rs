//! Ringing someone: who may, whether there is room, and where they are.

use std::time::Instant;

use crate::calls::ids::{Address, CallId, UserId};
use crate::calls::messages::{ErrorCode, Media, OutCause};
use crate::calls::signalling::{Call, Callee, Reach, Request};

use super::calls::refused;
use super::devices::no_randomness;
use super::live::LiveCall;
use super::{Hub, Origin, Refused};

// === impl Hub ===

impl Hub {
    /// Starts a call, or adds to one.
    pub(super) fn invite(
        &mut self,
        origin: Origin,
        from: Address,
        call: Option<CallId>,
        users: Vec<UserId>,
        media: Media,
        now: Instant,
    ) -> Result<(), Refused> {
        self.check_invite(&from.user, &users, now)?;
        let is_new = call.is_none();
        let user = from.user.clone();
        let call = match call {
            Some(call) if self.calls.contains_key(&call) => call,
            Some(call) => return Err(unknown_call(&call)),
            None => self.begin_call(&from, media, now)?,
        };
        let callees = users.into_iter().map(|user| Callee { reach: self.reach(&user), user });
        let request = Request::Invite { callees: callees.collect(), media };
        let asked = self.ask(origin, from, &call, request, now);
        asked.map_err(|refusal| {
            if is_new {
                self.forget_call(&call);
                self.tell_presence(&user);
            }
            let refused = refused(&call, refusal);
            refused.unwrap_or_else(|| Refused::new(ErrorCode::Stale, refusal.to_string()))
        })
    }

    fn check_invite(
        &mut self,
        from: &UserId,
        users: &[UserId],
        now: Instant,
    ) -> Result<(), Refused> {
        if self.stopping {
            return Err(Refused::new(ErrorCode::Unavailable, "the server stops"));
        }
        if users.iter().all(|user| user == from) {
            return Err(Refused::new(ErrorCode::NobodyNew, "nobody else is named to be rung"));
        }
        for user in users {
            let may = self.policy.may_ring(from, user);
            may.map_err(|detail| Refused { code: ErrorCode::NotAllowed, detail, call: None })?;
        }
        let rate = self.limits.rings;
        let Some(inviter) = self.users.get_mut(from) else { return Ok(()) };
        inviter.rings.take(users.len() as f64, rate, now).map_err(|wait| {
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
            let detail = "the user is in another call: leave it first";
            return Err(Refused::new(ErrorCode::AlreadyIn, detail));
        }
        if self.calls.len() >= self.limits.calls {
            let detail = format!("{} calls go on, the most that may", self.limits.calls);
            return Err(Refused::new(ErrorCode::Unavailable, detail));
        }
        let id = self.random_id();
        let id = id.and_then(|id| CallId::new(&id).ok()).ok_or_else(no_randomness)?;
        let call = Call::new(id.clone(), from.clone(), media, self.limits.rules, now);
        self.calls.insert(id.clone(), LiveCall::new(call, now));
        Ok(id)
    }

    fn reach(&self, user: &UserId) -> Reach {
        if self.is_in_call(user) {
            return Reach::Not(OutCause::Busy);
        }
        let devices = self.users.get(user).map(|user| user.devices.keys().cloned().collect());
        Reach::Devices(devices.unwrap_or_default())
    }
}

pub(super) fn unknown_call(call: &CallId) -> Refused {
    Refused::new(ErrorCode::UnknownCall, "there is no such call").of(call)
}
