//! What a call came to.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::leg::Watched;
use crate::load::histogram::Histogram;
use crate::load::summary::{Latency, Quantiles};

/// A call's result. Times in ms.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CallSummary {
    pub participants: u64,
    pub cameras: u64,
    pub signed_in: u64,
    /// In the call, the one who invites among them.
    pub joined: u64,
    /// Those who got pictures of everybody else with a camera, to the end.
    pub complete: u64,
    /// What went wrong, and with how many.
    pub failed: BTreeMap<String, u64>,
    /// From accepting to being in the call.
    pub time_to_join_ms: Quantiles,
    /// From accepting to the first complete keyframe of anybody. Nothing is decoded here.
    pub time_to_first_frame_ms: Quantiles,
    /// From accepting to that of the last camera.
    pub time_to_all_tiles_ms: Quantiles,
    pub pictures: u64,
    pub packets_received: u64,
    pub packets_recovered: u64,
    pub packets_lost: u64,
    pub freezes: u64,
    pub longest_freeze_ms: f64,
    /// Capture to complete picture by the server's sender reports.
    pub latency_ms: Option<Latency>,
    /// Of all web sockets.
    pub messages: u64,
    pub message_bytes: u64,
    pub elapsed_s: f64,
    /// User and system time of this process.
    pub cpu_s: f64,
    /// Each participant.
    pub receivers: Vec<Tiles>,
}

/// What one participant got.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Tiles {
    pub user: String,
    pub joined_ms: Option<f64>,
    pub first_frame_ms: Option<f64>,
    pub all_tiles_ms: Option<f64>,
    /// Others with cameras.
    pub expected: u64,
    /// Those whose pictures came to the end.
    pub received: u64,
    pub pictures: u64,
    pub packets: u64,
    pub recovered: u64,
    pub lost: u64,
    pub freezes: u64,
    pub frozen_ms: f64,
    pub longest_freeze_ms: f64,
    /// Why it isn't whole.
    pub failed: Option<String>,
}

/// What devices tell while a call goes on.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub signed_in: AtomicU64,
    /// Signed in, or never will be.
    pub arrived: AtomicU64,
    pub joined: AtomicU64,
    /// Tiles with pictures.
    pub playing: AtomicU64,
    pub failed: AtomicU64,
    /// Their part is counted.
    pub counted: AtomicU64,
    /// The one who invites isn't there: there is nothing to wait for.
    pub is_off: AtomicBool,
    pub messages: AtomicU64,
    pub message_bytes: AtomicU64,
    latency: Mutex<Histogram>,
}

/// A call under way.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct CallProgress {
    pub elapsed: Duration,
    pub signed_in: u64,
    pub joined: u64,
    /// Tiles with pictures, of all.
    pub playing: u64,
    pub failed: u64,
}

/// How a device's stay went.
#[derive(Default)]
pub(super) struct Stay {
    pub user: String,
    pub signed_in: bool,
    pub accepted_at: Option<Instant>,
    pub joined_at: Option<Instant>,
    /// By the other's name.
    pub watched: BTreeMap<String, Vec<Watched>>,
    pub failed: Option<String>,
}

// === impl Shared ===

impl Shared {
    pub fn latency(&self) -> MutexGuard<'_, Histogram> {
        self.latency.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn progress(&self, elapsed: Duration) -> CallProgress {
        CallProgress {
            elapsed,
            signed_in: self.signed_in.load(Ordering::Relaxed),
            joined: self.joined.load(Ordering::Relaxed),
            playing: self.playing.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
        }
    }
}

// === impl Stay ===

impl Stay {
    fn tiles(&self, expected: u64) -> Tiles {
        let since = |at: Instant| Some(ms(at.saturating_duration_since(self.accepted_at?)));
        let played = self
            .watched
            .values()
            .filter_map(|all| all.iter().filter_map(|watched| watched.played_at).min());
        let played: Vec<Instant> = played.collect();
        let received =
            self.watched.values().filter(|all| all.last().is_some_and(|last| last.plays)).count();
        let reason = self.watched.values().flatten().filter_map(|w| w.failed.clone()).next();
        let is_whole = received as u64 == expected;
        let missing = || {
            let reason = reason.unwrap_or_else(|| "it was never offered".to_owned());
            format!("a camera's picture is missing: {reason}")
        };
        let mut tiles = Tiles {
            user: self.user.clone(),
            joined_ms: self.joined_at.and_then(since),
            first_frame_ms: played.iter().min().copied().and_then(since),
            all_tiles_ms: played.iter().max().copied().and_then(since),
            expected,
            received: received as u64,
            failed: self.failed.clone().or_else(|| (!is_whole).then(missing)),
            ..Tiles::default()
        };
        if (played.len() as u64) < expected {
            tiles.all_tiles_ms = None;
        }
        for seen in self.watched.values().flatten().flat_map(|watched| &watched.seen) {
            let smoothness = &seen.smoothness;
            tiles.pictures += smoothness.pictures;
            for loss in [&seen.video, &seen.audio] {
                tiles.packets += loss.received;
                tiles.recovered += loss.recovered;
                tiles.lost += loss.lost();
            }
            tiles.freezes += u64::from(smoothness.freezes);
            tiles.frozen_ms += ms(smoothness.frozen);
            tiles.longest_freeze_ms = tiles.longest_freeze_ms.max(ms(smoothness.longest));
        }
        tiles
    }
}

// === impl CallSummary ===

