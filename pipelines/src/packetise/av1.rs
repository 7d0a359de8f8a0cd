//! AV1 into RTP: the Alliance for Open Media's "RTP Payload Format For AV1", version 1.0.0.
//!
//! The OBUs of a temporal unit, without their size fields, are elements behind a length each;
//! one that meets a packet's end goes on in the next packet.

use super::{Emit, MAX_PAYLOAD};

const TEMPORAL_DELIMITER: u8 = 2;
const TILE_LIST: u8 = 8;
const PADDING: u8 = 15;

/// Aggregation header: the packet's first element goes on from the packet before.
const Z: u8 = 0x80;
/// Aggregation header: the packet's last element goes on in the next packet.
const Y: u8 = 0x40;
/// Aggregation header: a coded video sequence starts here.
const N: u8 = 0x08;

/// The packet being filled. Empty between units.
#[derive(Debug, Default)]
pub(super) struct Av1 {
    packet: Vec<u8>,
}

/// An OBU as it is sent: its header without the size field, and its payload.
struct Obu<'a> {
    header: [u8; 2],
    header_bytes: usize,
    payload: &'a [u8],
}

// === impl Av1 ===

impl Av1 {
    /// Cuts a temporal unit in the low-overhead format (sections 5.2 and 7.5 of the AV1
    /// specification) into packets. What can't be parsed ends the unit.
    pub(super) fn packetise(&mut self, data: &[u8], keyframe: bool, emit: Emit<'_>) {
        let obus: Vec<Obu<'_>> = obus(data).collect();
        self.packet.clear();
        self.packet.push(if keyframe { N } else { 0 });
        for (index, obu) in obus.iter().enumerate() {
            let head = &obu.header[..obu.header_bytes];
            let mut rest = [head, obu.payload];
            loop {
                let left = rest[0].len() + rest[1].len();
                let room = MAX_PAYLOAD - self.packet.len();
                // A length of up to two bytes covers every size that fits a packet.
                let take = left.min(room.saturating_sub(2));
                if take == 0 {
                    self.flush(0, 0, emit);
                    continue;
                }
                push_leb128(&mut self.packet, take);
                let from_head = take.min(rest[0].len());
                self.packet.extend_from_slice(&rest[0][..from_head]);
                self.packet.extend_from_slice(&rest[1][..take - from_head]);
                rest = [&rest[0][from_head..], &rest[1][take - from_head..]];
                if take == left {
                    break;
                }
                self.flush(Y, Z, emit);
            }
            if index + 1 == obus.len() {
                emit(&[], &self.packet, true);
            }
        }
    }

    /// Sends the packet, `ends` added to its header, and begins the next with `begins`.
    fn flush(&mut self, ends: u8, begins: u8, emit: Emit<'_>) {
        self.packet[0] |= ends;
        emit(&[], &self.packet, false);
        self.packet.clear();
        self.packet.push(begins);
    }
}

fn obus(data: &[u8]) -> impl Iterator<Item = Obu<'_>> {
    let mut rest = data;
    std::iter::from_fn(move || next_obu(&mut rest))
        .filter(|obu| !matches!(obu.header[0] >> 3 & 0xf, TEMPORAL_DELIMITER | TILE_LIST | PADDING))
}

fn next_obu<'a>(rest: &mut &'a [u8]) -> Option<Obu<'a>> {
    let (&first, mut after) = rest.split_first()?;
    let mut header = [first & !0x02, 0];
    let mut header_bytes = 1;
    if first & 0x04 != 0 {
        let (&extension, behind) = after.split_first()?;
        header[1] = extension;
        header_bytes = 2;
        after = behind;
    }
    let has_size = first & 0x02 != 0;
    let size = if has_size { take_leb128(&mut after)? } else { after.len() };
    let (payload, behind) = after.split_at_checked(size)?;
    *rest = behind;
    Some(Obu { header, header_bytes, payload })
}

fn take_leb128(bytes: &mut &[u8]) -> Option<usize> {
    let mut value = 0;
    for shift in (0..56).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

pub(super) fn push_leb128(bytes: &mut Vec<u8>, mut value: usize) {
    while value > 0x7f {
        bytes.push(value as u8 & 0x7f | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}
