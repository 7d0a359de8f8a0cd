//! What was sent under each transport-wide sequence number, in 8 bytes a packet: those of a frame
//! share a cache line.

/// A packet that was sent.
#[derive(Debug, Clone, Copy)]
pub struct Sent {
    /// Microseconds since the estimator's epoch, modulo 2^32.
    pub at: u32,
    /// Bytes on the wire. 0: never sent, or acknowledged already.
    pub size: u16,
}

/// A ring over the last [`CAPACITY`] sequence numbers.
#[derive(Debug)]
pub struct SentPackets([Entry; CAPACITY]);

#[derive(Debug, Clone, Copy)]
struct Entry {
    at: u32,
    size: u16,
    sequence: u16,
}

/// Two seconds at 6 Mb/s. A feedback later than that tells nothing.
const CAPACITY: usize = 1024;
/// A packet older than this is no longer waited for, in microseconds.
const MAX_AGE_US: u32 = 10_000_000;

// === impl SentPackets ===

impl SentPackets {
    pub const fn new() -> Self {
        Self([Entry { at: 0, size: 0, sequence: 0 }; CAPACITY])
    }

    pub fn insert(&mut self, sequence: u16, packet: Sent) {
        self.0[usize::from(sequence) % CAPACITY] =
            Entry { at: packet.at, size: packet.size, sequence };
    }

    /// Gives when the packet was sent, in microseconds since the epoch, and its size; once.
    pub fn take(&mut self, sequence: u16, now_us: u64) -> Option<(u64, u16)> {
        if !self.is_recent(sequence, now_us) {
            return None;
        }
        let entry = &mut self.0[usize::from(sequence) % CAPACITY];
        let age = (now_us as u32).wrapping_sub(entry.at);
        let size = std::mem::take(&mut entry.size);
        Some((now_us.saturating_sub(u64::from(age)), size))
    }

    /// Whether the packet was sent and nothing was heard of it.
    pub fn is_recent(&self, sequence: u16, now_us: u64) -> bool {
        let entry = &self.0[usize::from(sequence) % CAPACITY];
        entry.sequence == sequence
            && entry.size != 0
            && (now_us as u32).wrapping_sub(entry.at) <= MAX_AGE_US
    }
}