impl CallSummary {
    /// The first `cameras` of the stays are those of cameras.
    pub(super) fn of(
        stays: &[Stay],
        cameras: usize,
        shared: &Shared,
        elapsed: Duration,
        cpu: Duration,
    ) -> Self {
        let expected = |number: usize| (cameras - usize::from(number < cameras)) as u64;
        let receivers: Vec<Tiles> =
            stays.iter().enumerate().map(|(number, stay)| stay.tiles(expected(number))).collect();
        let mut failed: BTreeMap<String, u64> = BTreeMap::new();
        for reason in receivers.iter().filter_map(|tiles| tiles.failed.clone()) {
            *failed.entry(reason).or_default() += 1;
        }
        let sum = |of: fn(&Tiles) -> u64| receivers.iter().map(of).sum();
        let latency = shared.latency();
        let quantiles = Quantiles::of(&latency);
        let latency = Latency { pictures: latency.count(), quantiles };
        Self {
            participants: stays.len() as u64,
            cameras: cameras as u64,
            signed_in: stays.iter().filter(|stay| stay.signed_in).count() as u64,
            joined: stays.iter().filter(|stay| stay.joined_at.is_some()).count() as u64,
            complete: receivers.iter().filter(|tiles| tiles.failed.is_none()).count() as u64,
            failed,
            time_to_join_ms: quantiles_of(&receivers, |tiles| tiles.joined_ms),
            time_to_first_frame_ms: quantiles_of(&receivers, |tiles| tiles.first_frame_ms),
            time_to_all_tiles_ms: quantiles_of(&receivers, |tiles| tiles.all_tiles_ms),
            pictures: sum(|tiles| tiles.pictures),
            packets_received: sum(|tiles| tiles.packets),
            packets_recovered: sum(|tiles| tiles.recovered),
            packets_lost: sum(|tiles| tiles.lost),
            freezes: sum(|tiles| tiles.freezes),
            longest_freeze_ms: receivers.iter().map(|t| t.longest_freeze_ms).fold(0.0, f64::max),
            latency_ms: (latency.pictures > 0).then_some(latency),
            messages: shared.messages.load(Ordering::Relaxed),
            message_bytes: shared.message_bytes.load(Ordering::Relaxed),
            elapsed_s: elapsed.as_secs_f64(),
            cpu_s: cpu.as_secs_f64(),
            receivers,
        }
    }
}

fn quantiles_of(receivers: &[Tiles], of: impl Fn(&Tiles) -> Option<f64>) -> Quantiles {
    let mut histogram = Histogram::default();
    for value in receivers.iter().filter_map(of) {
        histogram.add(Duration::from_secs_f64(value / 1000.0));
    }
    Quantiles::of(&histogram)
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

impl fmt::Display for CallSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (joined, people) = (self.joined, self.participants);
        writeln!(f, "joined            {joined} of {people}, {}", self.time_to_join_ms)?;
        let (complete, cameras) = (self.complete, self.cameras);
        writeln!(f, "complete          {complete} had all of {cameras} cameras to the end")?;
        for (reason, count) in &self.failed {
            writeln!(f, "failed            {count}: {reason}")?;
        }
        let first = self.time_to_first_frame_ms;
        writeln!(f, "first frame       {first} (complete, not decoded)")?;
        writeln!(f, "all tiles         {}", self.time_to_all_tiles_ms)?;
        let (received, recovered, lost) =
            (self.packets_received, self.packets_recovered, self.packets_lost);
        writeln!(f, "packets           {received} received, {recovered} recovered, {lost} lost")?;
        let (pictures, freezes, longest) = (self.pictures, self.freezes, self.longest_freeze_ms);
        writeln!(f, "pictures          {pictures}, {freezes} freezes (longest {longest:.0} ms)")?;
        let (messages, kilobytes) = (self.messages, self.message_bytes / 1000);
        writeln!(f, "web sockets       {messages} messages, {kilobytes} kB")?;
        let share = 100.0 * self.cpu_s / self.elapsed_s.max(0.001);
        write!(f, "this process      {:.1} s, {share:.0} % of a core", self.elapsed_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_is_whole_with_every_other_camera_to_the_end() {
        let now = Instant::now();
        let watched = |plays: bool| Watched {
            played_at: Some(now + Duration::from_millis(40)),
            plays,
            failed: (!plays).then(|| "disconnected".to_owned()),
            ..Watched::default()
        };
        let stay = |others: &[(&str, bool)]| Stay {
            accepted_at: Some(now),
            joined_at: Some(now + Duration::from_millis(5)),
            watched: others
                .iter()
                .map(|(name, plays)| ((*name).to_owned(), vec![watched(*plays)]))
                .collect(),
            ..Stay::default()
        };
        // Two cameras, and one who watches.
        let stays = [
            stay(&[("b", true)]),
            stay(&[("a", false)]),
            stay(&[("a", true), ("b", true)]),
            stay(&[("a", true)]),
        ];
        let shared = Shared::default();
        let summary = CallSummary::of(&stays, 2, &shared, Duration::from_secs(1), Duration::ZERO);
        assert_eq!((summary.joined, summary.complete), (4, 2), "{summary}");
        let reasons: Vec<&String> = summary.failed.keys().collect();
        assert!(reasons[0].ends_with("disconnected"), "{reasons:?}");
        assert!(reasons[1].ends_with("never offered"), "{reasons:?}");
        assert_eq!(summary.receivers[2].all_tiles_ms, Some(40.0));
        assert_eq!(summary.receivers[3].all_tiles_ms, None);
    }
}
