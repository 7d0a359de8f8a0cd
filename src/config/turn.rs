//! `[turn]`: the server's own STUN and TURN.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use stentor_protocol::units::Secret;

use super::Config;
use super::check::Faults;
use super::units::{BitRate, Period, PortRange};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Turn {
    /// Default false.
    pub enabled: bool,
    /// Addresses for UDP and TCP. Default 127.0.0.1:3478.
    pub listen: Vec<SocketAddr>,
    /// Addresses for TLS. Default none.
    pub tls_listen: Vec<SocketAddr>,
    /// Default: the certificate and key of `[http]`.
    pub tls_certificate: Option<PathBuf>,
    pub tls_key: Option<PathBuf>,
    /// What clients are told. Default: made from the addresses.
    pub urls: Vec<String>,
    /// Default stentor.
    pub realm: String,
    /// From which time-limited passwords are derived, 16 characters at least. Default: a random
    /// one at each start.
    pub secret: Option<Secret>,
    /// How long credentials are good that are handed out. Default 1 day.
    pub credential_lifetime: Period,
    /// Default 1.
    pub threads: usize,
    /// TCP and TLS connections at once. Default 1024.
    pub max_connections: usize,
    /// Addresses of the relays, one of each family. Default: those listened on.
    pub relay_addresses: Vec<IpAddr>,
    /// What clients are told in place of the relays' addresses.
    pub public_addresses: Vec<IpAddr>,
    /// Default 52000-52999.
    pub relay_ports: PortRange,
    /// Networks that relays may reach beside public addresses and the server's media ports.
    pub allowed_peers: Vec<IpNet>,
    /// Default 1000.
    pub max_allocations: usize,
    /// Default 16: a browser takes one for each transport and interface. A client address without
    /// a user has 16 times as many.
    pub max_user_allocations: usize,
    /// Per allocation. Default 64.
    pub max_permissions: usize,
    /// Per allocation. Default 64.
    pub max_channels: usize,
    /// The longest that an allocation lasts without a refresh. Default 1 h.
    pub max_lifetime: Period,
    /// All users together, each way. Default: no bound.
    pub max_bitrate: Option<BitRate>,
    /// One user, each way. Default: no bound.
    pub max_user_bitrate: Option<BitRate>,
}

// === impl Turn ===

impl Default for Turn {
    fn default() -> Self {
        Self {
            enabled: false,
            listen: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 3478))],
            tls_listen: Vec::new(),
            tls_certificate: None,
            tls_key: None,
            urls: Vec::new(),
            realm: "stentor".to_owned(),
            secret: None,
            credential_lifetime: Period::from_secs(24 * 3600),
            threads: 1,
            max_connections: 1024,
            relay_addresses: Vec::new(),
            public_addresses: Vec::new(),
            relay_ports: PortRange::Between(52_000, 52_999),
            allowed_peers: Vec::new(),
            max_allocations: 1000,
            max_user_allocations: 16,
            max_permissions: 64,
            max_channels: 64,
            max_lifetime: Period::from_secs(3600),
            max_bitrate: None,
            max_user_bitrate: None,
        }
    }
}

impl Turn {
    /// Certificate and key for TLS: its own, or those of `[http]`.
    pub fn tls_files(&self, config: &Config) -> Option<(PathBuf, PathBuf)> {
        let own = self.tls_certificate.clone().zip(self.tls_key.clone());
        own.or_else(|| config.http.tls_certificate.clone().zip(config.http.tls_key.clone()))
    }
}

/// Shortest secret that can't be guessed.
const MIN_SECRET: usize = 16;

