//! One unbroken RTP stream towards a viewer, whatever it is made of.
//!
//! A viewer is moved between renditions, starts in the middle of a group of pictures, and lives
//! through new workers. Its own sequence numbers and timestamps run on through all of that. They
//! are a piecewise function of positions in the renditions' histories: a few segments in which
//! one differs from the other by a constant. So a sequence number that the viewer asks for again
//! leads back to the shared packet, and no viewer keeps packets of its own.

use std::collections::VecDeque;

use super::burst::Burst;
use super::channel::TrackKey;
use super::timeline::Ticks;
use super::vp8::Counters;

/// The numbering of one outgoing RTP stream (one SSRC).
#[derive(Debug)]
pub struct Outgoing {
    /// Sequence number of the next packet. The low 16 bits go on the wire, the rest is the
    /// roll-over counter of SRTP.
    next: u64,
    /// Added to the timeline for the wire. Random (RFC 3550, 5.1).
    time_offset: u32,
    /// Ticks between squeezed frames.
    step: u64,
    /// Time of the last frame, on the timeline as the viewer sees it.
    last_time: Option<Ticks>,
    /// VP8 counters of the last frame, as the viewer saw them.
    last_counters: Option<Counters>,
    /// The next burst starts a segment of this many squeezed frames, so that the last of them
    /// has the time it has in truth.
    backlog: Option<u64>,
    /// The one that grows.
    current: Option<Segment>,
    /// Those before it, oldest first.
    former: VecDeque<Segment>,
}

/// A stretch in which everything differs from the history by a constant.
#[derive(Debug, Clone, Copy)]
struct Segment {
    track: TrackKey,
    /// Sequence number of its first packet.
    sequence: u64,
    /// Position in the rendition of its first packet.
    position: u64,
    /// Positions in it so far.
    length: u64,
    rule: TimeRule,
    counters: Counters,
}

/// How a frame's time is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TimeRule {
    /// It is what it was.
    True,
    /// Frames since the burst `from` follow each other at `step`, because in truth they are
    /// older than what the viewer already has.
    Squeezed { from: u64, start: Ticks, step: u64 },
}

/// How one burst is numbered for one viewer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement {
    /// Sequence number of the burst's first packet, roll-overs included.
    pub sequence: u64,
    pub timestamp: u32,
    /// What to add to the VP8 counters.
    pub counters: Counters,
}

/// Where a packet that went out is in the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    pub track: TrackKey,
    pub position: u64,
    /// Roll-overs included.
    pub sequence: u64,
    segment: Segment,
}

/// Finished segments remembered. A viewer that switches more often than this in the time a history lasts
/// loses some retransmissions, no more.
const MAX_FORMER: usize = 15;
/// Squeezed video frames follow at 1 ms.
pub const VIDEO_STEP: u64 = 90;

// === impl Outgoing ===

impl Outgoing {
    /// `step`: ticks between squeezed frames, 1 or more.
    pub fn new(first_sequence: u16, time_offset: u32, step: u64) -> Self {
        Self {
            next: u64::from(first_sequence),
            time_offset,
            step: step.max(1),
            last_time: None,
            last_counters: None,
            backlog: None,
            current: None,
            former: VecDeque::new(),
        }
    }

    /// The next burst is the first of `frames` that are sent in a row to catch up with the
    /// present.
    pub fn start_backlog(&mut self, frames: u64) {
        self.backlog = Some(frames);
    }

    /// Numbers a burst. It will be sent.
    pub fn place(&mut self, burst: &Burst, live_edge: Ticks) -> Placement {
        let length = burst.len() as u64;
        let follows = match &self.current {
            Some(last) if self.backlog.is_none() => {
                last.track == burst.track
                    && last.position + last.length == burst.position
                    && last.rule.holds_for(burst)
            }
            _ => false,
        };
        if !follows {
            self.begin_segment(burst, live_edge);
        }
        let sequence = self.next;
        self.next += length;
        let mut placement = Placement { sequence, timestamp: 0, counters: Counters::default() };
        if let Some(segment) = &mut self.current {
            segment.length += length;
            let time = segment.rule.time(burst);
            self.last_time = Some(time);
            placement.timestamp = self.time_offset.wrapping_add(time.0 as u32);
            placement.counters = segment.counters;
            if let Some(counters) = burst.vp8 {
                self.last_counters = Some(counters.plus(segment.counters));
            }
        }
        placement
    }

