//! Where pages reach a node, as browsers and their policies name it (RFC 6454). Pure.

use std::str::FromStr;

/// A scheme, a host and a port, written as browsers do: in lower case, and without the port that the
/// scheme has by itself. Nothing in it parts a header or a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(String);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an origin such as https://a.example.net")]
pub struct NotAnOrigin;

/// Bytes (RFC 1035, 2.3.4).
const MAX_HOST: usize = 253;

// === impl Origin ===

impl Origin {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Origin {
    type Err = NotAnOrigin;

    fn from_str(text: &str) -> Result<Self, NotAnOrigin> {
        let (scheme, authority) = text.split_once("://").ok_or(NotAnOrigin)?;
        let scheme = scheme.to_ascii_lowercase();
        let default = match scheme.as_str() {
            "https" => 443,
            "http" => 80,
            _ => return Err(NotAnOrigin),
        };
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) => (host, port.parse::<u16>().map_err(|_| NotAnOrigin)?),
            None => (authority, default),
        };
        // Policies know no IPv6 addresses (CSP, 2.3.1: host-char).
        let fits = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
        if host.is_empty() || host.len() > MAX_HOST || port == 0 || !host.bytes().all(fits) {
            return Err(NotAnOrigin);
        }
        let host = host.to_ascii_lowercase();
        let port = if port == default { String::new() } else { format!(":{port}") };
        Ok(Self(format!("{scheme}://{host}{port}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_written_as_browsers_do_and_what_is_none_is_refused() {
        for (text, expected) in [
            ("https://a.example.net", Some("https://a.example.net")),
            ("https://A.Example:443", Some("https://a.example")),
            ("https://a.example:8443", Some("https://a.example:8443")),
            ("http://127.0.0.1:80", Some("http://127.0.0.1")),
            ("http://localhost:443", Some("http://localhost:443")),
            ("https://a.example/", None),
            ("https://a.example https://b.example", None),
            ("https://a.example;script-src", None),
            ("https://*.example", None),
            ("https://a.example,b", None),
            ("https://a.example\r\nx: y", None),
            ("https://[::1]:8443", None),
            ("https://a.example:0", None),
            ("https://a.example:70000", None),
            ("https://:1", None),
            ("https:", None),
            ("wss://a.example", None),
            ("'self'", None),
            ("", None),
        ] {
            let origin = text.parse::<Origin>();
            assert_eq!(origin.as_ref().ok().map(Origin::as_str), expected, "{text}");
        }
        assert!(format!("https://{}", "a".repeat(300)).parse::<Origin>().is_err());
    }
}
