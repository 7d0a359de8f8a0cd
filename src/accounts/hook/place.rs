//! Where the service is: its URL, in parts.

use std::net::IpAddr;
use std::str::FromStr;

/// The parts of an `http` or `https` URL. Plain HTTP goes to loopback alone: an answer isn't
/// signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub is_tls: bool,
    /// A name or an address, without brackets.
    pub host: String,
    pub port: u16,
    /// As in a Host header.
    pub authority: String,
    /// Path and query.
    pub path: String,
}

/// A text that is no such URL. The operator's to mend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a URL such as \"https://users.example.net/may\"; http:// is for loopback alone")]
pub struct NotAPlace;

// === impl Place ===

impl FromStr for Place {
    type Err = NotAPlace;

    fn from_str(url: &str) -> Result<Self, NotAPlace> {
        let (scheme, rest) = url.split_once("://").ok_or(NotAPlace)?;
        let is_tls = match scheme {
            "https" => true,
            "http" => false,
            _ => return Err(NotAPlace),
        };
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, "/"),
        };
        let fits = |b: u8| b.is_ascii_graphic() && !b"<>\"\\#@".contains(&b);
        if !rest.bytes().all(fits) || authority.contains('?') {
            return Err(NotAPlace);
        }
        let (host, port) = host_and_port(authority, if is_tls { 443 } else { 80 })?;
        if !is_tls && !is_loopback(host) {
            return Err(NotAPlace);
        }
        let (host, path) = (host.to_owned(), path.to_owned());
        Ok(Self { is_tls, host, port, authority: authority.to_owned(), path })
    }
}

fn host_and_port(authority: &str, default: u16) -> Result<(&str, u16), NotAPlace> {
    let (host, rest) = match authority.strip_prefix('[') {
        Some(rest) => rest.split_once(']').ok_or(NotAPlace)?,
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let port = match rest.strip_prefix(':') {
        Some(port) => port.parse().map_err(|_| NotAPlace)?,
        None if rest.is_empty() => default,
        None => return Err(NotAPlace),
    };
    if host.is_empty() || port == 0 { Err(NotAPlace) } else { Ok((host, port)) }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart_or_refused() {
        for (url, expected) in [
            ("https://users.example/may?x=1", Some((true, "users.example", 443, "/may?x=1"))),
            ("https://users.example", Some((true, "users.example", 443, "/"))),
            ("https://users.example:8443/a", Some((true, "users.example", 8443, "/a"))),
            ("http://127.0.0.1:9/", Some((false, "127.0.0.1", 9, "/"))),
            ("http://[::1]:9/", Some((false, "::1", 9, "/"))),
            ("http://localhost/", Some((false, "localhost", 80, "/"))),
            ("http://users.example/", None),
            ("http://10.0.0.1/", None),
            ("ftp://localhost/", None),
            ("https://", None),
            ("https://:80/", None),
            ("https://a:0/", None),
            ("https://a:99999/", None),
            ("https://a b/", None),
            ("https://user@host/", None),
            ("https://[::1/", None),
            ("https://[::1]x/", None),
            ("users.example", None),
            ("", None),
        ] {
            let place = url.parse::<Place>().ok();
            let found = place.as_ref().map(|p| (p.is_tls, p.host.as_str(), p.port, &p.path[..]));
            assert_eq!(found, expected, "{url}");
        }
    }
}
