//! RTSP servers that we pull from (RFC 2326, RFC 7826).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gst::prelude::*;
use stentor_protocol::spec::RtspTransport;
use stentor_protocol::units::Secret;

use super::demuxed::{self, Demuxed, Kind};
use super::elements::{self, internal};
use super::pull::{self, Dial};
use super::{Contribution, OpenError, Sink};

/// How long a jitter buffer waits for a lost or late packet, ms. It delays nothing else.
const JITTER_MS: u32 = 200;
/// A server that doesn't answer for so long is given up, in microseconds.
const SERVER_TIMEOUT_US: u64 = 5_000_000;
/// The longest wait for the server to take note that we leave, ns.
const LEAVE_NS: u64 = 300_000_000;

pub struct Rtsp {
    url: String,
    transport: RtspTransport,
    user: Option<String>,
    password: Option<Secret>,
}

pub fn open(
    url: &str,
    transport: RtspTransport,
    user: Option<String>,
    password: Option<Secret>,
    loss_timeout_ms: u32,
    sink: Sink,
) -> Result<Box<dyn Contribution>, OpenError> {
    elements::init()?;
    elements::make("rtspsrc")?;
    if !["rtsp://", "rtsps://"].iter().any(|scheme| url.starts_with(scheme)) {
        return Err(OpenError::Source("the address doesn't begin with rtsp:// or rtsps://".into()));
    }
    let dial = Rtsp { url: url.to_owned(), transport, user, password };
    pull::open(dial, loss_timeout_ms, false, sink)
}

// === impl Rtsp ===

impl Dial for Rtsp {
    fn build(&self, pipeline: &gst::Pipeline, streams: &Arc<Demuxed>) -> Result<(), OpenError> {
        let protocols = match self.transport {
            RtspTransport::Tcp => "tcp",
            RtspTransport::Udp => "udp",
        };
        let source = elements::make_with(
            "rtspsrc",
            &[
                ("protocols", protocols),
                ("latency", &JITTER_MS.to_string()),
                ("tcp-timeout", &SERVER_TIMEOUT_US.to_string()),
                // Without packets over UDP we'd rather try again than change the transport.
                ("timeout", "0"),
                ("teardown-timeout", &LEAVE_NS.to_string()),
                ("user-agent", "stentor"),
            ],
        )?;
        source.set_property("location", &self.url);
        if let Some(user) = &self.user {
            source.set_property("user-id", user);
        }
        if let Some(password) = &self.password {
            source.set_property("user-pw", &password.0);
        }
        let taken = [AtomicBool::new(false), AtomicBool::new(false)];
        source.connect("select-stream", false, move |values| {
            let caps = values.get(2)?.get::<gst::Caps>().ok()?;
            let wanted = demuxed::kind(&caps).is_some_and(|kind| {
                let slot = &taken[usize::from(kind == Kind::Audio)];
                !slot.swap(true, Ordering::AcqRel)
            });
            Some(wanted.to_value())
        });
        streams.take_pads(&source);
        pipeline.add(&source).map_err(internal)
    }
}

#[cfg(test)]
mod tests;
