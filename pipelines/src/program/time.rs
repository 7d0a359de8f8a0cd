//! Program time: the one scale that every track of a channel is stamped on.
//!
//! It is `CLOCK_MONOTONIC`, so a worker that is started again goes on where the one before ended.

use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use rustix::time::{ClockId, clock_gettime};

/// A wall clock that runs away from ours by more than this was set: we follow at once.
const STEP_NS: i64 = 1_000_000_000;
/// How far one refresh follows a wall clock that is being slewed, in ns: below what a receiver's
/// lip-sync notices.
const SLEW_NS: i64 = 1_000_000;

/// A moment, in ns on the scale of `CLOCK_MONOTONIC`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ProgramTime(pub u64);

/// Tells the capture time of every track from program time, by one base, so that the sender
/// reports made from it keep lip-sync.
#[derive(Debug)]
pub struct WallClock {
    /// `CLOCK_REALTIME` minus `CLOCK_MONOTONIC`, in ns.
    base_ns: AtomicI64,
}

// === impl ProgramTime ===

impl ProgramTime {
    pub fn now() -> Self {
        Self(read_ns(ClockId::Monotonic) as u64)
    }

    /// In ticks of 90 kHz.
    pub fn video_ticks(self) -> i64 {
        (u128::from(self.0) * 9 / 100_000) as i64
    }

    /// In samples at 48 kHz.
    pub fn audio_ticks(self) -> i64 {
        (u128::from(self.0) * 48 / 1_000_000) as i64
    }

    pub fn from_video_ticks(ticks: i64) -> Self {
        Self((ticks.max(0) as u128 * 100_000 / 9) as u64)
    }

    /// Time since `earlier`, in ns; 0 where that is later.
    pub fn since_ns(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    #[must_use]
    pub fn plus_ms(self, ms: u64) -> Self {
        Self(self.0 + ms * 1_000_000)
    }
}

// === impl WallClock ===

impl Default for WallClock {
    fn default() -> Self {
        Self { base_ns: AtomicI64::new(measured_base_ns()) }
    }
}

impl WallClock {
    /// Microseconds since the Unix epoch.
    pub fn unix_us(&self, time: ProgramTime) -> u64 {
        ((time.0 as i64 + self.base_ns.load(Relaxed)) / 1000) as u64
    }

    /// Follows the wall clock, slowly. Call every few seconds.
    pub fn refresh(&self) {
        let base = followed(self.base_ns.load(Relaxed), measured_base_ns());
        self.base_ns.store(base, Relaxed);
    }
}

fn followed(base_ns: i64, measured_ns: i64) -> i64 {
    let apart = measured_ns - base_ns;
    if apart.abs() > STEP_NS { measured_ns } else { base_ns + apart.clamp(-SLEW_NS, SLEW_NS) }
}

fn measured_base_ns() -> i64 {
    read_ns(ClockId::Realtime) - read_ns(ClockId::Monotonic)
}

fn read_ns(clock: ClockId) -> i64 {
    let time = clock_gettime(clock);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_exact_however_long_the_machine_runs() {
        let year = ProgramTime(365 * 86_400 * 1_000_000_000);
        assert_eq!(year.video_ticks(), 365 * 86_400 * 90_000);
        assert_eq!(year.audio_ticks(), 365 * 86_400 * 48_000);
        assert_eq!(ProgramTime::from_video_ticks(year.video_ticks()), year);
        for ticks in [0, 1, 3003, 1_234_567_891] {
            let there_and_back = ProgramTime::from_video_ticks(ticks).video_ticks();
            assert!((ticks - there_and_back).abs() <= 1);
        }
    }

    #[test]
    fn the_wall_clock_is_followed_slowly_and_a_set_clock_at_once() {
        assert_eq!(followed(0, 400), 400);
        assert_eq!(followed(0, 50_000_000), SLEW_NS);
        assert_eq!(followed(0, -50_000_000), -SLEW_NS);
        assert_eq!(followed(0, 3_600_000_000_000), 3_600_000_000_000);
    }

    #[test]
    fn capture_time_is_the_wall_clock() {
        let now = std::time::SystemTime::now();
        let us = now.duration_since(std::time::UNIX_EPOCH).unwrap().as_micros() as u64;
        let told = WallClock::default().unix_us(ProgramTime::now());
        assert!(told.abs_diff(us) < 1_000_000, "{told} {us}");
    }
}
