//! Nodes that missed who is here, since a link was full or slow: they are told anew.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::calls::ids::NodeId;

#[derive(Clone)]
pub struct Untold {
    /// Locked for itself, and never across an await.
    waiting: Arc<Mutex<BTreeSet<NodeId>>>,
    due: mpsc::Sender<NodeId>,
}

/// A node is told anew so long after it missed something, and no more often.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// Nodes to be told.
const DUE: usize = 16;

// === impl Untold ===

impl Untold {
    /// And the nodes that are to be told now.
    pub fn new() -> (Self, mpsc::Receiver<NodeId>) {
        let (due, to_tell) = mpsc::channel(DUE);
        (Self { waiting: Arc::default(), due }, to_tell)
    }

    /// The node missed something. Returns once it is to be told anew, or is waited for already.
    pub async fn missed(&self, node: NodeId) {
        if !self.waiting().insert(node.clone()) {
            return;
        }
        tokio::time::sleep(AGAIN_AFTER).await;
        // What is missed from now on is said once more.
        self.waiting().remove(&node);
        // Without a listener the node ends.
        let _ = self.due.send(node).await;
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeSet<NodeId>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_node_is_told_anew_once_for_all_that_it_missed_in_a_second() {
        let node = |name: &str| NodeId::new(name).unwrap();
        let (untold, mut due) = Untold::new();
        let missed = async |name: &str| {
            let (one, other) = (untold.missed(node(name)), untold.missed(node(name)));
            tokio::join!(one, other)
        };
        tokio::join!(missed("b"), missed("c"));
        let mut told = [due.try_recv().unwrap(), due.try_recv().unwrap()];
        told.sort();
        assert_eq!(told, [node("b"), node("c")]);
        assert!(due.try_recv().is_err());
        // What it misses after that is another matter.
        untold.missed(node("b")).await;
        assert_eq!(due.try_recv().unwrap(), node("b"));
    }
}
