//! What a datagram is, from its first bytes (RFC 7983), and whose it is (RFC 8445, 7.2.2).

use super::stun;

/// What shares the one UDP port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Stun,
    Dtls,
    Rtp,
    Rtcp,
}

/// None for anything else, such as ZRTP, TURN channels, and garbage.
pub fn demux(bytes: &[u8]) -> Option<Kind> {
    match *bytes.first()? {
        0..=3 if bytes.len() >= stun::HEADER_BYTES => Some(Kind::Stun),
        20..=63 if bytes.len() >= 13 => Some(Kind::Dtls),
        128..=191 if bytes.len() >= 8 => match bytes[1] {
            // RFC 5761, 4: these are RTCP packet types, and no RTP payload type is in reach.
            192..=223 => Some(Kind::Rtcp),
            _ if bytes.len() >= 12 => Some(Kind::Rtp),
            _ => None,
        },
        _ => None,
    }
}

/// The local part of a binding request's USERNAME: the ufrag this server gave out. Nothing is
/// verified yet; the session that owns the ufrag does that.
pub fn stun_username(bytes: &[u8]) -> Option<&str> {
    let username = stun::username(bytes)?;
    let (local, _remote) = username.split_once(':')?;
    Some(local)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_tell_what_a_datagram_is() {
        let of = |first: u8, second: u8, length: usize| {
            let mut bytes = vec![0; length];
            bytes[0] = first;
            bytes[1] = second;
            demux(&bytes)
        };
        assert_eq!(of(0, 1, 20), Some(Kind::Stun));
        assert_eq!(of(0, 1, 19), None);
        assert_eq!(of(22, 254, 13), Some(Kind::Dtls));
        assert_eq!(of(22, 254, 12), None);
        assert_eq!(of(0x80, 96, 12), Some(Kind::Rtp));
        assert_eq!(of(0x80, 0x80 | 96, 12), Some(Kind::Rtp));
        assert_eq!(of(0x80, 96, 11), None);
        assert_eq!(of(0x81, 200, 8), Some(Kind::Rtcp));
        assert_eq!(of(0x8f, 206, 8), Some(Kind::Rtcp));
        assert_eq!(of(64, 0, 100), None);
        assert_eq!(demux(&[]), None);
    }
}
