//! What stands in Redis: keys, entries, and the frames between nodes. Nodes of one version read
//! each other; another version has other keys.

use serde::{Deserialize, Serialize};

use super::link::Numbered;
use super::{Entry, Located, NodeId};
use crate::identity::{DeviceId, UserId};

/// One entry in a node's inbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Frame {
    Message {
        from: NodeId,
        base: u64,
        seq: u64,
        body: String,
    },
    /// Everything up to here was taken.
    Taken {
        from: NodeId,
        up_to: u64,
    },
}

/// Where things stand. Several services may share a Redis, each under its own prefix.
#[derive(Debug, Clone)]
pub struct Keys {
    prefix: String,
}

const VERSION: u32 = 1;

// === impl Frame ===

impl Frame {
    pub fn message(from: &NodeId, numbered: Numbered<String>) -> Self {
        let Numbered { base, seq, body } = numbered;
        Self::Message { from: from.clone(), base, seq, body }
    }
}

// === impl Keys ===

impl Keys {
    pub fn new(prefix: &str) -> Self {
        Self { prefix: format!("{prefix}:{VERSION}") }
    }

    /// Nodes and their epochs, by the time at which they count as gone.
    pub fn nodes(&self) -> String {
        format!("{}:nodes", self.prefix)
    }

    /// A user's devices and where they are.
    pub fn user(&self, user: &UserId) -> String {
        format!("{}:user:{user}", self.prefix)
    }

    /// Where pages reach a node.
    pub fn place(&self, node: &NodeId) -> String {
        format!("{}:place:{node}", self.prefix)
    }

    /// The stream of frames for a node.
    pub fn inbox(&self, node: &NodeId) -> String {
        format!("{}:inbox:{node}", self.prefix)
    }
}

/// A node in the list of nodes. Ids hold no colon.
pub fn node(id: &NodeId, epoch: u64) -> String {
    format!("{id}:{epoch}")
}

pub fn parse_node(text: &str) -> Option<(NodeId, u64)> {
    let (id, epoch) = text.split_once(':')?;
    Some((id.parse().ok()?, epoch.parse().ok()?))
}

/// A device's value begins with that of its node, by which a node knows its own.
pub fn device(node: &NodeId, epoch: u64, entry: &Entry) -> String {
    format!("{node}:{epoch}:{}", entry.capabilities)
}

/// Where a device is, and the epoch of its node.
pub fn parse_device(user: &UserId, device: &str, value: &str) -> Option<(Located, u64)> {
    let device: DeviceId = device.parse().ok()?;
    let mut parts = value.splitn(3, ':');
    let (node, epoch, rest) = (parts.next()?, parts.next()?, parts.next()?);
    let entry = Entry { user: user.clone(), device, capabilities: rest.into() };
    Some((Located { node: node.parse().ok()?, entry }, epoch.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_what_is_damaged_is_not() {
        let (a, anna): (NodeId, UserId) = ("a".parse().unwrap(), "anna".parse().unwrap());
        let device_id = "d1".parse().unwrap();
        let capabilities = r#"{"codecs": ["h264:42"]}"#.into();
        let entry = Entry { user: anna.clone(), device: device_id, capabilities };
        let value = device(&a, 7, &entry);
        let located = Located { node: a.clone(), entry };
        assert_eq!(parse_device(&anna, "d1", &value), Some((located, 7)));
        assert_eq!(parse_node(&node(&a, 7)), Some((a, 7)));
        for damaged in ["", "a", "a:", "a:7", "a b:7:", "a:x:", ":7:"] {
            assert_eq!(parse_device(&anna, "d1", damaged), None, "{damaged}");
        }
        assert_eq!(parse_device(&anna, "d\n1", &value), None);
        for damaged in ["", "a", "a:", "a:-1", ":1"] {
            assert_eq!(parse_node(damaged), None, "{damaged}");
        }
    }
}
