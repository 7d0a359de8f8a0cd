//! Which rendition a viewer should have: a decision on plain data.
//!
//! Down at once, since every moment above the path's rate adds delay or loss. Up only when the
//! estimate has carried the higher rendition for a while, and later each time that this turned
//! out to be a mistake.

use std::time::{Duration, Instant};

use stentor_protocol::{BitsPerSecond, TrackId};

use super::bwe::{ProbePlan, START};

/// A rendition as the choice sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    pub track: TrackId,
    /// What it is expected to need.
    pub nominal: BitsPerSecond,
    /// What it needed lately; None while it isn't running.
    pub measured: Option<BitsPerSecond>,
}

/// What is known of the viewer's path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Path {
    /// None: nothing is known yet.
    pub estimate: Option<BitsPerSecond>,
    /// It was found congested within the last [`CALM`].
    pub congested: bool,
    /// Probes can be measured. Without them only trying tells whether a higher rendition fits.
    pub can_probe: bool,
    /// What audio and headers take from the estimate.
    pub overhead: BitsPerSecond,
}

/// One viewer's choice and what it remembers of earlier ones.
#[derive(Debug, Default)]
pub struct Selector {
    /// Since when the estimate has carried this higher rendition.
    carried: Option<(TrackId, Instant)>,
    /// When it last went up, and from where it may go up again.
    last_up: Option<Instant>,
    up_not_before: Option<Instant>,
    /// How long to wait after a step down; doubles with each step up that failed.
    penalty: Option<Duration>,
    next_probe: Option<Instant>,
    probe_interval: Option<Duration>,
    calm_since: Option<Instant>,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    Stay,
    /// Move to this rendition.
    Go(TrackId),
    /// Find out whether a higher one would fit.
    Probe(ProbePlan),
}

/// A path that was found congested within this time is left alone.
pub const CALM: Duration = Duration::from_secs(2);
/// How long the estimate must carry a higher rendition.
const HOLD: Duration = Duration::from_millis(1000);
/// How long a path that can't be probed must be calm before a higher rendition is tried.
const TRIAL_AFTER: Duration = Duration::from_secs(10);
/// A step up is a mistake if it is taken back within this time.
const TRIAL_PERIOD: Duration = Duration::from_secs(10);
const PENALTY: (Duration, Duration) = (Duration::from_secs(3), Duration::from_secs(60));
const PROBE_INTERVAL: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(8));
/// Share of the estimate that is used when going up.
const UP_SHARE: f64 = 0.9;
/// A running rendition's rate falls in still scenes; it is trusted down to this share of what it
/// is expected to need.
const STILL_SHARE: f64 = 0.7;
/// A probe goes this far above what it must show.
const PROBE_MARGIN: f64 = 1.3;
const PROBE_DURATION: Duration = Duration::from_millis(80);

// === impl Selector ===

impl Selector {
    /// `candidates`: those the viewer can decode, best first. `current`: the one it has or is
    /// moving to.
    pub fn decide(
        &mut self,
        candidates: &[Candidate],
        current: Option<TrackId>,
        path: &Path,
        now: Instant,
    ) -> Decision {
        self.note_calm(path, now);
        let place = current.and_then(|track| candidates.iter().position(|c| c.track == track));
        let Some(place) = place else {
            return first_choice(candidates, path).map_or(Decision::Stay, Decision::Go);
        };
        let Some(estimate) = path.estimate else { return Decision::Stay };
        let budget = estimate.0.saturating_sub(path.overhead.0) as f64;
        if path.congested && self.carried.is_some() {
            // The rate of a higher rendition was sent, and the path didn't bear it.
            self.hold_back(true, now);
        }
        if candidates[place].needs_now() > budget && path.congested {
            return self.go_down(candidates, place, budget, now);
        }
        self.look_up(&candidates[..place], &candidates[place], budget, path, now)
    }

    fn go_down(
        &mut self,
        candidates: &[Candidate],
        place: usize,
        budget: f64,
        now: Instant,
    ) -> Decision {
        let below = &candidates[place + 1..];
        let Some(target) = below.iter().find(|c| c.needs_now() <= budget).or(below.last()) else {
            return Decision::Stay;
        };
        let failed = self.last_up.take().is_some_and(|at| within(at, TRIAL_PERIOD, now));
        self.hold_back(failed, now);
        Decision::Go(target.track)
    }

    /// There is no way up for a while; `failed`: one was taken that should not have been.
    fn hold_back(&mut self, failed: bool, now: Instant) {
        let penalty = match self.penalty {
            Some(before) if failed => (before * 2).min(PENALTY.1),
            _ => PENALTY.0,
        };
        self.penalty = Some(penalty);
        self.up_not_before = Some(now + penalty);
        self.carried = None;
        self.next_probe = Some(now + penalty.min(PROBE_INTERVAL.1));
        self.probe_interval = None;
    }

