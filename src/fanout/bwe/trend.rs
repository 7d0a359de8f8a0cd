//! Whether a queue is growing: the slope of the delay, against a threshold that adapts
//! (draft-ietf-rmcat-gcc-02, 5.3 to 5.5).

use super::Usage;
use super::arrival::Delta;

#[derive(Debug)]
pub struct Trend {
    /// (arrival, smoothed delay) of the last groups, in ms; a ring.
    window: [(f32, f32); WINDOW],
    filled: usize,
    next: usize,
    /// Groups seen, up to where it stops to matter.
    count: u32,
    /// Arrival of the first group, in µs: the window's times count from here.
    origin: Option<i64>,
    /// Sum of all delay differences, in ms: the queue, up to a constant.
    delay: f64,
    smoothed: f64,
    /// Smoothed less: whether the queue grows this very moment.
    quick: f64,
    threshold: f64,
    previous_slope: f64,
    /// How long the slope has been above the threshold, in ms, and at how many groups.
    over: Option<(f64, u32)>,
    last_update: Option<i64>,
    /// Least delay of late: what stands in the queue even between frames.
    standing: Minimum,
    /// Least delay of a long time: the empty path.
    base: Minimum,
    usage: Usage,
}

/// The least of a window that slides in halves.
#[derive(Debug)]
struct Minimum {
    half_us: i64,
    began: Option<i64>,
    previous: f64,
    current: f64,
}

const WINDOW: usize = 20;
const SMOOTHING: f64 = 0.9;
const QUICK_SMOOTHING: f64 = 0.6;
const GAIN: f64 = 4.0;
const START_THRESHOLD_MS: f64 = 12.5;
const THRESHOLD_RANGE_MS: (f64, f64) = (6.0, 600.0);
const THRESHOLD_UP: f64 = 0.0087;
const THRESHOLD_DOWN: f64 = 0.039;
/// A slope further off than this is a spike, not a reason to adapt.
const MAX_ADAPT_MS: f64 = 15.0;
const MIN_OVER_MS: f64 = 10.0;
const MAX_COUNT: u32 = 60;
/// Frames queue behind one another on any path that is used well. A path is overused where the
/// queue doesn't empty between them.
const STANDING_MS: f64 = 8.0;
const STANDING_HALF_US: i64 = 100_000;
const BASE_HALF_US: i64 = 8_000_000;

// === impl Trend ===

impl Default for Trend {
    fn default() -> Self {
        Self {
            window: [(0.0, 0.0); WINDOW],
            filled: 0,
            next: 0,
            count: 0,
            origin: None,
            delay: 0.0,
            smoothed: 0.0,
            quick: 0.0,
            threshold: START_THRESHOLD_MS,
            previous_slope: 0.0,
            over: None,
            last_update: None,
            standing: Minimum::new(STANDING_HALF_US),
            base: Minimum::new(BASE_HALF_US),
            usage: Usage::Normal,
        }
    }
}

impl Trend {
    pub fn usage(&self) -> Usage {
        self.usage
    }

    pub fn handle_delta(&mut self, delta: &Delta) {
        let origin = *self.origin.get_or_insert(delta.at);
        self.count = (self.count + 1).min(1000);
        self.delay += (delta.arrived - delta.sent) as f64 / 1000.0;
        let standing = self.standing.update(delta.at, self.delay);
        let base = self.base.update(delta.at, self.delay);
        self.smoothed = self.smoothed * SMOOTHING + self.delay * (1.0 - SMOOTHING);
        let quick = self.quick * QUICK_SMOOTHING + self.delay * (1.0 - QUICK_SMOOTHING);
        let growing = quick >= self.quick;
        self.quick = quick;
        let at = (delta.at - origin) as f64 / 1000.0;
        self.window[self.next] = (at as f32, self.smoothed as f32);
        self.next = (self.next + 1) % WINDOW;
        self.filled = (self.filled + 1).min(WINDOW);
        if self.filled == WINDOW {
            let slope = self.slope().unwrap_or(self.previous_slope);
            self.detect(slope, growing && standing - base > STANDING_MS, delta);
        }
    }

    /// Least squares over the window: ms of delay per ms.
    fn slope(&self) -> Option<f64> {
        let n = WINDOW as f64;
        let points = || self.window.iter().map(|(x, y)| (f64::from(*x), f64::from(*y)));
        let (sum_x, sum_y) = points().fold((0.0, 0.0), |(a, b), (x, y)| (a + x, b + y));
        let (mean_x, mean_y) = (sum_x / n, sum_y / n);
        let (above, below) = points().fold((0.0, 0.0), |(a, b), (x, y)| {
            (a + (x - mean_x) * (y - mean_y), b + (x - mean_x) * (x - mean_x))
        });
        (below > 0.0).then(|| above / below)
    }

    fn detect(&mut self, slope: f64, growing: bool, delta: &Delta) {
        let scaled = f64::from(self.count.min(MAX_COUNT)) * slope * GAIN;
        let sent_ms = delta.sent as f64 / 1000.0;
        if scaled > self.threshold {
            let (time, groups) = match self.over {
                Some((time, groups)) => (time + sent_ms, groups + 1),
                None => (sent_ms / 2.0, 1),
            };
            self.over = Some((time, groups));
            if time > MIN_OVER_MS && groups > 1 && slope >= self.previous_slope && growing {
                self.over = Some((0.0, 0));
                self.usage = Usage::Over;
            } else if !growing {
                self.usage = Usage::Normal;
            }
        } else {
            self.over = None;
            self.usage = if scaled < -self.threshold { Usage::Under } else { Usage::Normal };
        }
        self.previous_slope = slope;
        self.adapt(scaled, delta.at);
    }

    fn adapt(&mut self, scaled: f64, at: i64) {
        let last = self.last_update.replace(at).unwrap_or(at);
        let off = scaled.abs() - self.threshold;
        if off > MAX_ADAPT_MS {
            return;
        }
        let gain = if off < 0.0 { THRESHOLD_DOWN } else { THRESHOLD_UP };
        let elapsed_ms = ((at - last) as f64 / 1000.0).clamp(0.0, 100.0);
        self.threshold = (self.threshold + gain * off * elapsed_ms)
            .clamp(THRESHOLD_RANGE_MS.0, THRESHOLD_RANGE_MS.1);
    }
}

// === impl Minimum ===

impl Minimum {
    fn new(half_us: i64) -> Self {
        Self { half_us, began: None, previous: f64::INFINITY, current: f64::INFINITY }
    }

    fn update(&mut self, at: i64, value: f64) -> f64 {
        let began = *self.began.get_or_insert(at);
        if at - began >= self.half_us {
            self.began = Some(at);
            self.previous = std::mem::replace(&mut self.current, value);
        }
        self.current = self.current.min(value);
        self.current.min(self.previous)
    }
}
