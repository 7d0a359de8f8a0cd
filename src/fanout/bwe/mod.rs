//! How much a viewer's path carries, from what the viewer reports.
//!
//! With transport-wide feedback this is Google's congestion control
//! (draft-ietf-rmcat-gcc-02): packets sent together form a group, growing delay between groups
//! means a growing queue, and the estimate falls below what arrived or rises again. Two things
//! are ours, because a fan-out sends frames unpaced and never more than the rendition has. A
//! group's delay is that of its first packet, so that big frames don't look like queues; and the
//! estimate rises by probes, since nothing else tells what lies above the rendition's rate.
//! str0m's `bwe` module (MIT or Apache-2.0) was the model for the constants and for probing.
//!
//! Without it, the receiver's own estimate (REMB) or its loss reports have to do.
//!
//! Cheap per packet: a sent packet is one 8-byte store.

use std::time::{Duration, Instant};

use stentor_protocol::BitsPerSecond;

use super::rtcp::TransportFeedback;

mod arrival;
mod delivered;
mod loss;
mod probe;
mod rate;
mod sent;
mod trend;

use arrival::Groups;
use delivered::Delivered;
use loss::LossControl;
pub use probe::ProbePlan;
use probe::Prober;
use rate::RateControl;
use sent::{Sent, SentPackets};
use trend::Trend;

/// One viewer's bandwidth estimator. Time is passed in.
#[derive(Debug)]
#[repr(C)]
pub struct Estimator {
    /// What transport-wide feedback needs. None where it was not negotiated.
    transport: Option<Box<TransportWide>>,
    epoch: Instant,
    rate: RateControl,
    loss: LossControl,
    /// Receiver's own estimate and when it came.
    remb: Option<(u64, Instant)>,
    rtt: Option<Duration>,
    /// When the path was last found congested.
    congested: Option<Instant>,
    /// Something has been measured: the estimate is more than an assumption.
    known: bool,
}

/// What each packet needs comes first.
#[derive(Debug)]
#[repr(C)]
struct TransportWide {
    next_sequence: u16,
    prober: Prober,
    sent: SentPackets,
    arrivals: arrival::Unwrap,
    groups: Groups,
    trend: Trend,
    delivered: Delivered,
}

/// How a path is being used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Usage {
    Normal,
    Over,
    Under,
}

/// Assumed until something is measured: carries a middle rung.
pub const START: BitsPerSecond = BitsPerSecond(2_000_000);
/// Below this nothing is worth sending.
const MIN_BPS: f64 = 50_000.0;
const MAX_BPS: f64 = 100_000_000.0;
/// A receiver's own estimate counts for this long.
const REMB_LIFE: Duration = Duration::from_secs(5);

// === impl Estimator ===

impl Estimator {
    /// `transport_wide`: whether transport-wide feedback was negotiated.
    pub fn new(transport_wide: bool, now: Instant) -> Self {
        let transport = transport_wide.then(|| {
            Box::new(TransportWide {
                next_sequence: 1,
                prober: Prober::default(),
                sent: SentPackets::new(),
                arrivals: arrival::Unwrap::default(),
                groups: Groups::default(),
                trend: Trend::default(),
                delivered: Delivered::default(),
            })
        });
        Self {
            epoch: now,
            rate: RateControl::new(START.0 as f64),
            loss: LossControl::default(),
            remb: None,
            rtt: None,
            transport,
            congested: None,
            known: false,
        }
    }

    /// Whether packets carry transport-wide sequence numbers.
    pub fn is_transport_wide(&self) -> bool {
        self.transport.is_some()
    }

    /// Numbers and remembers `count` packets of a burst that is sent now. `size_of` gives each
    /// one's size on the wire. Gives the first transport-wide sequence number.
    pub fn handle_sent(&mut self, now: Instant, sizes: impl Iterator<Item = usize>) -> Option<u16> {
        let at = self.micros(now);
        let transport = self.transport.as_mut()?;
        let first = transport.next_sequence;
        let mut bytes = 0;
        for size in sizes {
            let packet = Sent { at: at as u32, size: size.min(0xffff) as u16 };
            transport.sent.insert(transport.next_sequence, packet);
            transport.next_sequence = transport.next_sequence.wrapping_add(1);
            bytes += size;
        }
        transport.prober.handle_sent(at, transport.next_sequence, bytes);
        Some(first)
    }

