//! Loss as a sign of congestion (draft-ietf-rmcat-gcc-02, 6): above [`HIGH`] less is sent, below
//! [`LOW`] more may be, and between them random loss is taken for what it is.

use std::time::{Duration, Instant};

/// Gathers losses over a period long enough to mean something.
#[derive(Debug, Default)]
pub struct LossControl {
    acked: u32,
    lost: u32,
    since: Option<Instant>,
    /// Bound on the receiver's own estimate, from loss.
    cap: Option<f64>,
}

pub const HIGH: f64 = 0.10;
pub const LOW: f64 = 0.02;
/// A loss that can't be chance is acted on after this long, any other after [`PERIOD`].
const SHORT_PERIOD: Duration = Duration::from_millis(250);
const PERIOD: Duration = Duration::from_secs(1);
const MIN_PACKETS: u32 = 20;
/// Standard deviations beyond which a loss isn't chance.
const SIGMAS: f64 = 4.0;

// === impl LossControl ===

impl LossControl {
    /// Gives the share that was lost once a period is over.
    pub fn handle_counts(&mut self, acked: u32, lost: u32, now: Instant) -> Option<f64> {
        let since = *self.since.get_or_insert(now);
        self.acked += acked;
        self.lost += lost;
        let total = self.acked + self.lost;
        let elapsed = now.saturating_duration_since(since);
        if elapsed < SHORT_PERIOD || total < MIN_PACKETS {
            return None;
        }
        let share = f64::from(self.lost) / f64::from(total);
        let chance = SIGMAS * (HIGH * (1.0 - HIGH) / f64::from(total)).sqrt();
        if elapsed < PERIOD && share < HIGH + chance {
            return None;
        }
        (self.acked, self.lost, self.since) = (0, 0, Some(now));
        Some(share)
    }

    pub fn cap(&self) -> Option<f64> {
        self.cap
    }

    pub fn set_cap(&mut self, bps: f64) {
        self.cap = Some(bps);
    }

    pub fn raise_cap(&mut self) {
        self.cap = self.cap.map(|cap| cap * 1.08).filter(|cap| *cap < super::MAX_BPS);
    }
}
