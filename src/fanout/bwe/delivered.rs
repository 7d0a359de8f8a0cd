//! What arrives: bytes per time over a sliding window of the receiver's clock.

/// Counts in steps of [`STEP_US`], over the last [`STEPS`] of them.
#[derive(Debug, Default)]
pub struct Delivered {
    steps: [u32; STEPS],
    /// Number of the newest step, from the receiver's clock.
    newest: i64,
    /// First arrival of all, in µs.
    first: Option<i64>,
    last: i64,
}

const STEP_US: i64 = 50_000;
const STEPS: usize = 10;
/// Less time than this tells nothing.
const MIN_US: i64 = 150_000;

// === impl Delivered ===

impl Delivered {
    pub fn handle_arrival(&mut self, arrived_us: i64, bytes: u16) {
        let step = arrived_us.div_euclid(STEP_US);
        if self.first.is_none() {
            self.first = Some(arrived_us);
            self.newest = step;
            self.last = arrived_us;
        }
        if step > self.newest {
            let skipped = (step - self.newest).min(STEPS as i64);
            for n in 1..=skipped {
                self.steps[index(self.newest + n)] = 0;
            }
            // Steps further ahead than the ring is long were all cleared.
            self.newest = step;
        } else if self.newest - step >= STEPS as i64 {
            return;
        }
        self.last = self.last.max(arrived_us);
        self.steps[index(step)] += u32::from(bytes);
    }

    /// Bits per second over the window. None until there is enough.
    pub fn bps(&self) -> Option<f64> {
        let window_start = (self.newest - (STEPS as i64 - 1)) * STEP_US;
        let start = self.first?.max(window_start);
        let span = self.last - start;
        if span < MIN_US {
            return None;
        }
        let bytes: u64 = self.steps.iter().map(|b| u64::from(*b)).sum();
        Some(bytes as f64 * 8e6 / span as f64)
    }
}

fn index(step: i64) -> usize {
    step.rem_euclid(STEPS as i64) as usize
}
