//! The fan-out's own parsers, for [`crate::doors`].

use super::rtcp::{self as control, Message};
use super::rtp::Incoming;
use super::transport::{demux, stun_username};
use super::vp8::Descriptor;

/// What arrives at a shard's port before it is known whose it is.
pub fn datagram(bytes: &[u8]) {
    let _ = demux(bytes);
    let _ = stun_username(bytes);
}

/// What a viewer reports, decrypted.
pub fn rtcp(bytes: &[u8]) {
    let mut packets = 0_usize;
    control::parse(bytes, |message| match message {
        Message::Nack { pairs, .. } => packets += pairs.sequences().count(),
        Message::Transport(feedback) => packets += feedback.packets().count(),
        _ => {}
    });
    // Feedback speaks of at most 65535 packets each, and needs four bytes to say so.
    assert!(packets <= bytes.len() / 4 * 0xffff);
}

/// A worker's packet.
pub fn rtp(bytes: &[u8]) {
    if let Some(incoming) = Incoming::parse(bytes) {
        assert!(incoming.payload.len() <= bytes.len());
    }
}

/// The start of a VP8 payload: read, written back, and read again.
pub fn vp8(bytes: &[u8]) {
    let Some(descriptor) = Descriptor::parse(bytes) else { return };
    let counters = descriptor.read(bytes);
    let mut payload = bytes.to_vec();
    descriptor.write(&mut payload, counters);
    assert_eq!(payload, bytes);
}
