//! What one client has been given: relayed addresses, permissions, channels, each until a time.
//! Pure; the relays' sockets are elsewhere.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::credentials::Caller;
use super::quota::Seat;
use super::request::Family;
use crate::stun::TransactionId;

pub struct Allocation {
    pub caller: Caller,
    pub seat: Seat,
    /// Of the request that made it: the same one again is a retransmission.
    pub made_by: TransactionId,
    /// Seconds, as the client was told.
    pub granted: u32,
    /// For the port after its own.
    pub reservation: Option<[u8; 8]>,
    /// One, or one of each family.
    pub relays: Vec<Relay>,
    permissions: Vec<Permission>,
    channels: Vec<Channel>,
}

/// A relayed address.
#[derive(Debug, Clone, Copy)]
pub struct Relay {
    pub id: RelayId,
    pub family: Family,
    /// As the client is told.
    pub address: SocketAddr,
    pub expires: Instant,
}

/// Its socket's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RelayId(pub usize);

#[derive(Debug, Clone, Copy)]
struct Permission {
    ip: IpAddr,
    expires: Instant,
}

#[derive(Debug, Clone, Copy)]
struct Channel {
    number: u16,
    peer: SocketAddr,
    expires: Instant,
}

/// Why a packet goes no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoWay {
    Channel,
    Permission,
    Family,
}

/// Why a channel can't be bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BindError {
    /// The number is another peer's, or the peer has another number.
    Taken,
    Full,
}

/// How many there may be.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    pub permissions: usize,
    pub channels: usize,
}

/// RFC 8656, 9 and 12.
const PERMISSION: Duration = Duration::from_secs(300);
const CHANNEL: Duration = Duration::from_secs(600);

// === impl Allocation ===

impl Allocation {
    pub fn new(
        caller: Caller,
        seat: Seat,
        made_by: TransactionId,
        granted: u32,
        relays: Vec<Relay>,
    ) -> Self {
        Self {
            caller,
            seat,
            made_by,
            granted,
            reservation: None,
            relays,
            permissions: Vec::new(),
            channels: Vec::new(),
        }
    }

    pub fn relay(&self, family: Family) -> Option<&Relay> {
        self.relays.iter().find(|relay| relay.family == family)
    }

    /// Where ChannelData goes.
    pub fn peer_of(&self, channel: u16, now: Instant) -> Result<(RelayId, SocketAddr), NoWay> {
        let bound = self.channels.iter().find(|c| c.number == channel && c.expires > now);
        let peer = bound.ok_or(NoWay::Channel)?.peer;
        Ok((self.way_to(peer, now)?, peer))
    }

    /// The relay by which a peer may be sent to.
    pub fn way_to(&self, peer: SocketAddr, now: Instant) -> Result<RelayId, NoWay> {
        let relay = self.relay(Family::of(peer)).ok_or(NoWay::Family)?;
        self.permits(peer.ip(), now).then_some(relay.id).ok_or(NoWay::Permission)
    }

    /// How a peer's packet reaches the client: in a channel, or in an indication.
    pub fn channel_from(&self, peer: SocketAddr, now: Instant) -> Result<Option<u16>, NoWay> {
        if !self.permits(peer.ip(), now) {
            return Err(NoWay::Permission);
        }
        let bound = self.channels.iter().find(|c| c.peer == peer && c.expires > now);
        Ok(bound.map(|c| c.number))
    }

    /// Permits some addresses, all or none. False: too many.
    pub fn permit(&mut self, ips: &[IpAddr], bounds: Bounds, now: Instant) -> bool {
        self.permissions.retain(|p| p.expires > now);
        let fresh = |ip: &&IpAddr| !self.permissions.iter().any(|p| p.ip == **ip);
        if self.permissions.len() + ips.iter().filter(fresh).count() > bounds.permissions {
            return false;
        }
        let expires = now + PERMISSION;
        for &ip in ips {
            match self.permissions.iter_mut().find(|p| p.ip == ip) {
                Some(permission) => permission.expires = expires,
                None => self.permissions.push(Permission { ip, expires }),
            }
        }
        true
    }

    /// Binds a channel, or binds it for longer; permits its peer, too.
    pub fn bind(
        &mut self,
        number: u16,
        peer: SocketAddr,
        bounds: Bounds,
        now: Instant,
    ) -> Result<(), BindError> {
        self.channels.retain(|c| c.expires > now);
        let known = self.channels.iter().position(|c| c.number == number || c.peer == peer);
        if let Some(n) = known {
            let channel = self.channels[n];
            if (channel.number, channel.peer) != (number, peer) {
                return Err(BindError::Taken);
            }
        } else if self.channels.len() >= bounds.channels {
            return Err(BindError::Full);
        }
        if !self.permit(&[peer.ip()], bounds, now) {
            return Err(BindError::Full);
        }
        let expires = now + CHANNEL;
        match known {
            Some(n) => self.channels[n].expires = expires,
            None => self.channels.push(Channel { number, peer, expires }),
        }
        Ok(())
    }

