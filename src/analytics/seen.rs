//! Which events were had before.
//!
//! A node makes ids that only go up and writes its events in that order, so of each stream (a
//! node's events in one log, or one partition) the last ids are kept, and whatever is older than
//! the oldest of them counts as had. A repetition is recognised however late it comes; an event
//! that comes out of order is taken if no more than [`WINDOW`] events of its stream overtook it.

use std::collections::{HashMap, HashSet, VecDeque};

/// Ids kept of each stream, at least, when it has that many.
pub const WINDOW: usize = 65_536;
/// Ids kept of all streams together; the least recently heard of have fewer kept. 50 bytes each.
const MOST: usize = 1 << 20;
/// Streams that are told apart. One is made at each start of a node.
pub const MOST_STREAMS: usize = 10_000;

/// A node's events in one place.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamKey {
    /// A partition, or 0.
    pub place: u32,
    pub node: String,
}

#[derive(Debug, Clone, Default)]
pub struct Stream {
    /// This id and those before it were had.
    pub floor: u128,
    /// The last one.
    pub newest: u128,
    /// The latest of its events, in milliseconds since 1970.
    pub last_ms: u64,
    ids: HashSet<u128>,
    /// What was admitted together, oldest first, by number.
    batches: VecDeque<(u64, Vec<u128>)>,
}

/// What is known of all streams. Grows to its bounds and no further.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    streams: HashMap<StreamKey, Stream>,
    /// Admitted since the last [`Seen::close`].
    open: HashMap<StreamKey, Vec<u128>>,
    batch: u64,
    total: usize,
}

/// What is to be stored of a batch, in the transaction that has its increments.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Closed {
    /// Its number, and the ids of each stream.
    pub batch: u64,
    pub ids: Vec<(StreamKey, Vec<u128>)>,
    /// Batches that are no longer kept.
    pub dropped: Vec<(StreamKey, u64)>,
    pub forgotten: Vec<StreamKey>,
}

// === impl Seen ===

impl Seen {
    /// What was stored.
    pub fn known(streams: impl IntoIterator<Item = (StreamKey, Stream)>) -> Self {
        let mut seen = Self { streams: streams.into_iter().collect(), ..Self::default() };
        seen.total = seen.streams.values().map(|stream| stream.ids.len()).sum();
        let batches = seen.streams.values().flat_map(|stream| stream.batches.back());
        seen.batch = batches.map(|(batch, _)| *batch).max().unwrap_or_default();
        seen
    }

    /// Whether an event is new. It is not from then on.
    pub fn admit(&mut self, key: &StreamKey, id: u128, time_ms: u64) -> bool {
        if !self.streams.contains_key(key) {
            self.streams.insert(key.clone(), Stream::default());
        }
        let Some(stream) = self.streams.get_mut(key) else { return false };
        if id <= stream.floor || !stream.ids.insert(id) {
            return false;
        }
        stream.newest = stream.newest.max(id);
        stream.last_ms = stream.last_ms.max(time_ms);
        self.total += 1;
        match self.open.get_mut(key) {
            Some(ids) => ids.push(id),
            None => drop(self.open.insert(key.clone(), vec![id])),
        }
        true
    }

    /// Ends a batch. Says what of it is to be stored, and what need no longer be.
    pub fn close(&mut self) -> Closed {
        self.batch += 1;
        let mut closed = Closed { batch: self.batch, ..Closed::default() };
        for (key, ids) in std::mem::take(&mut self.open) {
            if let Some(stream) = self.streams.get_mut(&key) {
                stream.batches.push_back((self.batch, ids.clone()));
                self.total -= stream.shrink(WINDOW, |batch| {
                    closed.dropped.push((key.clone(), batch));
                });
            }
            closed.ids.push((key, ids));
        }
        closed.ids.sort();
        self.bound(&mut closed);
        closed
    }

    pub fn stream(&self, key: &StreamKey) -> Option<&Stream> {
        self.streams.get(key)
    }

    fn bound(&mut self, closed: &mut Closed) {
        if self.total <= MOST && self.streams.len() <= MOST_STREAMS {
            return;
        }
        let mut quiet: Vec<_> =
            self.streams.iter().map(|(key, stream)| (stream.last_ms, key.clone())).collect();
        quiet.sort();
        for (_, key) in quiet {
            let too_many = self.streams.len() > MOST_STREAMS;
            if self.total <= MOST && !too_many {
                break;
            }
            if let Some(stream) = self.streams.get_mut(&key) {
                self.total -= stream.shrink(0, |batch| closed.dropped.push((key.clone(), batch)));
            }
            if too_many {
                self.streams.remove(&key);
                closed.forgotten.push(key);
            }
        }
    }
}

