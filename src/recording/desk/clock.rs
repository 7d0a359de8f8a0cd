//! Times: on the clock of the calendar, and on the one that chunks count by.

use std::time::{SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

use crate::recording::catalogue::Entry;

/// The clock that chunks count by begins anew with the machine.
pub struct Clock {
    boot: String,
}

// === impl Clock ===

impl Clock {
    pub fn new() -> Self {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
        Self { boot: boot.unwrap_or_default().trim().to_owned() }
    }

    /// The machine's start that it counts from.
    pub fn boot(&self) -> &str {
        &self.boot
    }

    /// Milliseconds since 1970, and microseconds of `CLOCK_MONOTONIC`.
    pub fn now(&self) -> (i64, i64) {
        (now_ms(), monotonic_us())
    }

    /// When a recording began, on the clock as it is now: after a restart of the machine by the
    /// calendar.
    pub fn epoch_of(&self, entry: &Entry) -> i64 {
        if entry.boot == self.boot {
            return entry.epoch_us;
        }
        monotonic_us() - now_ms().saturating_sub(entry.started_ms).saturating_mul(1000)
    }
}

/// Milliseconds since 1970.
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn monotonic_us() -> i64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec.saturating_mul(1_000_000).saturating_add(time.tv_nsec / 1000)
}