    /// Takes out the relays whose time is over.
    pub fn take_expired(&mut self, now: Instant) -> Vec<RelayId> {
        let over = self.relays.iter().filter(|r| r.expires <= now).map(|r| r.id).collect();
        self.relays.retain(|r| r.expires > now);
        over
    }

    fn permits(&self, ip: IpAddr, now: Instant) -> bool {
        self.permissions.iter().any(|p| p.ip == ip && p.expires > now)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::quota::{Ledger, Quotas};
    use super::*;

    const BOUNDS: Bounds = Bounds { permissions: 2, channels: 2 };

    fn allocation(now: Instant) -> Allocation {
        let quotas = Quotas {
            allocations: 1,
            allocations_per_user: 1,
            bits_per_second: 0,
            user_bits_per_second: 0,
        };
        let seat = Arc::new(Ledger::new(quotas, now)).take_seat("anna").ok().unwrap();
        let caller = Caller { username: "9:anna".into(), expires: 9, key: [0; 16] };
        let relay = Relay {
            id: RelayId(7),
            family: Family::V4,
            address: "192.0.2.1:1".parse().unwrap(),
            expires: now + Duration::from_secs(600),
        };
        Allocation::new(caller, seat, *b"transaction!", 600, vec![relay])
    }

    fn peer(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn nothing_passes_without_a_permission_nor_after_it() {
        let now = Instant::now();
        let mut allocation = allocation(now);
        let far = peer("1.1.1.1:5");
        assert_eq!(allocation.way_to(far, now), Err(NoWay::Permission));
        assert_eq!(allocation.channel_from(far, now), Err(NoWay::Permission));
        assert!(allocation.permit(&[far.ip()], BOUNDS, now));
        assert_eq!(allocation.way_to(far, now), Ok(RelayId(7)));
        // A permission is for an address, whatever the port.
        assert_eq!(allocation.channel_from(peer("1.1.1.1:6"), now), Ok(None));
        assert_eq!(allocation.way_to(peer("[2a00::1]:5"), now), Err(NoWay::Family));
        let later = now + PERMISSION;
        assert_eq!(allocation.way_to(far, later), Err(NoWay::Permission));
        assert_eq!(allocation.channel_from(far, later), Err(NoWay::Permission));
    }

    #[test]
    fn a_channel_is_one_peers_and_a_peer_has_one_channel() {
        let now = Instant::now();
        let mut allocation = allocation(now);
        let (a, b) = (peer("1.1.1.1:5"), peer("1.1.1.1:6"));
        assert_eq!(allocation.bind(0x4000, a, BOUNDS, now), Ok(()));
        assert_eq!(allocation.bind(0x4000, a, BOUNDS, now), Ok(()));
        assert_eq!(allocation.bind(0x4000, b, BOUNDS, now), Err(BindError::Taken));
        assert_eq!(allocation.bind(0x4001, a, BOUNDS, now), Err(BindError::Taken));
        assert_eq!(allocation.bind(0x4001, b, BOUNDS, now), Ok(()));
        assert_eq!(allocation.bind(0x4002, peer("1.1.1.1:7"), BOUNDS, now), Err(BindError::Full));
        assert_eq!(allocation.peer_of(0x4001, now), Ok((RelayId(7), b)));
        assert_eq!(allocation.channel_from(b, now), Ok(Some(0x4001)));
        assert_eq!(allocation.peer_of(0x4002, now), Err(NoWay::Channel));
        // The permission ends first; the channel lives on for whoever renews it.
        let later = now + PERMISSION;
        assert_eq!(allocation.peer_of(0x4001, later), Err(NoWay::Permission));
        assert!(allocation.permit(&[b.ip()], BOUNDS, later));
        assert_eq!(allocation.peer_of(0x4001, later), Ok((RelayId(7), b)));
        assert_eq!(allocation.peer_of(0x4001, now + CHANNEL), Err(NoWay::Channel));
        assert_eq!(allocation.bind(0x4001, a, BOUNDS, now + CHANNEL), Ok(()));
    }

    #[test]
    fn permissions_are_bounded_and_given_all_or_none() {
        let now = Instant::now();
        let mut allocation = allocation(now);
        let ips: Vec<IpAddr> = (1..=3).map(|n| IpAddr::from([1, 1, 1, n])).collect();
        assert!(!allocation.permit(&ips, BOUNDS, now));
        assert!(allocation.permissions.is_empty());
        assert!(allocation.permit(&ips[..2], BOUNDS, now));
        assert!(allocation.permit(&ips[..2], BOUNDS, now), "renewing takes no place");
        assert!(!allocation.permit(&ips[2..], BOUNDS, now));
        assert!(allocation.permit(&ips[2..], BOUNDS, now + PERMISSION));
    }

    #[test]
    fn relays_end_at_their_time() {
        let now = Instant::now();
        let mut allocation = allocation(now);
        assert!(allocation.take_expired(now + Duration::from_secs(599)).is_empty());
        assert_eq!(allocation.take_expired(now + Duration::from_secs(600)), [RelayId(7)]);
        assert!(allocation.relays.is_empty());
    }
}