pub(super) fn check(config: &Config, faults: &mut Faults) {
    let turn = &config.turn;
    let s = Duration::from_secs;
    faults.period("turn.credential_lifetime", turn.credential_lifetime, s(60)..=s(30 * 86_400));
    faults.period("turn.max_lifetime", turn.max_lifetime, s(600)..=s(86_400));
    faults.require((1..=64).contains(&turn.threads), "turn.threads", "1 to 64");
    let one_at_least = [
        ("turn.max_connections", turn.max_connections),
        ("turn.max_allocations", turn.max_allocations),
        ("turn.max_user_allocations", turn.max_user_allocations),
        ("turn.max_permissions", turn.max_permissions),
        ("turn.max_channels", turn.max_channels),
    ];
    for (key, value) in one_at_least {
        faults.require(value > 0, key, "1 or more");
    }
    let realm = 1..=64;
    let plain = turn.realm.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\');
    let fine = realm.contains(&turn.realm.len()) && plain;
    faults.require(fine, "turn.realm", "1 to 64 letters, digits or signs, such as \"example.net\"");
    let long = turn.secret.as_ref().is_none_or(|secret| secret.0.len() >= MIN_SECRET);
    faults.require(long, "turn.secret", "16 characters or more");
    for (n, url) in turn.urls.iter().enumerate() {
        let known = ["stun:", "stuns:", "turn:", "turns:"];
        let fine = known.iter().any(|scheme| url.starts_with(scheme))
            && url.bytes().all(|b| b.is_ascii_graphic() && !b"<>\"".contains(&b));
        let expected = "a URL such as \"turns:turn.example.net:443?transport=tcp\"";
        faults.require(fine, &format!("turn.urls.{n}"), expected);
    }
    if turn.tls_certificate.is_some() != turn.tls_key.is_some() {
        let key = if turn.tls_key.is_some() { "turn.tls_key" } else { "turn.tls_certificate" };
        faults.add(key, "expected `tls_certificate` and `tls_key` together");
    }
    for (n, address) in turn.relay_addresses.iter().enumerate() {
        let key = format!("turn.relay_addresses.{n}");
        let others = &turn.relay_addresses[..n];
        let fine =
            !address.is_unspecified() && !others.iter().any(|o| o.is_ipv4() == address.is_ipv4());
        faults.require(fine, &key, "one address of each family, of this machine");
    }
    for (n, address) in turn.public_addresses.iter().enumerate() {
        let key = format!("turn.public_addresses.{n}");
        faults.require(!address.is_unspecified(), &key, "an address that peers can reach");
    }
    if turn.enabled {
        check_enabled(config, faults);
    }
}

fn check_enabled(config: &Config, faults: &mut Faults) {
    let turn = &config.turn;
    let listens = !turn.listen.is_empty() || !turn.tls_listen.is_empty();
    faults.require(listens, "turn.listen", "one address at least");
    if !turn.tls_listen.is_empty() && turn.tls_files(config).is_none() {
        faults
            .add("turn.tls_listen", "expected `tls_certificate` and `tls_key` here or in `[http]`");
    }
    let tcp = turn.listen.iter().map(|a| ("turn.listen", a));
    let all: Vec<_> = tcp.chain(turn.tls_listen.iter().map(|a| ("turn.tls_listen", a))).collect();
    for (n, (key, address)) in all.iter().enumerate() {
        let others = all[..n].iter().map(|(_, a)| *a).chain(&config.http.listen);
        if let Some(other) = others.into_iter().find(|other| super::check::clash(other, address)) {
            faults.add(*key, format!("{address} clashes with {other}: expected another port"));
        }
    }
}

/// UDP ports that it takes, with the key that says so.
pub(super) fn udp_ports(turn: &Turn) -> Vec<(String, std::ops::RangeInclusive<u16>)> {
    if !turn.enabled {
        return Vec::new();
    }
    let mut taken = Vec::new();
    let (first, last) = turn.relay_ports.bounds();
    if first != 0 {
        taken.push(("turn.relay_ports".to_owned(), first..=last));
    }
    let mut ports: Vec<u16> =
        turn.listen.iter().map(SocketAddr::port).filter(|p| *p != 0).collect();
    ports.sort_unstable();
    ports.dedup();
    taken.extend(ports.into_iter().map(|port| ("turn.listen".to_owned(), port..=port)));
    taken
}
