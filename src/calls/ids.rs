//! Names that go over the wire: users, devices, calls, chat messages.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::identity::id;
pub use crate::identity::{DeviceId, NodeId, UserId};

/// A call. Chosen by the server, not to be guessed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CallId(Arc<str>);

/// A device's stay with the server, over however many sockets. Chosen by the server, not to be
/// guessed: whoever knows it may resume.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SessionId(Arc<str>);

/// A chat message. Chosen by the sender, so that one that is sent twice is stored once.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ChatId(Arc<str>);

/// Where a message goes. Devices name themselves, so the user belongs to the address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Address {
    pub user: UserId,
    pub device: DeviceId,
}

// === impl CallId ===

id!(CallId, 'c');

// === impl SessionId ===

id!(SessionId, 's');

// === impl ChatId ===

id!(ChatId, 'm');
