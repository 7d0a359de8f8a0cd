//! The beep: 1 kHz for the first tenth of every second, silence else.

use stentor_protocol::stamp::{BEEP_HZ, BEEP_MS};

/// Samples per second.
pub const RATE_HZ: u32 = 48_000;
pub const CHANNELS: u32 = 2;
/// Samples of a block: 20 ms, what an Opus packet holds.
pub const BLOCK: u32 = 960;
/// A block's length in ns.
pub const BLOCK_NS: u64 = 20_000_000;

const AMPLITUDE: f64 = 8000.0;

/// One block of interleaved S16LE, its first sample `since_beep_ns` after a beep began.
pub fn block(since_beep_ns: u64) -> Vec<u8> {
    let first = (since_beep_ns as u128 * u128::from(RATE_HZ) / 1_000_000_000) as u64;
    let rate = u64::from(RATE_HZ);
    (first..first + u64::from(BLOCK))
        .flat_map(|n| {
            let n = n % rate;
            let sample = if n < BEEP_MS * rate / 1000 {
                let turn = (n * u64::from(BEEP_HZ) % rate) as f64 / rate as f64;
                ((turn * std::f64::consts::TAU).sin() * AMPLITUDE) as i16
            } else {
                0
            };
            let [low, high] = sample.to_le_bytes();
            [low, high, low, high]
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_silent(block: &[u8]) -> bool {
        block.iter().all(|&b| b == 0)
    }

    #[test]
    fn the_tone_sounds_in_the_first_tenth_of_a_second() {
        assert_eq!(block(0).len(), BLOCK as usize * 4);
        for (ms, silent) in [(0, false), (80, false), (100, true), (500, true), (980, true)] {
            assert_eq!(is_silent(&block(ms * 1_000_000)), silent, "{ms} ms");
        }
        // A block across the turn of the second begins silent and ends with the tone.
        let across = block(990_000_000);
        assert!(is_silent(&across[..480 * 4]) && !is_silent(&across[480 * 4..]));
    }
}
