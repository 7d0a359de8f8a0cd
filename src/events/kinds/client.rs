//! What devices report of themselves and of what they see and hear.

use serde::{Deserialize, Serialize};

use crate::calls::messages::{CandidateKind, Carrier, Direction, Network, Path, ReportReason};

/// Of the envelope's device, and its call where it is in one. Of its address nothing stands here
/// but where that is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientReport {
    pub reason: ReportReason,
    /// Kind of device and browser, such as `phone, Chromium 140`.
    pub client: String,
    /// Of the screen, in device pixels.
    pub width: u32,
    pub height: u32,
    pub network: Network,
    /// Where its address is, where a database says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
    /// One for each direction that it sends or receives.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quality: Vec<Quality>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Location {
    /// ISO 3166-1, two letters.
    pub country: String,
    /// In English.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub city: Option<String>,
}

/// Over the time since the report before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quality {
    /// The peer.
    pub user: String,
    pub direction: Direction,
    pub path: Path,
    /// How the ends of the connection are reached, where the device knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local: Option<CandidateKind>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<CandidateKind>,
    /// To the relay, where this end is relayed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport: Option<Carrier>,
    pub bitrate_bps: u64,
    /// Of 1000 packets, those lost.
    pub lost_permille: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round_trip_ms: Option<u32>,
    /// Of 1000 milliseconds, those in which the picture stood still.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frozen_permille: Option<u16>,
    /// Of the picture. None: there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    /// Frames a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frame_rate: Option<u32>,
}

// === impl Quality ===

impl Quality {
    /// Whether it comes from device to device, and yet by a relay.
    pub fn is_relayed(&self) -> bool {
        let by_relay = [self.local, self.remote].contains(&Some(CandidateKind::Relay));
        self.path == Path::Direct && by_relay
    }
}
