//! Whom a relay may talk to. A relay stands inside the operator's network and acts for strangers,
//! so everything that isn't an ordinary public address is refused unless the operator names it,
//! in whatever form the address is written.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// The rules. Pure: the server's own addresses are given.
#[derive(Debug, Clone, Default)]
pub struct PeerPolicy {
    /// Every address of this machine, and those that stand for it behind a NAT.
    pub own: Vec<IpAddr>,
    /// The server's own media ports, which relayed viewers and publishers are there to reach, and
    /// those of its relays.
    pub media: Vec<MediaPorts>,
    /// Networks that the operator opens. An own address is opened by naming it alone (/32,
    /// /128): a network around the server doesn't open the server.
    pub allowed: Vec<IpNet>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaPorts {
    pub ip: IpAddr,
    pub ports: RangeInclusive<u16>,
}

/// Why a peer is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    #[error("a special-purpose address")]
    Special,
    #[error("one of the server's own addresses")]
    Own,
}

/// IANA's special-purpose registry and what was special once (RFC 6890, RFC 7526).
const SPECIAL_V4: &[Ipv4Net] = &[
    v4(0, 0, 0, 0, 8),
    v4(10, 0, 0, 0, 8),
    v4(100, 64, 0, 0, 10),
    v4(127, 0, 0, 0, 8),
    v4(169, 254, 0, 0, 16),
    v4(172, 16, 0, 0, 12),
    v4(192, 0, 0, 0, 24),
    v4(192, 0, 2, 0, 24),
    v4(192, 88, 99, 0, 24),
    v4(192, 168, 0, 0, 16),
    v4(198, 18, 0, 0, 15),
    v4(198, 51, 100, 0, 24),
    v4(203, 0, 113, 0, 24),
    v4(224, 0, 0, 0, 4),
    v4(240, 0, 0, 0, 4),
];

/// Of IPv6 only 2000::/3 is given out; these are the exceptions within it.
const SPECIAL_V6: &[Ipv6Net] = &[
    // IETF assignments, Teredo among them.
    v6(0x2001, 0, 23),
    v6(0x2001, 0x0db8, 32),
    v6(0x3fff, 0, 20),
];
const GLOBAL_V6: Ipv6Net = v6(0x2000, 0, 3);
const NAT64: Ipv6Net = v6(0x64, 0xff9b, 96);
const SIX_TO_FOUR: Ipv6Net = v6(0x2002, 0, 16);

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(first: u16, second: u16, prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(first, second, 0, 0, 0, 0, 0, 0), prefix)
}

// === impl PeerPolicy ===

impl PeerPolicy {
    /// Whether data may go to this peer, and come from it.
    pub fn check(&self, peer: SocketAddr) -> Result<(), Forbidden> {
        self.decide(peer.ip(), Some(peer.port()))
    }

    /// Whether a permission may be had, which names no port. Where only some ports of an address
    /// are open, [`Self::check`] decides for each packet.
    pub fn check_address(&self, ip: IpAddr) -> Result<(), Forbidden> {
        self.decide(ip, None)
    }

    fn decide(&self, ip: IpAddr, port: Option<u16>) -> Result<(), Forbidden> {
        let ip = ip.to_canonical();
        let media = self
            .media
            .iter()
            .any(|media| media.ip == ip && port.is_none_or(|port| media.ports.contains(&port)));
        if media || self.allowed.contains(&IpNet::from(ip)) {
            return Ok(());
        }
        if self.own.contains(&ip) {
            return Err(Forbidden::Own);
        }
        // What carries an IPv4 address ends there, so that one counts, too.
        if let Some(inner) = embedded(ip) {
            self.decide(inner.into(), port)?;
        }
        if self.allowed.iter().any(|net| net.contains(&ip)) || !is_special(ip) {
            return Ok(());
        }
        Err(Forbidden::Special)
    }
}

fn embedded(ip: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(ip) = ip else { return None };
    let [.., a, b, c, d] = ip.octets();
    if NAT64.contains(&ip) {
        return Some(Ipv4Addr::new(a, b, c, d));
    }
    let [_, _, a, b, c, d, ..] = ip.octets();
    SIX_TO_FOUR.contains(&ip).then(|| Ipv4Addr::new(a, b, c, d))
}

