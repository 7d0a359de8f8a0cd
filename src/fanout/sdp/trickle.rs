//! SDP fragments of trickle ICE and ICE restarts (RFC 8840; WHEP, 4.4).

use std::net::SocketAddr;

use super::SdpError;
use super::answer::line;
use super::candidate::{Candidate, write_host};
use super::description::Description;
use super::negotiate::{candidates, credentials};
use crate::fanout::transport::IceCreds;

/// What a PATCH with `application/trickle-ice-sdpfrag` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fragment {
    /// The peer's. Other ones than before mean an ICE restart.
    pub remote: Option<IceCreds>,
    pub candidates: Vec<Candidate>,
    pub end_of_candidates: bool,
}

/// Our half of an ICE restart: new credentials, the old candidates. `mid` is that of the first
/// accepted section and `media` its kind, such as "video".
pub fn restart_fragment(
    local: &IceCreds,
    media: &str,
    mid: &str,
    addresses: &[SocketAddr],
) -> String {
    let mut out = String::new();
    line(&mut out, format_args!("a=ice-lite"));
    line(&mut out, format_args!("a=ice-ufrag:{}", local.ufrag));
    line(&mut out, format_args!("a=ice-pwd:{}", local.password));
    line(&mut out, format_args!("m={media} 9 UDP/TLS/RTP/SAVPF 0"));
    line(&mut out, format_args!("a=mid:{mid}"));
    for (index, address) in addresses.iter().enumerate() {
        write_host(&mut out, index, *address);
    }
    line(&mut out, format_args!("a=end-of-candidates"));
    out
}

// === impl Fragment ===

impl Fragment {
    /// Reads a fragment. Candidates that make no sense are passed over, lines that aren't SDP
    /// are refused.
    pub fn parse(text: &str) -> Result<Self, SdpError> {
        let fragment = Description::parse_fragment(text)?;
        let sections = fragment.sections.iter().map(|s| &s.attributes);
        let levels: Vec<_> = [&fragment.session].into_iter().chain(sections).collect();
        Ok(Self {
            remote: levels.iter().find_map(|level| credentials(level)),
            candidates: candidates(&fragment)?,
            end_of_candidates: levels.iter().any(|level| level.has("end-of-candidates")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 9725, 4.4.1.
    const RFC_9725: &str = "a=group:BUNDLE 0 1\r\n\
        m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n\
        a=mid:0\r\n\
        a=ice-ufrag:EsAw\r\n\
        a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n\
        a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0\r\n\
        a=candidate:3471623853 1 udp 2122194687 198.51.100.2 61765 typ host generation 0\r\n\
        a=candidate:473322822 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active generation 0\r\n\
        a=end-of-candidates\r\n";

    #[test]
    fn the_example_of_the_rfc_is_read() {
        let fragment = Fragment::parse(RFC_9725).unwrap();
        assert_eq!(fragment.remote.unwrap().ufrag, "EsAw");
        assert_eq!(fragment.candidates.len(), 3);
        assert!(fragment.end_of_candidates);
    }

    #[test]
    fn a_restart_is_answered_with_what_the_peer_can_read() {
        let local = IceCreds { ufrag: "abcd".into(), password: "0123456789012345678901".into() };
        let address = "192.0.2.1:5000".parse().unwrap();
        let text = restart_fragment(&local, "video", "0", &[address]);
        let read = Fragment::parse(&text).unwrap();
        assert_eq!(read.remote, Some(local));
        assert_eq!(read.candidates[0].address, Some(address));
    }

    #[test]
    fn garbage_is_refused_and_floods_are_bounded() {
        assert!(Fragment::parse("{\"candidate\": 1}").is_err());
        let flood = "a=candidate:1 1 udp 1 10.0.0.1 1 typ host\r\n".repeat(201);
        assert_eq!(Fragment::parse(&flood), Err(SdpError::TooManyCandidates));
        let empty = Fragment::parse("").unwrap();
        assert_eq!((empty.remote, empty.candidates.len()), (None, 0));
    }
}
