//! What a device reports for whoever looks after the service.

use serde::{Deserialize, Serialize};
use stentor_protocol::BitsPerSecond;

use crate::calls::ids::UserId;

use super::media::Direction;
use super::shapes::Path;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportReason {
    Start,
    /// The device's address is another, perhaps.
    Address,
    /// Some time passed.
    Periodic,
}

/// How an end of a connection is reached (RFC 8445, 5.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CandidateKind {
    Host,
    Srflx,
    Prflx,
    Relay,
}

/// What carries the packets of this end; to the relay where it is relayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Carrier {
    Udp,
    Tcp,
    Tls,
}

/// How one direction fared since the report before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QualitySample {
    /// The peer.
    pub user: UserId,
    pub direction: Direction,
    pub path: Path,
    /// Of the connection that it came by, where the device knows: its own end, the other, and what
    /// carries it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local: Option<CandidateKind>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<CandidateKind>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport: Option<Carrier>,
    pub bitrate_bps: BitsPerSecond,
    /// Of 1000 packets, those lost.
    pub lost_permille: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round_trip_ms: Option<u32>,
    /// Of 1000 milliseconds, those in which the picture stood still.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frozen_permille: Option<u16>,
    /// Of the picture, in pixels. None: there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u16>,
    /// Frames a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frame_rate: Option<u16>,
}
