//! The little of STUN (RFC 8489) that an ICE-lite agent needs: binding requests in, their
//! answers out. Nothing is allocated while reading.

use std::net::SocketAddr;

pub(super) use crate::stun::HEADER_BYTES;
use crate::stun::{
    Attributes, FINGERPRINT, INTEGRITY_BYTES, MESSAGE_INTEGRITY, USERNAME, Writer,
    XOR_MAPPED_ADDRESS, fingerprint, is_integrity_of, message_type,
};

const BINDING_REQUEST: u16 = 0x0001;
const BINDING_SUCCESS: u16 = 0x0101;
const BINDING_ERROR: u16 = 0x0111;

const PRIORITY: u16 = 0x0024;
const USE_CANDIDATE: u16 = 0x0025;
const ICE_CONTROLLED: u16 = 0x8029;

/// A connectivity check whose shape and CRC are right. Its sender is unknown until
/// [`BindingRequest::is_from`] says so.
#[derive(Debug, Clone, Copy)]
pub(super) struct BindingRequest<'a> {
    bytes: &'a [u8],
    pub transaction_id: [u8; 12],
    pub username: &'a str,
    pub priority: u32,
    pub use_candidate: bool,
    /// The peer holds itself for the controlled agent, which a lite agent always is.
    pub controlled: bool,
    /// Where MESSAGE-INTEGRITY begins.
    integrity_at: usize,
}

/// What a request is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// The address that the request came from.
    Success(SocketAddr),
    /// 487: the peer must take the controlling role (RFC 8445, 7.3.1.1).
    RoleConflict,
}

/// USERNAME of a STUN request, unverified.
pub(super) fn username(bytes: &[u8]) -> Option<&str> {
    if message_type(bytes)? != BINDING_REQUEST {
        return None;
    }
    let (_, value) = Attributes::of(bytes)
        .find_map(|(at, kind, value)| (kind == USERNAME).then_some((at, value)))?;
    std::str::from_utf8(value).ok()
}

/// Appends the answer to a request, with MESSAGE-INTEGRITY and FINGERPRINT.
pub(super) fn write_answer(
    transaction_id: &[u8; 12],
    answer: Answer,
    password: &str,
    out: &mut Vec<u8>,
) {
    let message_type = match answer {
        Answer::Success(_) => BINDING_SUCCESS,
        Answer::RoleConflict => BINDING_ERROR,
    };
    let mut writer = Writer::begin(out, message_type, transaction_id);
    match answer {
        Answer::Success(address) => writer.xor_address(XOR_MAPPED_ADDRESS, address),
        Answer::RoleConflict => writer.error_code(487, "Role Conflict"),
    }
    writer.integrity(password.as_bytes());
    writer.fingerprint();
}

// === impl BindingRequest ===

