//! What a client sends: STUN messages with TURN's methods and attributes (RFC 8656, 17 and 18).
//! A view of the bytes; nothing is allocated.

use std::net::SocketAddr;

use crate::stun::{
    Attributes, FINGERPRINT, INTEGRITY_BYTES, MESSAGE_INTEGRITY, TransactionId, USERNAME,
    fingerprint, message_type, read_xor_address,
};

pub const BINDING: u16 = 0x0001;
pub const ALLOCATE: u16 = 0x0003;
pub const REFRESH: u16 = 0x0004;
pub const CREATE_PERMISSION: u16 = 0x0008;
pub const CHANNEL_BIND: u16 = 0x0009;
/// With the class bits of an indication.
pub const SEND_INDICATION: u16 = 0x0016;
pub const DATA_INDICATION: u16 = 0x0017;

pub const UNKNOWN_ATTRIBUTES: u16 = 0x000a;
pub const CHANNEL_NUMBER: u16 = 0x000c;
pub const LIFETIME: u16 = 0x000d;
pub const XOR_PEER_ADDRESS: u16 = 0x0012;
pub const DATA: u16 = 0x0013;
pub const REALM: u16 = 0x0014;
pub const NONCE: u16 = 0x0015;
pub const XOR_RELAYED_ADDRESS: u16 = 0x0016;
pub const REQUESTED_ADDRESS_FAMILY: u16 = 0x0017;
pub const EVEN_PORT: u16 = 0x0018;
pub const REQUESTED_TRANSPORT: u16 = 0x0019;
pub const RESERVATION_TOKEN: u16 = 0x0022;
pub const ADDITIONAL_ADDRESS_FAMILY: u16 = 0x8000;
/// The same in a draft of RFC 8656, which is how coturn's clients have it (4.6.1). The number is
/// nothing else's.
pub const DRAFT_ADDITIONAL_ADDRESS_FAMILY: u16 = 0x8032;
pub const ADDRESS_ERROR_CODE: u16 = 0x8001;

/// IANA's number of UDP, the one transport that is relayed.
pub const UDP: u8 = 17;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    V4,
    V6,
}

/// A request or an indication whose shape is right. Its sender is unknown.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    pub bytes: &'a [u8],
    pub message_type: u16,
    pub transaction_id: TransactionId,
    /// Where MESSAGE-INTEGRITY begins. What stands behind it was passed over.
    pub integrity_at: Option<usize>,
    pub username: Option<&'a str>,
    pub realm: Option<&'a str>,
    pub nonce: Option<&'a str>,
    pub lifetime: Option<u32>,
    pub channel: Option<u16>,
    pub transport: Option<u8>,
    pub family: Option<Result<Family, UnknownFamily>>,
    pub additional_family: Option<Result<Family, UnknownFamily>>,
    /// Whether the next port is to be reserved, too.
    pub even_port: Option<bool>,
    pub reservation: Option<[u8; 8]>,
    pub data: Option<&'a [u8]>,
    /// An attribute that is known has a wrong length.
    pub malformed: bool,
    /// The first few that must be understood and aren't.
    unknown: [u16; MAX_UNKNOWN],
    unknown_count: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownFamily;

/// Unknown attributes that an answer lists.
const MAX_UNKNOWN: usize = 8;

// === impl Request ===

impl<'a> Request<'a> {
    /// None unless the bytes are one whole request or indication and its FINGERPRINT, if there
    /// is one, is right.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let message_type = message_type(bytes)?;
        // Responses have the upper class bit.
        if message_type & 0x0100 != 0 {
            return None;
        }
        let mut request = Self {
            bytes,
            message_type,
            transaction_id: *bytes.get(8..)?.first_chunk()?,
            integrity_at: None,
            username: None,
            realm: None,
            nonce: None,
            lifetime: None,
            channel: None,
            transport: None,
            family: None,
            additional_family: None,
            even_port: None,
            reservation: None,
            data: None,
            malformed: false,
            unknown: [0; MAX_UNKNOWN],
            unknown_count: 0,
        };
        for (at, kind, value) in Attributes::of(bytes) {
            if kind == FINGERPRINT {
                if value != fingerprint(&bytes[..at]) {
                    return None;
                }
                break;
            }
            if request.integrity_at.is_none() {
                request.note(at, kind, value);
            }
        }
        Some(request)
    }

    /// The peers that are named, in order; None stands for an address that can't be read.
    pub fn peers(&self) -> impl Iterator<Item = Option<SocketAddr>> + '_ {
        let end = self.integrity_at.unwrap_or(self.bytes.len());
        Attributes::of(self.bytes)
            .filter(move |(at, kind, _)| *kind == XOR_PEER_ADDRESS && *at < end)
            .map(|(_, _, value)| read_xor_address(value, &self.transaction_id))
    }

    /// The one peer. None: there is none, or it can't be read.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.peers().next().flatten()
    }

    /// Attributes that must be understood and aren't (RFC 8489, 14).
    pub fn unknown(&self) -> &[u16] {
        &self.unknown[..self.unknown_count]
    }

    fn note(&mut self, at: usize, kind: u16, value: &'a [u8]) {
        match kind {
            MESSAGE_INTEGRITY if value.len() == INTEGRITY_BYTES => self.integrity_at = Some(at),
            MESSAGE_INTEGRITY => self.malformed = true,
            USERNAME => self.username = std::str::from_utf8(value).ok(),
            REALM => self.realm = std::str::from_utf8(value).ok(),
            NONCE => self.nonce = std::str::from_utf8(value).ok(),
            DATA => self.data = Some(value),
            XOR_PEER_ADDRESS => {}
            EVEN_PORT => match value {
                [flags] => self.even_port = Some(flags & 0x80 != 0),
                _ => self.malformed = true,
            },
            RESERVATION_TOKEN => match value.try_into() {
                Ok(token) => self.reservation = Some(token),
                Err(_) => self.malformed = true,
            },
            LIFETIME
            | CHANNEL_NUMBER
            | REQUESTED_TRANSPORT
            | REQUESTED_ADDRESS_FAMILY
            | ADDITIONAL_ADDRESS_FAMILY
            | DRAFT_ADDITIONAL_ADDRESS_FAMILY => match value.try_into() {
                Ok(word) => self.note_word(kind, word),
                Err(_) => self.malformed = true,
            },
            // DONT-FRAGMENT is among them: this server doesn't set the bit (RFC 8656, 7.2).
            _ if kind < 0x8000 && self.unknown_count < MAX_UNKNOWN => {
                self.unknown[self.unknown_count] = kind;
                self.unknown_count += 1;
            }
            _ => {}
        }
    }

    fn note_word(&mut self, kind: u16, word: [u8; 4]) {
        let family = || match word[0] {
            1 => Ok(Family::V4),
            2 => Ok(Family::V6),
            _ => Err(UnknownFamily),
        };
        match kind {
            LIFETIME => self.lifetime = Some(u32::from_be_bytes(word)),
            CHANNEL_NUMBER => self.channel = Some(u16::from_be_bytes([word[0], word[1]])),
            REQUESTED_TRANSPORT => self.transport = Some(word[0]),
            REQUESTED_ADDRESS_FAMILY => self.family = Some(family()),
            _ => self.additional_family = Some(family()),
        }
    }
}

