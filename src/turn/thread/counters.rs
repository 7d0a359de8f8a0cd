//! What a thread has counted since it last told.

use crate::telemetry::turn::TurnMetrics;
use crate::turn::allocation::NoWay;
use crate::turn::quota::Way;

#[derive(Debug, Default)]
pub struct Counters {
    pub requests: u64,
    packets: [u64; 2],
    bytes: [u64; 2],
    dropped: [u64; DROPS.len()],
}

/// Why a packet is not relayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dropped {
    /// Neither STUN nor ChannelData of an allocation.
    Unknown,
    Channel,
    Permission,
    Family,
    /// The policy forbids the peer, or this port of it.
    Peer,
    Bandwidth,
    SlowReader,
    /// The kernel refused it, or its buffer was full for too long.
    Socket,
    /// Longer than what is relayed.
    Length,
}

const WAYS: [&str; 2] = ["to_peer", "to_client"];
/// In the order of [`Dropped`].
const DROPS: [&str; 9] = [
    "unknown",
    "channel",
    "permission",
    "family",
    "peer",
    "bandwidth",
    "slow_reader",
    "socket",
    "length",
];

// === impl Counters ===

impl Counters {
    pub fn relay(&mut self, way: Way, bytes: usize) {
        self.packets[way as usize] += 1;
        self.bytes[way as usize] += bytes as u64;
    }

    pub fn drop(&mut self, why: Dropped) {
        self.drop_some(why, 1);
    }

    pub fn drop_some(&mut self, why: Dropped, count: u64) {
        self.dropped[why as usize] += count;
    }

    pub fn tell(&mut self, metrics: &TurnMetrics) {
        metrics.requests.inc_by(self.requests);
        for (n, way) in WAYS.iter().enumerate() {
            metrics.packets.with_label_values(&[way]).inc_by(self.packets[n]);
            metrics.bytes.with_label_values(&[way]).inc_by(self.bytes[n]);
        }
        for (why, count) in DROPS.iter().zip(self.dropped) {
            if count > 0 {
                metrics.dropped.with_label_values(&[why]).inc_by(count);
            }
        }
        *self = Self::default();
    }
}

impl From<NoWay> for Dropped {
    fn from(no: NoWay) -> Self {
        match no {
            NoWay::Channel => Self::Channel,
            NoWay::Permission => Self::Permission,
            NoWay::Family => Self::Family,
        }
    }
}
