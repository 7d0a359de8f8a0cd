//! When something runs out: one time for each thing, the soonest first.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::time::Instant;

#[derive(Debug)]
pub struct Alarms<K> {
    order: BTreeSet<(Instant, K)>,
    at: HashMap<K, Instant>,
}

// === impl Alarms ===

impl<K: Ord + Hash + Clone> Alarms<K> {
    pub fn new() -> Self {
        Self { order: BTreeSet::new(), at: HashMap::new() }
    }

    /// In place of the one that `key` had. None: it has none any more.
    pub fn set(&mut self, key: &K, at: Option<Instant>) {
        if self.at.get(key).copied() == at {
            return;
        }
        if let Some(before) = self.at.remove(key) {
            self.order.remove(&(before, key.clone()));
        }
        if let Some(at) = at {
            self.at.insert(key.clone(), at);
            self.order.insert((at, key.clone()));
        }
    }

    pub fn next(&self) -> Option<Instant> {
        self.order.first().map(|(at, _)| *at)
    }

    /// One that is due; it is gone then.
    pub fn pop_due(&mut self, now: Instant) -> Option<K> {
        let key = self.order.first().filter(|(at, _)| *at <= now)?.1.clone();
        self.set(&key, None);
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn each_thing_has_one_alarm_and_the_soonest_comes_first() {
        let now = Instant::now();
        let later = |s| now + Duration::from_secs(s);
        let mut alarms = Alarms::new();
        alarms.set(&'a', Some(later(1)));
        alarms.set(&'b', Some(later(2)));
        alarms.set(&'c', Some(later(3)));
        alarms.set(&'a', Some(later(4)));
        alarms.set(&'c', None);
        assert_eq!(alarms.next(), Some(later(2)));
        assert_eq!(alarms.pop_due(later(1)), None);
        assert_eq!(alarms.pop_due(later(4)), Some('b'));
        assert_eq!(alarms.pop_due(later(4)), Some('a'));
        assert_eq!(alarms.pop_due(later(4)), None);
        assert_eq!(alarms.next(), None);
    }
}