    fn look_up(
        &mut self,
        above: &[Candidate],
        here: &Candidate,
        budget: f64,
        path: &Path,
        now: Instant,
    ) -> Decision {
        if above.is_empty() || path.congested || self.up_not_before.is_some_and(|at| now < at) {
            self.carried = None;
            return Decision::Stay;
        }
        if let Some(target) = above.iter().find(|c| c.needs_to_rise() <= budget * UP_SHARE) {
            return match self.carried {
                Some((track, since)) if track == target.track => {
                    let carried = now.saturating_duration_since(since) >= HOLD;
                    if carried { self.go_up(track, now) } else { Decision::Stay }
                }
                _ => self.try_out(target, path, now),
            };
        }
        self.carried = None;
        let Some(next) = above.last() else { return Decision::Stay };
        if path.can_probe {
            return self.probe(next, path, now);
        }
        let calm = self.calm_since.is_some_and(|at| !within(at, TRIAL_AFTER, now));
        // The estimate follows what is sent: it is as high as it can get on its own.
        if calm && budget >= here.needs_now() {
            return self.go_up(next.track, now);
        }
        Decision::Stay
    }

    /// The estimate carries a higher rendition. Estimates that come from short probes may be
    /// wrong: a bucket of tokens on the path lets a few packets through at any rate. So its rate
    /// is sent before it is.
    fn try_out(&mut self, target: &Candidate, path: &Path, now: Instant) -> Decision {
        self.carried = Some((target.track, now));
        if !path.can_probe {
            return Decision::Stay;
        }
        let rate = target.needs_to_rise() as u64 + path.overhead.0;
        Decision::Probe(ProbePlan { target: BitsPerSecond(rate), duration: HOLD, sustained: true })
    }

    fn go_up(&mut self, track: TrackId, now: Instant) -> Decision {
        self.carried = None;
        self.last_up = Some(now);
        self.calm_since = Some(now);
        self.probe_interval = None;
        self.next_probe = Some(now + HOLD);
        Decision::Go(track)
    }

    fn probe(&mut self, next: &Candidate, path: &Path, now: Instant) -> Decision {
        if self.next_probe.is_some_and(|at| now < at) {
            return Decision::Stay;
        }
        let interval = self.probe_interval.unwrap_or(PROBE_INTERVAL.0);
        self.next_probe = Some(now + interval);
        self.probe_interval = Some((interval * 2).min(PROBE_INTERVAL.1));
        let wanted = next.needs_to_rise() / UP_SHARE + path.overhead.0 as f64;
        let target = BitsPerSecond((wanted * PROBE_MARGIN) as u64);
        Decision::Probe(ProbePlan { target, duration: PROBE_DURATION, sustained: false })
    }

    fn note_calm(&mut self, path: &Path, now: Instant) {
        if path.congested {
            self.calm_since = None;
        } else if self.calm_since.is_none() {
            self.calm_since = Some(now);
        }
        let long_calm = self.calm_since.is_some_and(|at| !within(at, PENALTY.1, now));
        if long_calm {
            self.penalty = None;
        }
    }
}

/// For a viewer that has nothing yet: the best that fits, or the least there is.
fn first_choice(candidates: &[Candidate], path: &Path) -> Option<TrackId> {
    let estimate = path.estimate.unwrap_or(START);
    let budget = estimate.0.saturating_sub(path.overhead.0) as f64;
    let fits = candidates.iter().find(|c| c.needs_to_rise() <= budget);
    fits.or(candidates.last()).map(|c| c.track)
}

fn within(at: Instant, period: Duration, now: Instant) -> bool {
    now.saturating_duration_since(at) < period
}

// === impl Candidate ===

impl Candidate {
    /// What it takes to stay.
    fn needs_now(&self) -> f64 {
        self.measured.unwrap_or(self.nominal).0 as f64
    }

