//! Whether datagrams are left to gather before they are read.
//!
//! Each viewer reports twenty times a second. Hundreds of viewers wake the shard for each report,
//! and the wake-up costs more than the reading. So while datagrams keep coming, the sockets are
//! looked at every [`PERIOD`] only; media wakes the shard at once as ever.

use std::time::{Duration, Instant};

#[derive(Debug)]
pub struct Gather {
    last: Instant,
    on: bool,
}

/// How long datagrams gather: what a retransmission waits at most beyond its round trip.
const PERIOD: Duration = Duration::from_millis(2);

// === impl Gather ===

impl Gather {
    pub fn new(now: Instant) -> Self {
        Self { last: now, on: false }
    }

    /// The sockets were read and gave `datagrams`.
    pub fn handle_received(&mut self, datagrams: usize, now: Instant) {
        self.on = datagrams > 0 && now.saturating_duration_since(self.last) < PERIOD * 2;
        if datagrams > 0 {
            self.last = now;
        }
    }

    /// Until when the sockets are left alone. None: they may wake the shard.
    pub fn until(&self) -> Option<Instant> {
        self.on.then(|| self.last + PERIOD)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_gather_while_they_keep_coming() {
        let start = Instant::now();
        let at = |us| start + Duration::from_micros(us);
        let mut gather = Gather::new(start);
        // The first after a silence wakes the shard, and so does the next.
        gather.handle_received(1, at(50_000));
        assert_eq!(gather.until(), None);
        gather.handle_received(1, at(51_000));
        assert_eq!(gather.until(), Some(at(53_000)));
        gather.handle_received(9, at(53_000));
        assert_eq!(gather.until(), Some(at(55_000)));
        // None came: the next one is not made to wait.
        gather.handle_received(0, at(55_000));
        assert_eq!(gather.until(), None);
        gather.handle_received(1, at(58_000));
        assert_eq!(gather.until(), None);
    }
}
