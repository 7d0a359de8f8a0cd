//! The relays' UDP ports: chosen at random within a range, in pairs where a client asks for it.
//!
//! Lock order: `RelayPorts::kept` alone.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::desk::{NoPort, Wanted};
use super::request::Family;
use crate::fanout::udp::Socket;

/// Where relays are opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayAddress {
    pub bind: IpAddr,
    /// What clients are told: another one behind a static NAT.
    pub told: IpAddr,
}

pub struct RelayPorts {
    addresses: Vec<RelayAddress>,
    /// Those that are told otherwise than they are.
    translated: Vec<RelayAddress>,
    /// 0 to 0: the system chooses.
    range: RangeInclusive<u16>,
    kept: Mutex<Vec<Kept>>,
}

/// A relay's socket, and what its client is told.
pub struct OpenedPort {
    pub socket: Socket,
    pub address: SocketAddr,
    pub reservation: Option<[u8; 8]>,
}

/// A port that waits for who holds its token.
struct Kept {
    token: [u8; 8],
    port: OpenedPort,
    until: Instant,
}

/// RFC 8656, 7.2.
const KEPT_FOR: Duration = Duration::from_secs(30);
/// Ports tried before the range counts as full. Each costs a system call.
const TRIES: u16 = 256;
/// Ports kept at once.
const MAX_KEPT: usize = 256;

// === impl RelayPorts ===

impl RelayPorts {
    pub fn new(addresses: Vec<RelayAddress>, range: RangeInclusive<u16>) -> Self {
        let translated = addresses.iter().filter(|a| a.bind != a.told).cloned().collect();
        Self { addresses, translated, range, kept: Mutex::default() }
    }

    /// Where a packet to `peer` is sent: a relay of ours that is named by its public address is
    /// reached without the NAT, which may not let it come back.
    pub fn inward(&self, peer: SocketAddr) -> SocketAddr {
        let found = self.translated.iter().find(|address| address.told == peer.ip());
        found.map_or(peer, |address| SocketAddr::new(address.bind, peer.port()))
    }

    /// As whom a client knows the sender of a packet that came so.
    pub fn outward(&self, from: SocketAddr) -> SocketAddr {
        let found = self.translated.iter().find(|address| address.bind == from.ip());
        found.map_or(from, |address| SocketAddr::new(address.told, from.port()))
    }

    pub fn open(&self, family: Family, wanted: Wanted, now: Instant) -> Result<OpenedPort, NoPort> {
        if let Wanted::Reserved(token) = wanted {
            return self.take_kept(token, now).ok_or(NoPort::Capacity);
        }
        let is_meant = |address: &&RelayAddress| (family == Family::V4) == address.bind.is_ipv4();
        let address = self.addresses.iter().find(is_meant).ok_or(NoPort::Family)?;
        for port in self.candidates(wanted != Wanted::Any)? {
            let Ok(socket) = Socket::bind(SocketAddr::new(address.bind, port)) else { continue };
            let port = socket.address().port();
            // Where the system chose, it may not have been an even one.
            if wanted != Wanted::Any && port % 2 != 0 {
                continue;
            }
            let mut opened = OpenedPort {
                socket,
                address: SocketAddr::new(address.told, port),
                reservation: None,
            };
            if wanted == Wanted::EvenAndNext {
                let Some(token) = self.keep_next(address, port + 1, now) else { continue };
                opened.reservation = Some(token);
            }
            return Ok(opened);
        }
        Err(NoPort::Capacity)
    }

    /// Closes kept ports that nobody came for.
    pub fn sweep(&self, now: Instant) {
        self.kept().retain(|kept| kept.until > now);
    }

    /// From a random place on, around the range.
    fn candidates(&self, even: bool) -> Result<impl Iterator<Item = u16> + use<>, NoPort> {
        let random = getrandom::u32().map_err(|_| NoPort::Capacity)?;
        let (first, last) = (u32::from(*self.range.start()), u32::from(*self.range.end()));
        let (first, step) = if even { (first.next_multiple_of(2), 2) } else { (first, 1) };
        let count = (last + 1).saturating_sub(first).div_ceil(step);
        let tries = if last == 0 { TRIES.into() } else { count.min(TRIES.into()) };
        Ok((0..tries).map(move |n| {
            let offset = if last == 0 { 0 } else { (random % count + n) % count * step };
            (first + offset) as u16
        }))
    }

