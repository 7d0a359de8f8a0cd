//! The server under test, on loopback and a port of its own.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use prometheus::{Registry, TextEncoder};
use stentor::fanout::transport::Certificate;
use stentor::http::Tls;
use stentor::telemetry::turn::TurnMetrics;
use stentor::turn::{PeerPolicy, Quotas, Turn, TurnConfig};
use stentor_protocol::units::Secret;

pub const SECRET: &str = "a secret of sixteen or more";

pub struct Server {
    turn: Turn,
    registry: Registry,
    _folder: tempfile::TempDir,
}

// === impl Server ===

impl Server {
    /// UDP, TCP and TLS on both loopback addresses, which relays may reach, too.
    pub fn start(change: impl FnOnce(&mut TurnConfig)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pem = folder.path().join("pem");
        std::fs::write(&pem, Certificate::generate().unwrap().to_pem()).unwrap();
        let tls = Tls::load_for(&[b"stun.turn"], pem.clone(), pem).unwrap();
        let loopback: [IpAddr; 2] = ["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()];
        let listen: Vec<_> = loopback.iter().map(|ip| SocketAddr::new(*ip, 0)).collect();
        let mut config = TurnConfig {
            threads: 2,
            listen: listen.clone(),
            tls_listen: listen,
            tls: Some(Arc::new(move || tls.config())),
            max_connections: 100,
            realm: "stentor.test".to_owned(),
            secret: Secret(SECRET.to_owned()),
            relay_addresses: Vec::new(),
            public_addresses: Vec::new(),
            relay_ports: 0..=0,
            policy: PeerPolicy {
                allowed: loopback.iter().map(|ip| (*ip).into()).collect(),
                ..PeerPolicy::default()
            },
            quotas: Quotas {
                allocations: 100,
                allocations_per_user: 100,
                bits_per_second: 0,
                user_bits_per_second: 0,
            },
            max_permissions: 64,
            max_channels: 64,
            max_lifetime: 3600,
        };
        change(&mut config);
        let registry = Registry::new();
        let turn = Turn::start(config, TurnMetrics::register(&registry).unwrap()).unwrap();
        Self { turn, registry, _folder: folder }
    }

    pub fn address(&self) -> SocketAddr {
        self.turn.addresses()[0]
    }

    pub fn address_v6(&self) -> SocketAddr {
        self.turn.addresses()[1]
    }

    pub fn tls_address(&self) -> SocketAddr {
        self.turn.tls_addresses()[0]
    }

    /// User name and password.
    pub fn issue(&self, seconds: u64) -> (String, String) {
        self.issue_to("anna", seconds)
    }

    pub fn issue_to(&self, user: &str, seconds: u64) -> (String, String) {
        let issued = self.turn.issue(user, seconds);
        (issued.username, issued.password.0)
    }

    /// The sum of a metric's samples whose line holds `label`.
    pub fn metric(&self, name: &str, label: &str) -> f64 {
        let text = TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap();
        text.lines()
            .filter(|line| line.split(['{', ' ']).next() == Some(name) && line.contains(label))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }
}

/// Waits until the condition holds.
pub fn until(what: &str, deadline: Duration, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < deadline, "not within {deadline:?}: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
