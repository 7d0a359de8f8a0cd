//! Which time a report is about, and how it is divided.

use std::time::Duration;

use crate::analytics::rollup::MINUTE_MS;
use crate::analytics::store::Tier;
use crate::rfc3339::Millis;

/// Rows of a report over time, at most.
pub const MOST_STEPS: u64 = 2000;
/// Where no step is asked for, no more than that.
const FINE: u64 = 300;
/// Steps in minutes that are chosen where none is asked for.
const STEPS: &[u64] = &[1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 10_080];
const DAY_MS: u64 = 86_400_000;
const LONGEST_MS: u64 = 800 * DAY_MS;

/// What is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Asked {
    pub from: Option<Millis>,
    pub to: Option<Millis>,
    /// Whole minutes.
    pub step: Option<Duration>,
}

/// From a multiple of the step since 1970 to another, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub from_ms: u64,
    pub to_ms: u64,
    pub step_ms: u64,
    /// What is later hasn't happened.
    pub now_ms: u64,
}

/// Why that can't be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoSpan {
    #[error("`to`: expected a time after `from`")]
    Backward,
    #[error("`from`: expected at most 800 days before `to`")]
    Long,
    #[error("`step`: expected whole minutes, 1m or more")]
    Step,
    #[error("`step`: expected {least} minutes or more, for {MOST_STEPS} steps at most")]
    Fine { least: u64 },
    #[error("`step`: expected whole hours: minutes are kept for {days} days")]
    Old { days: u64 },
}

// === impl Span ===

impl Span {
    /// `minutes`: for how long they are kept. Without a time the last 24 hours are meant.
    pub fn of(asked: Asked, minutes: Duration, now: Millis) -> Result<Self, NoSpan> {
        let to = asked.to.unwrap_or(now).0;
        let from = asked.from.map_or(to.saturating_sub(DAY_MS), |from| from.0);
        if from >= to {
            return Err(NoSpan::Backward);
        }
        if to - from > LONGEST_MS {
            return Err(NoSpan::Long);
        }
        let old = from < now.0.saturating_sub(minutes.as_millis() as u64);
        let step_ms = match asked.step {
            None => chosen(to - from, old),
            Some(step) => step.as_millis() as u64,
        };
        if step_ms == 0 || step_ms % MINUTE_MS != 0 || step_ms > LONGEST_MS {
            return Err(NoSpan::Step);
        }
        let span = Self {
            from_ms: from - from % step_ms,
            to_ms: to.div_ceil(step_ms) * step_ms,
            step_ms,
            now_ms: now.0,
        };
        if span.steps() > MOST_STEPS as usize {
            return Err(NoSpan::Fine {
                least: (to - from).div_ceil(MOST_STEPS).div_ceil(MINUTE_MS),
            });
        }
        if old && span.tier() == Tier::Minutes {
            return Err(NoSpan::Old { days: minutes.as_secs() / 86_400 });
        }
        Ok(span)
    }

    pub const fn steps(&self) -> usize {
        ((self.to_ms - self.from_ms) / self.step_ms) as usize
    }

    /// When a step begins.
    pub const fn time(&self, step: usize) -> Millis {
        Millis(self.from_ms + step as u64 * self.step_ms)
    }

    /// The one by which all of it can be had in the fewest rows.
    pub const fn tier(&self) -> Tier {
        if self.step_ms.is_multiple_of(60 * MINUTE_MS) { Tier::Hours } else { Tier::Minutes }
    }

    /// The step of a time; it must be within.
    pub const fn step(&self, ms: u64) -> usize {
        ((ms - self.from_ms) / self.step_ms) as usize
    }

    /// The same time in one step.
    pub fn whole(&self) -> Self {
        Self { step_ms: self.to_ms - self.from_ms, ..*self }
    }
}

fn chosen(length_ms: u64, old: bool) -> u64 {
    let fits = |minutes: &&u64| {
        length_ms <= **minutes * MINUTE_MS * FINE && (!old || minutes.is_multiple_of(60))
    };
    STEPS.iter().find(fits).unwrap_or(&10_080) * MINUTE_MS
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = Millis(1_795_450_020_250);
    const KEPT: Duration = Duration::from_secs(14 * 86_400);

    fn of(from: i64, to: i64, step_s: u64) -> Result<Span, NoSpan> {
        let at = |minutes: i64| Millis(NOW.0.saturating_add_signed(minutes * 60_000));
        let step = (step_s > 0).then(|| Duration::from_secs(step_s));
        Span::of(Asked { from: Some(at(from)), to: Some(at(to)), step }, KEPT, NOW)
    }

    #[test]
    fn a_span_begins_and_ends_with_a_step() {
        let span = of(-90, 0, 3600).unwrap();
        assert_eq!((span.from_ms % 3_600_000, span.to_ms % 3_600_000), (0, 0));
        assert_eq!((span.steps(), span.tier()), (3, Tier::Hours));
        assert!(span.to_ms >= NOW.0 && span.time(2).0 < NOW.0);
        let day = Span::of(Asked::default(), KEPT, NOW).unwrap();
        assert_eq!(day.step_ms, 5 * MINUTE_MS);
        assert_eq!(day.tier(), Tier::Minutes);
    }

    #[test]
    fn what_is_too_much_or_no_longer_there_is_refused() {
        for (from, to, step, expected) in [
            (0, 0, 60, NoSpan::Backward),
            (0, -1, 60, NoSpan::Backward),
            (-801 * 1440, 0, 86_400, NoSpan::Long),
            (-60, 0, 30, NoSpan::Step),
            (-60, 0, 90, NoSpan::Step),
            (-3000, 0, 60, NoSpan::Fine { least: 2 }),
            (-15 * 1440, -14 * 1440, 60, NoSpan::Old { days: 14 }),
        ] {
            assert_eq!(of(from, to, step), Err(expected), "{from} {to} {step}");
        }
        let old = of(-20 * 1440, -15 * 1440, 0).unwrap();
        assert_eq!(old.tier(), Tier::Hours);
        assert!(of(-800 * 1440, 0, 0).unwrap().steps() <= MOST_STEPS as usize);
        assert_eq!(of(-2, 0, 0).unwrap().step_ms, MINUTE_MS);
    }
}
