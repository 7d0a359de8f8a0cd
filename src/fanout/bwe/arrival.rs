//! Groups of packets that were sent together (draft-ietf-rmcat-gcc-02, 5.2), and the receiver's
//! clock.

use super::super::rtcp::ARRIVAL_WRAP_TICKS;

/// Makes arrival times of feedback, which wrap, run on. In microseconds.
#[derive(Debug, Default)]
pub struct Unwrap {
    last: Option<i64>,
}

/// Turns packets into differences between groups.
#[derive(Debug, Default)]
pub struct Groups {
    previous: Option<Group>,
    current: Option<Group>,
}

/// How much later the second of two groups was sent, and arrived. In microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delta {
    pub sent: i64,
    pub arrived: i64,
    /// When the second group arrived.
    pub at: i64,
}

#[derive(Debug, Clone, Copy)]
struct Group {
    first_sent: u64,
    /// The first packet tells the queue that stood there before this group; later ones wait for
    /// their own group, too.
    first_arrived: i64,
    last_arrived: i64,
}

/// Packets sent within this are one group, in microseconds.
const GROUP_US: u64 = 5_000;
/// A burst that a stalled path lets go at once is one group, up to this long.
const MAX_BURST_US: i64 = 100_000;

// === impl Unwrap ===

impl Unwrap {
    /// Takes ticks of 250 µs, gives microseconds.
    pub fn unwrap(&mut self, ticks: i64) -> i64 {
        let full = match self.last {
            None => ticks,
            Some(last) => {
                let step = (ticks - last).rem_euclid(ARRIVAL_WRAP_TICKS);
                let step =
                    if step > ARRIVAL_WRAP_TICKS / 2 { step - ARRIVAL_WRAP_TICKS } else { step };
                last + step
            }
        };
        self.last = Some(full);
        full * 250
    }
}

// === impl Groups ===

impl Groups {
    /// Takes an acknowledged packet, in order of sending. Gives a difference when it begins a
    /// new group.
    pub fn handle_packet(&mut self, sent_us: u64, arrived_us: i64) -> Option<Delta> {
        let Some(current) = &mut self.current else {
            self.current = Some(Group::new(sent_us, arrived_us));
            return None;
        };
        // One that was sent before the group began came out of order and tells nothing.
        let after = sent_us.checked_sub(current.first_sent)?;
        if after <= GROUP_US || current.is_released_with(after, arrived_us) {
            current.last_arrived = current.last_arrived.max(arrived_us);
            return None;
        }
        let finished = *current;
        *current = Group::new(sent_us, arrived_us);
        let previous = self.previous.replace(finished)?;
        Some(Delta {
            sent: finished.first_sent as i64 - previous.first_sent as i64,
            arrived: finished.first_arrived - previous.first_arrived,
            at: finished.first_arrived,
        })
    }
}

// === impl Group ===

impl Group {
    fn new(sent: u64, arrived: i64) -> Self {
        Self { first_sent: sent, first_arrived: arrived, last_arrived: arrived }
    }

    /// Whether a packet sent `after` microseconds after the group's first arrived right behind
    /// its last: a queue let them go together.
    fn is_released_with(&self, after: u64, arrived: i64) -> bool {
        let since_first = arrived - self.first_arrived;
        since_first < after as i64
            && arrived - self.last_arrived <= GROUP_US as i64
            && (0..MAX_BURST_US).contains(&since_first)
    }
}
