//! The sockets of one thread's relays.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Instant;

use rustix::event::epoll;
use slab::Slab;

use super::token;
use crate::fanout::udp::{Batch, SendArguments, Socket, SocketCounters};
use crate::turn::allocation::RelayId;
use crate::turn::desk::{NoPort, Opened, Ports, Wanted};
use crate::turn::ports::RelayPorts;
use crate::turn::request::Family;

pub struct Relays {
    epoll: Arc<OwnedFd>,
    ports: Arc<RelayPorts>,
    sockets: Slab<Relay>,
    /// Those with packets to send, or with packets that wait for room.
    dirty: Vec<usize>,
    /// Batches that nobody uses now. They keep their memory, so there are few.
    spare: Vec<Batch>,
    pub now: Instant,
}

pub struct Relay {
    pub socket: Socket,
    pub client: usize,
    batch: Option<Batch>,
}

const MAX_SPARE: usize = 16;

// === impl Relays ===

impl Relays {
    pub fn new(epoll: Arc<OwnedFd>, ports: Arc<RelayPorts>) -> Self {
        Self {
            epoll,
            ports,
            sockets: Slab::new(),
            dirty: Vec::new(),
            spare: Vec::new(),
            now: Instant::now(),
        }
    }

    pub fn get(&self, id: RelayId) -> Option<&Relay> {
        self.sockets.get(id.0)
    }

    pub fn set_client(&mut self, id: RelayId, client: usize) {
        if let Some(relay) = self.sockets.get_mut(id.0) {
            relay.client = client;
        }
    }

    /// Queues a packet to a peer.
    pub fn push(&mut self, id: RelayId, peer: SocketAddr, data: &[u8]) {
        let Some(relay) = self.sockets.get_mut(id.0) else { return };
        if relay.batch.is_none() {
            relay.batch = Some(self.spare.pop().unwrap_or_default());
            self.dirty.push(id.0);
        }
        if let Some(batch) = &mut relay.batch {
            batch.push(self.ports.inward(peer), data);
        }
    }

    /// As whom a client knows the sender of a packet.
    pub fn outward(&self, from: SocketAddr) -> SocketAddr {
        self.ports.outward(from)
    }

    /// Sends what is queued. Counts what the kernel refused.
    pub fn flush(&mut self, arguments: &mut SendArguments, mut count: impl FnMut(SocketCounters)) {
        let mut dirty = std::mem::take(&mut self.dirty);
        // One that was blocked may have been pushed to again.
        dirty.sort_unstable();
        dirty.dedup();
        dirty.retain(|&id| {
            let Some(relay) = self.sockets.get_mut(id) else { return false };
            relay.socket.flush(arguments);
            if let Some(mut batch) = relay.batch.take() {
                relay.socket.send(&mut batch, arguments);
                if self.spare.len() < MAX_SPARE {
                    self.spare.push(batch);
                }
            }
            count(relay.socket.take_counters());
            relay.socket.is_blocked()
        });
        self.dirty = dirty;
    }

    /// Whether packets wait for room in a socket.
    pub fn is_blocked(&self) -> bool {
        !self.dirty.is_empty()
    }

    pub fn sweep(&self) {
        self.ports.sweep(self.now);
    }
}

impl Ports for Relays {
    fn open(&mut self, family: Family, wanted: Wanted) -> Result<Opened, NoPort> {
        let opened = self.ports.open(family, wanted, self.now)?;
        let entry = self.sockets.vacant_entry();
        let id = RelayId(entry.key());
        let data = epoll::EventData::new_u64(token::relay(id.0));
        epoll::add(&self.epoll, opened.socket.as_fd(), data, epoll::EventFlags::IN)
            .map_err(|_| NoPort::Capacity)?;
        entry.insert(Relay { socket: opened.socket, client: usize::MAX, batch: None });
        Ok(Opened { id, address: opened.address, reservation: opened.reservation })
    }

    fn close(&mut self, id: RelayId) {
        // Closing the descriptor takes it out of the epoll set.
        self.sockets.try_remove(id.0);
    }
}
