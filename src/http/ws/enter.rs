//! Signing in over a socket: whose token it is, and whether the device may connect.

use std::net::IpAddr;
use std::time::{Duration, Instant, SystemTime};

use super::right::Right;
use super::socket::Connection;
use crate::calls::hub::{Hello, Origin, Refused, Resume, hello_first};
use crate::calls::ids::{Address, DeviceId, SessionId, UserId};
use crate::calls::messages::{Capabilities, ErrorCode, Token};
use crate::calls::topology::Place;
use crate::http::access::{Claims, Need};
use crate::http::problem::Kind;
use crate::http::service::BAD_TOKEN_COST;
use crate::http::state::RelayUser;

/// A user, and what their token says: neither is known of one who resumes without.
pub type Who = Result<(Option<UserId>, Option<Claims>), Refused>;

// === impl Connection ===

impl Connection {
    /// Begins a session.
    pub(super) async fn enter(
        &self,
        origin: Origin,
        who: Who,
        device: DeviceId,
        capabilities: Capabilities,
    ) {
        let claims = who.as_ref().ok().and_then(|(_, claims)| claims.as_ref());
        let (ends, relay_user) = (self.end_of(claims), RelayUser::of(claims, self.client));
        let address = match self.admit(who, device).await {
            Ok(address) => address,
            Err(refused) => return self.refuse(origin.request, refused),
        };
        *self.right() = Right::until(ends);
        let (ice_servers, circle) =
            (self.state.ice_servers(&relay_user), self.state.people.circle());
        let (site, place) = (site_of(self.client), self.place());
        let device = address.clone();
        let hello = Hello { address: device, capabilities, site, place, ice_servers, circle };
        self.board.with(|hub, now| hub.hello(origin, hello, now));
        self.look_around(&address).await;
    }

    /// Where the client's network is, where a database of addresses says so.
    fn place(&self) -> Option<Place> {
        let (latitude, longitude) = self.state.geo.as_ref()?.coordinates(self.client)?;
        Some(Place { latitude, longitude })
    }

    async fn admit(&self, who: Who, device: DeviceId) -> Result<Address, Refused> {
        let refuse = |detail: &str| Refused::new(ErrorCode::NotAllowed, detail);
        let (user, claims) = who?;
        let bound = claims.and_then(|claims| claims.device);
        if bound.is_some_and(|bound| bound != device) {
            return Err(refuse("the token is another device's"));
        }
        let user = user.ok_or_else(|| refuse("expected a user"))?;
        let address = Address { user, device };
        self.state.people.check_device(&address).await?;
        Ok(address)
    }

    /// Whether the device may still be connected: its right may have been taken away by a program
    /// that can't tell this one.
    pub(super) async fn look_again(&self) {
        let Some(address) = self.board.with(|hub, _| hub.address_of(self.id)) else { return };
        let checked = self.state.people.check_device(&address).await;
        if checked.is_err_and(|refused| refused.code == ErrorCode::NotAllowed) {
            self.board.with(|hub, now| hub.sign_out(&address, now));
        }
    }

    /// Goes on with a session.
    pub(super) async fn resume(&self, origin: Origin, who: Who, session: SessionId, seq: u64) {
        let (user, claims) = match who {
            Ok(who) => who,
            Err(refused) => return self.refuse(origin.request, refused),
        };
        *self.right() = Right::until(self.end_of(claims.as_ref()));
        let ice_servers = self.state.ice_servers(&RelayUser::of(claims.as_ref(), self.client));
        let device = claims.and_then(|claims| claims.device);
        let resume = Resume { session, seq, user, device, ice_servers };
        self.board.with(|hub, now| hub.resume(origin, resume, now));
        if let Some(address) = self.board.with(|hub, _| hub.address_of(self.id)) {
            self.look_around(&address).await;
        }
    }

    /// Takes another token in place of the one that the device came with.
    pub(super) async fn show_again(&self, origin: Origin, token: &Token) {
        let claims = match self.check_again(token).await {
            Ok(claims) => claims,
            Err(refused) => return self.refuse(origin.request, refused),
        };
        let ends = self.end_of(Some(&claims));
        *self.right() = Right::until(ends);
        let left =
            ends.map_or(Duration::MAX, |ends| ends.saturating_duration_since(Instant::now()));
        self.tell_right(origin, left);
    }

    async fn check_again(&self, token: &Token) -> Result<Claims, Refused> {
        let refuse = |detail: &str| Refused::new(ErrorCode::NotAllowed, detail);
        let address = self.board.with(|hub, _| hub.address_of(self.id));
        let address = address.ok_or_else(hello_first)?;
        let (_, claims) = self.identify(Some(token), Some(address.user.clone()))?;
        let claims = claims.ok_or_else(|| refuse("this server asks for no tokens"))?;
        if claims.device.as_ref().is_some_and(|bound| *bound != address.device) {
            return Err(refuse("the token is another device's"));
        }
        self.state.people.check_device(&address).await?;
        Ok(claims)
    }

    /// When what the token allows ends, on the clock that never jumps. None: never.
    fn end_of(&self, claims: Option<&Claims>) -> Option<Instant> {
        let ends = self.state.access.end_of(claims?)?;
        let left = ends.duration_since(SystemTime::now()).unwrap_or_default();
        Instant::now().checked_add(left)
    }

    /// After the session is there, so that a device that is signed out at this moment is put out
    /// by one or the other.
    async fn look_around(&self, address: &Address) {
        self.state.people.refresh(&self.board, &address.user).await;
        self.state.archive.iter().for_each(|archive| archive.arrivals.add(&address.user));
    }

    /// Whose token it is; on a server that asks for none, who it says that it is.
    pub(super) fn identify(&self, token: Option<&Token>, says: Option<UserId>) -> Who {
        let refuse = |detail: &str| Refused::new(ErrorCode::NotAllowed, detail);
        let bearer = token.map(|token| format!("Bearer {}", token.0.as_str()));
        let grant = self.state.access.check(bearer.as_deref(), Need::Call).map_err(|problem| {
            if problem.kind == Kind::InvalidToken
                && self.state.limiter.take(self.client, BAD_TOKEN_COST).is_err()
            {
                return Refused::new(ErrorCode::TooManyRequests, "too many bad tokens");
            }
            if problem.kind == Kind::AccountsAway {
                return Refused::new(ErrorCode::Unavailable, &problem.detail);
            }
            refuse(&problem.detail)
        })?;
        let Some(claims) = grant.claims else { return Ok((says, None)) };
        match &claims.user {
            Some(user) if says.is_none_or(|says| says == *user) => {
                Ok((Some(user.clone()), Some(claims)))
            }
            _ => Err(refuse("the token is another user's")),
        }
    }
}

/// Whoever has the same comes from one network: the address, of IPv6 the prefix of a site.
fn site_of(client: IpAddr) -> Option<String> {
    Some(match client.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}::/48")
        }
    })
}