    /// Leads a sequence number that went out back to its packet.
    pub fn find(&self, sequence: u16) -> Option<Found> {
        let back = (self.next as u16).wrapping_sub(sequence);
        let sequence = self.next.checked_sub(u64::from(back))?;
        let mut newest_first = self.current.iter().chain(self.former.iter().rev());
        let segment = newest_first.find(|s| s.sequence <= sequence)?;
        let into = sequence - segment.sequence;
        (into < segment.length).then_some(Found {
            track: segment.track,
            position: segment.position + into,
            sequence,
            segment: *segment,
        })
    }

    /// How the packet that was found was numbered. `burst` is the one that holds its position.
    pub fn placement_of(&self, found: &Found, burst: &Burst) -> Placement {
        let time = found.segment.rule.time(burst);
        Placement {
            sequence: found.sequence,
            timestamp: self.time_offset.wrapping_add(time.0 as u32),
            counters: found.segment.counters,
        }
    }

    /// The wire's timestamp for a place on the timeline, for sender reports.
    pub fn timestamp(&self, time: Ticks) -> u32 {
        self.time_offset.wrapping_add(time.0 as u32)
    }

    /// Sequence number of the next packet, roll-overs included.
    pub fn next_sequence(&self) -> u64 {
        self.next
    }

    fn begin_segment(&mut self, burst: &Burst, live_edge: Ticks) {
        let backlog = self.backlog.take().unwrap_or(1).max(1);
        let rule = self.rule_for(burst, backlog, live_edge);
        let counters = match (burst.vp8, self.last_counters, &self.current) {
            (Some(here), Some(last), Some(previous)) => {
                let goes_on = previous.track == burst.track
                    && previous.position + previous.length == burst.position;
                if goes_on { previous.counters } else { here.offset_to(last.next()) }
            }
            _ => Counters::default(),
        };
        let begun = Segment {
            track: burst.track,
            sequence: self.next,
            position: burst.position,
            length: 0,
            rule,
            counters,
        };
        if let Some(finished) = self.current.replace(begun) {
            if self.former.len() == MAX_FORMER {
                self.former.pop_front();
            }
            self.former.push_back(finished);
        }
    }

    fn rule_for(&self, burst: &Burst, backlog: u64, live_edge: Ticks) -> TimeRule {
        let after_last = self.last_time.map(|last| last.plus(self.step));
        if backlog > 1 {
            // The last of the backlog is the live edge and keeps its time.
            let span = self.step.saturating_mul(backlog - 1);
            let start = Ticks(live_edge.0.saturating_sub(span));
            let start = after_last.map_or(start, |least| start.max(least));
            if start > burst.time {
                return TimeRule::Squeezed { from: burst.index, start, step: self.step };
            }
        }
        match after_last {
            Some(start) if self.last_time >= Some(burst.time) => {
                TimeRule::Squeezed { from: burst.index, start, step: self.step }
            }
            _ => TimeRule::True,
        }
    }
}

// === impl Segment ===

impl PartialEq for Segment {
    fn eq(&self, other: &Self) -> bool {
        (self.track, self.sequence, self.position) == (other.track, other.sequence, other.position)
    }
}

impl Eq for Segment {}

// === impl TimeRule ===

impl TimeRule {
    fn time(&self, burst: &Burst) -> Ticks {
        match *self {
            Self::True => burst.time,
            Self::Squeezed { from, start, step } => {
                start.plus(step.saturating_mul(burst.index.saturating_sub(from)))
            }
        }
    }

    /// Whether the rule is still the right one: squeezing ends where the truth has caught up.
    fn holds_for(&self, burst: &Burst) -> bool {
        match self {
            Self::True => true,
            Self::Squeezed { .. } => burst.time < self.time(burst),
        }
    }
}

#[cfg(test)]
mod tests;
