//! Answers NACKs, within a bound: a viewer can't make the fan-out send more than a share of what
//! it gets anyway.

use std::time::{Duration, Instant};

/// What a viewer may still be sent again.
pub struct Retransmitter {
    /// Next sequence number of the RTX stream, roll-overs included.
    sequence: u64,
    /// Bytes left.
    allowance: f64,
    refilled: Instant,
    /// What was sent again lately, so that a NACK that crossed with the answer isn't answered
    /// twice. A ring.
    recent: [Option<(u16, Instant)>; RECENT],
    next_recent: usize,
}

const RECENT: usize = 32;
const MAX_ALLOWANCE: f64 = 160_000.0;
/// At least this may be sent again per second, in bytes.
const MIN_RATE: f64 = 64_000.0;
/// And this share of the stream's own rate.
const SHARE: f64 = 0.5;
const LEAST_PAUSE: Duration = Duration::from_millis(8);

// === impl Retransmitter ===

impl Retransmitter {
    pub fn new(first_sequence: u16, now: Instant) -> Self {
        Self {
            sequence: u64::from(first_sequence),
            allowance: MAX_ALLOWANCE,
            refilled: now,
            recent: [None; RECENT],
            next_recent: 0,
        }
    }

    /// Number of the next RTX packet.
    pub fn next_sequence(&mut self) -> u64 {
        let sequence = self.sequence;
        self.sequence += 1;
        sequence
    }

    /// Makes room for what may be sent by now.
    pub fn refill(&mut self, stream_bps: f64, now: Instant) {
        let elapsed = now.saturating_duration_since(self.refilled).as_secs_f64();
        self.refilled = now;
        let rate = (stream_bps / 8.0 * SHARE).max(MIN_RATE);
        self.allowance = (self.allowance + rate * elapsed).min(MAX_ALLOWANCE);
    }

    /// Whether to send this packet again. Notes that it is.
    pub fn allow(
        &mut self,
        sequence: u16,
        bytes: usize,
        rtt: Option<Duration>,
        now: Instant,
    ) -> bool {
        let pause = rtt.map_or(LEAST_PAUSE, |rtt| (rtt / 2).max(LEAST_PAUSE));
        let crossed =
            self.recent.iter().flatten().any(|(recent, at)| {
                *recent == sequence && now.saturating_duration_since(*at) < pause
            });
        if crossed || self.allowance < bytes as f64 {
            return false;
        }
        self.allowance -= bytes as f64;
        self.recent[self.next_recent] = Some((sequence, now));
        self.next_recent = (self.next_recent + 1) % RECENT;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nack_that_crossed_with_its_answer_is_not_answered_twice() {
        let now = Instant::now();
        let mut again = Retransmitter::new(0, now);
        let rtt = Some(Duration::from_millis(100));
        assert!(again.allow(5, 1200, rtt, now));
        assert!(!again.allow(5, 1200, rtt, now + Duration::from_millis(40)));
        assert!(again.allow(5, 1200, rtt, now + Duration::from_millis(60)));
        assert!(again.allow(6, 1200, rtt, now));
    }

    #[test]
    fn what_is_sent_again_is_bounded_by_a_share_of_the_stream() {
        let start = Instant::now();
        let mut again = Retransmitter::new(0, start);
        let mut bytes = 0;
        for n in 0..100_000_u32 {
            let now = start + Duration::from_micros(u64::from(n) * 100);
            again.refill(1_500_000.0, now);
            if again.allow(n as u16, 1200, None, now) {
                bytes += 1200;
            }
        }
        let most = MAX_ALLOWANCE + 10.0 * 1_500_000.0 / 8.0 * SHARE;
        assert!(f64::from(bytes) <= most + 1200.0, "{bytes}");
        assert!(f64::from(bytes) >= most * 0.9, "{bytes}");
    }
}
