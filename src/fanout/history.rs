//! What was sent of a rendition lately, held once for all its viewers.
//!
//! It serves retransmissions (about [`KEEP`]) and joiners (the current group of pictures).
//! Bounded in bytes: the group of pictures goes first where it doesn't fit.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::burst::Burst;

/// A rendition's recent bursts, oldest first, without a hole.
#[derive(Debug, Default)]
pub struct History {
    bursts: VecDeque<Arc<Burst>>,
    bytes: usize,
    /// Index of the last burst from which decoding can start, while it is held and nothing
    /// after it was lost.
    keyframe: Option<u64>,
    /// Payload bytes from that burst on.
    gop_bytes: usize,
}

/// The current group of pictures, as far as a joiner's plan must know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gop {
    /// Index of its keyframe.
    pub first: u64,
    /// Bursts in it so far.
    pub bursts: u64,
    /// Payload bytes in it so far.
    pub bytes: usize,
    /// When its keyframe came in.
    pub since: Instant,
}

/// How long packets are kept for retransmission. A viewer that needs one later than this has
/// given up on it.
pub const KEEP: Duration = Duration::from_secs(3);
/// How long a group of pictures is kept for joiners.
const KEEP_GOP: Duration = Duration::from_secs(12);
/// Bytes a rendition's history may take: 12 s at 5 Mb/s, or 3 s at 20 Mb/s.
pub const MAX_BYTES: usize = 8 << 20;

// === impl History ===

impl History {
    /// Adds a burst. Its index must be one above the last one's; a history that is told
    /// otherwise starts anew.
    pub fn push(&mut self, burst: Arc<Burst>) {
        if self.bursts.back().is_some_and(|last| last.index + 1 != burst.index) {
            *self = Self::default();
        }
        if burst.keyframe {
            self.keyframe = Some(burst.index);
            self.gop_bytes = 0;
        } else if burst.gap {
            self.keyframe = None;
        }
        self.gop_bytes += burst.bytes();
        self.bytes += burst.footprint();
        let now = burst.arrived;
        self.bursts.push_back(burst);
        self.trim(now);
    }

    /// Index that the next burst will have, were it the next of this worker.
    pub fn next_index(&self) -> u64 {
        self.bursts.back().map_or(0, |last| last.index + 1)
    }

    pub fn last(&self) -> Option<&Arc<Burst>> {
        self.bursts.back()
    }

    pub fn get(&self, index: u64) -> Option<&Arc<Burst>> {
        let first = self.bursts.front()?.index;
        self.bursts.get(usize::try_from(index.checked_sub(first)?).ok()?)
    }

    /// The burst that holds the packet at `position`.
    pub fn at_position(&self, position: u64) -> Option<&Arc<Burst>> {
        let after = self.bursts.partition_point(|burst| burst.position <= position);
        let burst = self.bursts.get(after.checked_sub(1)?)?;
        burst.positions().contains(&position).then_some(burst)
    }

    pub fn gop(&self) -> Option<Gop> {
        let first = self.keyframe?;
        let since = self.get(first)?.arrived;
        Some(Gop { first, bursts: self.next_index() - first, bytes: self.gop_bytes, since })
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Forgets what came so far, where nothing after it may refer to it.
    pub fn clear_gop(&mut self) {
        self.keyframe = None;
    }

    fn trim(&mut self, now: Instant) {
        while let Some(oldest) = self.bursts.front() {
            let age = now.saturating_duration_since(oldest.arrived);
            let in_gop = self.keyframe.is_some_and(|first| oldest.index >= first);
            let keep = if in_gop { KEEP_GOP } else { KEEP };
            let last_one = self.bursts.len() == 1;
            if last_one || (age <= keep && self.bytes <= MAX_BYTES) {
                break;
            }
            if self.keyframe == Some(oldest.index) {
                self.keyframe = None;
            }
            self.bytes -= oldest.footprint();
            self.bursts.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::burst::BurstInfo;
    use super::super::burst::tests::{burst, info};
    use super::*;

    fn push(history: &mut History, at: Instant, index: u64, keyframe: bool, size: usize) {
        let info = BurstInfo { keyframe, arrived: at, ..info(index, index * 2, index * 3000) };
        history.push(Arc::new(burst(info, &[&vec![0; size / 2], &vec![0; size / 2]])));
    }

    #[test]
    fn a_packet_is_found_by_its_position() {
        let mut history = History::default();
        let now = Instant::now();
        for index in 0..5 {
            push(&mut history, now, index, index == 0, 10);
        }
        assert_eq!(history.at_position(7).map(|b| b.index), Some(3));
        assert!(history.at_position(10).is_none());
    }

    #[test]
    fn a_packet_is_forgotten_after_three_seconds_but_a_group_of_pictures_is_not() {
        let start = Instant::now();
        let fill = |keyframe_at: u64| {
            let mut history = History::default();
            for n in 0..50 {
                let at = start + Duration::from_millis(100) * n;
                push(&mut history, at, u64::from(n), u64::from(n) == keyframe_at, 10);
            }
            history
        };
        let short = fill(45);
        assert!(short.get(18).is_none());
        assert!(short.get(19).is_some());
        let long = fill(5);
        assert!(long.get(4).is_none());
        let gop = long.gop().unwrap();
        assert_eq!((gop.first, gop.bursts, gop.bytes), (5, 45, 450));
    }

    #[test]
    fn a_group_of_pictures_that_is_too_long_or_too_big_is_given_up() {
        let start = Instant::now();
        let mut history = History::default();
        for n in 0..300 {
            push(&mut history, start + Duration::from_millis(100) * n, n.into(), n == 0, 10);
        }
        assert_eq!(history.gop(), None);
        let mut history = History::default();
        for n in 0..30 {
            push(&mut history, start, n, n == 0, 1 << 20);
        }
        assert_eq!(history.gop(), None);
        assert!(history.bytes() <= MAX_BYTES);
    }

    #[test]
    fn a_gap_ends_what_a_joiner_may_be_given() {
        let mut history = History::default();
        push(&mut history, Instant::now(), 0, true, 10);
        assert!(history.gop().is_some());
        let info = BurstInfo { gap: true, ..info(1, 2, 3000) };
        history.push(Arc::new(burst(info, &[b"x"])));
        assert!(history.gop().is_none());
    }
}
