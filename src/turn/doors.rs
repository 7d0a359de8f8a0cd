//! TURN's own parsers, for [`crate::doors`].

use super::frame::{Front, channel_data, front, is_channel_data};
use super::request::Request;

/// One datagram of a client.
pub fn turn_message(bytes: &[u8]) {
    if is_channel_data(bytes) {
        if let Some((_, data)) = channel_data(bytes) {
            assert!(data.len() + 4 <= bytes.len());
        }
    } else if let Some(request) = Request::parse(bytes) {
        // An attribute with an address takes eight bytes and a header at least.
        assert!(request.peers().count() * 4 <= bytes.len());
        assert!(request.integrity_at.is_none_or(|at| at + 24 <= bytes.len()));
    }
}

/// What a client sends over TCP.
pub fn turn_stream(bytes: &[u8]) {
    let mut rest = bytes;
    loop {
        match front(rest, 2048) {
            Front::Incomplete | Front::Broken => return,
            Front::Message { length, step } | Front::Channel { length, step } => {
                assert!(length <= step && step <= rest.len() && step <= 2048);
                turn_message(&rest[..length]);
                rest = &rest[step..];
            }
        }
    }
}
