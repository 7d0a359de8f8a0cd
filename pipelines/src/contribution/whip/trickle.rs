//! Trickle ICE fragments (RFC 8840, RFC 9725 4.3).

use super::candidate;

/// The most candidates taken from one fragment.
const MAX_CANDIDATES: usize = 32;
const MAX_BYTES: usize = 16 * 1024;

/// What a publisher's PATCH brings.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fragment {
    /// Names the ICE session; another one than the offer's asks for a restart.
    pub ufrag: Option<String>,
    /// Candidates of use, each with the `mid` it stands under and in `candidate:...` form.
    pub candidates: Vec<(Option<String>, String)>,
    /// Candidates left out: host names, TCP, malformed, or too many.
    pub left_out: usize,
}

// === impl Fragment ===

impl Fragment {
    pub fn parse(text: &str) -> Self {
        let mut fragment = Self::default();
        let mut mid = None;
        for line in text.get(..MAX_BYTES).unwrap_or(text).lines().map(str::trim) {
            if line.starts_with("m=") {
                mid = None;
            } else if let Some(value) = line.strip_prefix("a=ice-ufrag:") {
                fragment.ufrag = Some(value.trim().to_owned());
            } else if let Some(value) = line.strip_prefix("a=mid:") {
                mid = Some(value.trim().to_owned());
            } else if let Some(value) = line.strip_prefix("a=candidate:") {
                if candidate::is_usable(value) && fragment.candidates.len() < MAX_CANDIDATES {
                    fragment.candidates.push((mid.clone(), format!("candidate:{value}")));
                } else {
                    fragment.left_out += 1;
                }
            }
        }
        fragment
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rfc_example_is_read() {
        let text = "a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n\
            m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n\
            a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0\r\n\
            a=candidate:3471623853 1 udp 2122194687 198.51.100.2 61765 typ host generation 0\r\n\
            a=candidate:473322822 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active\r\n\
            a=end-of-candidates\r\n";
        let fragment = Fragment::parse(text);
        assert_eq!(fragment.ufrag.as_deref(), Some("EsAw"));
        assert_eq!(fragment.candidates.len(), 2);
        assert_eq!(fragment.candidates[0].0.as_deref(), Some("0"));
        assert!(fragment.candidates[0].1.starts_with("candidate:1387637174 1 udp"));
        assert_eq!(fragment.left_out, 1);
    }

    #[test]
    fn a_flood_of_candidates_is_cut() {
        let line = "a=candidate:1 1 udp 1 192.0.2.1 5000 typ host\n";
        let fragment = Fragment::parse(&line.repeat(100));
        assert_eq!(fragment.candidates.len(), MAX_CANDIDATES);
        assert_eq!(fragment.left_out, 68);
        assert_eq!(Fragment::parse("nonsense"), Fragment::default());
        assert_eq!(Fragment::parse(""), Fragment::default());
    }
}
