//! Wiring of STUN and TURN: what of the configuration it gets, and how clients learn of it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use stentor_protocol::units::Secret;
use tracing::{info, warn};

use super::StartError;
use crate::calls::messages::IceServer;
use crate::config::{self, Config};
use crate::fanout::Fanout;
use crate::hex::hex;
use crate::http::{IssueRelay, RelayUser, Tls, TlsError};
use crate::telemetry::turn::TurnMetrics;
use crate::turn::{MediaPorts, PeerPolicy, Quotas, TlsSource, Turn, TurnConfig};

/// The running server, and its certificate.
pub struct Relaying {
    turn: Arc<Turn>,
    tls: Option<Arc<Tls>>,
    urls: Arc<[String]>,
    /// Seconds for which credentials are good.
    lifetime: u64,
}

/// User names that a customer without a token of a user has, each with a user's quota: an office has
/// one address. Who comes gets one of them by chance.
const NAMES_OF_CUSTOMER: u64 = 16;
/// RFC 7443.
const PROTOCOLS: &[&[u8]] = &[b"stun.turn", b"stun.nat-discovery"];

// === impl Relaying ===

impl Relaying {
    /// None where it isn't enabled.
    pub fn start(
        config: &Config,
        fanout: &Fanout,
        metrics: TurnMetrics,
    ) -> Result<Option<Self>, StartError> {
        if !config.turn.enabled {
            return Ok(None);
        }
        let tls = load_tls(config)?.map(Arc::new);
        let policy = policy(config, fanout)?;
        let turn = Turn::start(turn_config(config, policy, tls.clone())?, metrics)?;
        let urls = if config.turn.urls.is_empty() {
            urls_of(turn.addresses(), turn.tls_addresses(), &config.turn.public_addresses)
        } else {
            config.turn.urls.clone()
        };
        info!(udp_and_tcp = ?turn.addresses(), tls = ?turn.tls_addresses(), "TURN serves");
        Ok(Some(Self {
            turn: Arc::new(turn),
            tls,
            urls: urls.into(),
            lifetime: config.turn.credential_lifetime.0.as_secs(),
        }))
    }

    /// Gives each user a name, and each customer a few, by which quotas go.
    pub fn issuer(&self) -> IssueRelay {
        let (turn, urls, lifetime) = (self.turn.clone(), self.urls.clone(), self.lifetime);
        Box::new(move |user| {
            // Without a random number clients share a name, and its quota.
            let chance = getrandom::u64().unwrap_or_default();
            let issued = turn.issue(&turn.name_for(&whom(user, chance)), lifetime);
            IceServer {
                urls: urls.to_vec(),
                username: Some(issued.username),
                credential: Some(issued.password.0),
            }
        })
    }

    /// Its certificates, where it serves over TLS.
    pub fn tls(&self) -> Option<&Arc<Tls>> {
        self.tls.as_ref()
    }

    /// Reads certificate files again.
    pub fn reload(&self) {
        if let Some(Err(error)) = self.tls.as_ref().map(|tls| tls.reload()) {
            warn!(%error, "TURN's old certificate stays in force");
        }
    }
}

pub fn load_tls(config: &Config) -> Result<Option<Tls>, TlsError> {
    let turn = &config.turn;
    match turn.tls_files(config) {
        Some((certificate, key)) if turn.enabled && !turn.tls_listen.is_empty() => {
            Tls::load_for(PROTOCOLS, certificate, key).map(Some)
        }
        _ => Ok(None),
    }
}

/// Whom a name is for.
fn whom(user: &RelayUser, chance: u64) -> String {
    match user {
        RelayUser::User(user) => format!("user {user}"),
        RelayUser::Customer(ip) => format!("customer {ip} {}", chance % NAMES_OF_CUSTOMER),
    }
}

fn turn_config(
    config: &Config,
    policy: PeerPolicy,
    tls: Option<Arc<Tls>>,
) -> Result<TurnConfig, StartError> {
    let turn = &config.turn;
    let secret = match &turn.secret {
        Some(secret) => secret.clone(),
        None => random_secret()?,
    };
    let (first_port, last_port) = turn.relay_ports.bounds();
    let bits = |rate: Option<config::BitRate>| rate.map_or(0, |rate| rate.0.0);
    Ok(TurnConfig {
        threads: turn.threads,
        listen: turn.listen.clone(),
        tls_listen: turn.tls_listen.clone(),
        tls: tls.map(|tls| -> TlsSource { Arc::new(move || tls.config()) }),
        max_connections: turn.max_connections,
        realm: turn.realm.clone(),
        secret,
        relay_addresses: turn.relay_addresses.clone(),
        public_addresses: turn.public_addresses.clone(),
        relay_ports: first_port..=last_port,
        policy,
        quotas: Quotas {
            allocations: turn.max_allocations,
            allocations_per_user: turn.max_user_allocations,
            bits_per_second: bits(turn.max_bitrate),
            user_bits_per_second: bits(turn.max_user_bitrate),
        },
        max_permissions: turn.max_permissions,
        max_channels: turn.max_channels,
        max_lifetime: turn.max_lifetime.0.as_secs() as u32,
    })
}

