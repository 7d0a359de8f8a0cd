//! What the control plane holds: a running server.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::ops::RangeInclusive;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Instant, SystemTime};

use rustix::event::{EventfdFlags, eventfd};
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};

use super::allocation::Bounds;
use super::config::{TurnConfig, TurnError};
use super::credentials::{Authority, Credentials};
use super::desk::Desk;
use super::policy::MediaPorts;
use super::ports::{RelayAddress, RelayPorts, expand};
use super::quota::Ledger;
use super::thread::{Doors, Shared, Thread};
use crate::fanout::udp::{Socket, interface_addresses};
use crate::telemetry::turn::TurnMetrics;

/// A running server. It ends when dropped.
pub struct Turn {
    shared: Arc<Shared>,
    listen: Vec<SocketAddr>,
    tls_listen: Vec<SocketAddr>,
    wakes: Vec<Arc<OwnedFd>>,
    threads: Vec<JoinHandle<()>>,
}

/// Connections that wait to be accepted.
const BACKLOG: i32 = 1024;

// === impl Turn ===

impl Turn {
    /// Binds the sockets and starts the threads.
    pub fn start(config: TurnConfig, metrics: TurnMetrics) -> Result<Self, TurnError> {
        let listen = expand(&config.listen).map_err(TurnError::Interfaces)?;
        let tls_listen = expand(&config.tls_listen).map_err(TurnError::Interfaces)?;
        let (doors, listen, tls_listen) = open_doors(config.threads, &listen, &tls_listen)?;
        let relays = relay_addresses(&config, &listen, &tls_listen)?;
        let mut policy = config.policy;
        policy.own.extend(interface_addresses().map_err(TurnError::Interfaces)?);
        policy.own.extend(relays.iter().flat_map(|relay| [relay.bind, relay.told]));
        policy.own.extend(listen.iter().chain(&tls_listen).map(SocketAddr::ip));
        policy.media.extend(relays_as_peers(&relays, &config.relay_ports));
        let mut nonce_key = [0; 32];
        getrandom::fill(&mut nonce_key).map_err(TurnError::Random)?;
        let authority = Authority::new(&config.realm, config.secret.0.as_bytes(), &nonce_key);
        let desk = Desk {
            authority,
            policy,
            ledger: Arc::new(Ledger::new(config.quotas, Instant::now())),
            bounds: Bounds { permissions: config.max_permissions, channels: config.max_channels },
            max_lifetime: config.max_lifetime,
        };
        let shared = Arc::new(Shared {
            desk,
            ports: Arc::new(RelayPorts::new(relays, config.relay_ports)),
            metrics,
            tls: config.tls,
            max_connections: config.max_connections,
            connections: AtomicUsize::new(0),
            stopping: AtomicBool::new(false),
        });
        let mut turn = Self { shared, listen, tls_listen, wakes: Vec::new(), threads: Vec::new() };
        for (n, doors) in doors.into_iter().enumerate() {
            turn.spawn(n, doors).map_err(TurnError::Thread)?;
        }
        Ok(turn)
    }

    /// Addresses with unspecified ones replaced by those of the interfaces.
    pub fn expand(addresses: &[SocketAddr]) -> Result<Vec<SocketAddr>, TurnError> {
        expand(addresses).map_err(TurnError::Interfaces)
    }

    /// Where UDP and TCP are listened on: the ports that the system chose, too.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.listen
    }

    pub fn tls_addresses(&self) -> &[SocketAddr] {
        &self.tls_listen
    }

    /// A user name that says nothing of whom it is for, and is the same for as long as the secret.
    pub fn name_for(&self, whom: &str) -> String {
        self.shared.desk.authority.name_for(whom)
    }

    /// Credentials for a user, good for so many seconds.
    pub fn issue(&self, user: &str, seconds: u64) -> Credentials {
        let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.shared.desk.authority.issue(user, unix.as_secs() + seconds)
    }

    fn spawn(&mut self, n: usize, doors: Doors) -> io::Result<()> {
        let wake = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let thread = Thread::new(self.shared.clone(), doors, &wake)?;
        self.wakes.push(wake);
        let name = format!("turn-{n}");
        self.threads.push(thread::Builder::new().name(name).spawn(move || thread.run())?);
        Ok(())
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Release);
        for wake in &self.wakes {
            // It only fails when the counter is full, and then the thread is awake.
            let _ = rustix::io::write(wake, &1_u64.to_ne_bytes());
        }
        for thread in self.threads.drain(..) {
            // A thread that panicked has ended, too.
            let _ = thread.join();
        }
    }
}

