//! Requests about accounts: whose they are, and who answers them.

use super::elsewhere::Away;
use super::{Caller, Decider, UserDesk};
use crate::accounts::DatabaseError;
use crate::calls::ids::{Address, DeviceId, UserId};
use crate::http::access::{self, Need, Role};
use crate::http::problem::{Kind, Problem};
use crate::http::request::Request;
use crate::http::state::State;

// === impl State ===

impl State {
    /// A token that an account's device shows is good while the device is signed in.
    pub async fn check_device(&self, request: &Request) -> Result<(), Problem> {
        let has_accounts =
            matches!(self.people.decider, Decider::Accounts(_) | Decider::Elsewhere(_));
        let Some(text) = request.authorization().filter(|_| has_accounts) else { return Ok(()) };
        // What is no good token is refused where one is needed.
        let Ok(claims) = self.access.claims(Some(text)) else { return Ok(()) };
        let (Role::User, Some(user)) = (claims.role, claims.user) else { return Ok(()) };
        let known = match claims.device {
            Some(device) => self.knows_device(Address { user, device }).await,
            // Operators sign users' tokens where the accounts are elsewhere and the users, too.
            None => Ok(self.people.desk().is_none() && !self.access.has_accounts()),
        };
        if known? {
            return Ok(());
        }
        let challenge = "Bearer realm=\"stentor\", error=\"invalid_token\"".to_owned();
        let detail = "the device was signed out";
        Err(Problem::unauthorized(Kind::InvalidToken, challenge, detail))
    }

    async fn knows_device(&self, address: Address) -> Result<bool, Problem> {
        match &self.people.decider {
            Decider::Elsewhere(node) => {
                node.knows_device(address, false).await.map_err(Away::problem)
            }
            _ => {
                let known = self.people.knows_device(&address, false).await;
                known.map_err(|error| self.database_problem(&error))
            }
        }
    }

    pub fn desk(&self) -> Result<&UserDesk, Problem> {
        let none = || Problem::not_found(Kind::NoAccounts, "this server has no accounts");
        self.people.desk().ok_or_else(none)
    }

    /// Whose request it is, and where users are kept.
    pub fn caller(&self, request: &Request) -> Result<(&UserDesk, Caller), Problem> {
        if request.authorization().is_none() {
            return Err(access::no_token());
        }
        let desk = self.desk()?;
        let claims = self.authorize(request, Need::Call)?.claims;
        match claims.map(|claims| (claims.user, claims.device)) {
            Some((Some(user), Some(device))) => Ok((desk, Caller { user, device })),
            _ => Err(Problem::forbidden("expected the token of a device that signed in here")),
        }
    }

    pub fn database_problem(&self, error: &DatabaseError) -> Problem {
        self.people.count(error);
        let detail = "the server can't look that up at present";
        match error {
            DatabaseError::Busy => Problem::unavailable(Kind::Busy, detail),
            _ => Problem::new(warp::http::StatusCode::INTERNAL_SERVER_ERROR, Kind::Blank, detail),
        }
    }

    /// Devices whose right was taken away: their sockets are closed, wherever they are.
    pub async fn put_out(&self, user: &UserId, devices: &[DeviceId]) {
        let Some(board) = self.calls.as_ref().filter(|_| !devices.is_empty()) else { return };
        for device in devices {
            let address = Address { user: user.clone(), device: device.clone() };
            board.with(|hub, now| hub.sign_out(&address, now));
        }
        board.outside.look(vec![user.clone()]).await;
    }
}