    fn keep_next(&self, address: &RelayAddress, port: u16, now: Instant) -> Option<[u8; 8]> {
        let last = *self.range.end();
        if last != 0 && port > last {
            return None;
        }
        let mut token = [0; 8];
        getrandom::fill(&mut token).ok()?;
        let socket = Socket::bind(SocketAddr::new(address.bind, port)).ok()?;
        let address = SocketAddr::new(address.told, port);
        let mut kept = self.kept();
        if kept.len() >= MAX_KEPT {
            return None;
        }
        let port = OpenedPort { socket, address, reservation: None };
        kept.push(Kept { token, port, until: now + KEPT_FOR });
        Some(token)
    }

    fn take_kept(&self, token: [u8; 8], now: Instant) -> Option<OpenedPort> {
        let mut kept = self.kept();
        let n = kept.iter().position(|k| k.token == token && k.until > now)?;
        Some(kept.swap_remove(n).port)
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Vec<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Addresses behind the unspecified ones, each once.
pub fn expand(addresses: &[SocketAddr]) -> io::Result<Vec<SocketAddr>> {
    let mut found: Vec<SocketAddr> = Vec::new();
    for address in addresses {
        let all = if address.ip().is_unspecified() {
            crate::fanout::udp::interface_addresses()?
                .into_iter()
                .filter(|ip| ip.is_ipv4() == address.is_ipv4())
                .map(|ip| SocketAddr::new(ip, address.port()))
                .collect()
        } else {
            vec![*address]
        };
        for one in all {
            if one.port() == 0 || !found.contains(&one) {
                found.push(one);
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports(range: RangeInclusive<u16>) -> RelayPorts {
        let ip: IpAddr = [127, 0, 0, 1].into();
        let told: IpAddr = [192, 0, 2, 1].into();
        RelayPorts::new(vec![RelayAddress { bind: ip, told }], range)
    }

    #[test]
    fn a_port_is_in_the_range_and_told_under_the_public_address() {
        let ports = ports(39_100..=39_101);
        let now = Instant::now();
        let a = ports.open(Family::V4, Wanted::Any, now).ok().unwrap();
        let b = ports.open(Family::V4, Wanted::Any, now).ok().unwrap();
        let mut told = [a.address.to_string(), b.address.to_string()];
        told.sort();
        assert_eq!(told, ["192.0.2.1:39100", "192.0.2.1:39101"]);
        assert_eq!(ports.open(Family::V4, Wanted::Any, now).err(), Some(NoPort::Capacity));
        assert_eq!(ports.open(Family::V6, Wanted::Any, now).err(), Some(NoPort::Family));
        drop(a);
        assert!(ports.open(Family::V4, Wanted::Any, now).is_ok());
    }

    #[test]
    fn an_even_port_keeps_the_next_one_for_its_token_and_not_for_long() {
        let now = Instant::now();
        for range in [39_111..=39_113, 0..=0] {
            let ports = ports(range.clone());
            let even = ports.open(Family::V4, Wanted::EvenAndNext, now).ok().unwrap();
            let token = even.reservation.unwrap();
            let port = even.address.port();
            assert_eq!(port % 2, 0);
            assert!(Socket::bind(SocketAddr::from(([127, 0, 0, 1], port + 1))).is_err(), "kept");
            let none = ports.open(Family::V4, Wanted::Reserved([0; 8]), now);
            assert_eq!(none.err(), Some(NoPort::Capacity));
            let next = ports.open(Family::V4, Wanted::Reserved(token), now).ok().unwrap();
            assert_eq!(next.address.port(), port + 1);
            let again = ports.open(Family::V4, Wanted::Reserved(token), now);
            assert_eq!(again.err(), Some(NoPort::Capacity));
            drop((even, next));
            let even = ports.open(Family::V4, Wanted::EvenAndNext, now).ok().unwrap();
            let late = now + KEPT_FOR;
            let token = even.reservation.unwrap();
            let late_open = ports.open(Family::V4, Wanted::Reserved(token), late);
            assert_eq!(late_open.err(), Some(NoPort::Capacity));
            ports.sweep(late);
            assert!(ports.kept().is_empty());
        }
    }
}
