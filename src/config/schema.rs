//! Every key of the configuration file, with its default. `systemd/stentor.toml` is this page in
//! the operator's words; a test holds the two together.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use stentor_protocol::spec::{Backend, HardwarePolicy, SourceSpec};
use stentor_protocol::units::{BitsPerSecond, Secret};

use super::accounts::Accounts;
use super::analytics::Analytics;
use super::calls::Calls;
use super::directory::Directory;
use super::events::Events;
use super::recording::Recording;
use super::turn::Turn;
use super::units::{BitRate, Period, PortRange};
use super::worker::Worker;

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    pub server: Server,
    pub http: Http,
    pub access: Access,
    pub fanout: Fanout,
    pub ice: Ice,
    pub turn: Turn,
    pub calls: Calls,
    pub accounts: Accounts,
    pub directory: Directory,
    pub events: Events,
    pub analytics: Analytics,
    pub recording: Recording,
    pub whip: Whip,
    pub worker: Worker,
    pub hardware: Hardware,
    pub ladder: Ladder,
    pub log: Log,
    pub channels: Vec<Channel>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    /// Where channels made over the API are kept. Default: `$STATE_DIRECTORY`, as systemd sets
    /// it, else nowhere: they are forgotten at exit.
    pub state_directory: Option<PathBuf>,
    /// How long viewers have to leave after SIGTERM. Default 10 s.
    pub drain_grace: Period,
    /// Channels at once, from the file and the API together. Default 64.
    pub max_channels: usize,
    /// Folders from which channels made over the API may play files. Default none.
    pub file_folders: Vec<PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// Default 127.0.0.1:8080.
    pub listen: Vec<SocketAddr>,
    /// PEM chain, the server's own certificate first. Read again when it changes and at SIGHUP.
    /// Default: no TLS.
    pub tls_certificate: Option<PathBuf>,
    /// PEM private key of the certificate.
    pub tls_key: Option<PathBuf>,
    /// Connections at once; a further one waits to be accepted. One client address has a quarter
    /// of them at most, and 32 at least. Default 4096.
    pub max_connections: usize,
    /// A connection whose handshake, first request or headers take longer is closed. Default 10 s.
    pub header_timeout: Period,
    /// A request that takes longer is answered 408 or 503. Default 15 s.
    pub request_timeout: Period,
    /// Requests a second that one client address may make on average. A web socket counts as ten
    /// until somebody has signed in over it. Default 200.
    pub requests_per_second: u32,
    /// Requests that one client address may make at once. Default 1000.
    pub request_burst: u32,
    /// Client addresses that are told apart; about 100 bytes each. Default 10000.
    pub tracked_addresses: usize,
    /// Origins whose pages may use this server, or `"*"`. Default `"*"`: tokens, not cookies,
    /// are what gives access.
    pub cors_origins: Vec<String>,
    /// Proxies whose `X-Forwarded-For` is believed. Default none.
    pub trusted_proxies: Vec<IpAddr>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Access {
    /// PEM files with Ed25519 public keys; a token signed by one of them is good. Default none:
    /// everyone may do everything, which is allowed on loopback only.
    pub keys: Vec<PathBuf>,
    /// Clock difference forgiven at a token's expiry. Default 30 s.
    pub leeway: Period,
    /// Whether `/metrics` asks for an admin token. Default false.
    pub metrics_token: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Fanout {
    /// Threads that send to viewers, each with one UDP port; 0 is one per CPU. Default 0.
    pub shards: usize,
    /// Addresses that the shards bind. Default 127.0.0.1.
    pub bind: Vec<IpAddr>,
    /// UDP port of the first shard; the others follow. 0 lets the system choose. Default 50000.
    pub first_port: u16,
    /// Addresses that viewers are told in place of the bound ones. Default none.
    pub public_addresses: Vec<IpAddr>,
    /// A viewer not heard of for this long has left. Default 20 s, at most 30 s.
    pub dead_after: Period,
    /// Viewers at once. Default 5000.
    pub max_viewers: usize,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ice {
    /// STUN and TURN servers that clients are told of. Default none.
    pub servers: Vec<IceServer>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IceServer {
    /// Such as `stun:stun.example.net:3478`.
    pub urls: Vec<String>,
    #[serde(default)]
    pub username: Option<String>,
    #[serde(default)]
    pub credential: Option<Secret>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Whip {
    /// Addresses that publishers send to. Default: those of `fanout.bind`, where they are
    /// specific, else every non-loopback interface.
    pub local_addresses: Vec<IpAddr>,
    /// Address that publishers are told in place of the local one. Default none.
    pub public_address: Option<IpAddr>,
    /// UDP ports for publishers, four of them each. Default 51000-51999.
    pub ports: PortRange,
    /// Upper bound that publishers are told. Default 8 Mb/s.
    pub max_bitrate: BitRate,
    /// How long a worker may take to answer an offer. Default 5 s.
    pub answer_timeout: Period,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Hardware {
    /// Which backend does the work. Default auto: the best that the probe finds.
    pub backend: BackendChoice,
    /// Refuse what hardware can't do, rather than fall back to the CPU. Default false.
    pub require_hardware: bool,
    /// CUDA index or DRM render node. Default: the first that works.
    pub device: Option<String>,
    /// How long the probe may take. Default 60 s.
    pub probe_timeout: Period,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BackendChoice {
    #[default]
    Auto,
    Nvenc,
    Vaapi,
    Software,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ladder {
    /// Renditions below the source for channels that have no ladder of their own.
    pub rungs: Vec<Rung>,
    /// How long a rendition runs on after its last viewer left. Default 5 s.
    pub linger: Period,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rung {
    /// What viewers ask for. Default: the height and `p`, such as `720p`.
    #[serde(default)]
    pub name: Option<String>,
    /// Picture height in pixels; the width follows from the source.
    pub height: u32,
    /// Default: by size and frame rate.
    #[serde(default)]
    pub bitrate: Option<BitRate>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// Default text.
    pub format: LogFormat,
    /// error, warn, info, debug or trace, or a filter such as `"info,stentor::channels=debug"`.
    /// The environment's `STENTOR_LOG` wins. Default info.
    pub level: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

/// A channel that the file declares; the API can't change it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Channel {
    pub name: String,
    pub source: SourceSpec,
    /// Default: the rungs of `[ladder]`.
    #[serde(default)]
    pub ladder: Option<Vec<Rung>>,
    /// Recorded from the start on. Default false.
    #[serde(default)]
    pub record: bool,
}

// === impl Server ===

impl Default for Server {
    fn default() -> Self {
        Self {
            state_directory: None,
            drain_grace: Period::from_secs(10),
            max_channels: 64,
            file_folders: Vec::new(),
        }
    }
}

// === impl Http ===

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 8080))],
            tls_certificate: None,
            tls_key: None,
            max_connections: 4096,
            header_timeout: Period::from_secs(10),
            request_timeout: Period::from_secs(15),
            requests_per_second: 200,
            request_burst: 1000,
            tracked_addresses: 10_000,
            cors_origins: vec!["*".to_owned()],
            trusted_proxies: Vec::new(),
        }
    }
}

// === impl Access ===

impl Default for Access {
    fn default() -> Self {
        Self { keys: Vec::new(), leeway: Period::from_secs(30), metrics_token: false }
    }
}

// === impl Fanout ===

impl Default for Fanout {
    fn default() -> Self {
        Self {
            shards: 0,
            bind: vec![IpAddr::V4(Ipv4Addr::LOCALHOST)],
            first_port: 50_000,
            public_addresses: Vec::new(),
            dead_after: Period::from_secs(20),
            max_viewers: 5000,
        }
    }
}

impl Fanout {
    /// Shards that will run: the configured number, or one per CPU.
    pub fn shard_count(&self) -> usize {
        match self.shards {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            shards => shards,
        }
    }
}

// === impl Whip ===

impl Default for Whip {
    fn default() -> Self {
        Self {
            local_addresses: Vec::new(),
            public_address: None,
            ports: PortRange::Between(51_000, 51_999),
            max_bitrate: BitRate(BitsPerSecond::from_kilo(8000)),
            answer_timeout: Period::from_secs(5),
        }
    }
}

// === impl Hardware ===

impl Default for Hardware {
    fn default() -> Self {
        Self {
            backend: BackendChoice::Auto,
            require_hardware: false,
            device: None,
            probe_timeout: Period::from_secs(60),
        }
    }
}

impl Hardware {
    pub fn policy(&self) -> HardwarePolicy {
        HardwarePolicy {
            backend: self.backend.backend(),
            require_hardware: self.require_hardware,
            device: self.device.clone(),
        }
    }
}

// === impl BackendChoice ===

impl BackendChoice {
    /// None leaves the choice to the probe.
    pub fn backend(self) -> Option<Backend> {
        match self {
            Self::Auto => None,
            Self::Nvenc => Some(Backend::Nvenc),
            Self::Vaapi => Some(Backend::Vaapi),
            Self::Software => Some(Backend::Software),
        }
    }
}

// === impl Ladder ===

impl Default for Ladder {
    fn default() -> Self {
        let rung = |height| Rung { name: None, height, bitrate: None };
        Self { rungs: [1080, 720, 360, 180].map(rung).to_vec(), linger: Period::from_secs(5) }
    }
}

// === impl Log ===

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Text, level: "info".to_owned() }
    }
}

// === impl Rung ===

impl From<&Rung> for crate::channels::settings::Rung {
    fn from(rung: &Rung) -> Self {
        Self { name: rung.name.clone(), height: rung.height, bitrate: rung.bitrate.map(|b| b.0.0) }
    }
}

// === impl Channel ===

impl Channel {
    pub fn settings(&self) -> crate::channels::settings::ChannelSettings {
        crate::channels::settings::ChannelSettings {
            source: self.source.clone(),
            ladder: self.ladder.as_ref().map(|rungs| rungs.iter().map(Into::into).collect()),
        }
    }
}