/// Relayed viewers must reach the fan-out, and relayed publishers their worker: those ports of
/// ours are open to relays, and no others.
fn policy(config: &Config, fanout: &Fanout) -> Result<PeerPolicy, StartError> {
    let bound = bound(&config.fanout.bind)?;
    let mut media = Vec::new();
    for address in fanout.addresses() {
        // Behind a static NAT viewers are told another address than the bound one.
        for ip in bound.iter().copied().chain([address.ip()]) {
            media.push(MediaPorts { ip, ports: address.port()..=address.port() });
        }
    }
    let whip = &config.whip;
    let mut publishers =
        if whip.local_addresses.is_empty() { bound } else { whip.local_addresses.clone() };
    publishers.extend(whip.public_address);
    let (first, last) = whip.ports.bounds();
    // Where the system chooses the ports, any of ours could be meant: none is opened.
    if first != 0 {
        media.extend(publishers.iter().map(|&ip| MediaPorts { ip, ports: first..=last }));
    }
    let own = media.iter().map(|ports| ports.ip).chain(publishers).collect();
    Ok(PeerPolicy { own, media, allowed: config.turn.allowed_peers.clone() })
}

/// Where media may come in from elsewhere. All interfaces are meant with an unspecified address, and
/// among them loopback, which nobody from elsewhere is to reach.
fn bound(addresses: &[IpAddr]) -> Result<Vec<IpAddr>, StartError> {
    let mut bound = Vec::new();
    for &ip in addresses {
        let expanded = Turn::expand(&[SocketAddr::new(ip, 0)])?;
        let found = expanded.iter().map(SocketAddr::ip);
        bound.extend(found.filter(|found| !ip.is_unspecified() || !found.is_loopback()));
    }
    Ok(bound)
}

fn random_secret() -> Result<Secret, StartError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(crate::turn::TurnError::Random)?;
    Ok(Secret(hex(&bytes)))
}

/// Behind a static NAT clients come by the public address; loopback is of use only to this machine.
fn urls_of(listen: &[SocketAddr], tls_listen: &[SocketAddr], public: &[IpAddr]) -> Vec<String> {
    let outward = listen.iter().chain(tls_listen).any(|address| !address.ip().is_loopback());
    let told = |addresses: &[SocketAddr]| {
        let mut told: Vec<SocketAddr> = Vec::new();
        for address in addresses.iter().filter(|a| !outward || !a.ip().is_loopback()) {
            let found = public.iter().find(|ip| ip.is_ipv4() == address.is_ipv4());
            let one = SocketAddr::new(found.copied().unwrap_or(address.ip()), address.port());
            if !told.contains(&one) {
                told.push(one);
            }
        }
        told
    };
    let plain = told(listen).into_iter().flat_map(|address| {
        ["udp", "tcp"].map(|transport| format!("turn:{address}?transport={transport}"))
    });
    let tls = told(tls_listen).into_iter().map(|a| format!("turns:{a}?transport=tcp"));
    plain.chain(tls).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_user_has_one_name_and_a_customer_a_few() {
        let anna = RelayUser::User("anna".parse().unwrap());
        assert_eq!(whom(&anna, 1), whom(&anna, 2));
        let [one, other] = ["192.0.2.1", "192.0.2.2"].map(|text| RelayUser::Customer(ip(text)));
        let names = |user| (0..1000).map(|chance| whom(user, chance)).collect::<BTreeSet<_>>();
        assert_eq!(names(&one).len(), 16);
        assert!(names(&one).is_disjoint(&names(&other)));
    }

    #[test]
    fn all_interfaces_do_not_mean_loopback_to_relays() {
        assert_eq!(bound(&[ip("127.0.0.1")]).unwrap(), [ip("127.0.0.1")]);
        for all in ["0.0.0.0", "::"] {
            let bound = bound(&[ip(all)]).unwrap();
            assert!(!bound.iter().any(IpAddr::is_loopback), "{bound:?}");
        }
        assert_eq!(bound(&[ip("0.0.0.0"), ip("::1")]).unwrap().last(), Some(&ip("::1")));
    }

    #[test]
    fn clients_are_told_addresses_that_they_can_reach() {
        type Case<'a> = (&'a [&'a str], &'a [&'a str], &'a [&'a str], &'a [&'a str]);
        let cases: &[Case<'_>] = &[
            (
                &["127.0.0.1:3478"],
                &[],
                &[],
                &["turn:127.0.0.1:3478?transport=udp", "turn:127.0.0.1:3478?transport=tcp"],
            ),
            (
                &["127.0.0.1:3478", "10.0.0.5:3478", "10.0.0.6:3478", "[2a00::5]:3478"],
                &["127.0.0.1:443", "10.0.0.5:443"],
                &["8.8.8.8"],
                &[
                    "turn:8.8.8.8:3478?transport=udp",
                    "turn:8.8.8.8:3478?transport=tcp",
                    "turn:[2a00::5]:3478?transport=udp",
                    "turn:[2a00::5]:3478?transport=tcp",
                    "turns:8.8.8.8:443?transport=tcp",
                ],
            ),
        ];
        for (listen, tls_listen, public, expected) in cases {
            let addresses =
                |texts: &[&str]| -> Vec<_> { texts.iter().map(|t| t.parse().unwrap()).collect() };
            let public: Vec<IpAddr> = public.iter().map(|text| text.parse().unwrap()).collect();
            let urls = urls_of(&addresses(listen), &addresses(tls_listen), &public);
            assert_eq!(urls, *expected);
        }
    }
}
