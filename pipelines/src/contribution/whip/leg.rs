//! One publisher, from its offer to its end. Driven by the hub; never blocks.

use std::sync::Arc;

use super::offer::Plan;
use super::peer::Peer;
use super::trickle::Fragment;
use crate::contribution::flow::Pulse;
use crate::contribution::watchdog::{Check, Watchdog};

/// A publisher that sends nothing for so long after its answer is given up, ns.
const CONNECT_NS: u64 = 15_000_000_000;
/// A silent publisher may come back for so long, ns. Then its leg ends.
const GIVE_UP_NS: u64 = 10_000_000_000;
/// How often a publisher without a first picture is asked for one, ns.
const ASK_NS: u64 = 250_000_000;
/// Fragments that wait for the answer at most.
const WAITING_FRAGMENTS: usize = 16;
/// The most candidates taken in a leg's life.
const MOST_CANDIDATES: usize = 64;

pub struct Leg {
    pub session: String,
    pub pulse: Arc<Pulse>,
    /// None while the answer is being made.
    peer: Option<Peer>,
    ufrag: String,
    mids: Vec<Option<String>>,
    wants_video: bool,
    waiting: Vec<Fragment>,
    candidates: usize,
    since_ns: u64,
    phase: Phase,
}

enum Phase {
    /// Nothing has come yet.
    Connecting,
    Live(Watchdog),
    /// Silent since then, with the watchdog to go on with.
    Lost {
        since_ns: u64,
        watchdog: Watchdog,
    },
}

/// What became of a leg.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    Same,
    Live,
    Lost(String),
    /// Given up.
    Over(String),
}

// === impl Leg ===

impl Leg {
    pub fn new(session: String, plan: &Plan, pulse: Arc<Pulse>, now_ns: u64) -> Self {
        Self {
            session,
            pulse,
            peer: None,
            ufrag: plan.ufrag.clone(),
            mids: plan.offer.sections.iter().map(|s| s.mid().map(str::to_owned)).collect(),
            wants_video: plan.video.is_some(),
            waiting: Vec::new(),
            candidates: 0,
            since_ns: now_ns,
            phase: Phase::Connecting,
        }
    }

    pub fn is_answered(&self) -> bool {
        self.peer.is_some()
    }

    /// A leg that is silent gives way to any other.
    pub fn is_lost(&self) -> bool {
        matches!(self.phase, Phase::Lost { .. })
    }

    /// The answer is made; candidates that waited for it are taken.
    pub fn answered(&mut self, peer: Peer, now_ns: u64) {
        self.peer = Some(peer);
        self.since_ns = now_ns;
        for fragment in std::mem::take(&mut self.waiting) {
            self.trickle(fragment);
        }
    }

    pub fn trickle(&mut self, fragment: Fragment) {
        if fragment.ufrag.as_ref().is_some_and(|ufrag| *ufrag != self.ufrag) {
            tracing::info!(session = %self.session, "an ICE restart is not supported; ignored");
            return;
        }
        let Some(peer) = &self.peer else {
            if self.waiting.len() < WAITING_FRAGMENTS {
                self.waiting.push(fragment);
            }
            return;
        };
        for (mid, candidate) in fragment.candidates {
            if self.candidates == MOST_CANDIDATES {
                return;
            }
            self.candidates += 1;
            // All sections share one transport: an unknown mid does no harm.
            let section = self.mids.iter().position(|known| *known == mid).unwrap_or(0);
            peer.add_candidate(section as u32, &candidate);
        }
    }

    pub fn request_keyframe(&self) {
        if let Some(peer) = &self.peer {
            peer.request_keyframe();
        }
    }

    /// Looks at what came, and gives what became of the leg and when to look again.
    pub fn check(&mut self, loss_timeout_ms: u32, now_ns: u64) -> (Turn, u64) {
        let last_ns = self.pulse.last_ns();
        let starved = self.wants_video && !self.pulse.has_video();
        if starved {
            self.request_keyframe();
        }
        let ask_ns = if starved { now_ns + ASK_NS } else { u64::MAX };
        let (turn, until_ns) = match &mut self.phase {
            Phase::Connecting if last_ns > 0 => {
                self.phase = Phase::Live(Watchdog::new(loss_timeout_ms, last_ns));
                (Turn::Live, now_ns)
            }
            Phase::Connecting if now_ns > self.since_ns + CONNECT_NS => {
                (Turn::Over(format!("no media within {} s", CONNECT_NS / 1_000_000_000)), now_ns)
            }
            Phase::Connecting => (Turn::Same, now_ns + ASK_NS),
            Phase::Live(watchdog) => match watchdog.check(last_ns, now_ns) {
                Check::Fine { until_ns } => (Turn::Same, until_ns),
                Check::Probe { until_ns } => {
                    self.request_keyframe();
                    (Turn::Same, until_ns)
                }
                Check::Silent => {
                    let silent_ms = now_ns.saturating_sub(last_ns) / 1_000_000;
                    let watchdog = watchdog.clone();
                    self.phase = Phase::Lost { since_ns: last_ns, watchdog };
                    self.pulse.expect();
                    (Turn::Lost(format!("no media for {silent_ms} ms")), now_ns + ASK_NS)
                }
            },
            Phase::Lost { since_ns, watchdog } if last_ns > *since_ns => {
                let mut watchdog = watchdog.clone();
                watchdog.check(last_ns, now_ns);
                self.phase = Phase::Live(watchdog);
                (Turn::Live, now_ns)
            }
            Phase::Lost { since_ns, .. } if now_ns > *since_ns + GIVE_UP_NS => {
                (Turn::Over(format!("no media for {} s", GIVE_UP_NS / 1_000_000_000)), now_ns)
            }
            Phase::Lost { .. } => (Turn::Same, now_ns + ASK_NS),
        };
        (turn, until_ns.min(ask_ns))
    }

    /// Ends delivery at once and gives the pipeline, where there is one, to be ended.
    pub fn end(self) -> Option<gst::Pipeline> {
        self.pulse.shut();
        self.peer.map(Peer::into_pipeline)
    }
}
