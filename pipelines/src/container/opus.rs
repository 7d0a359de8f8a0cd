//! Opus packets, as far as a container cares (RFC 6716, section 3.1; RFC 7845, section 5.1).

/// Of every time stamp and duration of Opus.
pub const RATE_HZ: u32 = 48_000;

/// 20 ms of silence: CELT, full band, stereo, nothing coded.
pub const SILENCE: [u8; 3] = [0xfc, 0xff, 0xfe];
pub const SILENCE_SAMPLES: u32 = 960;

/// What a decoder is told: stereo, nothing to skip. Packets say by themselves how many channels
/// they have, and any decoder makes stereo of them.
pub const HEAD: [u8; 19] = {
    let mut head = *b"OpusHead\x01\x02\0\0\0\0\0\0\0\0\0";
    let rate = RATE_HZ.to_le_bytes();
    (head[12], head[13], head[14], head[15]) = (rate[0], rate[1], rate[2], rate[3]);
    head
};

/// How many samples a packet holds; None where it is none.
pub fn samples(packet: &[u8]) -> Option<u32> {
    let toc = *packet.first()?;
    let frame = match toc >> 3 {
        config @ 0..=11 => [480, 960, 1920, 2880][usize::from(config & 3)],
        config @ 12..=15 => [480, 960][usize::from(config & 1)],
        config => 120 << (config & 3),
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(packet.get(1)? & 0x3f),
    };
    // No packet is longer than 120 ms.
    (1..=5760).contains(&(frame * frames)).then_some(frame * frames)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_says_how_long_it_is() {
        let cases: [(&[u8], Option<u32>); 9] = [
            (&SILENCE, Some(SILENCE_SAMPLES)),
            (&[0x08, 1], Some(960)),
            (&[0x18], Some(2880)),
            (&[0x68, 0], Some(960)),
            (&[0xe0, 0], Some(120)),
            (&[0xf9, 0], Some(1920)),
            (&[0xfb, 0x03], Some(2880)),
            (&[0xfb, 0x3f], None),
            (&[], None),
        ];
        for (packet, expected) in cases {
            assert_eq!(samples(packet), expected, "{packet:?}");
        }
    }
}