fn is_special(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => SPECIAL_V4.iter().any(|net| net.contains(&ip)),
        IpAddr::V6(ip) => {
            let given_out = GLOBAL_V6.contains(&ip) || NAT64.contains(&ip);
            !given_out || SPECIAL_V6.iter().any(|net| net.contains(&ip))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn only_ordinary_public_addresses_are_open_by_default() {
        let policy = PeerPolicy::default();
        for public in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.167.255.255",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00::1",
            "2001:200::1",
            "::ffff:1.1.1.1",
            "64:ff9b::1.1.1.1",
            "2002:101:101::1",
        ] {
            assert_eq!(policy.check_address(ip(public)), Ok(()), "{public}");
        }
        for special in [
            // Unspecified, this network, private, shared, loopback, link-local.
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.255",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.0.1",
            "192.0.0.8",
            // Documentation, benchmarks, old anycast, multicast, reserved, broadcast.
            "192.0.2.1",
            "198.51.100.1",
            "203.0.113.1",
            "198.18.0.1",
            "198.19.255.255",
            "192.88.99.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            // The same for IPv6.
            "::",
            "::1",
            "::127.0.0.1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "4000::1",
            // IPv4 in disguise: mapped, NAT64 (the local form, too), 6to4, Teredo.
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::127.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::1.1.1.1",
            "2002:7f00:1::1",
            "2002:a00:1::1",
            "2002:c0a8:1::1",
            "2001:0:7f00:1::1",
        ] {
            assert_eq!(policy.check_address(ip(special)), Err(Forbidden::Special), "{special}");
        }
    }

    #[test]
    fn own_addresses_are_closed_but_for_the_media_ports() {
        let policy = PeerPolicy {
            own: vec![ip("8.8.8.8"), ip("10.0.0.5"), ip("2a00::5")],
            media: vec![MediaPorts { ip: ip("10.0.0.5"), ports: 50_000..=50_001 }],
            allowed: vec!["10.0.0.0/8".parse().unwrap(), "2a00::/16".parse().unwrap()],
        };
        for (peer, expected) in [
            ("8.8.8.8:53", Err(Forbidden::Own)),
            ("[::ffff:8.8.8.8]:53", Err(Forbidden::Own)),
            ("[64:ff9b::8.8.8.8]:53", Err(Forbidden::Own)),
            ("[2002:808:808::1]:53", Err(Forbidden::Own)),
            ("8.8.4.4:53", Ok(())),
            // A network around the server doesn't open the server.
            ("10.0.0.5:22", Err(Forbidden::Own)),
            ("[2a00::5]:22", Err(Forbidden::Own)),
            ("10.0.0.5:50000", Ok(())),
            ("10.0.0.5:50001", Ok(())),
            ("[::ffff:10.0.0.5]:50001", Ok(())),
            ("10.0.0.5:50002", Err(Forbidden::Own)),
            ("10.0.0.6:22", Ok(())),
            ("[64:ff9b::10.0.0.6]:22", Ok(())),
            ("[2a00::6]:22", Ok(())),
            ("192.168.0.1:22", Err(Forbidden::Special)),
        ] {
            assert_eq!(policy.check(peer.parse().unwrap()), expected, "{peer}");
        }
        // Some ports are open, so a permission may be had.
        assert_eq!(policy.check_address(ip("10.0.0.5")), Ok(()));
        assert_eq!(policy.check_address(ip("8.8.8.8")), Err(Forbidden::Own));
    }

    #[test]
    fn an_own_address_is_opened_by_naming_it() {
        let mut policy = PeerPolicy { own: vec![ip("127.0.0.1"), ip("::1")], ..Default::default() };
        policy.allowed = vec!["127.0.0.1/32".parse().unwrap(), "::1/128".parse().unwrap()];
        for open in ["127.0.0.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert_eq!(policy.check(open.parse().unwrap()), Ok(()), "{open}");
        }
        assert_eq!(policy.check("127.0.0.2:1".parse().unwrap()), Err(Forbidden::Special));
    }
}
