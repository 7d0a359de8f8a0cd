//! Probes: for a moment more is sent than the rendition has, and what arrives of it tells the
//! link's rate (as in libwebrtc's ProbeBitrateEstimator).

use std::time::Duration;

use stentor_protocol::BitsPerSecond;

/// How a probe is to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProbePlan {
    /// Rate to send at, media included.
    pub target: BitsPerSecond,
    /// For how long.
    pub duration: Duration,
    /// It shows whether the path bears this rate, not what rate it bears. Ends where it doesn't.
    pub sustained: bool,
}

#[derive(Debug, Default)]
pub struct Prober {
    state: State,
    /// When the last one's result was in, in microseconds.
    finished: Option<u64>,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Idle,
    Sending(Cluster),
    /// All is sent, some of it may not have been heard of.
    Waiting(Cluster),
}

/// What was sent as a probe and what arrived of it. Times in microseconds.
#[derive(Debug, Clone, Copy)]
struct Cluster {
    began: u64,
    first_sequence: u16,
    /// First one behind the cluster.
    end_sequence: u16,
    sent_bytes: usize,
    arrived_bytes: usize,
    arrived_packets: u32,
    sent: Option<(u64, u64)>,
    arrived: Option<(i64, i64)>,
    /// Size of the first to arrive and of the last that was sent: they are outside the spans.
    first_size: u16,
    last_size: u16,
}

const MIN_PACKETS: u32 = 5;
const MIN_SHARE: f64 = 0.8;
/// Below this share of the sending rate the link was full, and its rate is known.
const UNSATURATED: f64 = 0.9;
const UTILISATION: f64 = 0.95;
const GIVE_UP_US: u64 = 2_000_000;
/// How long the queue that a probe made may take to drain.
const SHADOW_US: u64 = 500_000;
/// A span shorter than this can't be told from clock grain.
const MIN_SPAN_US: f64 = 4_000.0;

// === impl Prober ===

impl Prober {
    pub fn begin(&mut self, now_us: u64, next_sequence: u16) -> bool {
        if matches!(self.state, State::Sending(_)) {
            return false;
        }
        self.state = State::Sending(Cluster {
            began: now_us,
            first_sequence: next_sequence,
            end_sequence: next_sequence,
            sent_bytes: 0,
            arrived_bytes: 0,
            arrived_packets: 0,
            sent: None,
            arrived: None,
            first_size: 0,
            last_size: 0,
        });
        true
    }

    pub fn end(&mut self, next_sequence: u16) {
        if let State::Sending(mut cluster) = self.state {
            cluster.end_sequence = next_sequence;
            self.state = State::Waiting(cluster);
        }
    }

    /// Whether a queue on the path may be a probe's.
    pub fn shadows(&self, now_us: u64) -> bool {
        !matches!(self.state, State::Idle)
            || self.finished.is_some_and(|at| now_us.saturating_sub(at) < SHADOW_US)
    }

    pub fn handle_sent(&mut self, _now_us: u64, next_sequence: u16, bytes: usize) {
        if let State::Sending(cluster) = &mut self.state {
            cluster.sent_bytes += bytes;
            cluster.end_sequence = next_sequence;
        }
    }

    pub fn handle_arrival(&mut self, sequence: u16, sent_us: u64, arrived_us: i64, size: u16) {
        let (State::Sending(cluster) | State::Waiting(cluster)) = &mut self.state else {
            return;
        };
        let length = cluster.end_sequence.wrapping_sub(cluster.first_sequence);
        if sequence.wrapping_sub(cluster.first_sequence) < length {
            cluster.handle_arrival(sent_us, arrived_us, size);
        }
    }

    /// What the probe has shown, in bits per second, once feedback has reached `sequence`.
    pub fn poll_result(&mut self, now_us: u64, sequence: u16) -> Option<f64> {
        let State::Waiting(cluster) = &self.state else { return None };
        let heard_all = sequence.wrapping_sub(cluster.end_sequence) < 0x8000;
        if !heard_all && now_us.saturating_sub(cluster.began) < GIVE_UP_US {
            return None;
        }
        let result = cluster.result();
        self.state = State::Idle;
        self.finished = Some(now_us);
        result
    }
}

// === impl Cluster ===

impl Cluster {
    fn handle_arrival(&mut self, sent_us: u64, arrived_us: i64, size: u16) {
        self.arrived_packets += 1;
        self.arrived_bytes += usize::from(size);
        let (first, last) = self.sent.unwrap_or((sent_us, sent_us));
        if sent_us >= last {
            self.last_size = size;
        }
        self.sent = Some((first.min(sent_us), last.max(sent_us)));
        let (first, last) = self.arrived.unwrap_or((arrived_us, arrived_us));
        if arrived_us <= first {
            self.first_size = size;
        }
        self.arrived = Some((first.min(arrived_us), last.max(arrived_us)));
    }

    fn result(&self) -> Option<f64> {
        let share = self.arrived_bytes as f64 / self.sent_bytes.max(1) as f64;
        if self.arrived_packets < MIN_PACKETS || share < MIN_SHARE {
            return None;
        }
        let (sent, arrived) = (self.sent?, self.arrived?);
        let sent_span = (sent.1 - sent.0) as f64;
        let arrived_span = (arrived.1 - arrived.0) as f64;
        if sent_span < MIN_SPAN_US && arrived_span < MIN_SPAN_US {
            return None;
        }
        let rate = |bytes: usize, outside: u16, span: f64| {
            bytes.saturating_sub(usize::from(outside)) as f64 * 8e6 / span.max(MIN_SPAN_US)
        };
        let send_rate = rate(self.arrived_bytes, self.last_size, sent_span);
        let receive_rate = rate(self.arrived_bytes, self.first_size, arrived_span);
        if receive_rate > send_rate * 2.0 && send_rate > 0.0 && sent_span >= MIN_SPAN_US {
            return None;
        }
        let rate = send_rate.min(receive_rate);
        Some(if receive_rate < send_rate * UNSATURATED { receive_rate * UTILISATION } else { rate })
    }
}
