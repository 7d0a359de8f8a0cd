//! ICE candidates in and out: which of a publisher's we take, and how ours are told.

use std::net::IpAddr;

/// The address field of an `a=candidate` value (RFC 8839, 5.1).
const ADDRESS: usize = 4;
const TRANSPORT: usize = 2;

/// Whether a publisher's candidate is of use: UDP and an IP address. A host name, which browsers
/// send in place of an address (`.local`), costs a resolver thread and its sockets for nothing:
/// the publisher's checks tell where it is.
pub fn is_usable(value: &str) -> bool {
    let fields: Vec<&str> = value.split_ascii_whitespace().collect();
    fields.len() >= 8
        && fields[TRANSPORT].eq_ignore_ascii_case("udp")
        && fields[ADDRESS].parse::<IpAddr>().is_ok()
        && fields[5].parse::<u16>().is_ok()
        && fields[6] == "typ"
}

/// One of our own candidates as the publisher is told it: None where it can be of no use, with
/// the public address in place of a local one of the same family.
pub fn told(value: &str, public: Option<IpAddr>) -> Option<String> {
    let mut fields: Vec<String> = value.split_ascii_whitespace().map(str::to_owned).collect();
    let address: IpAddr = fields.get(ADDRESS)?.parse().ok()?;
    if is_link_local(address) {
        return None;
    }
    if let Some(public) = public {
        if address.is_ipv4() != public.is_ipv4() {
            return None;
        }
        fields[ADDRESS] = public.to_string();
    }
    Some(fields.join(" "))
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_names_tcp_and_nonsense_are_not_taken() {
        let cases = [
            ("1 1 udp 2113937151 192.0.2.7 50000 typ host", true),
            ("1 1 UDP 2113937151 2001:db8::7 50000 typ host generation 0", true),
            ("1 1 udp 2113937151 7ae1c1c2-aa.local 50000 typ host", false),
            ("1 1 tcp 1518280447 192.0.2.7 9 typ host tcptype active", false),
            ("1 1 udp 2113937151 192.0.2.7 500000 typ host", false),
            ("1 1 udp 2113937151 192.0.2.7 50000", false),
            ("", false),
        ];
        for (value, expected) in cases {
            assert_eq!(is_usable(value), expected, "{value}");
        }
    }

    #[test]
    fn the_public_address_stands_for_local_ones_of_its_family() {
        let v4 = "1 1 UDP 2015363327 10.0.0.5 40000 typ host";
        let v6 = "2 1 UDP 2015363583 2001:db8::5 40001 typ host";
        assert_eq!(told(v4, None).as_deref(), Some(v4));
        assert_eq!(
            told(v4, Some("198.51.100.9".parse().unwrap())).as_deref(),
            Some("1 1 UDP 2015363327 198.51.100.9 40000 typ host")
        );
        assert_eq!(told(v6, Some("198.51.100.9".parse().unwrap())), None);
        assert_eq!(told("3 1 UDP 1 fe80::1 40002 typ host", None), None);
        assert_eq!(told("nonsense", None), None);
    }
}