    /// What it takes to come: a still scene may end.
    fn needs_to_rise(&self) -> f64 {
        let nominal = self.nominal.0 as f64;
        match self.measured {
            Some(measured) => (measured.0 as f64).max(nominal * STILL_SHARE),
            None => nominal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HIGH: TrackId = TrackId(1);
    const MIDDLE: TrackId = TrackId(2);
    const LOW: TrackId = TrackId(3);

    fn ladder() -> [Candidate; 3] {
        [(HIGH, 1500), (MIDDLE, 800), (LOW, 250)].map(|(track, kbps)| Candidate {
            track,
            nominal: BitsPerSecond::from_kilo(kbps),
            measured: Some(BitsPerSecond::from_kilo(kbps)),
        })
    }

    fn path(kbps: u64, congested: bool) -> Path {
        Path {
            estimate: Some(BitsPerSecond::from_kilo(kbps)),
            congested,
            can_probe: true,
            overhead: BitsPerSecond::from_kilo(60),
        }
    }

    fn after(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    #[test]
    fn the_first_choice_is_the_best_that_fits_or_the_least() {
        let now = Instant::now();
        for (estimate, expected) in
            [(Some(5000), HIGH), (None, HIGH), (Some(1000), MIDDLE), (Some(100), LOW)]
        {
            let path = Path { estimate: estimate.map(BitsPerSecond::from_kilo), ..path(0, false) };
            let made = Selector::default().decide(&ladder(), None, &path, now);
            assert_eq!(made, Decision::Go(expected), "{estimate:?}");
        }
        let none = Selector::default().decide(&[], None, &path(1000, false), now);
        assert_eq!(none, Decision::Stay);
    }

    #[test]
    fn congestion_moves_down_at_once_and_as_far_as_needed() {
        let now = Instant::now();
        for (kbps, expected) in [(1000, MIDDLE), (420, LOW), (50, LOW)] {
            let made = Selector::default().decide(&ladder(), Some(HIGH), &path(kbps, true), now);
            assert_eq!(made, Decision::Go(expected), "{kbps}");
        }
    }

    #[test]
    fn a_low_estimate_of_a_still_scene_moves_nobody_down() {
        let mut candidates = ladder();
        candidates[0].measured = Some(BitsPerSecond::from_kilo(200));
        let mut selector = Selector::default();
        let made = selector.decide(&candidates, Some(HIGH), &path(300, true), Instant::now());
        assert_eq!(made, Decision::Stay);
        let made = selector.decide(&ladder(), Some(HIGH), &path(300, false), Instant::now());
        assert_eq!(made, Decision::Stay);
    }

    #[test]
    fn the_way_up_must_be_carried_for_a_while() {
        let start = Instant::now();
        let mut selector = Selector::default();
        let at = |selector: &mut Selector, ms, kbps| {
            selector.decide(&ladder(), Some(LOW), &path(kbps, false), after(start, ms))
        };
        let trial =
            ProbePlan { target: BitsPerSecond::from_kilo(860), duration: HOLD, sustained: true };
        assert_eq!(at(&mut selector, 0, 1200), Decision::Probe(trial));
        assert_eq!(at(&mut selector, 900, 1200), Decision::Stay);
        assert!(matches!(at(&mut selector, 950, 500), Decision::Probe(p) if !p.sustained));
        assert_eq!(at(&mut selector, 1100, 1200), Decision::Probe(trial));
        assert_eq!(at(&mut selector, 2200, 1200), Decision::Go(MIDDLE));
    }

    #[test]
    fn a_trial_that_congests_the_path_leads_nowhere_and_makes_the_next_one_later() {
        let start = Instant::now();
        let mut selector = Selector::default();
        let mut trials = Vec::new();
        for ms in (0..120_000).step_by(100) {
            // The estimate always promises the middle; two tenths of a second of it congest.
            let tried = trials.last().map_or(u64::MAX, |at| ms - at);
            let path =
                if (200..2_200).contains(&tried) { path(300, true) } else { path(1200, false) };
            match selector.decide(&ladder(), Some(LOW), &path, after(start, ms)) {
                Decision::Probe(plan) if plan.sustained => trials.push(ms),
                Decision::Go(_) => panic!("went up after {trials:?}"),
                _ => {}
            }
        }
        let gaps: Vec<_> = trials.windows(2).map(|w| w[1] - w[0]).collect();
        assert!(gaps.is_sorted() && gaps.last() >= Some(&24_000), "{gaps:?}");
    }

    #[test]
    fn a_probe_is_asked_for_only_where_a_higher_rendition_exists_and_ever_more_rarely() {
        let start = Instant::now();
        let count = |current| {
            let mut selector = Selector::default();
            (0..60_000)
                .step_by(100)
                .filter(|ms| {
                    let path = path(350, false);
                    let made = selector.decide(&ladder(), Some(current), &path, after(start, *ms));
                    matches!(made, Decision::Probe(_))
                })
                .count()
        };
        assert_eq!(count(HIGH), 0);
        assert!((8..=10).contains(&count(LOW)), "{}", count(LOW));
    }

    #[test]
    fn a_step_up_that_fails_makes_the_next_one_later() {
        let start = Instant::now();
        let mut selector = Selector::default();
        let mut now = start;
        let mut ups = Vec::new();
        let mut current = LOW;
        // The estimate always promises the middle, and the middle always congests.
        while now < start + Duration::from_secs(120) {
            now += Duration::from_millis(100);
            let path = if current == MIDDLE { path(400, true) } else { path(1200, false) };
            if let Decision::Go(track) = selector.decide(&ladder(), Some(current), &path, now) {
                if track == MIDDLE {
                    ups.push(now);
                }
                current = track;
            }
        }
        let gaps: Vec<_> = ups.windows(2).map(|w| (w[1] - w[0]).as_secs()).collect();
        assert!(gaps.is_sorted(), "{gaps:?}");
        assert!(gaps.last() >= Some(&30), "{gaps:?}");
    }

    #[test]
    fn a_path_that_can_not_be_probed_is_tried_after_ten_calm_seconds() {
        let start = Instant::now();
        let mut selector = Selector::default();
        let path = Path { can_probe: false, ..path(375, false) };
        let up = (0..20_000).step_by(100).find(|ms| {
            let made = selector.decide(&ladder(), Some(LOW), &path, after(start, *ms));
            made == Decision::Go(MIDDLE)
        });
        assert_eq!(up, Some(10_000));
    }
}
