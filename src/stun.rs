//! The shape of a STUN message (RFC 8489): attributes in and out, integrity, fingerprint. What
//! they mean is for the fan-out's ICE and for TURN to know. Nothing is allocated while reading.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use aws_lc_rs::{constant_time, hmac};

pub const HEADER_BYTES: usize = 20;
pub const MAGIC_COOKIE: [u8; 4] = 0x2112_A442_u32.to_be_bytes();
/// Of MESSAGE-INTEGRITY's value.
pub const INTEGRITY_BYTES: usize = 20;

pub const USERNAME: u16 = 0x0006;
pub const MESSAGE_INTEGRITY: u16 = 0x0008;
pub const ERROR_CODE: u16 = 0x0009;
pub const XOR_MAPPED_ADDRESS: u16 = 0x0020;
pub const FINGERPRINT: u16 = 0x8028;

const FINGERPRINT_XOR: u32 = 0x5354_554e;
/// Class bits of a message type (RFC 8489, 5).
pub const SUCCESS: u16 = 0x0100;
pub const ERROR: u16 = 0x0110;

pub type TransactionId = [u8; 12];

/// Iterates over the attributes of a whole message.
pub struct Attributes<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// Writes one message behind what a buffer holds already.
pub struct Writer<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
}

/// None unless the bytes are one whole STUN message.
pub fn message_type(bytes: &[u8]) -> Option<u16> {
    let header = bytes.first_chunk::<HEADER_BYTES>()?;
    let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
    let whole = length == bytes.len() - HEADER_BYTES && length.is_multiple_of(4);
    (whole && header[4..8] == MAGIC_COOKIE).then(|| u16::from_be_bytes([header[0], header[1]]))
}

/// Whether the MESSAGE-INTEGRITY that begins at `at` was made with `key`. Takes the same time
/// either way. False if there is no room for one.
pub fn is_integrity_of(bytes: &[u8], at: usize, key: &[u8]) -> bool {
    let value_at = at + 4;
    let Some(given) = bytes.get(value_at..value_at + INTEGRITY_BYTES) else { return false };
    let length = value_at + INTEGRITY_BYTES - HEADER_BYTES;
    let mut context = hmac::Context::with_key(&integrity_key(key));
    context.update(&bytes[..2]);
    context.update(&(length as u16).to_be_bytes());
    context.update(&bytes[4..at]);
    constant_time::verify_slices_are_equal(context.sign().as_ref(), given).is_ok()
}

/// FINGERPRINT's value for a message up to it.
pub fn fingerprint(before: &[u8]) -> [u8; 4] {
    (crc32(before) ^ FINGERPRINT_XOR).to_be_bytes()
}

/// The value of an XOR-…-ADDRESS.
pub fn read_xor_address(value: &[u8], transaction_id: &TransactionId) -> Option<SocketAddr> {
    let (head, address) = value.split_at_checked(4)?;
    let port = u16::from_be_bytes([head[2], head[3]]) ^ 0x2112;
    let mut plain = [0; 16];
    let masked = plain.get_mut(..address.len())?;
    masked.copy_from_slice(address);
    apply_mask(masked, transaction_id);
    let ip = match (head[1], address.len()) {
        (1, 4) => IpAddr::V4(Ipv4Addr::from(*plain.first_chunk::<4>()?)),
        (2, 16) => IpAddr::V6(Ipv6Addr::from(plain)),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

fn apply_mask(address: &mut [u8], transaction_id: &TransactionId) {
    let mask = MAGIC_COOKIE.iter().chain(transaction_id);
    for (byte, mask) in address.iter_mut().zip(mask) {
        *byte ^= mask;
    }
}

fn integrity_key(key: &[u8]) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key)
}

const fn crc32_table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut value = index as u32;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 { 0xedb8_8320 ^ (value >> 1) } else { value >> 1 };
            bit += 1;
        }
        table[index] = value;
        index += 1;
    }
    table
}

/// ISO 3309, as RFC 8489, 14.7 wants it.
fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = crc32_table();
    !bytes.iter().fold(!0, |crc, byte| TABLE[usize::from((crc as u8) ^ byte)] ^ (crc >> 8))
}

// === impl Attributes ===

