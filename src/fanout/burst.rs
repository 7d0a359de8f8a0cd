//! One access unit of one rendition, ready to be sent to any number of viewers.

use std::ops::Range;
use std::time::Instant;

use super::channel::TrackKey;
use super::timeline::Ticks;
use super::vp8;

/// The payloads of one access unit. Made once, shared, never changed.
#[derive(Debug)]
pub struct Burst {
    pub track: TrackKey,
    /// Its number within the rendition. The next one's is one higher.
    pub index: u64,
    /// Number within the rendition of its first packet. Contiguous from burst to burst.
    pub position: u64,
    /// Its RTP timestamp on the channel's timeline.
    pub time: Ticks,
    /// When it was captured, in microseconds since the Unix epoch.
    pub capture_us: u64,
    /// Decoding can start here.
    pub keyframe: bool,
    /// Something before it was lost.
    pub gap: bool,
    /// When its last packet came in.
    pub arrived: Instant,
    /// Where the VP8 counters stand, and what they read. None for other codecs.
    pub vp8: Option<vp8::Counters>,
    bytes: Box<[u8]>,
    packets: Box<[Packet]>,
}

/// One packet of a burst.
#[derive(Debug, Clone, Copy)]
pub struct Packet {
    end: u32,
    pub marker: bool,
    pub vp8: vp8::Descriptor,
}

/// Collects the packets of an access unit. Reused, so that it allocates nothing once warm.
#[derive(Debug, Default)]
pub struct BurstBuilder {
    bytes: Vec<u8>,
    packets: Vec<Packet>,
    counters: Option<vp8::Counters>,
}

/// What a finished burst is told beside its packets.
#[derive(Debug, Clone, Copy)]
pub struct BurstInfo {
    pub track: TrackKey,
    pub index: u64,
    pub position: u64,
    pub time: Ticks,
    pub capture_us: u64,
    pub keyframe: bool,
    pub gap: bool,
    pub arrived: Instant,
}

/// An access unit of more packets than this is not one: its end was lost.
const MAX_PACKETS: usize = 2048;

// === impl Burst ===

impl Burst {
    pub fn len(&self) -> usize {
        self.packets.len()
    }

    /// Payload bytes.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// What it costs to keep.
    pub fn footprint(&self) -> usize {
        size_of::<Self>() + self.bytes.len() + size_of_val(&*self.packets)
    }

    /// Those at `places` of this burst.
    pub fn packets_in(&self, places: Range<usize>) -> impl Iterator<Item = (Packet, &[u8])> {
        let mut start = match places.start {
            0 => 0,
            first => self.packets.get(first - 1).map_or(0, |p| p.end as usize),
        };
        let packets = self.packets.get(places).unwrap_or_default();
        packets.iter().map(move |packet| {
            let range = start..packet.end as usize;
            start = range.end;
            (*packet, &self.bytes[range])
        })
    }

    /// The packet at `place` of this burst.
    pub fn packet(&self, place: usize) -> Option<(Packet, &[u8])> {
        let packet = self.packets.get(place)?;
        Some((*packet, &self.bytes[self.range(place)]))
    }

    /// Positions of its packets within the rendition.
    pub fn positions(&self) -> Range<u64> {
        self.position..self.position + self.packets.len() as u64
    }

    fn range(&self, place: usize) -> Range<usize> {
        let start = match place {
            0 => 0,
            _ => self.packets[place - 1].end as usize,
        };
        start..self.packets[place].end as usize
    }
}

// === impl BurstBuilder ===

impl BurstBuilder {
    /// Takes a packet's payload. False: it doesn't fit any more and was not taken.
    pub fn push(&mut self, payload: &[u8], marker: bool, is_vp8: bool) -> bool {
        if self.packets.len() == MAX_PACKETS {
            return false;
        }
        let mut descriptor = vp8::Descriptor::default();
        if is_vp8 && let Some(found) = vp8::Descriptor::parse(payload) {
            descriptor = found;
            if self.counters.is_none() && found.has_counters() {
                self.counters = Some(found.read(payload));
            }
        }
        self.bytes.extend_from_slice(payload);
        self.packets.push(Packet { end: self.bytes.len() as u32, marker, vp8: descriptor });
        true
    }

    pub fn clear(&mut self) {
        self.bytes.clear();
        self.packets.clear();
        self.counters = None;
    }

    /// Gives the burst and empties the builder.
    pub fn finish(&mut self, info: BurstInfo) -> Burst {
        let burst = Burst {
            track: info.track,
            index: info.index,
            position: info.position,
            time: info.time,
            capture_us: info.capture_us,
            keyframe: info.keyframe,
            gap: info.gap,
            arrived: info.arrived,
            vp8: self.counters,
            bytes: self.bytes.as_slice().into(),
            packets: self.packets.as_slice().into(),
        };
        self.clear();
        burst
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A burst of `payloads`, for other modules' tests.
    pub fn burst(info: BurstInfo, payloads: &[&[u8]]) -> Burst {
        let mut builder = BurstBuilder::default();
        for (n, payload) in payloads.iter().enumerate() {
            assert!(builder.push(payload, n + 1 == payloads.len(), false));
        }
        builder.finish(info)
    }

    pub fn info(index: u64, position: u64, time: u64) -> BurstInfo {
        BurstInfo {
            track: TrackKey(1),
            index,
            position,
            time: Ticks(time),
            capture_us: 1_700_000_000_000_000 + time * 1000 / 90,
            keyframe: false,
            gap: false,
            arrived: Instant::now(),
        }
    }

    #[test]
    fn packets_come_back_as_they_went_in() {
        let made = burst(info(0, 10, 0), &[b"one", b"", b"three"]);
        let seen: Vec<_> = made.packets_in(0..3).map(|(p, b)| (p.marker, b.to_vec())).collect();
        assert_eq!(
            seen,
            [(false, b"one".to_vec()), (false, Vec::new()), (true, b"three".to_vec())]
        );
        assert_eq!(made.packet(2).map(|(_, b)| b), Some(&b"three"[..]));
        assert!(made.packet(3).is_none());
        assert_eq!(made.positions(), 10..13);
    }

    #[test]
    fn an_access_unit_without_end_is_not_collected_for_ever() {
        let mut builder = BurstBuilder::default();
        let taken = (0..10_000).filter(|_| builder.push(b"x", false, false)).count();
        assert_eq!(taken, MAX_PACKETS);
    }
}
