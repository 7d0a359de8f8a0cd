//! What the daemon wants of a worker, as plain data.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::probe::ProbeReport;
use crate::units::{BitsPerSecond, FrameRate, Resolution, Secret, TrackId};

/// Everything a worker needs to run one channel. Sent once, as the first command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChannelSpec {
    /// The channel's name, for logs and the slate.
    pub channel: String,
    pub source: SourceSpec,
    pub hardware: HardwarePolicy,
    /// What the machine's probe found, for `choice::choose`. Empty: nothing was probed, and the
    /// CPU does the work.
    #[serde(default)]
    pub probe: ProbeReport,
    pub whip: WhipSettings,
    /// A source silent for longer than this is lost and the slate is shown, in ms. Default 700.
    pub loss_timeout_ms: u32,
    /// How often a thumbnail is made, in ms; 0 turns them off. Default 2000.
    pub thumbnail_interval_ms: u32,
    /// Whether a slate stands in where there is no source; else nothing is sent. Default true.
    #[serde(default = "has_slate")]
    pub slate: bool,
}

const fn has_slate() -> bool {
    true
}

/// Where a channel's pictures and sound come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum SourceSpec {
    /// Publishers come to us over WHIP (RFC 9725).
    Whip {
        /// What happens to a second publisher. Default: refuse.
        #[serde(default)]
        second_publisher: SecondPublisher,
    },
    /// We pull from an RTSP server (RFC 7826, RFC 2326).
    Rtsp {
        url: String,
        #[serde(default)]
        transport: RtspTransport,
        #[serde(default)]
        user: Option<String>,
        #[serde(default)]
        password: Option<Secret>,
    },
    /// MPEG-TS over SRT.
    Srt {
        mode: SrtMode,
        /// `host:port` to listen on or to call.
        address: String,
        #[serde(default)]
        passphrase: Option<Secret>,
        #[serde(default)]
        stream_id: Option<String>,
        /// Receive latency in ms. Default 120.
        #[serde(default = "default_srt_latency_ms")]
        latency_ms: u32,
    },
    /// A media file on the server, played in real time.
    File {
        path: String,
        #[serde(default = "default_true")]
        repeat: bool,
    },
    /// Moving picture, burnt-in clock and frame number, tone.
    Synthetic {
        #[serde(default = "default_synthetic_resolution")]
        resolution: Resolution,
        #[serde(default = "default_synthetic_frame_rate")]
        frame_rate: FrameRate,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecondPublisher {
    #[default]
    Refuse,
    TakeOver,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RtspTransport {
    #[default]
    Tcp,
    Udp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SrtMode {
    Listener,
    Caller,
}

/// How contribution legs reach us.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct WhipSettings {
    /// Addresses that the ICE agent binds to and offers. Empty: every non-loopback interface.
    pub local_addresses: Vec<IpAddr>,
    /// Address put into candidates instead of the local one (static 1:1 NAT).
    pub public_address: Option<IpAddr>,
    /// UDP ports for contribution legs, both ends included; (0, 0) lets the system choose.
    pub port_range: (u16, u16),
    /// ECDSA certificate and private key, PEM, shared by all contribution legs.
    pub certificate_pem: Secret,
    /// Upper bound told to the sender in the answer (`b=AS`, TIAS). Default 8 Mb/s.
    pub max_bitrate: BitsPerSecond,
    /// Whether the sender is asked how loud it is (RFC 6464). Default false.
    #[serde(default)]
    pub levels: bool,
}

/// Which backend may do the work.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct HardwarePolicy {
    /// None: the best that the probe found.
    pub backend: Option<Backend>,
    /// Refuse to fall back to software.
    pub require_hardware: bool,
    /// Device to use: a CUDA index ("0") or a DRM render node.
    pub device: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Backend {
    Nvenc,
    Vaapi,
    Software,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Codec {
    H264,
    H265,
    Vp8,
    Av1,
    Opus,
    Aac,
}

/// One rendition to be produced: a size and a codec.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RungSpec {
    pub track: TrackId,
    /// What viewers ask for, such as "720p" or "source".
    pub name: String,
    pub codec: Codec,
    pub kind: RungKind,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum RungKind {
    /// The contribution's own packets, re-packetised and not transcoded.
    PassThrough,
    Encode {
        resolution: Resolution,
        /// Never above the source's; frames are dropped to reach it. None: the source's.
        frame_rate: Option<FrameRate>,
        bitrate: BitsPerSecond,
    },
}

fn default_srt_latency_ms() -> u32 {
    120
}

fn default_true() -> bool {
    true
}

fn default_synthetic_resolution() -> Resolution {
    Resolution::new(1280, 720)
}

fn default_synthetic_frame_rate() -> FrameRate {
    FrameRate::new(30, 1)
}

// === impl Backend ===

impl Backend {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Nvenc => "nvenc",
            Self::Vaapi => "vaapi",
            Self::Software => "software",
        }
    }
}

// === impl Codec ===

impl Codec {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::H264 => "h264",
            Self::H265 => "h265",
            Self::Vp8 => "vp8",
            Self::Av1 => "av1",
            Self::Opus => "opus",
            Self::Aac => "aac",
        }
    }
}
