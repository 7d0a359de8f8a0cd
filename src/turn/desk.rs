//! Where requests are decided: STUN binding, and TURN's allocate, refresh, permission and channel
//! (RFC 8656, 6 to 12). No socket and no clock: ports are opened behind a trait, time is given.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::allocation::{Allocation, BindError, Bounds, Relay, RelayId};
use super::answer;
use super::credentials::{Authority, Caller};
use super::policy::PeerPolicy;
use super::quota::{Ledger, NoSeat};
use super::refusal::Refusal;
use super::request::*;

/// The rules, the same for all clients and threads.
pub struct Desk {
    pub authority: Authority,
    pub policy: PeerPolicy,
    pub ledger: Arc<Ledger>,
    pub bounds: Bounds,
    /// Seconds. RFC 8656, 7.2 recommends 3600.
    pub max_lifetime: u32,
}

#[derive(Debug, Clone, Copy)]
pub struct Moment {
    pub now: Instant,
    /// Seconds since 1970.
    pub unix: u64,
}

/// Which port is wanted for a relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    Any,
    Even,
    /// An even one, and the next one kept for later.
    EvenAndNext,
    /// The one that was kept.
    Reserved([u8; 8]),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opened {
    pub id: RelayId,
    /// As the client is told.
    pub address: SocketAddr,
    pub reservation: Option<[u8; 8]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoPort {
    /// Nothing of this family is relayed here.
    Family,
    Capacity,
}

/// Opens and closes the relays' sockets.
pub trait Ports {
    fn open(&mut self, family: Family, wanted: Wanted) -> Result<Opened, NoPort>;
    fn close(&mut self, id: RelayId);
}

/// RFC 8656, 3.2.
const DEFAULT_LIFETIME: u32 = 600;
/// Channels' numbers: those of RFC 5766, by which older clients choose, and so coturn's.
/// RFC 8656, 12 has up to 0x4fff.
const CHANNELS: std::ops::RangeInclusive<u16> = 0x4000..=0x7ffe;
/// Peers that one request may name.
const MAX_PEERS: usize = 16;

type Decided = Result<(), Refusal>;

// === impl Desk ===

impl Desk {
    /// Answers a request into `out`, and says why if it was refused. What isn't answered leaves
    /// `out` empty. `slot` is the client's allocation: it may come, change and go.
    pub fn handle(
        &self,
        request: &Request<'_>,
        client: SocketAddr,
        slot: &mut Option<Allocation>,
        ports: &mut dyn Ports,
        moment: Moment,
        out: &mut Vec<u8>,
    ) -> Decided {
        if request.message_type == BINDING {
            answer::bound(request, client, out);
            return Ok(());
        }
        let known = [ALLOCATE, REFRESH, CREATE_PERMISSION, CHANNEL_BIND];
        if !known.contains(&request.message_type) {
            // An indication gets no answer whatever is wrong with it.
            if request.message_type & 0x0010 == 0 {
                answer::refused(request, Refusal::BadRequest, None, None, out);
            }
            return Err(Refusal::BadRequest);
        }
        let gives_back = request.message_type == REFRESH && request.lifetime == Some(0);
        let caller = match self.authority.authenticate(request, client, moment.unix, gives_back) {
            Ok(caller) => caller,
            Err(error) => {
                let refusal = error.into();
                let nonce = self.authority.nonce(client, moment.unix);
                let challenge = Some((self.authority.realm(), nonce.as_str()));
                answer::refused(request, refusal, challenge, None, out);
                return Err(refusal);
            }
        };
        let key = caller.key;
        let decided = self.decide(request, client, caller, slot, ports, moment, out);
        if let Err(refusal) = decided {
            out.clear();
            answer::refused(request, refusal, None, Some(&key), out);
        }
        decided
    }

    #[expect(clippy::too_many_arguments, reason = "what a decision depends on")]
    fn decide(
        &self,
        request: &Request<'_>,
        client: SocketAddr,
        caller: Caller,
        slot: &mut Option<Allocation>,
        ports: &mut dyn Ports,
        moment: Moment,
        out: &mut Vec<u8>,
    ) -> Decided {
        if let Some(allocation) = slot
            && allocation.caller.username != caller.username
        {
            // To an Allocate it is the 5-tuple that is in use (RFC 8656, 7.2): the client tries
            // another one.
            let is_allocate = request.message_type == ALLOCATE;
            return Err(if is_allocate { Refusal::Mismatch } else { Refusal::WrongCredentials });
        }
        if !request.unknown().is_empty() {
            return Err(Refusal::UnknownAttribute);
        }
        if request.malformed {
            return Err(Refusal::BadRequest);
        }
        if request.message_type == ALLOCATE {
            match slot {
                Some(allocation) if allocation.made_by == request.transaction_id => {}
                Some(_) => return Err(Refusal::Mismatch),
                None => *slot = Some(self.allocate(request, caller, ports, moment)?),
            }
            if let Some(allocation) = slot {
                answer::allocated(request, client, allocation, out);
            }
            return Ok(());
        }
        let Some(allocation) = slot else { return Err(Refusal::Mismatch) };
        match request.message_type {
            REFRESH => {
                let granted = self.refresh(request, allocation, ports, moment)?;
                answer::refreshed(request, granted, &caller.key, out);
                if allocation.relays.is_empty() {
                    *slot = None;
                }
                return Ok(());
            }
            CREATE_PERMISSION => self.permit(request, allocation, moment)?,
            _ => self.bind_channel(request, allocation, moment)?,
        }
        answer::done(request, &caller.key, out);
        Ok(())
    }

    /// RFC 8656, 7.2.
    fn allocate(
        &self,
        request: &Request<'_>,
        caller: Caller,
        ports: &mut dyn Ports,
        moment: Moment,
    ) -> Result<Allocation, Refusal> {
        match request.transport {
            None => return Err(Refusal::BadRequest),
            Some(UDP) => {}
            Some(_) => return Err(Refusal::Transport),
        }
        let families = families(request)?;
        let wanted = match (request.reservation, request.even_port) {
            (Some(token), None) => Wanted::Reserved(token),
            (Some(_), Some(_)) => return Err(Refusal::BadRequest),
            (None, Some(true)) => Wanted::EvenAndNext,
            (None, Some(false)) => Wanted::Even,
            (None, None) => Wanted::Any,
        };
        let seat = self.ledger.take_seat(caller.user()).map_err(|no| match no {
            NoSeat::User => Refusal::UserQuota,
            NoSeat::Server => Refusal::Capacity,
        })?;
        let granted = self.lifetime(request.lifetime, &caller, moment);
        let expires = moment.now + Duration::from_secs(granted.into());
        let mut relays = Vec::with_capacity(families.len());
        let mut reservation = None;
        let mut failed = None;
        for &family in families {
            match ports.open(family, wanted) {
                Ok(opened) => {
                    reservation = opened.reservation;
                    let family = Family::of(opened.address);
                    relays.push(Relay { id: opened.id, family, address: opened.address, expires });
                }
                Err(error) => failed = Some(error),
            }
        }
        if relays.is_empty() {
            return Err(match failed {
                Some(NoPort::Family) => Refusal::Family,
                _ => Refusal::Capacity,
            });
        }
        let id = request.transaction_id;
        let mut allocation = Allocation::new(caller, seat, id, granted, relays);
        allocation.reservation = reservation;
        Ok(allocation)
    }

    /// RFC 8656, 8.2. Gives the seconds that are left.
    fn refresh(
        &self,
        request: &Request<'_>,
        allocation: &mut Allocation,
        ports: &mut dyn Ports,
        moment: Moment,
    ) -> Result<u32, Refusal> {
        let family = request.family.transpose().map_err(|_| Refusal::PeerFamily)?;
        if family.is_some_and(|family| allocation.relay(family).is_none()) {
            return Err(Refusal::PeerFamily);
        }
        let meant = |relay: &Relay| family.is_none_or(|family| family == relay.family);
        if request.lifetime == Some(0) {
            for relay in allocation.relays.iter().filter(|relay| meant(relay)) {
                ports.close(relay.id);
            }
            allocation.relays.retain(|relay| !meant(relay));
            return Ok(0);
        }
        let granted = self.lifetime(request.lifetime, &allocation.caller, moment);
        let expires = moment.now + Duration::from_secs(granted.into());
        for relay in allocation.relays.iter_mut().filter(|relay| meant(relay)) {
            relay.expires = expires;
        }
        Ok(granted)
    }

    /// RFC 8656, 10.2: all of the peers, or none.
    fn permit(
        &self,
        request: &Request<'_>,
        allocation: &mut Allocation,
        moment: Moment,
    ) -> Decided {
        let mut ips: Vec<IpAddr> = Vec::new();
        for peer in request.peers() {
            let peer = peer.ok_or(Refusal::BadRequest)?;
            self.check_family(allocation, peer)?;
            self.policy.check_address(peer.ip()).map_err(Refusal::Forbidden)?;
            if !ips.contains(&peer.ip()) {
                ips.push(peer.ip());
            }
            if ips.len() > MAX_PEERS {
                return Err(Refusal::Capacity);
            }
        }
        if ips.is_empty() {
            return Err(Refusal::BadRequest);
        }
        let fits = allocation.permit(&ips, self.bounds, moment.now);
        fits.then_some(()).ok_or(Refusal::Capacity)
    }

    /// RFC 8656, 12.2.
    fn bind_channel(
        &self,
        request: &Request<'_>,
        allocation: &mut Allocation,
        moment: Moment,
    ) -> Decided {
        let (Some(number), Some(peer)) = (request.channel, request.peer()) else {
            return Err(Refusal::BadRequest);
        };
        if !CHANNELS.contains(&number) {
            return Err(Refusal::BadRequest);
        }
        self.check_family(allocation, peer)?;
        self.policy.check(peer).map_err(Refusal::Forbidden)?;
        allocation.bind(number, peer, self.bounds, moment.now).map_err(|error| match error {
            BindError::Taken => Refusal::BadRequest,
            BindError::Full => Refusal::Capacity,
        })
    }

    fn check_family(&self, allocation: &Allocation, peer: SocketAddr) -> Decided {
        let found = allocation.relay(Family::of(peer));
        found.map(|_| ()).ok_or(Refusal::PeerFamily)
    }

    /// Seconds: what was asked for, within bounds. An allocation doesn't outlive the credentials
    /// that it was made with.
    fn lifetime(&self, asked: Option<u32>, caller: &Caller, moment: Moment) -> u32 {
        let most = self.max_lifetime.max(DEFAULT_LIFETIME);
        let asked = asked.unwrap_or(DEFAULT_LIFETIME).clamp(DEFAULT_LIFETIME, most);
        let left = caller.expires.saturating_sub(moment.unix);
        asked.min(u32::try_from(left).unwrap_or(u32::MAX)).max(1)
    }
}

/// Which relays are asked for.
fn families(request: &Request<'_>) -> Result<&'static [Family], Refusal> {
    match (request.family, request.additional_family) {
        (None, None) => Ok(&[Family::V4]),
        (Some(Ok(Family::V4)), None) if request.reservation.is_none() => Ok(&[Family::V4]),
        (Some(Ok(Family::V6)), None) if request.reservation.is_none() => Ok(&[Family::V6]),
        (Some(Err(_)), None) => Err(Refusal::Family),
        (None, Some(Ok(Family::V6)))
            if request.reservation.is_none() && request.even_port != Some(true) =>
        {
            Ok(&[Family::V4, Family::V6])
        }
        _ => Err(Refusal::BadRequest),
    }
}

#[cfg(test)]
mod tests;
