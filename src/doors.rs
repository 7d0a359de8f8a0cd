//! Every parser of the daemon that strangers reach, as a function of bytes.
//!
//! For the fuzzers of `tests/fuzz`, and for a test that throws damaged samples at each. A door
//! must neither panic nor take long, whatever it is given; some check more than that.

use std::path::Path;

use stentor_protocol::control::FrameReader;
use stentor_protocol::media::packets_of;
use stentor_protocol::{Event, MediaHeader};

use crate::channels::settings::ChannelSettings;
use crate::config::Config;
use crate::fanout::sdp::{self, Capabilities, Fragment, MediaKind};
use crate::http::access::{Access, Need};

pub use crate::calls::doors::call_message;
pub use crate::events::doors::event_line;
pub use crate::fanout::doors::{datagram, rtcp, rtp, vp8};
pub use crate::turn::doors::{turn_message, turn_stream};

#[cfg(test)]
#[path = "../tests/fuzz/mutate.rs"]
mod mutate;

/// Name and door.
pub type Door = (&'static str, fn(&[u8]));

pub const DOORS: &[Door] = &[
    ("sdp_offer", sdp_offer),
    ("sdp_fragment", sdp_fragment),
    ("datagram", datagram),
    ("rtcp", rtcp),
    ("rtp", rtp),
    ("vp8", vp8),
    ("token", token),
    ("call_message", call_message),
    ("event_line", event_line),
    ("turn_message", turn_message),
    ("turn_stream", turn_stream),
    ("config", config),
    ("channel_settings", channel_settings),
    ("worker_event", worker_event),
    ("worker_packet", worker_packet),
];

/// A viewer's offer (WHEP).
pub fn sdp_offer(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(negotiated) = sdp::negotiate(text, &Capabilities::default()) else { return };
    // What was accepted has something to send and is addressed by a section of the offer.
    for (index, _, accepted) in negotiated.accepted(MediaKind::Video) {
        assert!(index < negotiated.media.len());
        assert!(!accepted.formats.is_empty());
    }
}

/// Candidates that trickle in (RFC 8840).
pub fn sdp_fragment(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = Fragment::parse(text);
    }
}

/// An Authorization header.
pub fn token(bytes: &[u8]) {
    // Ed25519's base point as a public key: nobody has signed by it.
    const KEY: &str = "-----BEGIN PUBLIC KEY-----\n\
        MCowBQYDK2VwAyEAWGZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmY=\n\
        -----END PUBLIC KEY-----\n";
    thread_local! {
        static ACCESS: Option<Access> = {
            let file = std::env::temp_dir().join(format!("stentor-door-{}", std::process::id()));
            let access = std::fs::write(&file, KEY)
                .ok()
                .and_then(|()| Access::load(std::slice::from_ref(&file), std::time::Duration::ZERO).ok());
            let _ = std::fs::remove_file(&file);
            access
        };
    }
    ACCESS.with(|access| {
        let Some(access) = access else { return };
        if let Ok(text) = std::str::from_utf8(bytes) {
            assert!(access.check(Some(text), Need::View("demo")).is_err());
        }
    });
}

/// A configuration file.
pub fn config(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = Config::parse(text, Path::new("stentor.toml"));
    }
}

/// A channel's settings, as the REST interface takes them.
pub fn channel_settings(bytes: &[u8]) {
    if let Ok(settings) = serde_json::from_slice::<ChannelSettings>(bytes) {
        let _ = settings.check();
    }
}

/// What a worker says.
pub fn worker_event(bytes: &[u8]) {
    let mut reader = FrameReader::default();
    reader.handle_bytes(bytes);
    while let Ok(Some(_)) = reader.poll_message::<Event>() {}
}

/// What a worker sends to viewers.
pub fn worker_packet(bytes: &[u8]) {
    for packet in packets_of(bytes) {
        if let Ok((_, packet)) = MediaHeader::parse(packet) {
            rtp(packet);
        }
    }
}

#[cfg(test)]
#[test]
fn no_door_gives_way_to_damaged_samples() {
    mutate::storm(DOORS);
}
