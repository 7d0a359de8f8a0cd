//! What parses but can't be meant. Pure: nothing is opened or bound.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use stentor_protocol::spec::{SourceSpec, SrtMode};

use super::units::Size;
use super::{
    Config, Fault, Period, accounts, analytics, calls, directory, events, kafka, recording, turn,
};
use crate::channels::settings::{self, ChannelSettings};

/// Everything that is wrong, in the file's order of sections.
pub fn check(config: &Config) -> Vec<Fault> {
    let mut faults = Faults::default();
    server(config, &mut faults);
    http(config, &mut faults);
    fanout(config, &mut faults);
    turn::check(config, &mut faults);
    calls::check(config, &mut faults);
    accounts::check(config, &mut faults);
    directory::check(config, &mut faults);
    events::check(config, &mut faults);
    kafka::check(config, &mut faults);
    recording::check(config, &mut faults);
    analytics::check(config, &mut faults);
    rest(config, &mut faults);
    channels(config, &mut faults);
    udp_ports(config, &mut faults);
    faults.0
}

#[derive(Default)]
pub(super) struct Faults(Vec<Fault>);

// === impl Faults ===

impl Faults {
    pub fn add(&mut self, key: impl Into<String>, message: impl Into<String>) {
        self.0.push(Fault { key: key.into(), message: message.into() });
    }

    pub fn require(&mut self, holds: bool, key: &str, expected: &str) {
        if !holds {
            let name = key.rsplit('.').next().unwrap_or(key);
            self.add(key, format!("`{name}`: expected {expected}"));
        }
    }

