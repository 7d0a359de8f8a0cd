//! A thread of the TURN server. A client lives on the thread that the kernel gave its packets to
//! (SO_REUSEPORT goes by addresses), so that relaying takes no lock.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use rustix::event::{Timespec, epoll};
use slab::Slab;
use tracing::{debug, error, warn};

use super::allocation::Allocation;
use super::config::TlsSource;
use super::desk::{Desk, Moment, Ports as _};
use super::ports::RelayPorts;
use super::stream::Connection;
use crate::fanout::udp::{Batch, SendArguments, Socket};
use crate::telemetry::turn::TurnMetrics;

mod connections;
mod counters;
mod intake;
mod packets;
mod relays;

use counters::{Counters, Dropped};
use intake::Intake;
use relays::Relays;

/// What all threads share.
pub struct Shared {
    pub desk: Desk,
    pub ports: Arc<RelayPorts>,
    pub metrics: TurnMetrics,
    pub tls: Option<TlsSource>,
    pub max_connections: usize,
    pub connections: AtomicUsize,
    pub stopping: AtomicBool,
}

/// Listening sockets of one thread.
#[derive(Default)]
pub struct Doors {
    pub udp: Vec<Socket>,
    pub tcp: Vec<TcpListener>,
    pub tls: Vec<TcpListener>,
}

pub struct Thread {
    shared: Arc<Shared>,
    epoll: Arc<OwnedFd>,
    udp: Vec<Listener>,
    /// Those for TCP, then those for TLS.
    accepting: Vec<TcpListener>,
    first_tls: usize,
    clients: Slab<Client>,
    /// Clients over UDP, by listener and address.
    by_address: HashMap<(usize, SocketAddr), usize>,
    connections: Slab<Connection>,
    /// Connections with something to send.
    unsent: Vec<usize>,
    relays: Relays,
    intake: Option<Intake>,
    arguments: SendArguments,
    /// An answer, and what streams are read into; reused.
    answer: Vec<u8>,
    scratch: Option<Box<[u8]>>,
    counters: Counters,
    moment: Moment,
    next_housekeeping: Instant,
    /// Datagrams received in this turn.
    received: usize,
    /// For indications, whose transaction nobody follows.
    indications: u64,
}

struct Listener {
    socket: Socket,
    batch: Batch,
}

/// Someone with an allocation.
struct Client {
    path: Path,
    allocation: Option<Allocation>,
}

/// How a client is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Path {
    Datagram { listener: usize, address: SocketAddr },
    Stream(usize),
}

/// What an event is about, in 64 bits.
mod token {
    pub const WAKE: u64 = u64::MAX;
    const KIND: u32 = 56;

    #[derive(Debug, Clone, Copy)]
    pub enum Token {
        Udp(usize),
        Accept(usize),
        Connection(usize),
        Relay(usize),
    }

    pub fn udp(n: usize) -> u64 {
        n as u64
    }

    pub fn accept(n: usize) -> u64 {
        1 << KIND | n as u64
    }

    pub fn connection(n: usize) -> u64 {
        2 << KIND | n as u64
    }

    pub fn relay(n: usize) -> u64 {
        3 << KIND | n as u64
    }

    pub fn of(token: u64) -> Token {
        let n = (token & ((1 << KIND) - 1)) as usize;
        match token >> KIND {
            0 => Token::Udp(n),
            1 => Token::Accept(n),
            2 => Token::Connection(n),
            _ => Token::Relay(n),
        }
    }
}
use token::Token;

const EVENTS: usize = 64;
const HOUSEKEEPING: Duration = Duration::from_secs(1);
/// While packets arrive, they are looked for so often. To be woken for each of a burst, and for
/// every client's, costs more than to relay it. After a pause the first one is relayed at once.
const GATHER: Duration = Duration::from_micros(500);
/// A turn in which so much arrived needs no waiting for more.
const FULL_TURN: usize = 64;
/// How soon a full socket is tried again.
const RETRY: Duration = Duration::from_millis(2);
/// What a stream is read into at once.
const SCRATCH: usize = 32 * 1024;

// === impl Thread ===

