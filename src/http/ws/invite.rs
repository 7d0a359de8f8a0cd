//! An invitation: who is invited is found out about before the hub hears of it.
//!
//! The socket's task waits meanwhile, so that its messages keep their order; no other does.

use super::socket::Connection;
use crate::calls::hub::{Invitation, Invitee, Origin};
use crate::calls::ids::{CallId, UserId};
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
        let invitees = self.find_out(users).await;
        let invitation = Invitation { call, invitees, media };
        self.board.with(|hub, now| hub.invite(origin, invitation, now));
    }

    /// All who are signed in know each other.
    async fn find_out(&self, users: Vec<UserId>) -> Vec<Invitee> {
        users.into_iter().map(|user| Invitee { user, allowed: Ok(()) }).collect()
    }
}
