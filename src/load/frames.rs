//! Packets to decodable pictures, without a decoder.
//!
//! A picture is complete when the packets from its start to its marker are there. It can be
//! decoded when the picture before it was, or when it is a keyframe with its parameters.

use std::collections::BTreeMap;

use stentor_protocol::Codec;

/// Packets held behind a gap. 2048 are 20 s of 1 Mb/s; what is older won't be repaired.
const MAX_HELD: usize = 2048;

/// Collects one video track.
#[derive(Debug, Default)]
pub(super) struct Frames {
    held: BTreeMap<u64, Held>,
    /// First packets of keyframes that wait for the rest.
    key_starts: Vec<u64>,
    /// The packet after the last decodable picture; None before the first.
    next: Option<u64>,
}

#[derive(Debug, Clone, Copy)]
struct Held {
    rtp_time: u64,
    marker: bool,
    content: Content,
}

/// What a payload says about its picture.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Content {
    /// A picture may begin here.
    starts: bool,
    /// Has the parameters that a decoder begins with.
    parameters: bool,
    /// Has a part of a picture that refers to no other.
    intra: bool,
}

/// A picture that can be decoded now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Picture {
    /// Extended RTP timestamp.
    pub rtp_time: u64,
    pub keyframe: bool,
}

// === impl Frames ===

impl Frames {
    /// Takes a packet with its extended sequence number and timestamp. Calls `decodable` for
    /// each picture that it completes, in order.
    pub fn push(
        &mut self,
        sequence: u64,
        rtp_time: u64,
        marker: bool,
        content: Content,
        mut decodable: impl FnMut(Picture),
    ) {
        if self.next.is_some_and(|next| sequence < next) {
            return;
        }
        self.held.insert(sequence, Held { rtp_time, marker, content });
        if content.starts && content.parameters {
            self.key_starts.push(sequence);
        }
        while let Some(picture) = self.take_next().or_else(|| self.take_keyframe()) {
            decodable(picture);
        }
        while self.held.len() > MAX_HELD
            && let Some((oldest, _)) = self.held.pop_first()
        {
            self.key_starts.retain(|start| *start > oldest);
        }
    }

    /// Whether packets wait behind one that hasn't come, or for a first keyframe.
    pub fn is_blocked(&self) -> bool {
        let Some((last, _)) = self.held.last_key_value() else {
            return false;
        };
        self.next.is_none_or(|next| last + 1 - next != self.held.len() as u64)
    }

    fn take_next(&mut self) -> Option<Picture> {
        let next = self.next?;
        let (end, picture) = self.whole_from(next)?;
        self.advance(end);
        Some(picture)
    }

    /// A keyframe needs nothing that came before.
    fn take_keyframe(&mut self) -> Option<Picture> {
        let whole = |start: &u64| self.whole_from(*start).filter(|(_, p)| p.keyframe);
        let (end, picture) = self.key_starts.iter().find_map(whole)?;
        self.advance(end);
        Some(picture)
    }

    /// The picture that begins with this packet, and its last packet.
    fn whole_from(&self, start: u64) -> Option<(u64, Picture)> {
        let first = self.held.get(&start)?;
        let (mut parameters, mut intra) = (false, false);
        for (index, (sequence, packet)) in self.held.range(start..).enumerate() {
            if *sequence != start + index as u64 || packet.rtp_time != first.rtp_time {
                return None;
            }
            parameters |= packet.content.parameters;
            intra |= packet.content.intra;
            if packet.marker {
                let keyframe = parameters && intra;
                return Some((*sequence, Picture { rtp_time: first.rtp_time, keyframe }));
            }
        }
        None
    }

    fn advance(&mut self, last: u64) {
        let next = last + 1;
        self.held = self.held.split_off(&next);
        self.key_starts.retain(|start| *start >= next);
        self.next = Some(next);
    }
}

// === impl Content ===

impl Content {
    pub fn of(codec: Codec, payload: &[u8]) -> Self {
        match codec {
            Codec::H264 => Self::of_h264(payload),
            Codec::Vp8 => Self::of_vp8(payload),
            Codec::Av1 => Self::of_av1(payload),
            _ => Self::default(),
        }
    }

    /// RFC 6184, 5.2 to 5.8.
    fn of_h264(payload: &[u8]) -> Self {
        let mut content = Self::default();
        let Some(first) = payload.first() else {
            return content;
        };
        match first & 0x1f {
            24 => {
                let mut rest = &payload[1..];
                while let [high, low, unit, ..] = rest {
                    content.add_h264_unit(unit & 0x1f);
                    let length = usize::from(u16::from_be_bytes([*high, *low]));
                    rest = rest.get(2 + length..).unwrap_or_default();
                }
            }
            28 => {
                let Some(header) = payload.get(1) else {
                    return content;
                };
                content.add_h264_unit(header & 0x1f);
                content.starts &= header & 0x80 != 0;
            }
            unit => content.add_h264_unit(unit),
        }
        content
    }

    fn add_h264_unit(&mut self, unit: u8) {
        match unit {
            // Sequence parameters; picture parameters and the slices follow them.
            7 => {
                self.parameters = true;
                self.starts = true;
            }
            5 => self.intra = true,
            _ => {}
        }
    }

    /// RFC 7741, 4.2 and 4.3.
    fn of_vp8(payload: &[u8]) -> Self {
        let header = || {
            let first = *payload.first()?;
            let mut at = 1;
            if first & 0x80 != 0 {
                let extension = *payload.get(1)?;
                at = 2;
                if extension & 0x80 != 0 {
                    at += if payload.get(at)? & 0x80 != 0 { 2 } else { 1 };
                }
                at += usize::from(extension & 0x40 != 0);
                at += usize::from(extension & 0x30 != 0);
            }
            // The start of the first partition.
            (first & 0x17 == 0x10).then_some(payload.get(at)?)
        };
        let starts = header();
        let key = starts.is_some_and(|byte| byte & 1 == 0);
        Self { starts: starts.is_some(), parameters: key, intra: key }
    }

