//! A device's stay: `user` and `device` stand in each envelope.

use serde::{Deserialize, Serialize};

use crate::calls::messages::Network;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceConnected {
    pub network: Network,
}

/// It goes on over another socket.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DeviceResumed {}

/// Its socket dropped; it may resume.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DeviceLost {}

/// It won't come back; the cause is `signed_out`, `token_ended`, `replaced`, `too_slow`, `expired`
/// or `stopping`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DeviceDisconnected {}
