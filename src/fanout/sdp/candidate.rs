//! ICE candidates (RFC 8839, 5.1).

use std::net::SocketAddr;

/// One candidate of the peer's. A lite agent doesn't check it; it is read so that nonsense is
/// refused, and for those who will.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    pub component: u16,
    /// False for TCP.
    pub is_udp: bool,
    pub priority: u32,
    /// None where the peer hides it behind an mDNS name.
    pub address: Option<SocketAddr>,
    pub kind: CandidateKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CandidateKind {
    Host,
    ServerReflexive,
    PeerReflexive,
    Relayed,
}

// === impl Candidate ===

impl Candidate {
    /// Reads what follows `candidate:`.
    pub(super) fn parse(value: &str) -> Option<Self> {
        let mut words = value.split_ascii_whitespace();
        let foundation = words.next()?;
        if foundation.len() > 32 {
            return None;
        }
        let component = words.next()?.parse().ok().filter(|c| (1..=256).contains(c))?;
        let is_udp = words.next()?.eq_ignore_ascii_case("udp");
        let priority = words.next()?.parse().ok()?;
        let (host, port) = (words.next()?, words.next()?.parse().ok()?);
        let address = host.parse().ok().map(|ip| SocketAddr::new(ip, port));
        if words.next()? != "typ" {
            return None;
        }
        let kind = match words.next()? {
            "host" => CandidateKind::Host,
            "srflx" => CandidateKind::ServerReflexive,
            "prflx" => CandidateKind::PeerReflexive,
            "relay" => CandidateKind::Relayed,
            _ => return None,
        };
        Some(Self { component, is_udp, priority, address, kind })
    }
}

/// Ours, best first: host candidates of UDP, one component.
pub(super) fn write_host(out: &mut String, index: usize, address: SocketAddr) {
    let preference = 65_535_u32.saturating_sub(index as u32);
    let priority = 126 << 24 | preference << 8 | 255;
    let (number, ip, port) = (index + 1, address.ip(), address.port());
    out.push_str(&format!("a=candidate:{number} 1 udp {priority} {ip} {port} typ host\r\n"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_of_real_peers_are_read() {
        let host = Candidate::parse(
            "842163049 1 udp 1677729535 203.0.113.7 46154 typ srflx raddr 10.0.0.5 rport 46154 \
             generation 0 ufrag Yxs2 network-cost 999",
        );
        let expected = Candidate {
            component: 1,
            is_udp: true,
            priority: 1_677_729_535,
            address: Some("203.0.113.7:46154".parse().unwrap()),
            kind: CandidateKind::ServerReflexive,
        };
        assert_eq!(host, Some(expected));
        let hidden = "0 1 UDP 2122187007 3b1dd4d2-3a39-4a0e-8f6e-9d5d4c1c2b3a.local 50000 typ host";
        assert_eq!(Candidate::parse(hidden).unwrap().address, None);
        let tcp = "2 1 TCP 2105458943 2001:db8::1 9 typ host tcptype active";
        assert!(!Candidate::parse(tcp).unwrap().is_udp);
    }

    #[test]
    fn malformed_candidates_are_refused() {
        for bad in [
            "",
            "1 1 udp",
            "1 0 udp 1 10.0.0.1 1 typ host",
            "1 1 udp x 10.0.0.1 1 typ host",
            "1 1 udp 1 10.0.0.1 70000 typ host",
            "1 1 udp 1 10.0.0.1 1 type host",
            "1 1 udp 1 10.0.0.1 1 typ ghost",
        ] {
            assert_eq!(Candidate::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn our_own_are_readable() {
        let mut out = String::new();
        write_host(&mut out, 0, "[2001:db8::1]:5000".parse().unwrap());
        let value = out.trim_end().strip_prefix("a=candidate:").unwrap();
        let read = Candidate::parse(value).unwrap();
        assert_eq!(read.address, Some("[2001:db8::1]:5000".parse().unwrap()));
        assert_eq!(read.priority, 2_130_706_431);
    }
}
