//! The links to all other nodes, and what they have for the next turn.

use std::collections::HashMap;
use std::time::Instant;

use tokio::sync::oneshot;

use super::super::link::{Inbox, Outbox, Turn};
use super::super::roster::Roster;
use super::super::wire::Frame;
use super::super::{NodeId, SendError};

/// Who waits to hear what became of a message.
pub type Waiting = oneshot::Sender<Result<(), SendError>>;

#[derive(Default)]
pub struct Links {
    out: HashMap<NodeId, Outbox<String, Waiting>>,
    inboxes: HashMap<NodeId, Inbox>,
    /// How far to acknowledge, at the next turn.
    acknowledge: HashMap<NodeId, u64>,
}

/// Nodes with which something was exchanged. Beyond that those that have gone are forgotten.
const MAX_NODES: usize = 1024;

// === impl Links ===

impl Links {
    /// False where there is no room.
    pub fn push(
        &mut self,
        node: &NodeId,
        body: String,
        waiting: Waiting,
        deadline: Instant,
        now: Instant,
    ) -> bool {
        let outbox = self.out.entry(node.clone()).or_insert_with(|| Outbox::new(now));
        let bytes = body.len();
        outbox.push(body, bytes, waiting, deadline).is_ok()
    }

    /// What is to be sent now, and to whom.
    pub fn due(&mut self, me: &NodeId, now: Instant) -> Vec<(NodeId, Frame)> {
        let mut due = Vec::new();
        for (node, outbox) in &mut self.out {
            let numbered = outbox.due(now).into_iter();
            due.extend(numbered.map(|n| (node.clone(), Frame::message(me, n))));
        }
        let taken = self.acknowledge.drain();
        due.extend(taken.map(|(node, up_to)| (node, Frame::Taken { from: me.clone(), up_to })));
        due
    }

    /// Those whose time is over.
    pub fn expired(&mut self, now: Instant) -> Vec<Waiting> {
        self.out.values_mut().flat_map(|outbox| outbox.expired(now)).collect()
    }

    /// Those who wait for a node that has gone.
    pub fn gone(&mut self, node: &NodeId) -> Vec<Waiting> {
        self.out.get_mut(node).map(Outbox::clear).unwrap_or_default()
    }

    /// Those whose message was taken.
    pub fn acknowledged(&mut self, node: &NodeId, up_to: u64, now: Instant) -> Vec<Waiting> {
        self.out.get_mut(node).map(|outbox| outbox.acknowledged(up_to, now)).unwrap_or_default()
    }

    /// Whether it is a message's turn. Where it is, [`Links::taken`] says that it was taken.
    pub fn turn(&mut self, from: &NodeId, base: u64, seq: u64) -> Turn {
        let inbox = self.inboxes.entry(from.clone()).or_default();
        let turn = inbox.turn(base, seq);
        self.acknowledge.insert(from.clone(), inbox.up_to());
        turn
    }

    pub fn taken(&mut self, from: &NodeId) {
        let inbox = self.inboxes.entry(from.clone()).or_default();
        inbox.taken();
        self.acknowledge.insert(from.clone(), inbox.up_to());
    }

    /// Forgets nodes that have gone, when there are too many.
    pub fn tidy(&mut self, roster: &Roster) {
        if self.out.len() > MAX_NODES || self.inboxes.len() > MAX_NODES {
            self.out.retain(|node, _| roster.lives(node));
            self.inboxes.retain(|node, _| roster.lives(node));
        }
    }
}

/// Without holding a lock.
pub fn tell(all: Vec<Waiting>, outcome: Result<(), SendError>) {
    for waiting in all {
        // Who waited may have gone.
        let _ = waiting.send(outcome);
    }
}
