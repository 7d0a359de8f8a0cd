//! What a viewer is given whose path carries less than its rendition: of each group of pictures
//! as much as fits.
//!
//! Sending all of it fills the path's queue, and what that drops is asked for again on top: in the
//! end nothing can be decoded. So when the budget is spent, the rest of the group of pictures is
//! left out. What was sent before it plays; the picture then stands until the next keyframe.

use std::time::{Duration, Instant};

/// Pays for pictures out of what the path carries, a group of pictures at a time: its keyframe is as
/// large as ten of the others, and is paid for by all of them.
#[derive(Debug)]
pub struct Thinning {
    bytes_per_second: f64,
    /// When the group of pictures began, and how long one takes.
    began: Instant,
    expected: Duration,
    /// Bytes that those before it have left over, or owe.
    carried: f64,
    /// Bytes sent of this one.
    spent: f64,
    /// Since when nothing is sent. Ends with a keyframe.
    skipping: Option<Instant>,
}

/// A path that was found congested within this time is not trusted with more than the estimate.
pub const STRAINED: Duration = Duration::from_secs(10);
/// What is left over counts up to this much, in seconds of the budget.
const MOST_CARRIED_S: f64 = 0.2;
/// Less than this is not worth counting, in bytes per second.
const LEAST: f64 = 4_000.0;
/// Of the group of pictures that is under way when a path turns out to be narrow.
const REST: Duration = Duration::from_millis(500);
const MOST_EXPECTED: Duration = Duration::from_secs(10);
/// A keyframe that didn't come by itself within this time is asked for.
const PATIENCE: Duration = Duration::from_secs(2);

// === impl Thinning ===

impl Thinning {
    pub fn new(bits_per_second: f64, now: Instant) -> Self {
        Self {
            bytes_per_second: rate(bits_per_second),
            began: now,
            expected: REST,
            carried: 0.0,
            spent: 0.0,
            skipping: None,
        }
    }

    pub fn set_rate(&mut self, bits_per_second: f64) {
        self.bytes_per_second = rate(bits_per_second);
    }

    /// Whether a picture is sent. Pays for it.
    pub fn admits(&mut self, bytes: usize, keyframe: bool, now: Instant) -> bool {
        if keyframe {
            self.carried = self.left(now).min(self.bytes_per_second * MOST_CARRIED_S);
            self.expected = now.saturating_duration_since(self.began).clamp(REST, MOST_EXPECTED);
            (self.began, self.spent, self.skipping) = (now, 0.0, None);
        }
        self.pay(bytes, now)
    }

    /// Whether a packet is sent again. Where there is no room for it, what follows it is of no
    /// use.
    pub fn admits_again(&mut self, bytes: usize, now: Instant) -> bool {
        self.pay(bytes, now)
    }

    /// Sends nothing until the next keyframe.
    pub fn skip(&mut self, now: Instant) {
        self.skipping.get_or_insert(now);
    }

    /// Whether a keyframe is missing that there would be room for.
    pub fn wants_keyframe(&self, now: Instant) -> bool {
        let waits = |since| now.saturating_duration_since(since) >= PATIENCE;
        self.skipping.is_some_and(waits) && self.left(now) > 0.0
    }

    fn pay(&mut self, bytes: usize, now: Instant) -> bool {
        let elapsed = now.saturating_duration_since(self.began).max(self.expected);
        let budget = self.carried + self.bytes_per_second * elapsed.as_secs_f64();
        if self.skipping.is_some() || self.spent + bytes as f64 > budget {
            self.skip(now);
            return false;
        }
        self.spent += bytes as f64;
        true
    }

    /// Bytes that the path has carried by now beyond what was sent.
    fn left(&self, now: Instant) -> f64 {
        let elapsed = now.saturating_duration_since(self.began);
        self.carried + self.bytes_per_second * elapsed.as_secs_f64() - self.spent
    }
}

fn rate(bits_per_second: f64) -> f64 {
    (bits_per_second / 8.0).max(LEAST)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frames sent of each of ten groups of 60 pictures, 30 a second, on a path of `kbps`.
    fn sent_of(kbps: f64) -> Vec<usize> {
        let start = Instant::now();
        let mut thinning = Thinning::new(kbps * 1000.0, start);
        // 305 kb/s.
        (0..10)
            .map(|group| {
                (0..60)
                    .filter(|n| {
                        let at = start + Duration::from_millis((group * 60 + n) * 1000 / 30);
                        let bytes = if *n == 0 { 9_000 } else { 1_140 };
                        thinning.admits(bytes, *n == 0, at)
                    })
                    .count()
            })
            .collect()
    }

    #[test]
    fn a_path_that_carries_it_gets_all_of_it() {
        assert_eq!(sent_of(310.0)[1..], [60; 9]);
    }

    #[test]
    fn a_path_that_carries_less_gets_the_beginning_of_each_group_of_pictures() {
        let sent = sent_of(260.0);
        assert!(sent[1..].iter().all(|n| (45..=55).contains(n)), "{sent:?}");
    }

    #[test]
    fn a_path_that_carries_next_to_nothing_gets_keyframes() {
        let sent = sent_of(60.0);
        assert!(sent[1..].iter().all(|n| (3..=8).contains(n)), "{sent:?}");
    }

    #[test]
    fn what_can_not_be_repaired_ends_the_group_of_pictures() {
        let now = Instant::now();
        let mut thinning = Thinning::new(80_000.0, now);
        assert!(thinning.admits(4_500, true, now));
        assert!(!thinning.admits_again(1_000, now));
        let later = now + Duration::from_millis(300);
        assert!(!thinning.admits(500, false, later));
        assert!(!thinning.wants_keyframe(later));
        let later = now + Duration::from_millis(2_100);
        assert!(thinning.wants_keyframe(later));
        assert!(thinning.admits(4_500, true, later));
    }

    #[test]
    fn a_camera_that_sends_keyframes_on_request_alone_goes_on_where_it_fits() {
        let start = Instant::now();
        let mut thinning = Thinning::new(300_000.0, start);
        let at = |n: u64| start + Duration::from_millis(n * 1000 / 30);
        assert!((0..3000).all(|n| thinning.admits(1_140, false, at(n))));
    }
}
