//! The sockets of one thread's relays.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Instant;

use rustix::event::epoll;
use slab::Slab;

use super::{intake, token};
use crate::fanout::udp::{Batch, SendArguments, Socket};
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
    /// Messages that were not sent.
    dropped: u64,
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
            dropped: 0,
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

    /// Queues a packet to a peer. What is queued for long enough is sent.
    pub fn push(
        &mut self,
        id: RelayId,
        peer: SocketAddr,
        data: &[u8],
        arguments: &mut SendArguments,
    ) {
        let peer = self.ports.inward(peer);
        let Some(relay) = self.sockets.get_mut(id.0) else { return };
        if relay.batch.is_none() {
            relay.batch = Some(self.spare.pop().unwrap_or_default());
            self.dirty.push(id.0);
        }
        if let Some(batch) = &mut relay.batch {
            batch.push(peer, data);
            if batch.is_full() {
                relay.socket.send(batch, arguments);
            }
        }
    }

    /// As whom a client knows the sender of a packet.
    pub fn outward(&self, from: SocketAddr) -> SocketAddr {
        self.ports.outward(from)
    }

    /// Sends what is queued.
    pub fn flush(&mut self, arguments: &mut SendArguments) {
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
            self.dropped += relay.socket.take_counters().dropped();
            relay.socket.is_blocked()
        });
        self.dirty = dirty;
    }

    /// Messages that were not sent since it was asked last.
    pub fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
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
        intake::coalesce(opened.socket.as_fd());
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
