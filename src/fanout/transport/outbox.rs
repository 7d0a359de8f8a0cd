//! Datagrams that a state machine wants sent, in one reused buffer.

use std::net::SocketAddr;
use std::ops::Range;

/// Datagrams kept at most; handshakes and checks need a handful per turn.
const MAX_DATAGRAMS: usize = 512;

/// What there is to send, in order. Owned by the shard and handed to every session in turn.
#[derive(Debug, Default)]
pub struct Outbox {
    buffer: Vec<u8>,
    entries: Vec<Entry>,
    dropped: u64,
}

/// One datagram to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// The local address to send from: the one the peer wrote to.
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub bytes: &'a [u8],
}

#[derive(Debug)]
struct Entry {
    from: SocketAddr,
    to: SocketAddr,
    bytes: Range<usize>,
}

// === impl Outbox ===

impl Outbox {
    /// Appends a datagram that `fill` writes. It is dropped, and counted, when the outbox is
    /// full, and left out when `fill` wrote nothing.
    pub fn push_with(&mut self, from: SocketAddr, to: SocketAddr, fill: impl FnOnce(&mut Vec<u8>)) {
        if self.entries.len() >= MAX_DATAGRAMS {
            self.dropped += 1;
            return;
        }
        let start = self.buffer.len();
        fill(&mut self.buffer);
        if self.buffer.len() > start {
            self.entries.push(Entry { from, to, bytes: start..self.buffer.len() });
        }
    }

    pub fn push(&mut self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        self.push_with(from, to, |buffer| buffer.extend_from_slice(bytes));
    }

    /// The datagrams in the order they were pushed.
    pub fn iter(&self) -> impl Iterator<Item = Datagram<'_>> {
        self.entries.iter().map(|e| Datagram {
            from: e.from,
            to: e.to,
            bytes: &self.buffer[e.bytes.clone()],
        })
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Forgets the datagrams and keeps the memory.
    pub fn clear(&mut self) {
        self.buffer.clear();
        self.entries.clear();
    }

    /// Datagrams dropped since the outbox was made.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_outbox_drops_and_counts() {
        let address: SocketAddr = "127.0.0.1:1".parse().unwrap();
        let mut outbox = Outbox::default();
        for _ in 0..MAX_DATAGRAMS + 3 {
            outbox.push(address, address, b"x");
        }
        assert_eq!(outbox.iter().count(), MAX_DATAGRAMS);
        assert_eq!(outbox.dropped(), 3);
        outbox.clear();
        outbox.push(address, address, b"y");
        assert_eq!(outbox.iter().next().unwrap().bytes, b"y");
    }
}
