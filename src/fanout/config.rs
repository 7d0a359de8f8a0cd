//! Settings of the fan-out, with their limits and defaults.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::transport::Certificate;

/// How the fan-out runs. Fixed for its life.
#[derive(Clone)]
pub struct FanoutConfig {
    /// Threads, each with its own UDP port. 1 to 64; default: one per core.
    pub shards: usize,
    /// Addresses to listen on, one socket per shard and address. Default: 127.0.0.1.
    pub bind: Vec<IpAddr>,
    /// Shard i listens on `first_port + i`; 0 lets the system choose each port.
    pub first_port: u16,
    /// Addresses put into answers instead of the bound ones (static 1:1 NAT). Empty: the bound
    /// ones, and for an unspecified one those of the interfaces.
    pub public_addresses: Vec<IpAddr>,
    /// A viewer of whom nothing was heard for this long has gone. Default 25 s.
    pub dead_after: Duration,
    /// Viewers in all; joins beyond are refused. Each takes about 0.1 MB. Default 10 000.
    pub max_viewers: usize,
    /// The certificate that DTLS proves and answers name.
    pub certificate: Arc<Certificate>,
}

/// Why the fan-out could not start: the operator's fault, or the machine's.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("fan-out shards must be 1 to 64, not {0}")]
    Shards(usize),
    #[error("the fan-out has no address to listen on")]
    NoAddress,
    #[error("fan-out ports {first_port} to {first_port} + {shards} run past 65535")]
    Ports { first_port: u16, shards: usize },
    #[error("the fan-out can't listen on UDP {address}: {source}")]
    Bind { address: SocketAddr, source: io::Error },
    #[error("the addresses of this machine's interfaces can't be read: {0}")]
    Interfaces(io::Error),
    #[error("a fan-out thread can't be started: {0}")]
    Thread(io::Error),
}

// === impl FanoutConfig ===

impl FanoutConfig {
    /// Nobody else is to be served.
    pub fn is_for_this_machine_alone(&self) -> bool {
        self.public_addresses.is_empty() && self.bind.iter().all(IpAddr::is_loopback)
    }

    /// Defaults: loopback only, system-chosen ports, a shard per core.
    pub fn new(certificate: Arc<Certificate>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            shards: cores.min(64),
            bind: vec![IpAddr::V4(Ipv4Addr::LOCALHOST)],
            first_port: 0,
            public_addresses: Vec::new(),
            dead_after: Duration::from_secs(25),
            max_viewers: 10_000,
            certificate,
        }
    }
}