type Opened = (Vec<Doors>, Vec<SocketAddr>, Vec<SocketAddr>);

/// Every thread gets a socket of its own on every address.
fn open_doors(
    threads: usize,
    listen: &[SocketAddr],
    tls_listen: &[SocketAddr],
) -> Result<Opened, TurnError> {
    let mut doors: Vec<Doors> = (0..threads.max(1)).map(|_| Doors::default()).collect();
    let (mut bound, mut tls_bound) = (Vec::new(), Vec::new());
    for &(mut address) in listen {
        for doors in &mut doors {
            // Where the system chooses the port, all take the one it gave the first.
            let failed = |protocol| move |error| TurnError::Listen { protocol, address, error };
            let tcp = listen_tcp(address).map_err(failed("TCP"))?;
            let chosen = tcp.local_addr().map_err(failed("TCP"))?;
            let udp = Socket::bind_shared(chosen).map_err(failed("UDP"))?;
            address = chosen;
            doors.tcp.push(tcp);
            doors.udp.push(udp);
        }
        bound.push(address);
    }
    for &(mut address) in tls_listen {
        for doors in &mut doors {
            let failed = |error| TurnError::Listen { protocol: "TCP", address, error };
            let tls = listen_tcp(address).map_err(failed)?;
            address = tls.local_addr().map_err(failed)?;
            doors.tls.push(tls);
        }
        tls_bound.push(address);
    }
    Ok((doors, bound, tls_bound))
}

fn listen_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let fd = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&fd, true)?;
    }
    sockopt::set_socket_reuseaddr(&fd, true)?;
    sockopt::set_socket_reuseport(&fd, true)?;
    rustix::net::bind(&fd, &address)?;
    rustix::net::listen(&fd, BACKLOG)?;
    Ok(fd.into())
}

/// One address of each family: configured, else the first that is listened on and not loopback,
/// else loopback.
fn relay_addresses(
    config: &TurnConfig,
    listen: &[SocketAddr],
    tls_listen: &[SocketAddr],
) -> Result<Vec<RelayAddress>, TurnError> {
    let mut candidates: Vec<IpAddr> = config.relay_addresses.clone();
    if candidates.is_empty() {
        candidates = listen.iter().chain(tls_listen).map(SocketAddr::ip).collect();
        candidates.sort_by_key(IpAddr::is_loopback);
    }
    let mut found = Vec::new();
    for is_v4 in [true, false] {
        let Some(&bind) = candidates.iter().find(|ip| ip.is_ipv4() == is_v4) else { continue };
        // Found out now rather than at the first allocation.
        Socket::bind(SocketAddr::new(bind, 0))
            .map_err(|error| TurnError::Relay { address: bind, error })?;
        let public = config.public_addresses.iter().find(|ip| ip.is_ipv4() == is_v4);
        found.push(RelayAddress { bind, told: public.copied().unwrap_or(bind) });
    }
    Ok(found)
}

/// Relays reach each other: where no UDP gets out at either end of a call, both ends have one here.
/// Ports that the system chooses could be anybody's, and stay closed.
fn relays_as_peers<'a>(
    relays: &'a [RelayAddress],
    ports: &'a RangeInclusive<u16>,
) -> impl Iterator<Item = MediaPorts> + 'a {
    let known = *ports.start() != 0;
    let ips = relays.iter().flat_map(|relay| [relay.bind, relay.told]).filter(move |_| known);
    ips.map(move |ip| MediaPorts { ip, ports: ports.clone() })
}
