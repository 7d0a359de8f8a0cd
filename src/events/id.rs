//! An event's id: unique among all nodes, and sorted as a node's events are.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::rfc3339::Millis;

/// A UUID of version 7 (RFC 9562, 5.7): milliseconds, a count within them, and bits of the node's
/// own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct EventId(pub u128);

/// A text that is no event's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a UUID")]
pub struct NotAnEventId;

/// Makes a node's ids, each greater than the one before, whatever the clock does.
#[derive(Debug)]
pub struct Ids {
    /// What tells this node's from another's.
    node: u128,
    /// Milliseconds and count of the last one.
    last: u64,
}

/// Bits of the count: with more than 4096 events in a millisecond ids run ahead of the clock.
const COUNT: u32 = 12;

// === impl Ids ===

impl Ids {
    /// `random` is another at each start of each node.
    pub fn new(random: u64) -> Self {
        Self { node: u128::from(random >> 2), last: 0 }
    }

    pub fn next(&mut self, now: Millis) -> EventId {
        self.last = (now.0 << COUNT).max(self.last + 1);
        let (ms, count) = (u128::from(self.last >> COUNT), u128::from(self.last) & 0xfff);
        EventId(ms << 80 | 7 << 76 | count << 64 | 2 << 62 | self.node)
    }
}

// === impl EventId ===

impl EventId {
    /// When it was made.
    pub fn time(self) -> Millis {
        Millis((self.0 >> 80) as u64)
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = format!("{:032x}", self.0);
        let parts = (&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]);
        write!(f, "{}-{}-{}-{}-{}", parts.0, parts.1, parts.2, parts.3, parts.4)
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<EventId> for String {
    fn from(id: EventId) -> Self {
        id.to_string()
    }
}

impl FromStr for EventId {
    type Err = NotAnEventId;

    fn from_str(text: &str) -> Result<Self, NotAnEventId> {
        let dash = |at| matches!(at, 8 | 13 | 18 | 23);
        let fits = |(at, b): (usize, u8)| if dash(at) { b == b'-' } else { b.is_ascii_hexdigit() };
        if text.len() != 36 || !text.bytes().enumerate().all(fits) {
            return Err(NotAnEventId);
        }
        let hex: String = text.chars().filter(|c| *c != '-').collect();
        u128::from_str_radix(&hex, 16).map(Self).map_err(|_| NotAnEventId)
    }
}

impl TryFrom<String> for EventId {
    type Error = NotAnEventId;

    fn try_from(text: String) -> Result<Self, NotAnEventId> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_go_up_even_where_the_clock_does_not() {
        let mut ids = Ids::new(u64::MAX);
        let mut last = EventId(0);
        let times = [5, 5, 4, 1_795_450_020_250, 1_795_450_020_249, 0, 1_795_450_020_251];
        for ms in times.into_iter().chain(std::iter::repeat_n(1_795_450_020_251, 10_000)) {
            let id = ids.next(Millis(ms));
            assert!(id > last && id.to_string() > last.to_string(), "{id} after {last}");
            last = id;
        }
        assert_eq!(last.time(), Millis(1_795_450_020_253));
    }

    #[test]
    fn an_id_is_a_uuid_of_version_seven_and_reads_back() {
        let id = Ids::new(0x1234_5678_9abc_def0).next(Millis(1_795_450_020_250));
        let text = id.to_string();
        assert_eq!(text, "01a20929-219a-7000-848d-159e26af37bc");
        assert_eq!(text.parse(), Ok(id));
        for wrong in
            ["", "01a20929219a7000848d159e26af37bc", "01a20929-219a-7000-848d-159e26af37b+"]
        {
            assert_eq!(wrong.parse::<EventId>(), Err(NotAnEventId));
        }
    }

    #[test]
    fn two_nodes_never_make_the_same() {
        let (mut one, mut other) = (Ids::new(4), Ids::new(8));
        assert_ne!(one.next(Millis(7)), other.next(Millis(7)));
    }
}
