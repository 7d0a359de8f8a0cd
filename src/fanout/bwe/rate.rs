//! The estimate itself: up by a share a second, down below what arrives
//! (draft-ietf-rmcat-gcc-02, 5.5).

use std::time::{Duration, Instant};

use super::{MAX_BPS, MIN_BPS, Usage};

#[derive(Debug)]
pub struct RateControl {
    bps: f64,
    state: State,
    /// Mean and deviation of what arrived at times of congestion: where the link's capacity is.
    capacity: Option<(f64, f64)>,
    last_change: Option<Instant>,
    /// Draining queues after a decrease make no new one.
    last_decrease: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Increase,
    Hold,
    Decrease,
}

const BETA: f64 = 0.85;
const GROWTH_PER_SECOND: f64 = 1.08;
/// The estimate rises no further than this above what arrives, since nothing shows that more
/// would.
const MAX_ABOVE_DELIVERED: f64 = 1.5;
const CAPACITY_SMOOTHING: f64 = 0.95;
const RESPONSE: Duration = Duration::from_millis(100);

// === impl RateControl ===

impl RateControl {
    pub fn new(start_bps: f64) -> Self {
        Self {
            bps: start_bps,
            state: State::Hold,
            capacity: None,
            last_change: None,
            last_decrease: None,
        }
    }

    pub fn bps(&self) -> f64 {
        self.bps
    }

    pub fn update(
        &mut self,
        usage: Usage,
        delivered: Option<f64>,
        rtt: Option<Duration>,
        now: Instant,
    ) {
        self.state = match (usage, self.state) {
            (Usage::Over, _) => State::Decrease,
            (Usage::Under, _) | (Usage::Normal, State::Decrease) => State::Hold,
            (Usage::Normal, State::Hold | State::Increase) => State::Increase,
        };
        let Some(delivered) = delivered else { return };
        match self.state {
            State::Increase => self.increase(delivered, rtt, now),
            State::Decrease => self.decrease(delivered, rtt, now),
            State::Hold => self.last_change = Some(now),
        }
    }

    /// A probe has shown what the link takes.
    pub fn set_probed(&mut self, bps: f64, now: Instant) {
        self.bps = bps.clamp(MIN_BPS, MAX_BPS);
        self.last_change = Some(now);
    }

    pub fn reduce_for_loss(&mut self, loss: f64, delivered: Option<f64>, now: Instant) {
        let base = delivered.map_or(self.bps, |delivered| self.bps.min(delivered * 1.05));
        self.bps = (base * (1.0 - 0.5 * loss)).clamp(MIN_BPS, MAX_BPS);
        self.last_change = Some(now);
        self.last_decrease = Some(now);
    }

    fn increase(&mut self, delivered: f64, rtt: Option<Duration>, now: Instant) {
        let elapsed = self
            .last_change
            .replace(now)
            .map_or(0.0, |at| now.saturating_duration_since(at).as_secs_f64().min(1.0));
        let limit = delivered * MAX_ABOVE_DELIVERED + 10_000.0;
        if self.bps >= limit {
            return;
        }
        if self.capacity.is_some_and(|(mean, deviation)| delivered > mean + 3.0 * deviation) {
            self.capacity = None;
        }
        let step = if self.capacity.is_some() {
            // Near the capacity: about a packet per response time.
            let response = (rtt.unwrap_or(RESPONSE) + RESPONSE).as_secs_f64();
            (1200.0 * 8.0 / response).max(4000.0) * elapsed
        } else {
            self.bps * (GROWTH_PER_SECOND.powf(elapsed) - 1.0)
        };
        self.bps = (self.bps + step.max(1000.0 * elapsed)).min(limit).clamp(MIN_BPS, MAX_BPS);
    }

    fn decrease(&mut self, delivered: f64, rtt: Option<Duration>, now: Instant) {
        let pause =
            rtt.unwrap_or(RESPONSE).clamp(Duration::from_millis(10), Duration::from_millis(200));
        let settled =
            self.last_decrease.is_none_or(|at| now.saturating_duration_since(at) >= pause);
        if !settled && delivered >= self.bps * 0.5 {
            return;
        }
        self.learn_capacity(delivered);
        let target = delivered * BETA;
        if target < self.bps {
            self.bps = target.clamp(MIN_BPS, MAX_BPS);
        }
        self.last_change = Some(now);
        self.last_decrease = Some(now);
    }

    fn learn_capacity(&mut self, delivered: f64) {
        self.capacity = Some(match self.capacity {
            Some((mean, deviation)) if delivered >= mean - 3.0 * deviation => {
                let off = (delivered - mean).abs();
                let share = 1.0 - CAPACITY_SMOOTHING;
                let deviation = deviation * CAPACITY_SMOOTHING + off * share;
                (mean * CAPACITY_SMOOTHING + delivered * share, deviation.max(mean * 0.02))
            }
            _ => (delivered, delivered * 0.1),
        });
    }
}
