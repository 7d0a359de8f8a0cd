//! Decides from the units' arrival whether a source is still there. Pure: now is an argument.
//!
//! A camera at 30 pictures a second is lost after a silence of the configured length. A shared
//! screen that stands still sends a picture a second and is not: so at half that length the
//! source is probed (asked for a keyframe), and one that answers is given more time from then
//! on, up to [`MOST_PATIENCE_NS`], until it flows briskly again.

/// The most time given to a slow source, ns.
const MOST_PATIENCE_NS: u64 = 3_000_000_000;
/// A source that flowed briskly for so long is taken for a fast one again, ns.
const BRISK_NS: u64 = 5_000_000_000;

/// Watches one connection of a source, once its first unit has come.
#[derive(Debug, Clone)]
pub struct Watchdog {
    /// The configured silence after which a source is lost, ns.
    loss_ns: u64,
    /// The silence after which this source is lost, ns.
    patience_ns: u64,
    last_ns: u64,
    /// When the source last made us wait for long.
    slow_ns: u64,
    /// The unit after which the source was probed already.
    probed_ns: Option<u64>,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// Nothing until then, ns.
    Fine { until_ns: u64 },
    /// Ask the source for a sign of life, and check again then.
    Probe { until_ns: u64 },
    /// The source is lost.
    Silent,
}

// === impl Watchdog ===

impl Watchdog {
    pub fn new(loss_timeout_ms: u32, now_ns: u64) -> Self {
        let loss_ns = u64::from(loss_timeout_ms.max(100)) * 1_000_000;
        Self { loss_ns, patience_ns: loss_ns, last_ns: now_ns, slow_ns: 0, probed_ns: None }
    }

    /// Checks, given when the last unit came.
    pub fn check(&mut self, last_unit_ns: u64, now_ns: u64) -> Check {
        if last_unit_ns > self.last_ns {
            self.heard(last_unit_ns, now_ns);
        }
        if now_ns.saturating_sub(self.last_ns) > self.loss_ns / 4 {
            self.slow_ns = now_ns;
        }
        let lost_ns = self.last_ns + self.patience_ns;
        let probe_ns = self.last_ns + self.patience_ns / 2;
        if now_ns >= lost_ns {
            Check::Silent
        } else if now_ns < probe_ns {
            Check::Fine { until_ns: probe_ns }
        } else if self.probed_ns == Some(self.last_ns) {
            Check::Fine { until_ns: lost_ns }
        } else {
            self.probed_ns = Some(self.last_ns);
            Check::Probe { until_ns: lost_ns }
        }
    }

    fn heard(&mut self, at_ns: u64, now_ns: u64) {
        if self.probed_ns == Some(self.last_ns) {
            self.patience_ns = (self.patience_ns * 7 / 5).min(MOST_PATIENCE_NS.max(self.loss_ns));
        } else if now_ns.saturating_sub(self.slow_ns) > BRISK_NS {
            self.patience_ns = self.loss_ns;
        }
        self.last_ns = at_ns;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// Runs a source that answers probes or not: units at the given times, checks as asked.
    /// Gives when it was probed and when it was lost, in ms.
    fn run(units: &[u64], answers_after: Option<u64>, until: u64) -> (Vec<u64>, Option<u64>) {
        let mut watchdog = Watchdog::new(700, 0);
        let (mut last, mut probes, mut answer, mut due) = (0, Vec::new(), None, 0);
        for now in 0..until {
            if units.contains(&now) || answer == Some(now) {
                last = now;
            }
            if now < due {
                continue;
            }
            match watchdog.check(last * MS, now * MS) {
                Check::Fine { until_ns } => due = until_ns.div_ceil(MS),
                Check::Probe { until_ns } => {
                    probes.push(now);
                    answer = answers_after.map(|ms| now + ms);
                    due = until_ns.div_ceil(MS).min(answer.unwrap_or(u64::MAX).max(now + 1));
                }
                Check::Silent => return (probes, Some(now)),
            }
        }
        (probes, None)
    }

    fn every(ms: u64, until: u64) -> Vec<u64> {
        (0..until).step_by(ms as usize).collect()
    }

    #[test]
    fn a_camera_that_stops_is_lost_after_the_configured_silence() {
        let (probes, lost) = run(&every(33, 5000), None, 20_000);
        assert_eq!(probes, [4983 + 350]);
        assert_eq!(lost, Some(4983 + 700));
    }

    #[test]
    fn a_slow_screen_that_answers_its_probes_is_never_lost() {
        let units: Vec<u64> =
            every(33, 5000).into_iter().chain((5..60).map(|s| s * 1000)).collect();
        let (probes, lost) = run(&units, Some(60), 59_000);
        assert_eq!(lost, None);
        assert!(probes.len() < 12, "probed {} times", probes.len());
    }

    #[test]
    fn a_slow_source_that_stops_is_lost_all_the_same() {
        let (_, lost) = run(&every(1000, 30_000), None, 60_000);
        // It can't be probed, so its first gap loses it.
        assert_eq!(lost, Some(700));
        let mut watchdog = Watchdog::new(700, 0);
        for n in 0..20 {
            watchdog.check(n * 1000 * MS, (n * 1000 + 1) * MS);
            watchdog.check(n * 1000 * MS, (n * 1000 + 690) * MS);
        }
        assert_eq!(watchdog.check(19_000 * MS, 23_000 * MS), Check::Silent);
    }

    #[test]
    fn patience_ends_when_the_source_flows_again() {
        let mut watchdog = Watchdog::new(700, 0);
        assert!(matches!(watchdog.check(0, 400 * MS), Check::Probe { .. }));
        assert_eq!(watchdog.check(450 * MS, 460 * MS), Check::Fine { until_ns: 940 * MS });
        for n in 0..200 {
            watchdog.check((500 + n * 33) * MS, (501 + n * 33) * MS);
        }
        let last = 500 + 199 * 33;
        assert_eq!(watchdog.check(last * MS, (last + 701) * MS), Check::Silent);
    }
}
