//! One clock per channel, whatever its workers do.
//!
//! Every worker starts an RTP clock of its own, and a source may jump. Viewers must see none of
//! that, and the renditions of a channel must agree. So each packet's RTP timestamp is laid on
//! the channel's timeline here, once, by the reader: RTP says how far apart the packets of a run
//! are, and the capture time says where a new run begins.

/// Ticks of a media clock since the channel opened, on one line for all tracks of that clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticks(pub u64);

/// Lays the tracks of one clock rate on the channel's timeline.
#[derive(Debug)]
pub struct Timeline {
    rate_hz: u32,
    /// Capture time of the timeline's origin, in microseconds since the Unix epoch.
    origin_us: u64,
    /// The run that began last. A track that breaks off looks here first, so that tracks which
    /// jump together stay together.
    latest: Option<Run>,
}

/// What one track remembers between its packets.
#[derive(Debug, Default, Clone, Copy)]
pub struct TrackClock {
    run: Option<Run>,
    last: Option<Ticks>,
}

/// A stretch of one RTP clock.
#[derive(Debug, Clone, Copy)]
struct Run {
    /// Place of `rtp` on the timeline.
    ticks: u64,
    rtp: u32,
}

/// Room below the origin, so that a packet from before it has a place.
const ORIGIN_TICKS: u64 = 1 << 32;
/// How far RTP and capture time may drift apart before a new run is begun, in seconds. Capture
/// times carry the jitter of contribution, so this is well above it.
const TOLERANCE_SECONDS: f64 = 0.5;

// === impl Timeline ===

impl Timeline {
    pub fn new(rate_hz: u32, origin_us: u64) -> Self {
        Self { rate_hz, origin_us, latest: None }
    }

    /// A worker was replaced: its clock starts anywhere.
    pub fn handle_restart(&mut self) {
        self.latest = None;
    }

    /// Gives the place of a packet. `clock` is its track's and starts empty with each worker.
    pub fn place(&mut self, clock: &mut TrackClock, rtp: u32, capture_us: u64) -> Ticks {
        let expected = self.expected(capture_us);
        let fits = |run: &Run| {
            let place = run.place(rtp);
            let off = place.abs_diff(expected) as f64 / f64::from(self.rate_hz);
            (off <= TOLERANCE_SECONDS).then_some(place)
        };
        let known = clock.run.as_ref().and_then(&fits).map(|place| (clock.run, place));
        let shared = || self.latest.as_ref().and_then(&fits).map(|place| (self.latest, place));
        let (run, place) = known.or_else(shared).unwrap_or_else(|| {
            let run = Run { ticks: expected, rtp };
            (Some(run), expected)
        });
        // The run's anchor moves along, so that 32-bit differences never grow old.
        let run = run.map(|_| Run { ticks: place, rtp });
        clock.run = run;
        if self.latest.is_none() || known.is_none() {
            self.latest = run;
        }
        clock.last = Some(Ticks(place));
        Ticks(place)
    }

    /// Where the capture time alone would place a packet.
    fn expected(&self, capture_us: u64) -> u64 {
        let after = i128::from(capture_us) - i128::from(self.origin_us);
        let ticks = after * i128::from(self.rate_hz) / 1_000_000;
        (i128::from(ORIGIN_TICKS) + ticks).clamp(0, i128::from(u64::MAX >> 1)) as u64
    }
}

// === impl Run ===

impl Run {
    fn place(&self, rtp: u32) -> u64 {
        let step = i64::from(rtp.wrapping_sub(self.rtp) as i32);
        self.ticks.saturating_add_signed(step)
    }
}

// === impl Ticks ===

impl Ticks {
    /// This place, `by` ticks later.
    #[must_use]
    pub fn plus(self, by: u64) -> Self {
        Self(self.0.saturating_add(by))
    }

    /// How many ticks this is after `other`; negative when before.
    #[cfg(test)]
    pub fn since(self, other: Self) -> i64 {
        self.0.wrapping_sub(other.0) as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: u64 = 1_700_000_000_000_000;

    fn micros(ticks: u64) -> u64 {
        ticks * 1000 / 90
    }

    #[test]
    fn a_track_keeps_its_rtp_distances_while_capture_times_jitter() {
        let mut line = Timeline::new(90_000, START);
        let mut clock = TrackClock::default();
        let first = line.place(&mut clock, u32::MAX - 1000, START);
        let second = line.place(&mut clock, 1999, START + 90_000);
        assert_eq!(second.since(first), 3000);
    }

    #[test]
    fn a_new_worker_goes_on_where_the_capture_time_says() {
        let mut line = Timeline::new(90_000, START);
        let before = line.place(&mut TrackClock::default(), 500, START);
        line.handle_restart();
        let after = line.place(&mut TrackClock::default(), 3_000_000_000, START + micros(180_000));
        assert_eq!(after.since(before), 180_000);
    }

    #[test]
    fn tracks_of_one_worker_stay_together_after_a_restart() {
        let mut line = Timeline::new(90_000, START);
        line.handle_restart();
        let (mut high, mut low) = (TrackClock::default(), TrackClock::default());
        let a = line.place(&mut high, 7000, START);
        // The same picture on the other rung, with a capture time 3 ms off.
        let b = line.place(&mut low, 7000, START + 3000);
        assert_eq!(a, b);
    }

    #[test]
    fn tracks_that_jump_together_land_together() {
        let mut line = Timeline::new(90_000, START);
        let (mut high, mut low) = (TrackClock::default(), TrackClock::default());
        line.place(&mut high, 0, START);
        line.place(&mut low, 0, START);
        let jump = 90_000 * 3600;
        let a = line.place(&mut high, jump, START + 40_000);
        let late = line.place(&mut low, 3000, START + 33_000);
        let b = line.place(&mut low, jump, START + 41_000);
        assert_eq!(a, b);
        assert_eq!(late.since(Ticks(ORIGIN_TICKS)), 3000);
        assert!(a.since(late) > 0 && a.since(late) < 9000);
    }

    #[test]
    fn a_clock_from_before_the_origin_has_a_place() {
        let mut line = Timeline::new(48_000, START);
        let place = line.place(&mut TrackClock::default(), 5, START - 1_000_000);
        assert_eq!(place, Ticks(ORIGIN_TICKS - 48_000));
        line.place(&mut TrackClock::default(), 5, 0);
        line.place(&mut TrackClock::default(), 5, u64::MAX);
    }
}
