//! Packets in, packets out: from clients to peers and back.

use std::mem;
use std::net::SocketAddr;

use super::counters::Dropped;
use super::intake::{Intake, PIECES};
use super::{Listener, Path, Thread};
use crate::stun::Writer;
use crate::turn::allocation::RelayId;
use crate::turn::frame::{channel_data, channel_header, is_channel_data};
use crate::turn::quota::Way;
use crate::turn::request::{DATA, DATA_INDICATION, Request, SEND_INDICATION, XOR_PEER_ADDRESS};

/// Datagrams received per turn and socket, so that one doesn't hold up the others. A last batch
/// may go beyond.
const MAX_DATAGRAMS: usize = 256;
/// The longest datagram that is relayed: an Ethernet frame holds less.
const MAX_DATAGRAM: usize = 1600;

/// Where a client's packet is to go.
enum Target {
    Channel(u16),
    Peer(SocketAddr),
}

// === impl Thread ===

impl Thread {
    /// Datagrams at a listener.
    pub(super) fn receive_clients(&mut self, listener: usize) {
        self.receive(
            |thread, intake| intake.receive(thread.udp[listener].socket.as_fd()),
            |thread, from, bytes| {
                let path = Path::Datagram { listener, address: from };
                let key = thread.by_address.get(&(listener, from)).copied();
                thread.handle_frame(path, from, key, bytes);
            },
        );
    }

    /// Datagrams at a relay.
    pub(super) fn receive_peers(&mut self, relay: usize) {
        let id = RelayId(relay);
        self.receive(
            |thread, intake| {
                let found = thread.relays.get(id);
                found.map_or(Ok(0), |relay| intake.receive(relay.socket.as_fd()))
            },
            |thread, from, bytes| {
                let mut relayed = thread.relay_to_client(id, from, bytes);
                let told = thread.relays.outward(from);
                if relayed == Err(Dropped::Permission) && told != from {
                    relayed = thread.relay_to_client(id, told, bytes);
                }
                if let Err(why) = relayed {
                    thread.counters.drop(why);
                }
            },
        );
    }

    fn receive(
        &mut self,
        receive: impl Fn(&Self, &mut Intake) -> std::io::Result<usize>,
        handle: impl Fn(&mut Self, SocketAddr, &[u8]),
    ) {
        let Some(mut intake) = self.intake.take() else { return };
        let mut left = MAX_DATAGRAMS;
        while left > 0 {
            // A peer that isn't there makes an ICMP error, which ends nothing.
            let count = receive(self, &mut intake).unwrap_or(0);
            for (from, datagrams) in (0..count).filter_map(|n| intake.datagrams(n)) {
                for bytes in datagrams {
                    left = left.saturating_sub(1);
                    self.received += 1;
                    if bytes.len() > MAX_DATAGRAM {
                        self.counters.drop(Dropped::Length);
                    } else {
                        handle(self, from, bytes);
                    }
                }
            }
            if count < PIECES {
                break;
            }
        }
        self.intake = Some(intake);
    }

    /// One message or ChannelData of a client, however it came.
    pub(super) fn handle_frame(
        &mut self,
        path: Path,
        from: SocketAddr,
        key: Option<usize>,
        bytes: &[u8],
    ) {
        let relayed = if is_channel_data(bytes) {
            match channel_data(bytes) {
                Some((channel, data)) => self.relay_to_peer(key, Target::Channel(channel), data),
                None => Err(Dropped::Unknown),
            }
        } else if let Some(request) = Request::parse(bytes) {
            if request.message_type == SEND_INDICATION {
                match (request.peer(), request.data) {
                    (Some(peer), Some(data)) if request.unknown().is_empty() => {
                        self.relay_to_peer(key, Target::Peer(peer), data)
                    }
                    _ => Err(Dropped::Unknown),
                }
            } else {
                self.handle_request(path, from, key, &request);
                Ok(())
            }
        } else {
            Err(Dropped::Unknown)
        };
        if let Err(why) = relayed {
            self.counters.drop(why);
        }
    }

