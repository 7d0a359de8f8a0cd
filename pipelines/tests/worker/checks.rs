//! What has to hold of a track's packets.

use std::collections::BTreeSet;

use stentor_hardware::{Choice, Decoder, Frame};
use stentor_protocol::Codec;
use stentor_protocol::media::MediaFlags;

use crate::packets::Packet;

/// An access unit put together again.
pub struct Unit {
    pub data: Vec<u8>,
    pub timestamp: u32,
    pub keyframe: bool,
}

/// No sequence number is missing, and time never steps back.
pub fn assert_continuous(packets: &[Packet]) {
    for pair in packets.windows(2) {
        let (a, b) = (&pair[0], &pair[1]);
        assert_eq!(a.sequence.wrapping_add(1), b.sequence, "track {}: a gap", a.track);
        let step = b.timestamp.wrapping_sub(a.timestamp) as i32;
        assert!(step >= 0, "track {}: time steps back by {step}", a.track);
        let ended = a.flags.contains(MediaFlags::FRAME_END);
        assert_eq!(step != 0, ended, "track {}: a unit is one timestamp", a.track);
    }
}

pub fn keyframe_times(packets: &[Packet]) -> BTreeSet<u32> {
    packets
        .iter()
        .filter(|packet| packet.flags.contains(MediaFlags::KEYFRAME_START))
        .map(|packet| packet.timestamp)
        .collect()
}

/// The whole units among the packets, from the first keyframe on.
pub fn units(codec: Codec, packets: &[Packet]) -> Vec<Unit> {
    let mut units: Vec<Unit> = Vec::new();
    let mut open = false;
    for packet in packets {
        if !open {
            let keyframe = packet.flags.contains(MediaFlags::KEYFRAME_START);
            units.push(Unit { data: Vec::new(), timestamp: packet.timestamp, keyframe });
        }
        let Some(unit) = units.last_mut() else { continue };
        match codec {
            Codec::H264 => depayload_h264(&packet.payload, &mut unit.data),
            Codec::Vp8 => unit.data.extend_from_slice(&packet.payload[4..]),
            _ => unit.data.extend_from_slice(&packet.payload),
        }
        open = !packet.flags.contains(MediaFlags::FRAME_END);
    }
    if open {
        units.pop();
    }
    let first = units.iter().position(|unit| unit.keyframe).unwrap_or(units.len());
    units.split_off(first)
}

/// Decodes every unit; a fault in any of them fails the test.
pub fn decode(codec: Codec, packets: &[Packet]) -> Vec<Frame> {
    let mut decoder = Decoder::open(codec, &Choice::software()).unwrap();
    let mut frames = Vec::new();
    for unit in units(codec, packets) {
        frames.extend(decoder.decode(&unit.data, i64::from(unit.timestamp)).unwrap());
    }
    frames.extend(decoder.flush());
    frames
}

fn depayload_h264(payload: &[u8], into: &mut Vec<u8>) {
    const START: [u8; 4] = [0, 0, 0, 1];
    match payload[0] & 0x1f {
        24 => {
            let mut rest = &payload[1..];
            while let [high, low, after @ ..] = rest {
                let (nal, behind) = after.split_at(usize::from(u16::from_be_bytes([*high, *low])));
                into.extend_from_slice(&START);
                into.extend_from_slice(nal);
                rest = behind;
            }
        }
        28 => {
            if payload[1] & 0x80 != 0 {
                into.extend_from_slice(&START);
                into.push(payload[0] & 0xe0 | payload[1] & 0x1f);
            }
            into.extend_from_slice(&payload[2..]);
        }
        _ => {
            into.extend_from_slice(&START);
            into.extend_from_slice(payload);
        }
    }
}
