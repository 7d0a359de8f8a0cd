//! Datagrams from viewers.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::super::transport::{DropReason, Kind, Received, TransportError, demux, stun_username};
use super::super::{EndReason, SessionState};
use super::messages::RECEIVE_BATCH;
use super::sessions::Slot;
use super::{Deferred, Shard};

/// Batches received per turn and socket, so that a flood doesn't hold up the media.
const MAX_BATCHES: usize = 4;
/// Handshake datagrams that wait at most. DTLS sends again what is dropped.
const MAX_HANDSHAKES: usize = 4096;
/// Time for handshakes per turn. One datagram of them may take a signature.
const HANDSHAKE_TIME: Duration = Duration::from_micros(1000);

// === impl Shard ===

impl Shard {
    /// Gives how many datagrams came.
    pub(super) fn receive(&mut self, socket: usize) -> usize {
        let Some(mut buffers) = self.buffers.take() else { return 0 };
        let mut received = 0;
        for _ in 0..MAX_BATCHES {
            let count = match self.sockets[socket].receive(&mut buffers) {
                Ok(count) => count,
                Err(error) => {
                    tracing::warn!(shard = self.index, %error, "can't receive");
                    0
                }
            };
            received += count;
            for n in 0..count {
                if let Some((from, bytes)) = buffers.datagram(n) {
                    self.handle_datagram(socket, from, bytes);
                }
            }
            if count < RECEIVE_BATCH {
                break;
            }
        }
        self.buffers = Some(buffers);
        self.flush();
        received
    }

    fn handle_datagram(&mut self, socket: usize, from: SocketAddr, bytes: &mut [u8]) {
        let Some(kind) = demux(bytes) else {
            self.counters.refuse(DropReason::Unknown);
            return;
        };
        match kind {
            Kind::Stun => self.counters.stun += 1,
            Kind::Dtls => self.counters.dtls += 1,
            Kind::Rtcp => self.counters.rtcp += 1,
            Kind::Rtp => self.counters.rtp += 1,
        }
        // A check tells whose it is: its address may have been another viewer's.
        let slot = match kind {
            Kind::Stun => stun_username(bytes).and_then(|ufrag| self.sessions.slot_of_ufrag(ufrag)),
            _ => self.sessions.slot_at(from),
        };
        let Some(slot) = slot else {
            let reason =
                if kind == Kind::Stun { DropReason::Unverified } else { DropReason::ForeignPath };
            self.counters.refuse(reason);
            return;
        };
        if kind == Kind::Dtls && self.defer(slot, socket, from, bytes) {
            return;
        }
        self.hand_to_session(slot, socket, from, bytes);
    }

    /// Puts a handshake datagram off until the media is served. False: it isn't one.
    fn defer(&mut self, slot: Slot, socket: usize, from: SocketAddr, bytes: &[u8]) -> bool {
        let Some(session) = self.sessions.get(slot) else { return true };
        if session.state != SessionState::Connecting {
            return false;
        }
        if self.handshakes.len() >= MAX_HANDSHAKES {
            self.counters.dropped_handshakes += 1;
            return true;
        }
        let session = session.id;
        self.handshakes.push_back(Deferred { slot, session, socket, from, bytes: bytes.into() });
        true
    }

    /// Goes on with handshakes for a bounded time.
    pub(super) fn handle_handshakes(&mut self) {
        if self.handshakes.is_empty() {
            return;
        }
        let until = Instant::now() + HANDSHAKE_TIME;
        while let Some(mut deferred) = self.handshakes.pop_front() {
            let Deferred { slot, session, socket, from, .. } = deferred;
            if self.sessions.slot_of(session) == Some(slot) {
                self.hand_to_session(slot, socket, from, &mut deferred.bytes);
            }
            if Instant::now() >= until {
                break;
            }
        }
    }

    fn hand_to_session(&mut self, slot: Slot, socket: usize, from: SocketAddr, bytes: &mut [u8]) {
        let to = self.sockets[socket].address();
        let now = self.now;
        let Some(session) = self.sessions.get(slot) else { return };
        let received = session.transport.handle_datagram(now, from, to, bytes, &mut self.outbox);
        match received {
            Ok(Received::Nothing) => self.note_path(slot),
            Ok(Received::NewPath { evicted }) => {
                self.sessions.route(slot, from, evicted);
                self.note_path(slot);
            }
            Ok(Received::Connected) => {
                self.note_path(slot);
                self.begin_media(slot);
            }
            Ok(Received::Rtcp(compound)) => self.handle_rtcp(slot, compound),
            Ok(Received::Rtp(_)) => {}
            Ok(Received::Closed) => self.end(slot, EndReason::Closed),
            Ok(Received::Dropped(reason)) => self.counters.refuse(reason),
            Err(error) => self.fail(slot, &error),
        }
    }

    pub(super) fn fail(&mut self, slot: Slot, error: &TransportError) {
        if let Some(session) = self.sessions.get(slot) {
            tracing::info!(session = %session.id, %error, "viewer's handshake failed");
        }
        self.end(slot, EndReason::Failed);
    }

    /// Follows the path that the viewer nominated, and its handshake's timer.
    fn note_path(&mut self, slot: Slot) {
        let Some(session) = self.sessions.get(slot) else { return };
        if let Some((remote, local)) = session.transport.remote().zip(session.transport.local()) {
            let socket = self.sockets.iter().position(|s| s.address() == local);
            session.path = Some((remote, socket.unwrap_or_default()));
        }
        let Some(session) = self.sessions.get(slot) else { return };
        if session.state == SessionState::Connecting
            && let Some(at) = session.transport.next_timeout()
        {
            self.wake(slot, at);
        }
    }
}
