//! Which nodes there are, as the heartbeats say. Pure: time is an argument.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use super::{NodeId, Origin};

/// Nodes, and which of their entries count.
#[derive(Debug, Default)]
pub struct Roster {
    nodes: HashMap<NodeId, Known>,
    /// Before that nobody is missed: all have to come back to a Redis that was away.
    patient_until: Option<Instant>,
}

#[derive(Debug, Default)]
struct Known {
    /// From which on the node's entries count.
    epoch: u64,
    /// Whether it was said that the node is here.
    told: bool,
    /// Where pages reach it, if anywhere; None: that wasn't found out yet.
    place: Option<Option<Origin>>,
}

/// What is news after the nodes that live were heard.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct News {
    pub here: Vec<NodeId>,
    pub gone: Vec<NodeId>,
}

// === impl Roster ===

impl Roster {
    /// Redis is there, again or for the first time.
    pub fn connected(&mut self, patient_until: Instant) {
        self.patient_until = Some(patient_until);
    }

    /// Takes the nodes that live, and says which of them are new and which others have gone.
    pub fn heard(&mut self, live: &[(NodeId, u64)], now: Instant) -> News {
        let mut here = Vec::new();
        for (node, epoch) in live {
            let known = self.nodes.entry(node.clone()).or_default();
            known.epoch = known.epoch.max(*epoch);
            if !std::mem::replace(&mut known.told, true) {
                here.push(node.clone());
            }
        }
        if self.patient_until.is_some_and(|until| now < until) {
            return News { here, gone: Vec::new() };
        }
        self.patient_until = None;
        let live: HashSet<&NodeId> = live.iter().map(|(node, _)| node).collect();
        let mut gone: Vec<_> =
            self.nodes.keys().filter(|node| !live.contains(node)).cloned().collect();
        gone.sort();
        self.nodes.retain(|node, _| live.contains(node));
        News { here, gone }
    }

    /// A node that sends something lives, though the list that it stands in wasn't read since.
    pub fn greet(&mut self, node: &NodeId) {
        if !self.nodes.contains_key(node) {
            self.nodes.insert(node.clone(), Known::default());
        }
    }

    /// Whether some may be missing who haven't gone.
    pub fn is_patient(&self) -> bool {
        self.patient_until.is_some()
    }

    pub fn lives(&self, node: &NodeId) -> bool {
        self.nodes.contains_key(node)
    }

    /// Whether an entry of this node's counts. One of a later epoch than was heard of does: its
    /// node has just come back.
    pub fn counts(&self, node: &NodeId, epoch: u64) -> bool {
        self.nodes.get(node).is_some_and(|known| epoch >= known.epoch)
    }

    /// Nodes of which isn't known where pages reach them.
    pub fn unplaced(&self, most: usize) -> Vec<NodeId> {
        let unplaced = self.nodes.iter().filter(|(_, known)| known.told && known.place.is_none());
        unplaced.map(|(node, _)| node.clone()).take(most).collect()
    }

    /// Where pages reach a node, which doesn't change while it lives.
    pub fn place(&mut self, node: &NodeId, origin: Option<Origin>) {
        if let Some(known) = self.nodes.get_mut(node) {
            known.place = Some(origin);
        }
    }

    /// Whether pages reach one of them there.
    pub fn is_at(&self, origin: &Origin) -> bool {
        let is_there = |known: &Known| matches!(&known.place, Some(Some(at)) if at == origin);
        self.nodes.values().any(is_there)
    }

