//! MPEG-TS over SRT, called or calling.

use std::net::SocketAddr;
use std::sync::Arc;

use gst::prelude::*;
use stentor_protocol::spec::SrtMode;
use stentor_protocol::units::Secret;

use super::demuxed::Demuxed;
use super::elements::{self};
use super::pull::{self, Dial};
use super::{Contribution, OpenError, Sink};

/// The most that SRT's own rules allow (SRTO_PASSPHRASE).
const PASSPHRASE_BYTES: std::ops::RangeInclusive<usize> = 10..=79;

pub struct Srt {
    mode: SrtMode,
    /// Host and port, the host without brackets.
    host: String,
    port: u16,
    passphrase: Option<Secret>,
    stream_id: Option<String>,
    latency_ms: u32,
    waits_for: String,
}

/// What is configured of an SRT source.
pub struct Settings<'a> {
    pub mode: SrtMode,
    pub address: &'a str,
    pub passphrase: Option<&'a Secret>,
    pub stream_id: Option<&'a str>,
    pub latency_ms: u32,
}

pub fn open(
    settings: &Settings<'_>,
    loss_timeout_ms: u32,
    sink: Sink,
) -> Result<Box<dyn Contribution>, OpenError> {
    elements::init()?;
    for needed in ["srtsrc", "tsdemux"] {
        elements::make(needed)?;
    }
    pull::open(Srt::new(settings)?, loss_timeout_ms, false, sink)
}

// === impl Srt ===

impl Srt {
    fn new(settings: &Settings<'_>) -> Result<Self, OpenError> {
        let (host, port) = host_and_port(settings.address).ok_or_else(|| {
            OpenError::Source(format!("{} is no address of the form host:port", settings.address))
        })?;
        if settings.passphrase.is_some_and(|p| !PASSPHRASE_BYTES.contains(&p.0.len())) {
            return Err(OpenError::Source("an SRT passphrase has 10 to 79 characters".into()));
        }
        Ok(Self {
            mode: settings.mode,
            waits_for: format!("waiting for an SRT caller on port {port}"),
            host,
            port,
            passphrase: settings.passphrase.cloned(),
            stream_id: settings.stream_id.map(str::to_owned),
            latency_ms: settings.latency_ms,
        })
    }

    fn source(&self) -> Result<gst::Element, OpenError> {
        let source = elements::make("srtsrc")?;
        match self.mode {
            SrtMode::Caller => {
                let host = match self.host.contains(':') {
                    true => format!("[{}]", self.host),
                    false => self.host.clone(),
                };
                source.set_property("uri", format!("srt://{host}:{}?mode=caller", self.port));
                // We do that ourselves, with back-off and where it can be seen.
                source.set_property("auto-reconnect", false);
                if let Some(id) = &self.stream_id {
                    source.set_property("streamid", id);
                }
            }
            SrtMode::Listener => {
                source.set_property("uri", format!("srt://:{}?mode=listener", self.port));
                if !self.host.is_empty() {
                    source.set_property("localaddress", &self.host);
                }
                if let Some(expected) = self.stream_id.clone() {
                    // Documented as its default, but not so until it is set (1.22).
                    source.set_property("authentication", true);
                    source.connect("caller-connecting", false, move |values| {
                        let id = values.get(2)?.get::<Option<String>>().ok()?;
                        Some((id.as_ref() == Some(&expected)).to_value())
                    });
                }
            }
        }
        source.set_property("latency", self.latency_ms as i32);
        if let Some(passphrase) = &self.passphrase {
            source.set_property("passphrase", &passphrase.0);
        }
        Ok(source)
    }
}

impl Dial for Srt {
    fn build(&self, pipeline: &gst::Pipeline, streams: &Arc<Demuxed>) -> Result<(), OpenError> {
        let source = self.source()?;
        let demux = elements::make("tsdemux")?;
        streams.take_pads(&demux);
        elements::chain(pipeline.upcast_ref(), &[&source, &demux])
    }

    fn listens(&self) -> Option<&str> {
        (self.mode == SrtMode::Listener).then_some(self.waits_for.as_str())
    }
}

/// Splits `host:port`, `[v6]:port` and `:port`.
fn host_and_port(address: &str) -> Option<(String, u16)> {
    if let Ok(address) = address.parse::<SocketAddr>() {
        return Some((address.ip().to_string(), address.port()));
    }
    let (host, port) = address.rsplit_once(':')?;
    let known = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-' || c == '_';
    let port = port.parse().ok().filter(|&port: &u16| port > 0)?;
    host.chars().all(known).then(|| (host.to_owned(), port))
}

#[cfg(test)]
mod tests;