impl<'a> BindingRequest<'a> {
    /// None for anything that isn't a whole binding request with a right FINGERPRINT at its end
    /// and MESSAGE-INTEGRITY before it. Unknown attributes are passed over.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        if message_type(bytes)? != BINDING_REQUEST {
            return None;
        }
        let mut request = Self {
            bytes,
            transaction_id: *bytes[8..].first_chunk()?,
            username: "",
            priority: 0,
            use_candidate: false,
            controlled: false,
            integrity_at: 0,
        };
        let mut fingerprint_at = None;
        for (at, kind, value) in Attributes::of(bytes) {
            match kind {
                MESSAGE_INTEGRITY if value.len() == INTEGRITY_BYTES => request.integrity_at = at,
                FINGERPRINT if value.len() == 4 => {
                    if value != fingerprint(&bytes[..at]) {
                        return None;
                    }
                    fingerprint_at = Some(at);
                }
                // What follows MESSAGE-INTEGRITY is not protected by it: ignored.
                _ if request.integrity_at != 0 => {}
                USERNAME => request.username = std::str::from_utf8(value).ok()?,
                PRIORITY => request.priority = u32::from_be_bytes(value.try_into().ok()?),
                USE_CANDIDATE => request.use_candidate = true,
                ICE_CONTROLLED => request.controlled = true,
                _ => {}
            }
        }
        let is_last = fingerprint_at? + 8 == bytes.len();
        (is_last && request.integrity_at != 0).then_some(request)
    }

    /// Whether MESSAGE-INTEGRITY was made with `password`. Takes the same time either way.
    pub fn is_from(&self, password: &str) -> bool {
        is_integrity_of(self.bytes, self.integrity_at, password.as_bytes())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use aws_lc_rs::hmac;

    use super::*;

    /// A connectivity check as a full agent sends it.
    pub fn check(username: &str, password: &str, attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut writer = Writer::begin(&mut out, BINDING_REQUEST, b"transaction!");
        writer.attribute(USERNAME, username.as_bytes());
        for (kind, value) in attributes {
            writer.attribute(*kind, value);
        }
        writer.integrity(password.as_bytes());
        writer.fingerprint();
        out
    }

    pub fn nominating(username: &str, password: &str, priority: u32) -> Vec<u8> {
        let attributes: [(u16, &[u8]); 2] =
            [(PRIORITY, &priority.to_be_bytes()), (USE_CANDIDATE, &[])];
        check(username, password, &attributes)
    }

    pub fn plain(username: &str, password: &str) -> Vec<u8> {
        check(username, password, &[(PRIORITY, &[0, 0, 0, 1])])
    }

    pub fn conflicting(username: &str, password: &str) -> Vec<u8> {
        check(username, password, &[(ICE_CONTROLLED, &[0; 8])])
    }

    /// RFC 5769, 2.1: a request with a long password, SOFTWARE and PRIORITY.
    const RFC_5769_REQUEST: &[u8] = b"\
        \x00\x01\x00\x58\x21\x12\xa4\x42\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae\
        \x80\x22\x00\x10STUN test client\
        \x00\x24\x00\x04\x6e\x00\x01\xff\
        \x80\x29\x00\x08\x93\x2f\xf9\xb1\x51\x26\x3b\x36\
        \x00\x06\x00\x09evtj:h6vY\x20\x20\x20\
        \x00\x08\x00\x14\x9a\xea\xa7\x0c\xbf\xd8\xcb\x56\x78\x1e\xf2\xb5\xb2\xd3\xf2\x49\xc1\xb5\x71\xa2\
        \x80\x28\x00\x04\xe5\x7a\x3b\xcf";

    #[test]
    fn the_sample_request_of_rfc_5769_is_read_and_verified() {
        let request = BindingRequest::parse(RFC_5769_REQUEST).unwrap();
        assert_eq!(request.username, "evtj:h6vY");
        assert_eq!(request.priority, 0x6e00_01ff);
        assert!(request.controlled && !request.use_candidate);
        assert!(request.is_from("VOkJxbRl1RmTxUk/WvJxBt"));
        assert!(!request.is_from("VOkJxbRl1RmTxUk/WvJxBu"));
        assert_eq!(username(RFC_5769_REQUEST), Some("evtj:h6vY"));
    }

    #[test]
    fn an_answer_is_what_the_is_crate_expects() {
        let address: SocketAddr = "192.0.2.1:32853".parse().unwrap();
        let mapped: SocketAddr = "[::ffff:192.0.2.1]:32853".parse().unwrap();
        let v6: SocketAddr = "[2001:db8:1234:5678:11:2233:4455:6677]:32853".parse().unwrap();
        for (from, expected) in [(address, address), (mapped, address), (v6, v6)] {
            let mut out = b"before".to_vec();
            write_answer(b"transaction!", Answer::Success(from), "password", &mut out);
            let answer = is::stun::StunMessage::parse(&out[6..]).unwrap();
            assert!(answer.is_successful_binding_response());
            assert_eq!(answer.mapped_address(), Some(expected));
            assert!(answer.verify(b"password", sha1_hmac));
        }
        let mut out = Vec::new();
        write_answer(b"transaction!", Answer::RoleConflict, "password", &mut out);
        let answer = is::stun::StunMessage::parse(&out).unwrap();
        assert_eq!(answer.error_code(), Some((487, "Role Conflict")));
        assert!(answer.verify(b"password", sha1_hmac));
    }

    fn sha1_hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 20] {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key);
        hmac::sign(&key, &parts.concat()).as_ref().try_into().unwrap()
    }

    #[test]
    fn a_request_that_was_cut_or_changed_anywhere_is_refused() {
        let whole = nominating("us:them", "password", 7);
        assert!(BindingRequest::parse(&whole).unwrap().is_from("password"));
        for length in 0..whole.len() {
            assert!(BindingRequest::parse(&whole[..length]).is_none(), "{length}");
        }
        for at in 0..whole.len() {
            let mut bent = whole.clone();
            bent[at] ^= 0x10;
            let passes = BindingRequest::parse(&bent).is_some_and(|r| r.is_from("password"));
            assert!(!passes, "byte {at}");
        }
    }

    #[test]
    fn attributes_behind_the_integrity_are_not_believed() {
        let mut bytes = Vec::new();
        let mut writer = Writer::begin(&mut bytes, BINDING_REQUEST, b"transaction!");
        writer.attribute(USERNAME, b"us:them");
        writer.integrity(b"password");
        writer.attribute(USE_CANDIDATE, &[]);
        writer.fingerprint();
        let request = BindingRequest::parse(&bytes).unwrap();
        assert!(request.is_from("password") && !request.use_candidate);
    }
}
