//! An invitation: who is invited is found out about before the hub hears of it.
//!
//! The socket's task waits meanwhile, so that its messages keep their order; no other does.

use super::socket::Connection;
use crate::calls::hub::{Invitation, Invitee, Origin, in_another_call};
use crate::calls::ids::{Address, CallId, UserId};
use crate::calls::messages::Media;

// === impl Connection ===

impl Connection {
    pub(super) async fn invite(
        &self,
        origin: Origin,
        call: Option<CallId>,
        users: Vec<UserId>,
        media: Media,
    ) {
        let caller = self.board.with(|hub, _| hub.address_of(self.id));
        let mut invitees = self.find_out(caller.as_ref(), call.as_ref(), users).await;
        // A call's own node finds out where those are who are invited to it.
        let is_here = |call: &CallId| self.board.with(|hub, _| hub.is_at_home(call));
        let allowed = invitees.iter().all(|invitee| invitee.allowed.is_ok());
        if allowed && call.as_ref().is_none_or(is_here) {
            // Of a call that goes on the inviter is part.
            let engaged = self.board.outside.is_engaged(caller.filter(|_| call.is_none()));
            let ((), engaged) = tokio::join!(self.board.outside.find(&mut invitees), engaged);
            if let Some(first) = invitees.first_mut().filter(|_| engaged) {
                first.allowed = Err(in_another_call());
            }
        }
        let invitation = Invitation { call, invitees, media };
        self.board.with(|hub, now| hub.invite(origin, invitation, now));
    }

    /// Whom the device may ring. Of one that nobody signed in on, nothing is asked: the hub says
    /// what is missing.
    async fn find_out(
        &self,
        caller: Option<&Address>,
        call: Option<&CallId>,
        users: Vec<UserId>,
    ) -> Vec<Invitee> {
        match caller {
            Some(caller) => self.state.people.invitees(caller, call, users).await,
            None => Vec::new(),
        }
    }
}