    fn handle_request(
        &mut self,
        path: Path,
        from: SocketAddr,
        key: Option<usize>,
        request: &Request<'_>,
    ) {
        self.counters.requests += 1;
        let mut answer = mem::take(&mut self.answer);
        answer.clear();
        let mut fresh = None;
        let slot = match key.and_then(|key| self.clients.get_mut(key)) {
            Some(client) => &mut client.allocation,
            None => &mut fresh,
        };
        let moment = self.moment;
        let desk = &self.shared.desk;
        let decided = desk.handle(request, from, slot, &mut self.relays, moment, &mut answer);
        let is_over = slot.is_none();
        if let Err(refusal) = decided {
            let metrics = &self.shared.metrics;
            metrics.refused.with_label_values(&[refusal.label()]).inc();
            if refusal.is_failed_proof() {
                metrics.auth_failures.with_label_values(&[refusal.label()]).inc();
            }
        }
        match (key, fresh) {
            (Some(key), _) if is_over => self.end_client(key),
            (None, Some(allocation)) => self.begin_client(path, allocation),
            _ => {}
        }
        if !answer.is_empty() {
            self.send_to_client(path, &answer, &[]);
        }
        self.answer = answer;
    }

    fn relay_to_peer(
        &mut self,
        key: Option<usize>,
        target: Target,
        data: &[u8],
    ) -> Result<(), Dropped> {
        let client = key.and_then(|key| self.clients.get(key));
        let allocation = client.and_then(|client| client.allocation.as_ref());
        let allocation = allocation.ok_or(Dropped::Unknown)?;
        let now = self.moment.now;
        let (relay, peer) = match target {
            // Its peer was checked when it was bound.
            Target::Channel(channel) => allocation.peer_of(channel, now)?,
            Target::Peer(peer) => {
                self.shared.desk.policy.check(peer).map_err(|_| Dropped::Peer)?;
                (allocation.way_to(peer, now)?, peer)
            }
        };
        if !allocation.seat.allows(Way::ToPeer, data.len(), now) {
            return Err(Dropped::Bandwidth);
        }
        self.relays.push(relay, peer, data, &mut self.arguments);
        self.counters.relay(Way::ToPeer, data.len());
        Ok(())
    }

    fn relay_to_client(
        &mut self,
        relay: RelayId,
        peer: SocketAddr,
        data: &[u8],
    ) -> Result<(), Dropped> {
        let Some(client) = self.relays.get(relay).and_then(|r| self.clients.get(r.client)) else {
            return Err(Dropped::Unknown);
        };
        let Some(allocation) = &client.allocation else { return Err(Dropped::Unknown) };
        let (path, now) = (client.path, self.moment.now);
        let channel = allocation.channel_from(peer, now)?;
        if channel.is_none() {
            // The permission is for an address; some of its ports may be none of the client's
            // business.
            self.shared.desk.policy.check(peer).map_err(|_| Dropped::Peer)?;
        }
        if !allocation.seat.allows(Way::ToClient, data.len(), now) {
            return Err(Dropped::Bandwidth);
        }
        let taken = match channel {
            Some(channel) => self.send_to_client(path, &channel_header(channel, data.len()), data),
            None => {
                let mut indication = mem::take(&mut self.answer);
                indication.clear();
                self.indications = self.indications.wrapping_add(1);
                let mut id = *b"\0\0\0\0\0\0\0\0peer";
                id[..8].copy_from_slice(&self.indications.to_be_bytes());
                let mut writer = Writer::begin(&mut indication, DATA_INDICATION, &id);
                writer.xor_address(XOR_PEER_ADDRESS, peer);
                writer.attribute(DATA, data);
                let taken = self.send_to_client(path, &indication, &[]);
                self.answer = indication;
                taken
            }
        };
        if !taken {
            return Err(Dropped::SlowReader);
        }
        self.counters.relay(Way::ToClient, data.len());
        Ok(())
    }

    /// False: the client reads too slowly, and it was dropped.
    fn send_to_client(&mut self, path: Path, head: &[u8], body: &[u8]) -> bool {
        match path {
            Path::Datagram { listener, address } => {
                let Listener { socket, batch } = &mut self.udp[listener];
                let start = batch.buffer().len();
                batch.buffer().extend_from_slice(head);
                batch.buffer().extend_from_slice(body);
                batch.commit(address, start);
                if batch.is_full() {
                    socket.send(batch, &mut self.arguments);
                }
                true
            }
            Path::Stream(n) => {
                let Some(connection) = self.connections.get_mut(n) else { return false };
                if !connection.is_pending() {
                    self.unsent.push(n);
                }
                connection.send(head, body)
            }
        }
    }
}