    pub fn len(&self) -> usize {
        self.nodes.len()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn nodes(text: &str) -> Vec<(NodeId, u64)> {
        let parse = |word: &str| {
            let (name, epoch) = word.split_at(1);
            (name.parse().unwrap(), epoch.parse().unwrap())
        };
        text.split_whitespace().map(parse).collect()
    }

    fn names(nodes: Vec<NodeId>) -> String {
        nodes.iter().map(NodeId::as_str).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn who_is_missing_has_gone_but_not_right_after_redis_came_back() {
        let t0 = Instant::now();
        let at = |seconds| t0 + Duration::from_secs(seconds);
        let mut roster = Roster::default();
        roster.connected(at(5));
        for (second, live, gone) in [
            (0, "a1", ""),
            (1, "a1 b1 c1", ""),
            // Missed already, but not yet judged.
            (4, "a1 b1", ""),
            (5, "a1 b1", "c"),
            (6, "a1 b1", ""),
            (7, "a1", "b"),
            (8, "a1 b1", ""),
        ] {
            let news = roster.heard(&nodes(live), at(second));
            assert_eq!(names(news.gone), gone, "second {second}");
        }
        // Redis was away, has lost everything, and the others come back one by one.
        roster.connected(at(65));
        for (second, live, gone) in
            [(60, "a2", ""), (64, "a2", ""), (65, "a2 b2", ""), (66, "a2", "b")]
        {
            let news = roster.heard(&nodes(live), at(second));
            assert_eq!(names(news.gone), gone, "second {second}");
        }
    }

    #[test]
    fn a_node_is_new_once_and_one_that_sends_something_lives() {
        let mut roster = Roster::default();
        let now = Instant::now();
        let b: NodeId = "b".parse().unwrap();
        assert_eq!(names(roster.heard(&nodes("a1"), now).here), "a");
        roster.greet(&b);
        assert!(roster.lives(&b));
        assert_eq!(names(roster.heard(&nodes("a1 b1"), now).here), "b");
        roster.greet(&b);
        assert_eq!(roster.heard(&nodes("a1 b2"), now), News::default());
        // One that doesn't stand in the list was an echo.
        roster.greet(&"c".parse().unwrap());
        assert_eq!(names(roster.heard(&nodes("a1 b2"), now).gone), "c");
    }

    #[test]
    fn a_node_is_asked_once_where_it_is_and_is_there_while_it_lives() {
        let mut roster = Roster::default();
        let now = Instant::now();
        let origin = |name: &str| format!("https://{name}.example").parse::<Origin>().unwrap();
        let b: NodeId = "b".parse().unwrap();
        roster.greet(&"c".parse().unwrap());
        assert_eq!(names(roster.unplaced(9)), "", "it doesn't stand in the list");
        roster.heard(&nodes("b1"), now);
        assert_eq!(names(roster.unplaced(9)), "b");
        assert!(!roster.is_at(&origin("b")));
        roster.place(&b, Some(origin("b")));
        roster.heard(&nodes("a1 b2"), now);
        assert_eq!(names(roster.unplaced(9)), "a");
        // It has no place: it isn't asked again.
        roster.place(&"a".parse().unwrap(), None);
        assert_eq!(names(roster.unplaced(9)), "");
        assert!(roster.is_at(&origin("b")) && !roster.is_at(&origin("a")));
        roster.heard(&nodes("a1"), now);
        assert!(!roster.is_at(&origin("b")));
        roster.heard(&nodes("a1 b3"), now);
        assert_eq!(names(roster.unplaced(9)), "b");
        assert_eq!(names(roster.unplaced(0)), "");
    }

    #[test]
    fn entries_of_an_earlier_epoch_or_of_a_node_that_has_gone_do_not_count() {
        let mut roster = Roster::default();
        let now = Instant::now();
        roster.heard(&nodes("a2 b1"), now);
        let counts =
            |roster: &Roster, node: &str, epoch| roster.counts(&node.parse().unwrap(), epoch);
        for (node, epoch, expected) in
            [("a", 1, false), ("a", 2, true), ("a", 3, true), ("b", 1, true), ("c", 1, false)]
        {
            assert_eq!(counts(&roster, node, epoch), expected, "{node} {epoch}");
        }
        roster.heard(&nodes("a3"), now);
        assert!(!counts(&roster, "a", 2) && !counts(&roster, "b", 1));
    }
}
