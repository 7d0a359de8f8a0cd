//! Who is connected where, and messages from one node to another.
//!
//! [`Directory`] is what signalling asks. `memory` knows this node alone; `redis/` makes several
//! nodes one service. What a node is itself responsible for, its own devices, it answers from
//! memory in both, so that calls within a node need nobody else.

mod link;
mod local;
mod memory;
mod origin;
mod redis;
mod roster;
mod wire;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::watch;

pub use crate::identity::NodeId;
use crate::identity::{DeviceId, UserId};

pub use local::Registration;
pub use memory::Memory;
pub use origin::Origin;
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

    /// Brings a message to a node, in the order in which this was called for it; what is given back
    /// needn't be waited for. It is there once and not more when that says so. It may be there,
    /// too, where that says that it isn't known. At most [`MAX_BODY`] bytes.
    fn send(&self, node: &NodeId, body: String) -> Pending<'static, Result<(), SendError>>;

    /// Whether other nodes can be reached: changes as it changes.
    fn health(&self) -> watch::Receiver<Health>;

    /// Whether a node that lives says that pages reach it there.
    fn is_reached_at(&self, origin: &Origin) -> bool;

    /// Tells the others that this node ends, instead of having them miss it. Nothing is sent or
    /// heard after that.
    fn leave(&self) -> Pending<'_, ()>;
}

pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

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

/// What a node learns from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    Message {
        from: NodeId,
        body: String,
    },
    /// Another node is there.
    NodeHere(NodeId),
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
pub const MAX_BODY: usize = 320 * 1024;

// === impl SendError ===

impl SendError {
    /// The metric label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NodeGone => "node_gone",
            Self::Timeout => "timeout",
            Self::Full => "full",
            Self::TooLong => "too_long",
        }
    }
}
