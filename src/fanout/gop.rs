//! How a joiner gets its first picture: from the cached group of pictures, or from a keyframe
//! that many joiners share. Never by a keyframe request each.

use std::time::{Duration, Instant};

use super::history::Gop;

/// Keyframe requests of one rendition, made one for all who want one.
#[derive(Debug, Default, Clone, Copy)]
pub struct KeyframeRequests {
    asked: Option<Instant>,
    /// The last one that was asked for hasn't come yet.
    waiting: bool,
    /// Requests in a row that brought nothing in [`PATIENCE`].
    ignored: u32,
}

/// What to do for a viewer that needs a picture to start from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Send the cached group of pictures from this burst on, squeezed.
    Cached { first: u64 },
    /// Wait for the next keyframe, and look again at this time.
    Wait { until: Instant },
}

/// At most one keyframe a second per rendition.
pub const MIN_INTERVAL: Duration = Duration::from_secs(1);
/// A group of pictures up to this long and big is sent to a joiner without asking for another:
/// a decoder runs through it in the time that a keyframe would take.
const SHORT: Duration = Duration::from_secs(2);
const SMALL_BYTES: usize = 1 << 20;
/// How long a joiner waits for a keyframe before it gets the cached group of pictures, however
/// long it is. Encoders answer in a frame's time, cameras in 50 ms, some never.
const PATIENCE: Duration = Duration::from_millis(250);

/// Whether somebody who has waited for a keyframe since `since` has waited long enough.
pub fn patience_is_over(since: Instant, now: Instant) -> bool {
    now >= since + PATIENCE
}

// === impl KeyframeRequests ===

impl KeyframeRequests {
    /// A keyframe came in.
    pub fn handle_keyframe(&mut self) {
        self.waiting = false;
        self.ignored = 0;
    }

    /// Whether to ask for a keyframe now. True at most once a second.
    pub fn ask(&mut self, now: Instant) -> bool {
        let due = self.asked.is_none_or(|at| now.saturating_duration_since(at) >= MIN_INTERVAL);
        if due {
            if self.waiting {
                self.ignored += 1;
            }
            self.asked = Some(now);
            self.waiting = true;
        }
        due
    }

    /// Whether this rendition's keyframes can't be had by asking.
    pub fn is_ignored(&self, now: Instant) -> bool {
        let overdue = self.waiting
            && self.asked.is_some_and(|at| now.saturating_duration_since(at) >= PATIENCE);
        self.ignored > 0 || overdue
    }

    /// How to start a viewer who began to wait at `waiting_since`. The flag says whether to ask
    /// for a keyframe.
    pub fn plan(
        &mut self,
        gop: Option<Gop>,
        waiting_since: Instant,
        now: Instant,
    ) -> (Start, bool) {
        let patience_ends = waiting_since + PATIENCE;
        if let Some(gop) = gop {
            let age = now.saturating_duration_since(gop.since);
            let cheap = age <= SHORT && gop.bytes <= SMALL_BYTES;
            if cheap || self.is_ignored(now) || now >= patience_ends {
                return (Start::Cached { first: gop.first }, false);
            }
        }
        let ask = self.ask(now);
        let until = if now < patience_ends { patience_ends } else { now + MIN_INTERVAL };
        (Start::Wait { until }, ask)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gop(since: Instant, bytes: usize) -> Option<Gop> {
        Some(Gop { first: 7, bursts: 30, bytes, since })
    }

    #[test]
    fn a_short_group_of_pictures_is_sent_without_a_request() {
        let now = Instant::now();
        let mut requests = KeyframeRequests::default();
        let planned = requests.plan(gop(now - Duration::from_secs(1), 1000), now, now);
        assert_eq!(planned, (Start::Cached { first: 7 }, false));
    }

    #[test]
    fn hundred_joiners_of_a_long_group_of_pictures_ask_once() {
        let now = Instant::now();
        let old = now - Duration::from_secs(5);
        let mut requests = KeyframeRequests::default();
        let asked = (0..100)
            .filter(|n| {
                let now = now + Duration::from_millis(*n);
                requests.plan(gop(old, 1000), now, now).1
            })
            .count();
        assert_eq!(asked, 1);
    }

    #[test]
    fn a_joiner_whose_keyframe_never_comes_gets_the_long_group_of_pictures() {
        let start = Instant::now();
        let old = start - Duration::from_secs(5);
        let mut requests = KeyframeRequests::default();
        let (Start::Wait { until }, true) = requests.plan(gop(old, 1000), start, start) else {
            panic!("should wait");
        };
        assert_eq!(requests.plan(gop(old, 1000), start, until).0, Start::Cached { first: 7 });
        // The next joiner needn't find out again.
        let later = start + Duration::from_millis(1500);
        assert_eq!(requests.plan(gop(old, 1000), later, later).0, Start::Cached { first: 7 });
        requests.handle_keyframe();
        let later = start + Duration::from_secs(9);
        assert!(matches!(requests.plan(gop(old, 1000), later, later).0, Start::Wait { .. }));
    }

    #[test]
    fn without_a_group_of_pictures_requests_go_on_once_a_second() {
        let start = Instant::now();
        let mut requests = KeyframeRequests::default();
        let mut asked = 0;
        let mut now = start;
        while now < start + Duration::from_secs(10) {
            let (planned, ask) = requests.plan(None, start, now);
            asked += usize::from(ask);
            let Start::Wait { until } = planned else { panic!("nothing to send") };
            now = until;
        }
        assert!((9..=11).contains(&asked), "{asked}");
    }
}