// === impl Family ===

impl Family {
    pub fn of(address: SocketAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    /// As attributes write it.
    pub fn number(self) -> u8 {
        match self {
            Self::V4 => 1,
            Self::V6 => 2,
        }
    }
}

#[cfg(test)]
pub mod tests {
    use md5::{Digest as _, Md5};

    use super::*;
    use crate::stun::Writer;

    /// What a request is signed with.
    #[derive(Clone, Copy)]
    pub struct Signed<'a> {
        pub username: &'a str,
        pub password: &'a str,
        pub realm: &'a str,
        pub nonce: &'a str,
    }

    pub fn signed(by: &Signed<'_>, message_type: u16, attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut writer = Writer::begin(&mut out, message_type, b"transaction!");
        for (kind, value) in attributes {
            writer.attribute(*kind, value);
        }
        writer.attribute(USERNAME, by.username.as_bytes());
        writer.attribute(REALM, by.realm.as_bytes());
        writer.attribute(NONCE, by.nonce.as_bytes());
        let key = Md5::digest(format!("{}:{}:{}", by.username, by.realm, by.password));
        writer.integrity(&key);
        out
    }

    #[test]
    fn attributes_are_read_up_to_the_integrity_and_unknown_ones_are_listed() {
        let mut out = Vec::new();
        let mut writer = Writer::begin(&mut out, ALLOCATE, b"transaction!");
        writer.attribute(REQUESTED_TRANSPORT, &[UDP, 0, 0, 0]);
        writer.attribute(EVEN_PORT, &[0x80]);
        writer.attribute(0x001a, &[]);
        writer.attribute(0x7fff, b"abc");
        writer.attribute(0x8022, b"a client's name");
        writer.xor_address(XOR_PEER_ADDRESS, "192.0.2.1:5".parse().unwrap());
        writer.xor_address(XOR_PEER_ADDRESS, "[2001:db8::1]:6".parse().unwrap());
        writer.integrity(b"key");
        writer.attribute(LIFETIME, &[0, 0, 0, 9]);
        writer.xor_address(XOR_PEER_ADDRESS, "192.0.2.9:5".parse().unwrap());
        writer.fingerprint();
        let request = Request::parse(&out).unwrap();
        assert_eq!((request.transport, request.even_port), (Some(UDP), Some(true)));
        assert_eq!(request.unknown(), [0x001a, 0x7fff]);
        assert_eq!(request.lifetime, None, "not protected, so not believed");
        let peers: Vec<_> = request.peers().flatten().map(|p| p.port()).collect();
        assert_eq!(peers, [5, 6]);
        assert!(!request.malformed);
    }

    #[test]
    fn what_is_cut_or_bent_is_refused_or_malformed() {
        let mut out = Vec::new();
        let mut writer = Writer::begin(&mut out, REFRESH, b"transaction!");
        writer.attribute(LIFETIME, &[0, 0, 9]);
        writer.fingerprint();
        assert!(Request::parse(&out).unwrap().malformed);
        for length in 0..out.len() {
            assert!(Request::parse(&out[..length]).is_none(), "{length}");
        }
        let last = out.len() - 1;
        out[last] ^= 1;
        assert!(Request::parse(&out).is_none(), "a wrong fingerprint");
        assert!(Request::parse(&[0; 20]).is_none());
        let mut answer = Vec::new();
        Writer::begin(&mut answer, 0x0101, b"transaction!");
        assert!(Request::parse(&answer).is_none(), "an answer isn't a request");
    }
}
