//! One node by itself.

use std::future::ready;
use std::sync::Arc;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};

use super::local::{Local, Registration};
use super::{
    Directory, Entry, Found, Health, Incoming, Located, MAX_BODY, NodeId, Origin, Pending,
    RegisterError, SendError,
};
use crate::identity::UserId;

/// Knows what is connected here. There is nothing else.
pub struct Memory {
    node: NodeId,
    local: Arc<Local>,
    incoming: mpsc::Sender<Incoming>,
    health: watch::Sender<Health>,
}

// === impl Memory ===

impl Memory {
    pub fn new(incoming: mpsc::Sender<Incoming>) -> Result<Self, getrandom::Error> {
        let (node, local) = (NodeId::random()?, Arc::default());
        Ok(Self { node, local, incoming, health: watch::Sender::new(Health::Up) })
    }
}

impl Directory for Memory {
    fn node(&self) -> &NodeId {
        &self.node
    }

    fn register(&self, entry: Entry) -> Result<Registration, RegisterError> {
        let registration = self.local.register(entry)?;
        // There is nobody to tell.
        self.local.take_changes();
        Ok(registration)
    }

    fn find<'a>(&'a self, user: &'a UserId) -> Pending<'a, Found> {
        let node = self.node.clone();
        let entries = self.local.find(user).into_iter();
        let devices = entries.map(|entry| Located { node: node.clone(), entry }).collect();
        Box::pin(async { Found { devices, complete: true } })
    }

    fn send(&self, node: &NodeId, body: String) -> Pending<'static, Result<(), SendError>> {
        if *node != self.node {
            return Box::pin(ready(Err(SendError::NodeGone)));
        }
        to_self(&self.incoming, node, body)
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.health.subscribe()
    }

    fn is_reached_at(&self, _: &Origin) -> bool {
        false
    }

    fn leave(&self) -> Pending<'_, ()> {
        Box::pin(ready(()))
    }
}

/// A message that needn't go anywhere.
pub fn to_self(
    incoming: &mpsc::Sender<Incoming>,
    node: &NodeId,
    body: String,
) -> Pending<'static, Result<(), SendError>> {
    let sent = if body.len() > MAX_BODY {
        Err(SendError::TooLong)
    } else {
        let message = Incoming::Message { from: node.clone(), body };
        incoming.try_send(message).map_err(|error| match error {
            TrySendError::Full(_) => SendError::Full,
            TrySendError::Closed(_) => SendError::NodeGone,
        })
    };
    Box::pin(ready(sent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_node_by_itself_finds_its_devices_and_reaches_nobody_else() {
        let (sender, mut incoming) = mpsc::channel(8);
        let memory = Memory::new(sender).unwrap();
        let anna: UserId = "anna".parse().unwrap();
        let device: crate::identity::DeviceId = "d1".parse().unwrap();
        let entry = Entry { user: anna.clone(), device, capabilities: "{}".into() };
        let registration = memory.register(entry.clone()).unwrap();
        let found = memory.find(&anna).await;
        assert_eq!(found.devices, [Located { node: memory.node().clone(), entry }]);
        assert!(found.complete);
        assert_eq!(memory.send(memory.node(), "ring".into()).await, Ok(()));
        let from = memory.node().clone();
        let expected = Incoming::Message { from, body: "ring".into() };
        assert_eq!(incoming.recv().await, Some(expected));
        let other = NodeId::random().unwrap();
        assert_eq!(memory.send(&other, "ring".into()).await, Err(SendError::NodeGone));
        drop(registration);
        assert!(memory.find(&anna).await.devices.is_empty());
        assert_eq!(*memory.health().borrow(), Health::Up);
    }
}
