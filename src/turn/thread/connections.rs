//! Clients over TCP and TLS: accepting, reading, writing, closing.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustix::event::epoll::{self, EventFlags};
use tracing::debug;

use super::{Path, Thread, token};
use crate::turn::frame::{Front, front};
use crate::turn::stream::{Alive, Connection};

/// Connections accepted per turn.
const MAX_ACCEPTED: usize = 64;
/// The longest message of someone without an allocation. The largest that makes sense, an
/// Allocate with credentials, has about 300 bytes.
const MAX_STRANGERS_FRAME: usize = 1024;
/// What a client may send: an indication with the longest datagram that is relayed.
const MAX_FRAME: usize = 2048;
/// A connection may be without an allocation for so long, whatever it says.
const MAX_IDLE: Duration = Duration::from_secs(30);

/// Why the server closes a connection; the metric's label.
#[derive(Debug, Clone, Copy)]
enum Why {
    Left,
    Protocol,
    Slow,
    Idle,
    Full,
}

// === impl Thread ===

impl Thread {
    pub(super) fn accept(&mut self, n: usize) {
        for _ in 0..MAX_ACCEPTED {
            match self.accepting[n].accept() {
                Ok((stream, peer)) => {
                    if let Err(error) = self.take_in(n, stream, peer) {
                        debug!(%error, "a connection came to nothing");
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => {
                    self.warn("can't accept a connection", &error);
                    return;
                }
            }
        }
    }

    fn take_in(&mut self, n: usize, stream: TcpStream, peer: SocketAddr) -> io::Result<()> {
        if self.shared.connections.load(Ordering::Relaxed) >= self.shared.max_connections {
            self.make_room();
        }
        if self.shared.connections.load(Ordering::Relaxed) >= self.shared.max_connections {
            self.count_closed(Why::Full);
            return Ok(());
        }
        let tls = match &self.shared.tls {
            Some(tls) if n >= self.first_tls => Some(tls()),
            _ => None,
        };
        let connection = Connection::new(stream, peer, tls, self.moment.now)?;
        let entry = self.connections.vacant_entry();
        let data = epoll::EventData::new_u64(token::connection(entry.key()));
        epoll::add(&self.epoll, connection.as_fd(), data, EventFlags::IN)?;
        entry.insert(connection);
        self.shared.connections.fetch_add(1, Ordering::Relaxed);
        self.shared.metrics.connections.inc();
        Ok(())
    }

    /// Closes the oldest connection of someone who has proven nothing.
    fn make_room(&mut self) {
        let strangers = self.connections.iter().filter(|(_, c)| c.client.is_none());
        let oldest = strangers.min_by_key(|(_, c)| c.since).map(|(key, _)| key);
        if let Some(key) = oldest {
            self.close(key, Why::Full);
        }
    }

    pub(super) fn serve_connection(&mut self, key: usize, flags: EventFlags) {
        if flags.contains(EventFlags::OUT) {
            self.flush_connection(key);
        }
        if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
            self.read_connection(key);
        }
    }

    fn read_connection(&mut self, key: usize) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let Some(mut scratch) = self.scratch.take() else { return };
        let read = connection.read(&mut scratch);
        self.scratch = Some(scratch);
        let whole = self.handle_input(key);
        let why = match (read, whole) {
            (Ok(Alive::Yes), true) => None,
            (Ok(Alive::No), _) => Some(Why::Left),
            (Ok(Alive::Yes), false) => Some(Why::Protocol),
            (Err(error), _) => {
                debug!(%error, "a connection failed");
                Some(if error.kind() == io::ErrorKind::Other { Why::Protocol } else { Why::Left })
            }
        };
        // A handshake's answers, too, wait to be sent.
        if why.is_none() {
            self.flush_connection(key);
        }
        if let Some(why) = why {
            self.close(key, why);
        }
    }

    /// Handles all that is whole. False: the stream isn't TURN.
    fn handle_input(&mut self, key: usize) -> bool {
        let Some(connection) = self.connections.get_mut(key) else { return true };
        let mut input = std::mem::take(&mut connection.input);
        let from = connection.peer;
        let mut at = 0;
        let whole = loop {
            let client = self.connections.get(key).and_then(|c| c.client);
            let most = if client.is_some() { MAX_FRAME } else { MAX_STRANGERS_FRAME };
            match front(&input[at..], most) {
                Front::Incomplete => break true,
                Front::Broken => break false,
                Front::Message { length, step } | Front::Channel { length, step } => {
                    let frame = &input[at..at + length];
                    self.handle_frame(Path::Stream(key), from, client, frame);
                    at += step;
                }
            }
        };
        input.drain(..at);
        if let Some(connection) = self.connections.get_mut(key) {
            connection.input = input;
        }
        whole
    }

    pub(super) fn flush_connection(&mut self, key: usize) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        if connection.flush(self.moment.now).is_err() {
            self.close(key, Why::Left);
            return;
        }
        let pending = connection.is_pending();
        if pending != connection.watched {
            let mut flags = EventFlags::IN;
            flags.set(EventFlags::OUT, pending);
            let data = epoll::EventData::new_u64(token::connection(key));
            match epoll::modify(&self.epoll, connection.as_fd(), data, flags) {
                Ok(()) => connection.watched = pending,
                Err(_) => self.close(key, Why::Left),
            }
        }
    }

    /// Closes those who read nothing, and those who have got nothing.
    pub(super) fn close_idle(&mut self) {
        let now = self.moment.now;
        let why = |connection: &Connection| {
            if connection.is_stuck(now) {
                return Some(Why::Slow);
            }
            let age = now.duration_since(connection.since);
            (connection.client.is_none() && age >= MAX_IDLE).then_some(Why::Idle)
        };
        let over: Vec<_> =
            self.connections.iter().filter_map(|(key, c)| Some((key, why(c)?))).collect();
        for (key, why) in over {
            self.close(key, why);
        }
    }

    fn close(&mut self, key: usize, why: Why) {
        if let Some(client) = self.connections.get(key).and_then(|c| c.client) {
            self.end_client(client);
        }
        if self.connections.try_remove(key).is_some() {
            self.shared.connections.fetch_sub(1, Ordering::Relaxed);
            self.shared.metrics.connections.dec();
            self.count_closed(why);
        }
    }

    fn count_closed(&self, why: Why) {
        let label = match why {
            Why::Left => return,
            Why::Protocol => "protocol",
            Why::Slow => "slow",
            Why::Idle => "idle",
            Why::Full => "full",
        };
        self.shared.metrics.closed.with_label_values(&[label]).inc();
    }
}
