//! What devices can do, what they are told to do, and what they see of their paths.

use serde::{Deserialize, Serialize};
use stentor_protocol::{BitsPerSecond, Codec, Resolution};

use crate::calls::ids::UserId;

use super::bounded::Few;
use super::shapes::{Path, Text256};

/// What a device can do, and what its line carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Capabilities {
    /// Best first.
    pub encode: Few<CodecLimit, 16>,
    pub decode: Few<CodecLimit, 16>,
    /// What it can send, measured or supposed, in bits a second.
    pub up_bps: BitsPerSecond,
    /// What it can receive, in bits a second.
    pub down_bps: BitsPerSecond,
    pub network: Network,
}

/// How far a device goes with a video codec.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CodecLimit {
    pub codec: Codec,
    /// The largest picture, whichever way it is turned.
    pub resolution: Resolution,
    /// Frames a second.
    pub frame_rate: u32,
}

/// Weakest last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Network {
    Ethernet,
    Wifi,
    Unknown,
    Cellular,
}

/// What a device is to send to each peer, or to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Configuration {
    /// None: sound only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub video: Option<VideoConfiguration>,
    pub audio_bps: BitsPerSecond,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VideoConfiguration {
    pub codec: Codec,
    /// The largest picture. A smaller source is sent as it is.
    pub resolution: Resolution,
    /// Frames a second at most.
    pub frame_rate: u32,
    /// Of one copy.
    pub bitrate_bps: BitsPerSecond,
}

/// Why a configuration changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConfigureCause {
    Started,
    Joined,
    Left,
    DeviceChanged,
    BandwidthChanged,
    NetworkChanged,
    TopologyChanged,
}

/// How one direction between this device and a peer fares, over the time since the last report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PathReport {
    pub user: UserId,
    pub direction: Direction,
    /// The way that media takes now.
    pub path: Path,
    /// The direct path would carry media: its connection is up and answers.
    pub direct_alive: bool,
    /// Packets that went or came by the direct path.
    pub packets: u32,
    /// Of 1000 packets, those lost.
    pub lost_permille: u16,
    /// How long ago the last of those that came did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silent_ms: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round_trip_ms: Option<u32>,
    pub bitrate_bps: BitsPerSecond,
}

/// As the reporting device sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    Send,
    Receive,
}

/// What one receiver gets of one sender's picture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stream {
    pub user: UserId,
    pub rendition: Rendition,
}

/// Where a user's media is had through the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Watch {
    pub user: UserId,
    /// A WHEP endpoint: a path on this server, or a URL where the call lives on another.
    pub url: Text256,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rendition {
    /// What the sender sends, untouched.
    Original,
    /// Encoded once for all who need it.
    Sd,
    None,
}

/// Tiles on one page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub enum PageSize {
    Nine,
    Sixteen,
    TwentyFive,
}

// === impl PageSize ===

impl PageSize {
    pub const fn tiles(self) -> u8 {
        match self {
            Self::Nine => 9,
            Self::Sixteen => 16,
            Self::TwentyFive => 25,
        }
    }
}

impl TryFrom<u8> for PageSize {
    type Error = &'static str;

    fn try_from(tiles: u8) -> Result<Self, Self::Error> {
        match tiles {
            9 => Ok(Self::Nine),
            16 => Ok(Self::Sixteen),
            25 => Ok(Self::TwentyFive),
            _ => Err("a page has 9, 16 or 25 tiles"),
        }
    }
}

impl From<PageSize> for u8 {
    fn from(size: PageSize) -> Self {
        size.tiles()
    }
}
