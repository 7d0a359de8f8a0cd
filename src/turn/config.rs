//! Settings of STUN and TURN, with their limits.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;

use stentor_protocol::units::Secret;

use super::policy::PeerPolicy;
use super::quota::Quotas;

/// How the server runs. Fixed for its life.
pub struct TurnConfig {
    /// 1 to 64. Each takes its share of the clients.
    pub threads: usize,
    /// Addresses for UDP and TCP. An unspecified one stands for those of all interfaces.
    pub listen: Vec<SocketAddr>,
    /// Addresses for TLS.
    pub tls_listen: Vec<SocketAddr>,
    pub tls: Option<TlsSource>,
    /// TCP and TLS connections at once.
    pub max_connections: usize,
    pub realm: String,
    /// From which passwords are derived.
    pub secret: Secret,
    /// Addresses of relays, one of each family at most. Empty: those listened on.
    pub relay_addresses: Vec<IpAddr>,
    /// What clients are told in place of the relays' addresses, by family.
    pub public_addresses: Vec<IpAddr>,
    pub relay_ports: RangeInclusive<u16>,
    /// `own` is filled up with this machine's addresses at the start.
    pub policy: PeerPolicy,
    pub quotas: Quotas,
    /// Per allocation.
    pub max_permissions: usize,
    pub max_channels: usize,
    /// Seconds.
    pub max_lifetime: u32,
}

/// Gives the TLS settings that are in force now: files are read again when they change.
pub type TlsSource = Arc<dyn Fn() -> Arc<rustls::ServerConfig> + Send + Sync>;

/// Why TURN could not start: the operator's fault, or the machine's.
#[derive(Debug, thiserror::Error)]
pub enum TurnError {
    #[error("TURN can't listen on {protocol} {address}: {error}")]
    Listen { protocol: &'static str, address: SocketAddr, error: io::Error },
    #[error("TURN can't relay from {address}: {error}")]
    Relay { address: IpAddr, error: io::Error },
    #[error("the addresses of this machine's interfaces can't be read: {0}")]
    Interfaces(io::Error),
    #[error("no random numbers: {0}")]
    Random(getrandom::Error),
    #[error("a TURN thread can't be started: {0}")]
    Thread(io::Error),
}
