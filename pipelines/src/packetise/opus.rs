//! Opus: a packet is an RTP payload as it is (RFC 7587). What is left to do is its time.
//!
//! A receiver's jitter buffer takes a timestamp that is one sample off for a hole and conceals
//! it. So timestamps go on from the packet before, by its own duration, and follow the capture
//! clock only once they are [`TOLERANCE`] away from it.

/// How far a stream of packets may stray from the capture clock, in samples at 48 kHz: 20 ms is
/// below what anyone sees in lip-sync, and 50 ppm of drift reach it in 400 s.
const TOLERANCE: i64 = 960;

/// RTP timestamps of an Opus track, at 48 kHz.
#[derive(Debug, Default)]
pub struct AudioTimeline {
    /// Where the last packet ended.
    end: Option<i64>,
}

// === impl AudioTimeline ===

impl AudioTimeline {
    /// The timestamp of a packet, captured at `ticks` of the 48 kHz program clock. None where it
    /// is of a time already told and has to be dropped.
    pub fn stamp(&mut self, ticks: i64, packet: &[u8]) -> Option<u32> {
        let start = match self.end {
            Some(end) if (ticks - end).abs() < TOLERANCE => end,
            Some(end) if ticks < end => return None,
            _ => ticks,
        };
        self.end = Some(start + samples(packet));
        Some(start as u32)
    }
}

/// A packet's duration in samples at 48 kHz: RFC 6716, section 3.1.
pub(crate) fn samples(packet: &[u8]) -> i64 {
    let Some(&toc) = packet.first() else { return 0 };
    let config = toc >> 3;
    let frame = match config {
        0..=11 => [480, 960, 1920, 2880][usize::from(config & 3)],
        12..=15 => [480, 960][usize::from(config & 1)],
        _ => [120, 240, 480, 960][usize::from(config & 3)],
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => i64::from(packet.get(1).map_or(0, |count| count & 0x3f)),
    };
    frame * frames
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CELT, full band, 20 ms, one frame.
    const TWENTY_MS: [u8; 3] = [0xf8, 0xff, 0xfe];

    #[test]
    fn timestamps_go_on_by_the_packets_own_duration() {
        let mut timeline = AudioTimeline::default();
        let stamps: Vec<_> = [1000, 1965, 2915, 3880].map(|t| timeline.stamp(t, &TWENTY_MS)).into();
        assert_eq!(stamps, [Some(1000), Some(1960), Some(2920), Some(3880)]);
    }

    #[test]
    fn a_hole_in_time_is_a_hole_in_timestamps() {
        let mut timeline = AudioTimeline::default();
        timeline.stamp(0, &TWENTY_MS);
        assert_eq!(timeline.stamp(48_000, &TWENTY_MS), Some(48_000));
    }

    #[test]
    fn a_packet_of_a_time_already_told_is_dropped() {
        let mut timeline = AudioTimeline::default();
        timeline.stamp(48_000, &TWENTY_MS);
        assert_eq!(timeline.stamp(40_000, &TWENTY_MS), None);
        assert_eq!(timeline.stamp(48_960, &TWENTY_MS), Some(48_960));
    }

    #[test]
    fn durations_are_read_from_the_table_of_contents() {
        for (packet, expected) in [
            (&[0b0000_0000][..], 480), // SILK narrow band 10 ms
            (&[0b0001_1000], 2880),    // SILK narrow band 60 ms
            (&[0b0110_1000], 960),     // hybrid 20 ms
            (&[0b1000_0000], 120),     // CELT narrow band 2.5 ms
            (&[0b1111_1001], 1920),    // CELT full band 20 ms, two frames
            (&[0b1111_1011, 3], 2880), // CELT full band 20 ms, counted: three frames
            (&[], 0),
        ] {
            assert_eq!(samples(packet), expected, "{packet:?}");
        }
    }
}
