//! Which way one direction between two participants takes: directly, or through the server.
//!
//! Each direction decides for itself, since a path may be cut in one and whole in the other. To
//! the server within [`CUT_AFTER`] of the last packet, so that pictures move again within 3 s; what
//! that takes to start is made ready from [`DOUBT_AFTER`] on. Back when the direct path has been good
//! for a while, a longer one each time that this was a mistake.

use std::time::{Duration, Instant};

use super::messages::Path;

/// What the receiver saw since its last report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// The sender has something on: camera or microphone.
    pub is_sent: bool,
    /// Packets that came by the direct path.
    pub packets: u32,
    /// How long ago the last of them came, where the receiver knows.
    pub silent: Option<Duration>,
    /// Of 1000 packets, those lost on it.
    pub lost_permille: u16,
    /// The direct connection is up: checks are answered.
    pub alive: bool,
    /// Of those checks.
    pub round_trip: Option<Duration>,
}

/// A direction is to move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Move {
    pub to: Path,
    pub cause: Cause,
}

/// Why. Its text is for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    #[error("nothing arrives by the direct path")]
    Cut,
    #[error("the direct path loses {permille} of 1000 packets")]
    Lossy { permille: u16 },
    #[error("the direct connection is down")]
    Down,
    /// Packets still come, but nobody may send to one who doesn't answer (RFC 7675).
    #[error("the direct connection is about to expire")]
    Expiring,
    #[error("the direct path is good again")]
    Good,
}

/// One direction's way, and what it remembers.
#[derive(Debug)]
pub struct Direction {
    path: Path,
    /// When a packet last came directly, or could first have come.
    last_packet: Instant,
    /// Since when some have come, as reports without a gap say.
    heard: Option<Instant>,
    /// Since when it has lost too much, directly.
    lossy: Option<Instant>,
    /// Since when the connection has been down, and nothing has come.
    down: Option<Instant>,
    /// Since when checks have failed.
    unanswered: Option<Instant>,
    /// Since when the direct path has been good, while it isn't used.
    good: Option<Instant>,
    /// When the receiver last reported.
    last_report: Option<Instant>,
    /// When it went back to the direct path.
    returned: Option<Instant>,
    /// How long the direct path must be good; doubles with each return that failed.
    wait: Duration,
}

/// Nothing came for so long: cut. With two reports a second, more once something is amiss, and
/// what the way through the server takes to start, pictures move again within 3 s.
pub const CUT_AFTER: Duration = Duration::from_millis(1000);
/// Nothing came for so long from one who sends: it may be cut.
pub const DOUBT_AFTER: Duration = Duration::from_millis(500);
/// Until then a sender is still starting, and may stutter.
const SETTLED_AFTER: Duration = Duration::from_secs(2);
/// A connection that says that it is down may come back by itself.
const DOWN_FOR: Duration = Duration::from_millis(800);
/// A connection that is cut in one direction carries the other until the sender gives it up, since
/// nobody answers its checks: 30 s after the last answer (RFC 7675), in Chromium as soon as it is
/// called down. Where packets still come then, that direction moves before it is cut, too.
const EXPIRES_AFTER: Duration = Duration::from_secs(5);
const LOSSY_PERMILLE: u16 = 250;
const LOSSY_FOR: Duration = Duration::from_secs(2);
/// For the way back: less than this is lost, and checks take no longer.
const GOOD_PERMILLE: u16 = 50;
const GOOD_ROUND_TRIP: Duration = Duration::from_millis(500);
const WAIT: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(80));
/// A return was a mistake if it is taken back within this time.
const TRIAL: Duration = Duration::from_secs(20);
/// A receiver that doesn't report knows nothing: what it last said is no longer true.
const SILENT: Duration = Duration::from_secs(3);

// === impl Cause ===

impl Cause {
    /// The metric label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cut => "cut",
            Self::Lossy { .. } => "lossy",
            Self::Down => "down",
            Self::Expiring => "expiring",
            Self::Good => "good",
        }
    }
}

// === impl Direction ===

impl Direction {
    /// Directly. `now`: the connection is up, and packets may come.
    pub fn new(now: Instant) -> Self {
        Self {
            path: Path::Direct,
            last_packet: now,
            heard: None,
            lossy: None,
            down: None,
            unanswered: None,
            good: None,
            last_report: None,
            returned: None,
            wait: WAIT.0,
        }
    }