    pub fn period(&mut self, key: &str, period: Period, range: RangeInclusive<Duration>) {
        if !range.contains(&period.0) {
            let bound = |d: &Duration| Period(*d).to_string();
            let (least, most) = (bound(range.start()), bound(range.end()));
            self.require(false, key, &format!("{least} to {most}, found {period}"));
        }
    }
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

const fn s(s: u64) -> Duration {
    Duration::from_secs(s)
}

fn server(config: &Config, faults: &mut Faults) {
    let server = &config.server;
    faults.period("server.drain_grace", server.drain_grace, s(0)..=s(3600));
    faults.require((1..=1000).contains(&server.max_channels), "server.max_channels", "1 to 1000");
    for (index, folder) in server.file_folders.iter().enumerate() {
        let key = format!("server.file_folders.{index}");
        faults.require(folder.is_absolute(), &key, "an absolute path");
    }
}

fn http(config: &Config, faults: &mut Faults) {
    let http = &config.http;
    faults.require(!http.listen.is_empty(), "http.listen", "one address at least");
    for (index, address) in http.listen.iter().enumerate() {
        let key = format!("http.listen.{index}");
        if let Some(other) = http.listen[..index].iter().find(|o| clash(o, address)) {
            faults.add(&key, format!("{address} clashes with {other}: expected another port"));
        }
        if !address.ip().is_loopback() && config.access.keys.is_empty() {
            faults.add(
                &key,
                format!(
                    "{address} is not on loopback: expected a public key in `access.keys` \
                     (make a pair with `stentor token keygen`), since without one everyone \
                     may do everything"
                ),
            );
        }
    }
    if http.tls_certificate.is_some() != http.tls_key.is_some() {
        let key = if http.tls_key.is_some() { "http.tls_key" } else { "http.tls_certificate" };
        faults.add(key, "expected `tls_certificate` and `tls_key` together");
    }
    let one_at_least = [
        ("http.max_connections", http.max_connections),
        ("http.requests_per_second", http.requests_per_second as usize),
        ("http.request_burst", http.request_burst as usize),
        ("http.tracked_addresses", http.tracked_addresses),
    ];
    for (key, value) in one_at_least {
        faults.require(value > 0, key, "1 or more");
    }
    faults.period("http.header_timeout", http.header_timeout, ms(100)..=s(300));
    faults.period("http.request_timeout", http.request_timeout, ms(100)..=s(300));
    for (index, origin) in http.cors_origins.iter().enumerate() {
        let key = format!("http.cors_origins.{index}");
        let is_origin = origin
            .split_once("://")
            .is_some_and(|(_, host)| !host.is_empty() && !host.contains('/'));
        let expected = "\"*\" or an origin such as \"https://tv.example.net\"";
        faults.require(origin == "*" || is_origin, &key, expected);
    }
}

/// Whether two TCP listeners can't be bound at once. Port 0 never clashes.
pub(super) fn clash(a: &SocketAddr, b: &SocketAddr) -> bool {
    let overlap = a.ip() == b.ip()
        || (a.ip().is_unspecified() && (a.is_ipv6() || b.is_ipv4()))
        || (b.ip().is_unspecified() && (b.is_ipv6() || a.is_ipv4()));
    a.port() != 0 && a.port() == b.port() && overlap
}

fn fanout(config: &Config, faults: &mut Faults) {
    let fanout = &config.fanout;
    faults.require(fanout.shards <= 256, "fanout.shards", "0 (one per CPU) to 256");
    faults.require(!fanout.bind.is_empty(), "fanout.bind", "one address at least");
    faults.require(fanout.max_viewers > 0, "fanout.max_viewers", "1 or more");
    faults.period("fanout.dead_after", fanout.dead_after, s(1)..=s(30));
    let last = usize::from(fanout.first_port) + fanout.shard_count().saturating_sub(1);
    let fits = last <= usize::from(u16::MAX);
    faults.require(fits, "fanout.first_port", "a port that leaves room for all shards");
    for (index, address) in fanout.public_addresses.iter().enumerate() {
        let key = format!("fanout.public_addresses.{index}");
        faults.require(!address.is_unspecified(), &key, "an address that viewers can reach");
    }
    for (index, server) in config.ice.servers.iter().enumerate() {
        let known = ["stun:", "stuns:", "turn:", "turns:"];
        let fine = |url: &String| {
            known.iter().any(|scheme| url.starts_with(scheme))
                && url.bytes().all(|b| b.is_ascii_graphic() && !b"<>\"".contains(&b))
        };
        let key = format!("ice.servers.{index}.urls");
        let all = !server.urls.is_empty() && server.urls.iter().all(fine);
        faults.require(all, &key, "URLs such as \"turn:turn.example.net:3478?transport=udp\"");
    }
}

fn rest(config: &Config, faults: &mut Faults) {
    faults.period("access.leeway", config.access.leeway, s(0)..=s(600));
    faults.period("whip.answer_timeout", config.whip.answer_timeout, ms(100)..=s(60));
    let worker = &config.worker;
    faults.period("worker.restart_backoff_max", worker.restart_backoff_max, s(1)..=s(600));
    faults.period("worker.silence_timeout", worker.silence_timeout, s(2)..=s(60));
    faults.period("worker.loss_timeout", worker.loss_timeout, ms(100)..=s(60));
    faults.period("worker.thumbnail_interval", worker.thumbnail_interval, s(0)..=s(3600));
    faults.period("worker.stop_grace", worker.stop_grace, ms(100)..=s(60));
    let least = Size(128 << 20);
    faults.require(worker.memory_max >= least, "worker.memory_max", "128MiB or more");
    faults.require(worker.tasks_max >= 64, "worker.tasks_max", "64 or more");
    let hardware = &config.hardware;
    faults.period("hardware.probe_timeout", hardware.probe_timeout, s(1)..=s(600));
    faults.period("ladder.linger", config.ladder.linger, s(0)..=s(600));
    let filter = tracing_subscriber::EnvFilter::try_new(&config.log.level);
    faults.require(
        filter.is_ok(),
        "log.level",
        "error, warn, info, debug, trace or a filter such as \"info,stentor::channels=debug\"",
    );
}

fn channels(config: &Config, faults: &mut Faults) {
    let default_ladder = ChannelSettings {
        source: SourceSpec::Whip { second_publisher: Default::default() },
        ladder: Some(config.ladder.rungs.iter().map(Into::into).collect()),
    };
    for invalid in default_ladder.check() {
        let key = invalid.pointer.replace("/ladder", "ladder.rungs").replace('/', ".");
        faults.add(&key, with_name(&key, &invalid.detail));
    }
    if config.channels.len() > config.server.max_channels {
        faults.add("channels", "more channels than `server.max_channels`");
    }
    for (index, channel) in config.channels.iter().enumerate() {
        let key = format!("channels.{index}.name");
        faults.require(
            settings::is_channel_name(&channel.name) && !settings::is_call_channel(&channel.name),
            &key,
            "1 to 63 letters, digits, `_` or `-`, a letter or digit first",
        );
        if config.channels[..index].iter().any(|c| c.name == channel.name) {
            faults
                .add(&key, format!("a channel `{}` stands above: expected another", channel.name));
        }
        for invalid in channel.settings().check() {
            let key = format!("channels.{index}{}", invalid.pointer.replace('/', "."));
            faults.add(&key, with_name(&key, &invalid.detail));
        }
    }
}

fn with_name(key: &str, detail: &str) -> String {
    format!("`{}`: {detail}", key.rsplit('.').next().unwrap_or(key))
}

/// UDP ports must not meet: shards', publishers', TURN's, and those of SRT listeners.
fn udp_ports(config: &Config, faults: &mut Faults) {
    let mut taken: Vec<(String, RangeInclusive<u16>)> = Vec::new();
    let first = config.fanout.first_port;
    if first != 0 {
        let count = u16::try_from(config.fanout.shard_count()).unwrap_or(u16::MAX);
        let last = first.saturating_add(count.saturating_sub(1));
        taken.push(("fanout.first_port".to_owned(), first..=last));
    }
    let (first, last) = config.whip.ports.bounds();
    if first != 0 {
        taken.push(("whip.ports".to_owned(), first..=last));
    }
    taken.extend(turn::udp_ports(&config.turn));
    for (index, channel) in config.channels.iter().enumerate() {
        if let SourceSpec::Srt { mode: SrtMode::Listener, address, .. } = &channel.source
            && let Some(port) = address.rsplit(':').next().and_then(|p| p.parse().ok())
        {
            taken.push((format!("channels.{index}.source.address"), port..=port));
        }
    }
    for (index, (key, ports)) in taken.iter().enumerate() {
        let other = taken[..index]
            .iter()
            .find(|(_, o)| o.start() <= ports.end() && ports.start() <= o.end());
        if let Some((other_key, other)) = other {
            faults.add(
                key,
                format!(
                    "UDP ports {} clash with {} of `{other_key}`: expected others",
                    span(ports),
                    span(other)
                ),
            );
        }
    }
}

fn span(ports: &RangeInclusive<u16>) -> String {
    if ports.start() == ports.end() {
        ports.start().to_string()
    } else {
        format!("{}-{}", ports.start(), ports.end())
    }
}