// === impl Stream ===

impl Stream {
    /// As it was stored: batches oldest first.
    pub fn known(
        floor: u128,
        newest: u128,
        last_ms: u64,
        batches: impl IntoIterator<Item = (u64, Vec<u128>)>,
    ) -> Self {
        let batches: VecDeque<_> = batches.into_iter().collect();
        let ids = batches.iter().flat_map(|(_, ids)| ids).copied().collect();
        Self { floor, newest, last_ms, ids, batches }
    }

    /// Drops the oldest batches while so many ids are left without them. Gives how many went.
    fn shrink(&mut self, least: usize, mut dropped: impl FnMut(u64)) -> usize {
        let mut gone = 0;
        while let Some((batch, ids)) = self.batches.front()
            && self.ids.len() - ids.len() >= least
        {
            self.floor = ids.iter().copied().fold(self.floor, u128::max);
            gone += ids.len();
            ids.iter().for_each(|id| {
                self.ids.remove(id);
            });
            dropped(*batch);
            self.batches.pop_front();
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(node: &str) -> StreamKey {
        StreamKey { place: 0, node: node.to_owned() }
    }

    #[test]
    fn an_event_is_new_once_however_late_it_is_repeated() {
        let mut seen = Seen::default();
        let one = key("one");
        for round in 0..40_u128 {
            for id in round * 10_000..(round + 1) * 10_000 {
                assert!(seen.admit(&one, id + 1, 5), "{id}");
            }
            seen.close();
        }
        for id in 1..=400_000 {
            assert!(!seen.admit(&one, id, 5), "{id}");
        }
        assert!(seen.admit(&key("other"), 7, 5), "another node's id is another event");
        let kept = seen.streams[&one].ids.len();
        assert!((WINDOW..WINDOW + 10_000).contains(&kept), "{kept}");
    }

    #[test]
    fn what_is_out_of_order_is_taken_within_the_window() {
        let mut seen = Seen::default();
        let one = key("one");
        assert!(seen.admit(&one, 100, 5) && seen.admit(&one, 50, 4) && !seen.admit(&one, 50, 4));
        seen.close();
        assert!(seen.admit(&one, 49, 4));
        seen.close();
        (0..70_000).for_each(|n| {
            seen.admit(&one, 1000 + n, 6);
        });
        seen.close();
        (0..70_000).for_each(|n| {
            seen.admit(&one, 100_000 + n, 6);
        });
        let closed = seen.close();
        assert_eq!(closed.dropped.len(), 1);
        assert!(!seen.admit(&one, 48, 4), "so late it can't be told from a repetition");
    }

    #[test]
    fn memory_is_bounded_and_what_is_forgotten_of_quiet_streams_still_counts_as_had() {
        let mut seen = Seen::default();
        for node in 0..40 {
            let key = key(&format!("n{node}"));
            (1..=60_000).for_each(|id| {
                seen.admit(&key, id, node);
            });
            seen.close();
        }
        assert!(seen.total <= MOST);
        assert!(!seen.admit(&key("n0"), 60_000, 99));
        assert!(seen.admit(&key("n0"), 60_001, 99));
        for node in 0..MOST_STREAMS as u64 + 5 {
            seen.admit(&key(&format!("m{node}")), 1, 1000 + node);
        }
        let closed = seen.close();
        assert!(seen.streams.len() <= MOST_STREAMS && !closed.forgotten.is_empty());
    }

    #[test]
    fn what_was_stored_goes_on_where_it_was() {
        let mut seen = Seen::default();
        let one = key("one");
        (1..=10).for_each(|id| {
            seen.admit(&one, id, id as u64);
        });
        let closed = seen.close();
        let stream = Stream::known(0, 10, 10, [(closed.batch, closed.ids[0].1.clone())]);
        let mut again = Seen::known([(one.clone(), stream)]);
        assert!(!again.admit(&one, 10, 10) && again.admit(&one, 11, 11));
        assert_eq!(again.close().batch, closed.batch + 1);
    }
}
