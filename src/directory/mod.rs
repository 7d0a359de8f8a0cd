//! Who is connected where, and messages from one node to another.
//!
//! [`Directory`] is what signalling asks. `memory` knows this node alone; `redis/` makes several
//! nodes one service. What a node is itself responsible for, its own devices, it answers from
//! memory in both, so that calls within a node need nobody else.

mod link;
mod local;
mod memory;
mod redis;
mod roster;
mod wire;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::identity::{DeviceId, NotAnId, UserId, is_id, unique};

pub use local::Registration;
pub use memory::Memory;
pub use redis::{RedisConfig, RedisDirectory, RedisError};

/// What signalling needs to know and to do. One for the life of the daemon.
///
/// What comes from other nodes arrives as [`Incoming`] in the queue that each is made with.
pub trait Directory: Send + Sync + 'static {
    /// This node.
    fn node(&self) -> &NodeId;

    /// A device is connected here from now on, until the registration is dropped. One that was
    /// registered for the same device before counts for nothing any more.
    fn register(&self, entry: Entry) -> Result<Registration, RegisterError>;

    /// A user's devices wherever they are connected.
    fn find<'a>(&'a self, user: &'a UserId) -> Pending<'a, Found>;

    /// Brings a message to a node, in the order in which messages for it were sent. It is there
    /// once and not more when this says so. It may be there, too, where this says that it isn't
    /// known.
    fn send<'a>(&'a self, node: &'a NodeId, message: Message)
    -> Pending<'a, Result<(), SendError>>;

    /// Whether other nodes can be reached: changes as it changes.
    fn health(&self) -> watch::Receiver<Health>;
}

pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A daemon, from its start to its end: one that starts again is another node.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NodeId(Arc<str>);

/// A connected device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub user: UserId,
    pub device: DeviceId,
    /// What the device can do, as JSON or another text that its reader understands. At most
    /// [`MAX_CAPABILITIES`] bytes.
    pub capabilities: Arc<str>,
}

/// A device, and the node to which it is connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    pub node: NodeId,
    pub entry: Entry,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Found {
    pub devices: Vec<Located>,
    /// False where other nodes couldn't be asked: those devices are this node's.
    pub complete: bool,
}

/// For a device on another node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    pub user: UserId,
    pub device: DeviceId,
    /// At most [`MAX_BODY`] bytes.
    pub body: String,
}

/// What a node learns from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    Message {
        from: NodeId,
        message: Message,
    },
    /// The node has ended, or nothing was heard of it for so long that it counts as ended.
    NodeGone(NodeId),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    Up,
    /// Calls that run go on, and calls within this node start.
    Down,
}

/// Why a device can't be registered. The client's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RegisterError {
    #[error("too many devices of this user, {MAX_DEVICES} at most")]
    TooManyDevices,
    #[error("the device's capabilities are too long, {MAX_CAPABILITIES} bytes at most")]
    TooLong,
}

/// Why a message isn't known to have arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    #[error("the node has gone")]
    NodeGone,
    /// A dependency's fault: to be tried again.
    #[error("the node didn't answer in time")]
    Timeout,
    #[error("too many messages wait for the node")]
    Full,
    #[error("the message is too long, {MAX_BODY} bytes at most")]
    TooLong,
}

/// Of one user, on one node.
pub const MAX_DEVICES: usize = 32;
/// Bytes.
pub const MAX_CAPABILITIES: usize = 4096;
/// Bytes.
pub const MAX_BODY: usize = 64 * 1024;

// === impl NodeId ===

impl NodeId {
    /// A node that hasn't been before.
    pub fn random() -> Result<Self, getrandom::Error> {
        Ok(Self(unique('n')?.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for NodeId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        if is_id(text) { Ok(Self(text.into())) } else { Err(NotAnId) }
    }
}

impl TryFrom<String> for NodeId {
    type Error = NotAnId;

    fn try_from(text: String) -> Result<Self, NotAnId> {
        text.parse()
    }
}

impl From<NodeId> for String {
    fn from(id: NodeId) -> Self {
        id.0.as_ref().to_owned()
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
