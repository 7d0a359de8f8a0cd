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

    /// For how long one goes on, in milliseconds, whoever sets the calendar's clock meanwhile.
    pub fn lasted_ms(&self, entry: &Entry) -> i64 {
        monotonic_us().saturating_sub(self.epoch_of(entry)) / 1000
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::catalogue::State;
    use crate::recording::papers::Subject;

    #[test]
    fn a_recording_is_as_long_as_it_is_whatever_the_calendar_says() {
        let clock = Clock::new();
        let (now_ms, now_us) = clock.now();
        let entry = |started_ms, boot: &str| Entry {
            id: "r000000000000000000000001".parse().unwrap(),
            subject: Subject::Channel("gate".to_owned()),
            started_by: None,
            is_fixed: false,
            started_ms,
            ended_ms: None,
            state: State::Recording,
            reason: None,
            troubles: 0,
            boot: boot.to_owned(),
            epoch_us: now_us - 60_000_000,
            node: None,
            is_elsewhere: false,
            told_ms: None,
        };
        let year_ms = 31_536_000_000;
        for started_ms in [now_ms, now_ms + year_ms, now_ms - year_ms] {
            let lasted = clock.lasted_ms(&entry(started_ms, clock.boot()));
            assert!((60_000..70_000).contains(&lasted), "{lasted}");
        }
        // The machine was started again: the calendar is all that there is.
        let lasted = clock.lasted_ms(&entry(now_ms - 90_000, "another"));
        assert!((89_000..100_000).contains(&lasted), "{lasted}");
    }
}