    /// Through the server, until the direct path has been good for a while.
    pub fn at_server(now: Instant) -> Self {
        Self { path: Path::Server, ..Self::new(now) }
    }

    pub fn path(&self) -> Path {
        self.path
    }

    /// What is sent directly may be cut: it is too soon to move it, and time to get ready.
    pub fn is_in_doubt(&self, now: Instant) -> bool {
        let silent = now.saturating_duration_since(self.last_packet);
        let is_settled = has_lasted(self.heard, SETTLED_AFTER, self.last_packet);
        self.path == Path::Direct && is_settled && silent >= DOUBT_AFTER
    }

    /// Takes a report of the receiver, and decides.
    pub fn handle_sample(&mut self, sample: &Sample, now: Instant) -> Option<Move> {
        let since = self.last_report.replace(now).map(|at| now.saturating_duration_since(at));
        if since.is_none_or(|since| since >= SILENT) {
            // Nothing is known of the time between.
            self.last_packet = self.last_packet.max(now.checked_sub(CUT_AFTER / 2).unwrap_or(now));
            (self.lossy, self.down, self.good) = (None, None, None);
            (self.unanswered, self.heard) = (None, None);
        }
        // Of those packets the last came after the report before.
        let silent = sample.silent.map(|silent| since.map_or(silent, |since| silent.min(since)));
        let sample = &Sample { silent, ..*sample };
        match self.path {
            Path::Direct => self.watch(sample, now),
            Path::Server => self.wait_for_better(sample, now),
        }
    }

    fn watch(&mut self, sample: &Sample, now: Instant) -> Option<Move> {
        // A sender that is silent on purpose isn't cut off.
        if sample.packets > 0 || !sample.is_sent {
            let silent = sample.silent.filter(|_| sample.is_sent).unwrap_or_default();
            self.last_packet = self.last_packet.max(now.checked_sub(silent).unwrap_or(now));
            self.heard = self.heard.or(Some(now)).filter(|_| sample.is_sent);
        }
        let lossy = sample.packets > 0 && sample.lost_permille >= LOSSY_PERMILLE;
        mark(&mut self.lossy, lossy, now);
        // What still arrives needs no connection that says so.
        mark(&mut self.down, !sample.alive && sample.packets == 0, now);
        mark(&mut self.unanswered, !sample.alive, now);
        let cause = if now.saturating_duration_since(self.last_packet) >= CUT_AFTER {
            Cause::Cut
        } else if has_lasted(self.down, DOWN_FOR, now) {
            Cause::Down
        } else if has_lasted(self.unanswered, EXPIRES_AFTER, now) {
            Cause::Expiring
        } else if has_lasted(self.lossy, LOSSY_FOR, now) {
            Cause::Lossy { permille: sample.lost_permille }
        } else {
            return None;
        };
        let failed = self.returned.take().is_some_and(|at| !has_lasted(Some(at), TRIAL, now));
        self.wait = if failed { (self.wait * 2).min(WAIT.1) } else { WAIT.0 };
        self.path = Path::Server;
        self.good = None;
        Some(Move { to: Path::Server, cause })
    }

    fn wait_for_better(&mut self, sample: &Sample, now: Instant) -> Option<Move> {
        let near = sample.round_trip.is_none_or(|rtt| rtt <= GOOD_ROUND_TRIP);
        let good = sample.alive && near && sample.lost_permille <= GOOD_PERMILLE;
        mark(&mut self.good, good, now);
        if !has_lasted(self.good, self.wait, now) {
            return None;
        }
        self.path = Path::Direct;
        self.returned = Some(now);
        // The sender is yet to hear of it.
        self.last_packet = now + CUT_AFTER / 2;
        (self.lossy, self.down, self.unanswered) = (None, None, None);
        Some(Move { to: Path::Direct, cause: Cause::Good })
    }
}

/// Since when something is so.
fn mark(since: &mut Option<Instant>, is_so: bool, now: Instant) {
    *since = if is_so { Some(since.unwrap_or(now)) } else { None };
}

fn has_lasted(since: Option<Instant>, period: Duration, now: Instant) -> bool {
    since.is_some_and(|at| now.saturating_duration_since(at) >= period)
}

#[cfg(test)]
mod tests;