impl Thread {
    pub fn new(shared: Arc<Shared>, doors: Doors, wake: &OwnedFd) -> io::Result<Self> {
        let poll = Arc::new(epoll::create(epoll::CreateFlags::CLOEXEC)?);
        let watch = |fd: std::os::fd::BorrowedFd<'_>, token| {
            epoll::add(&poll, fd, epoll::EventData::new_u64(token), epoll::EventFlags::IN)
        };
        watch(wake.as_fd(), token::WAKE)?;
        for (n, socket) in doors.udp.iter().enumerate() {
            intake::coalesce(socket.as_fd());
            watch(socket.as_fd(), token::udp(n))?;
        }
        let first_tls = doors.tcp.len();
        let accepting: Vec<_> = doors.tcp.into_iter().chain(doors.tls).collect();
        for (n, listener) in accepting.iter().enumerate() {
            watch(listener.as_fd(), token::accept(n))?;
        }
        let now = Instant::now();
        Ok(Self {
            udp: doors
                .udp
                .into_iter()
                .map(|socket| Listener { socket, batch: Batch::default() })
                .collect(),
            accepting,
            first_tls,
            clients: Slab::new(),
            by_address: HashMap::new(),
            connections: Slab::new(),
            unsent: Vec::new(),
            relays: Relays::new(poll.clone(), shared.ports.clone()),
            shared,
            epoll: poll,
            intake: Some(Intake::default()),
            arguments: SendArguments::default(),
            answer: Vec::new(),
            scratch: Some(vec![0; SCRATCH].into()),
            counters: Counters::default(),
            moment: Moment { now, unix: 0 },
            next_housekeeping: now,
            received: 0,
            indications: 0,
        })
    }

    /// Runs until told to stop.
    pub fn run(mut self) {
        while !self.shared.stopping.load(Ordering::Acquire) {
            if let Err(error) = self.turn() {
                error!(%error, "a TURN thread can't wait for events");
                break;
            }
        }
        let all: Vec<usize> = self.clients.iter().map(|(key, _)| key).collect();
        all.into_iter().for_each(|key| self.end_client(key));
        self.counters.tell(&self.shared.metrics);
        self.shared.metrics.connections.sub(self.connections.len() as i64);
    }

    fn turn(&mut self) -> io::Result<()> {
        let mut events = [epoll::Event {
            flags: epoll::EventFlags::empty(),
            data: epoll::EventData::new_u64(0),
        }; EVENTS];
        let mut count = 0;
        if (1..FULL_TURN).contains(&self.received) {
            std::thread::sleep(GATHER);
            count = self.wait(&mut events, Duration::ZERO)?;
        }
        if count == 0 {
            count = self.wait(&mut events, self.timeout())?;
        }
        self.received = 0;
        self.read_clocks();
        for event in &events[..count] {
            let token = event.data.u64();
            if token == token::WAKE {
                continue;
            }
            match token::of(token) {
                Token::Udp(n) => self.receive_clients(n),
                Token::Relay(n) => self.receive_peers(n),
                Token::Accept(n) => self.accept(n),
                Token::Connection(n) => self.serve_connection(n, event.flags),
            }
        }
        self.flush();
        self.keep_house();
        Ok(())
    }

    fn wait(&self, events: &mut [epoll::Event; EVENTS], wait: Duration) -> io::Result<usize> {
        let seconds = wait.as_secs() as i64;
        let timeout = Timespec { tv_sec: seconds, tv_nsec: i64::from(wait.subsec_nanos()) };
        match epoll::wait(self.epoll.as_fd(), events, Some(&timeout)) {
            Ok(count) => Ok(count),
            Err(rustix::io::Errno::INTR) => Ok(0),
            Err(error) => Err(error.into()),
        }
    }

    fn read_clocks(&mut self) {
        let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.moment = Moment { now: Instant::now(), unix: unix.as_secs() };
        self.relays.now = self.moment.now;
    }

    fn timeout(&self) -> Duration {
        let blocked = self.relays.is_blocked() || self.udp.iter().any(|l| l.socket.is_blocked());
        let house = self.next_housekeeping.saturating_duration_since(Instant::now());
        if blocked { house.min(RETRY) } else { house }
    }

    /// Gives all that was written to the kernel.
    fn flush(&mut self) {
        self.relays.flush(&mut self.arguments);
        for listener in &mut self.udp {
            if listener.socket.is_blocked() {
                listener.socket.flush(&mut self.arguments);
            }
            if !listener.batch.is_empty() {
                listener.socket.send(&mut listener.batch, &mut self.arguments);
            }
            self.counters.drop_some(Dropped::Socket, listener.socket.take_counters().dropped());
        }
        self.counters.drop_some(Dropped::Socket, self.relays.take_dropped());
        for key in std::mem::take(&mut self.unsent) {
            self.flush_connection(key);
        }
    }

    fn keep_house(&mut self) {
        let now = self.moment.now;
        if now < self.next_housekeeping {
            return;
        }
        self.next_housekeeping = now + HOUSEKEEPING;
        let mut over = Vec::new();
        for (key, client) in &mut self.clients {
            let Some(allocation) = &mut client.allocation else { continue };
            for id in allocation.take_expired(now) {
                self.relays.close(id);
            }
            if allocation.relays.is_empty() {
                over.push(key);
            }
        }
        for key in over {
            debug!("an allocation expired");
            self.end_client(key);
        }
        self.relays.sweep();
        self.close_idle();
        self.counters.tell(&self.shared.metrics);
    }

    /// Takes a client in that has an allocation now.
    fn begin_client(&mut self, path: Path, allocation: Allocation) {
        let relays: Vec<_> = allocation.relays.iter().map(|relay| relay.id).collect();
        debug!(user = allocation.caller.user(), relays = relays.len(), "allocated");
        let key = self.clients.insert(Client { path, allocation: Some(allocation) });
        for id in relays {
            self.relays.set_client(id, key);
        }
        match path {
            Path::Datagram { listener, address } => {
                self.by_address.insert((listener, address), key);
            }
            Path::Stream(n) => self.connections[n].client = Some(key),
        }
        self.count_allocation(path, 1);
    }

    /// Forgets a client and closes its relays.
    fn end_client(&mut self, key: usize) {
        let Some(client) = self.clients.try_remove(key) else { return };
        for relay in client.allocation.iter().flat_map(|allocation| &allocation.relays) {
            self.relays.close(relay.id);
        }
        match client.path {
            Path::Datagram { listener, address } => {
                self.by_address.remove(&(listener, address));
            }
            Path::Stream(n) => {
                if let Some(connection) = self.connections.get_mut(n) {
                    connection.client = None;
                    connection.since = self.moment.now;
                }
            }
        }
        self.count_allocation(client.path, -1);
    }

    fn count_allocation(&self, path: Path, by: i64) {
        let transport = match path {
            Path::Datagram { .. } => "udp",
            Path::Stream(n) if self.connections.get(n).is_some_and(Connection::is_tls) => "tls",
            Path::Stream(_) => "tcp",
        };
        self.shared.metrics.allocations.with_label_values(&[transport]).add(by);
    }

    fn warn(&self, what: &str, error: &io::Error) {
        warn!(%error, what, "TURN");
    }
}