    /// AV1 RTP, 4.4: N says that a coded video sequence begins.
    fn of_av1(payload: &[u8]) -> Self {
        let begins = payload.first().is_some_and(|header| header & 0x88 == 0x08);
        Self { starts: begins, parameters: begins, intra: begins }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY_START: &[u8] = &[24, 0, 2, 0x67, 1, 0, 1, 0x68];
    const IDR_PART: &[u8] = &[0x7c, 0x85, 1];
    const DELTA: &[u8] = &[0x41, 1];

    /// Feeds packets and gives the timestamps of decodable pictures.
    fn decodable(packets: &[(u64, u64, bool, &[u8])]) -> Vec<(u64, bool)> {
        let mut frames = Frames::default();
        let mut pictures = Vec::new();
        for (sequence, time, marker, payload) in packets {
            let content = Content::of(Codec::H264, payload);
            let take = |p: Picture| pictures.push((p.rtp_time, p.keyframe));
            frames.push(*sequence, *time, *marker, content, take);
        }
        pictures
    }

    #[test]
    fn pictures_before_the_first_keyframe_do_not_count() {
        let packets = [
            (1, 10, true, DELTA),
            (2, 20, false, KEY_START),
            (3, 20, true, IDR_PART),
            (4, 30, true, DELTA),
        ];
        assert_eq!(decodable(&packets), [(20, true), (30, false)]);
    }

    #[test]
    fn a_keyframe_without_its_parameters_does_not_count() {
        assert_eq!(decodable(&[(1, 10, false, IDR_PART), (2, 10, true, IDR_PART)]), []);
    }

    #[test]
    fn a_late_packet_releases_what_waited_for_it() {
        let packets = [
            (1, 20, false, KEY_START),
            (2, 20, true, IDR_PART),
            (4, 40, true, DELTA),
            (5, 50, true, DELTA),
            (3, 30, true, DELTA),
        ];
        assert_eq!(decodable(&packets), [(20, true), (30, false), (40, false), (50, false)]);
    }

    #[test]
    fn a_keyframe_ends_the_wait_for_a_lost_packet() {
        let packets = [
            (1, 20, false, KEY_START),
            (2, 20, true, IDR_PART),
            (4, 40, true, DELTA),
            (5, 50, false, KEY_START),
            (6, 50, true, IDR_PART),
            (3, 30, true, DELTA),
            (7, 60, true, DELTA),
        ];
        assert_eq!(decodable(&packets), [(20, true), (50, true), (60, false)]);
    }

    #[test]
    fn a_keyframe_with_a_hole_does_not_count() {
        let packets = [
            (1, 20, false, KEY_START),
            (3, 20, true, IDR_PART),
            (4, 30, true, DELTA),
            (2, 20, false, IDR_PART),
        ];
        assert_eq!(decodable(&packets[..3]), []);
        assert_eq!(decodable(&packets), [(20, true), (30, false)]);
    }

    #[test]
    fn keyframes_of_vp8_and_av1_are_told_from_others() {
        let key = Content { starts: true, parameters: true, intra: true };
        let start = Content { starts: true, ..Content::default() };
        let table: [(Codec, &[u8], Content); 8] = [
            (Codec::Vp8, &[0x10, 0x50], key),
            (Codec::Vp8, &[0x10, 0x51], start),
            (Codec::Vp8, &[0x00, 0x50], Content::default()),
            (Codec::Vp8, &[0x11, 0x50], Content::default()),
            (Codec::Vp8, &[0x90, 0x80, 0x80, 0x01, 0x50], key),
            (Codec::Vp8, &[0x90, 0xe0, 0x01, 0x02, 0x03, 0x51], start),
            (Codec::Av1, &[0x18, 0x0a], key),
            (Codec::Av1, &[0x10, 0x32], Content::default()),
        ];
        for (codec, payload, expected) in table {
            assert_eq!(Content::of(codec, payload), expected, "{codec:?} {payload:02x?}");
        }
    }

    #[test]
    fn garbage_is_no_panic() {
        for codec in [Codec::H264, Codec::Vp8, Codec::Av1, Codec::Opus] {
            for first in 0..=255 {
                for length in 0..6 {
                    Content::of(codec, &[first; 6][..length]);
                }
            }
        }
    }

    #[test]
    fn a_hole_blocks_wherever_it_is_and_an_unfinished_picture_does_not() {
        let mut frames = Frames::default();
        let mut push = |sequence, time, marker, payload| {
            frames.push(sequence, time, marker, Content::of(Codec::H264, payload), |_| {});
            frames.is_blocked()
        };
        assert!(push(1, 20, false, KEY_START));
        assert!(!push(2, 20, true, IDR_PART));
        assert!(!push(3, 30, false, DELTA));
        assert!(push(5, 30, true, DELTA));
        assert!(!push(4, 30, false, DELTA));
        assert!(push(7, 40, true, DELTA));
    }

    #[test]
    fn what_is_held_is_bounded() {
        let mut frames = Frames::default();
        for sequence in 0..10_000 {
            let content = Content::of(Codec::H264, DELTA);
            frames.push(sequence, sequence, true, content, |_| {});
        }
        assert!(frames.held.len() <= MAX_HELD && frames.is_blocked());
    }
}