impl<'a> Attributes<'a> {
    pub fn of(bytes: &'a [u8]) -> Self {
        Self { bytes, at: HEADER_BYTES }
    }
}

impl<'a> Iterator for Attributes<'a> {
    /// Where the attribute begins, its type and its value.
    type Item = (usize, u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let at = self.at;
        let head = self.bytes.get(at..)?.first_chunk::<4>()?;
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        let value = self.bytes.get(at + 4..at + 4 + length)?;
        self.at = at + 4 + length.next_multiple_of(4);
        Some((at, u16::from_be_bytes([head[0], head[1]]), value))
    }
}

// === impl Writer ===

impl<'a> Writer<'a> {
    /// Begins a message. Its length is right after every attribute.
    pub fn begin(out: &'a mut Vec<u8>, message_type: u16, transaction_id: &TransactionId) -> Self {
        let start = out.len();
        out.extend_from_slice(&message_type.to_be_bytes());
        out.extend_from_slice(&[0, 0]);
        out.extend_from_slice(&MAGIC_COOKIE);
        out.extend_from_slice(transaction_id);
        Self { out, start }
    }

    pub fn attribute(&mut self, kind: u16, value: &[u8]) {
        self.out.extend_from_slice(&kind.to_be_bytes());
        self.out.extend_from_slice(&(value.len() as u16).to_be_bytes());
        self.out.extend_from_slice(value);
        let padding = value.len().next_multiple_of(4) - value.len();
        self.out.extend_from_slice(&[0; 3][..padding]);
        self.set_length(0);
    }

    pub fn xor_address(&mut self, kind: u16, address: SocketAddr) {
        let mut value = [0; 20];
        value[2..4].copy_from_slice(&(address.port() ^ 0x2112).to_be_bytes());
        // A dual-stack socket reports IPv4 peers as mapped IPv6 ones; the peer knows nothing of
        // that.
        let length = match address.ip().to_canonical() {
            IpAddr::V4(ip) => {
                value[1] = 1;
                value[4..8].copy_from_slice(&ip.octets());
                8
            }
            IpAddr::V6(ip) => {
                value[1] = 2;
                value[4..20].copy_from_slice(&ip.octets());
                20
            }
        };
        let id = self.out[self.start + 8..].first_chunk().copied().unwrap_or_default();
        apply_mask(&mut value[4..length], &id);
        self.attribute(kind, &value[..length]);
    }

    /// `code` is 300 to 699.
    pub fn error_code(&mut self, code: u16, reason: &str) {
        let mut value = vec![0, 0, (code / 100) as u8, (code % 100) as u8];
        value.extend_from_slice(reason.as_bytes());
        self.attribute(ERROR_CODE, &value);
    }

    pub fn integrity(&mut self, key: &[u8]) {
        self.set_length(4 + INTEGRITY_BYTES);
        let tag = hmac::sign(&integrity_key(key), &self.out[self.start..]);
        self.attribute(MESSAGE_INTEGRITY, tag.as_ref());
    }

    pub fn fingerprint(&mut self) {
        self.set_length(8);
        let value = fingerprint(&self.out[self.start..]);
        self.attribute(FINGERPRINT, &value);
    }

    /// Sets the length field as if `more` bytes of attributes followed.
    fn set_length(&mut self, more: usize) {
        let length = (self.out.len() - self.start - HEADER_BYTES + more) as u16;
        self.out[self.start + 2..self.start + 4].copy_from_slice(&length.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_comes_back_as_it_was_written() {
        let id = *b"transaction!";
        for address in ["192.0.2.1:32853", "[2001:db8::1]:1", "0.0.0.0:0"] {
            let address: SocketAddr = address.parse().unwrap();
            let mut out = b"before".to_vec();
            let mut writer = Writer::begin(&mut out, 0x0101, &id);
            writer.xor_address(XOR_MAPPED_ADDRESS, address);
            let bytes = &out[6..];
            assert_eq!(message_type(bytes), Some(0x0101));
            let (_, kind, value) = Attributes::of(bytes).next().unwrap();
            assert_eq!(kind, XOR_MAPPED_ADDRESS);
            assert_eq!(read_xor_address(value, &id), Some(address));
            for cut in 0..value.len() {
                assert_eq!(read_xor_address(&value[..cut], &id), None);
            }
        }
    }
}