    /// Takes transport-wide feedback. Gives the share of the packets it covers that were lost.
    pub fn handle_feedback(
        &mut self,
        feedback: &TransportFeedback<'_>,
        now: Instant,
    ) -> Option<f32> {
        let now_us = self.micros(now);
        let transport = self.transport.as_mut()?;
        let (mut acked, mut lost) = (0_u32, 0_u32);
        let mut sequence = feedback.base;
        for arrival in feedback.packets() {
            let this = sequence;
            sequence = sequence.wrapping_add(1);
            let Some(arrival) = arrival else {
                lost += u32::from(transport.sent.is_recent(this, now_us));
                continue;
            };
            let Some((sent_us, size)) = transport.sent.take(this, now_us) else { continue };
            let arrived_us = transport.arrivals.unwrap(arrival);
            acked += 1;
            transport.delivered.handle_arrival(arrived_us, size);
            transport.prober.handle_arrival(this, sent_us, arrived_us, size);
            if let Some(delta) = transport.groups.handle_packet(sent_us, arrived_us) {
                transport.trend.handle_delta(&delta);
            }
        }
        // A probe makes a queue of its own. That one is no news.
        let usage = match transport.trend.usage() {
            Usage::Over if transport.prober.shadows(now_us) => Usage::Normal,
            usage => usage,
        };
        let delivered = transport.delivered.bps();
        let probed = transport.prober.poll_result(now_us, sequence);
        self.known |= acked > 0;
        self.rate.update(usage, delivered, self.rtt, now);
        if usage == Usage::Over {
            self.congested = Some(now);
        }
        if let Some(probed) = probed {
            self.rate.set_probed(probed, now);
        }
        if let Some(loss) = self.loss.handle_counts(acked, lost, now) {
            self.apply_loss(loss, delivered, now);
        }
        let total = acked + lost;
        (total > 0).then(|| lost as f32 / total as f32)
    }

    /// Takes what a receiver report says of a stream: the loss since the last one, 0 to 1.
    /// `sent_bps`: what was sent lately.
    pub fn handle_report(&mut self, loss: f64, sent_bps: f64, now: Instant) {
        if self.transport.is_some() {
            return;
        }
        self.known = true;
        if loss > loss::HIGH {
            self.apply_loss(loss, Some(sent_bps), now);
        } else if loss < loss::LOW {
            self.rate.update(Usage::Normal, Some(sent_bps), self.rtt, now);
        }
    }

    pub fn handle_remb(&mut self, bits_per_second: u64, now: Instant) {
        if self.transport.is_none() {
            let before = self.remb.map(|(bps, _)| bps);
            if before.is_some_and(|before| bits_per_second < before * 8 / 10) {
                self.congested = Some(now);
            }
            self.known = true;
            self.remb = Some((bits_per_second, now));
        }
    }

    pub fn handle_rtt(&mut self, rtt: Duration) {
        self.rtt = Some(match self.rtt {
            Some(old) => (old * 7 + rtt) / 8,
            None => rtt,
        });
    }

    pub fn rtt(&self) -> Option<Duration> {
        self.rtt
    }

    /// What the path carries. None while nothing is known of it.
    pub fn estimate(&self, now: Instant) -> Option<BitsPerSecond> {
        if !self.known {
            return None;
        }
        let mut bps = self.rate.bps();
        if let Some((remb, at)) = self.remb
            && now.saturating_duration_since(at) < REMB_LIFE
        {
            bps = (remb as f64).clamp(MIN_BPS, MAX_BPS).min(self.loss.cap().unwrap_or(MAX_BPS));
        }
        Some(BitsPerSecond(bps as u64))
    }

    /// Whether the path was found congested within the last `period`.
    pub fn was_congested(&self, period: Duration, now: Instant) -> bool {
        self.congested.is_some_and(|at| now.saturating_duration_since(at) < period)
    }

    /// Begins a probe: what is sent until [`Self::end_probe`] is measured. False where there is no
    /// feedback to measure by, or a probe is under way.
    pub fn begin_probe(&mut self, now: Instant) -> bool {
        let at = self.micros(now);
        let Some(transport) = &mut self.transport else { return false };
        transport.prober.begin(at, transport.next_sequence)
    }

    /// Ends the sending of a probe. Its result comes with the feedback.
    pub fn end_probe(&mut self) {
        if let Some(transport) = &mut self.transport {
            transport.prober.end(transport.next_sequence);
        }
    }

    fn apply_loss(&mut self, loss: f64, delivered: Option<f64>, now: Instant) {
        if loss > loss::HIGH {
            self.congested = Some(now);
            self.rate.reduce_for_loss(loss, delivered, now);
            self.loss.set_cap(self.rate.bps());
        } else if loss < loss::LOW {
            self.loss.raise_cap();
        }
    }

    fn micros(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.epoch).as_micros() as u64
    }
}

#[cfg(test)]
mod tests;
