//! Who talks, from the audio levels that senders put beside their packets (RFC 6464).
//!
//! A talker stays the active speaker through pauses between words; another takes over by being
//! clearly louder for a while, or when the first has been silent.

use std::time::{Duration, Instant};

use super::ids::UserId;

/// One packet's level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level {
    /// Decibels below the loudest, 0 to 127 (-dBov).
    pub below: u8,
    /// The sender's own opinion, where it has one.
    pub voice: bool,
}

/// All who may talk, and who does.
#[derive(Debug, Default)]
pub struct Speakers {
    voices: Vec<Voice>,
    active: Option<UserId>,
    /// Who has been louder, and since when.
    rival: Option<(UserId, Instant)>,
    /// When the active one last talked.
    heard: Option<Instant>,
}

#[derive(Debug)]
struct Voice {
    user: UserId,
    /// Decibels above silence, smoothed.
    loudness: f32,
    last: Instant,
}

/// Loudness of the last so long counts.
const MEMORY: Duration = Duration::from_millis(300);
/// Below this, -60 dBov, nobody talks.
const QUIET: f32 = 67.0;
/// How much louder a rival must be.
const LOUDER: f32 = 6.0;
/// And for how long: a pause between words is shorter, with what the smoothing adds.
const LOUDER_FOR: Duration = Duration::from_millis(1000);
/// A pause that ends a turn.
const PAUSE: Duration = Duration::from_millis(1500);
/// For the first, who takes nobody's place: a cough is shorter.
const FIRST_FOR: Duration = Duration::from_millis(250);
/// A sender that sends no packets while it is silent (DTX) has no levels either.
const STALE: Duration = Duration::from_millis(500);
const SILENCE: u8 = 127;

// === impl Level ===

impl Level {
    /// The extension's one byte (RFC 6464, 3).
    pub fn parse(byte: u8) -> Self {
        Self { below: byte & 0x7f, voice: byte & 0x80 != 0 }
    }

    /// Decibels above silence. What the sender takes for noise is never loud enough to be a voice.
    fn loudness(self) -> f32 {
        let above = f32::from(SILENCE - self.below.min(SILENCE));
        if self.voice { above } else { above.min(QUIET - 1.0) }
    }
}

// === impl Speakers ===

impl Speakers {
    /// A packet's level.
    pub fn handle_level(&mut self, user: &UserId, level: Level, now: Instant) {
        let loudness = level.loudness();
        match self.voices.iter_mut().find(|voice| voice.user == *user) {
            Some(voice) => {
                let since = now.saturating_duration_since(voice.last).as_secs_f32();
                let kept = (-since / MEMORY.as_secs_f32()).exp();
                voice.loudness = voice.loudness * kept + loudness * (1.0 - kept);
                voice.last = now;
            }
            None => self.voices.push(Voice { user: user.clone(), loudness: 0.0, last: now }),
        }
    }

    /// The user left, or muted.
    pub fn remove(&mut self, user: &UserId) {
        self.voices.retain(|voice| voice.user != *user);
        if self.rival.as_ref().is_some_and(|(rival, _)| rival == user) {
            self.rival = None;
        }
        if self.active.as_ref() == Some(user) {
            (self.active, self.heard) = (None, None);
        }
    }

    pub fn active(&self) -> Option<&UserId> {
        self.active.as_ref()
    }

    /// Decides; several times a second. Gives the speaker where it is another than before. After
    /// a talk the last speaker stays, as those who look on expect.
    pub fn poll_change(&mut self, now: Instant) -> Option<&UserId> {
        let loudness = |user: &UserId| {
            let voice = self.voices.iter().find(|voice| voice.user == *user);
            voice.map_or(0.0, |voice| voice.now(now))
        };
        let active = self.active.as_ref().map_or(0.0, loudness);
        if active >= QUIET {
            self.heard = Some(now);
        }
        let pauses = self.heard.is_none_or(|at| now.saturating_duration_since(at) >= PAUSE);
        let floor = if pauses { QUIET } else { QUIET.max(active + LOUDER) };
        let rival = self
            .voices
            .iter()
            .filter(|voice| Some(&voice.user) != self.active.as_ref() && voice.now(now) >= floor)
            .max_by(|a, b| a.now(now).total_cmp(&b.now(now)));
        let Some(rival) = rival.map(|voice| voice.user.clone()) else {
            self.rival = None;
            return None;
        };
        // Whoever of several is the loudest: the time counts from the first of them.
        let since = self.rival.take().map_or(now, |(_, since)| since);
        let patience = if pauses { FIRST_FOR } else { LOUDER_FOR };
        if now.saturating_duration_since(since) < patience {
            self.rival = Some((rival, since));
            return None;
        }
        self.heard = Some(now);
        self.active = Some(rival);
        self.active.as_ref()
    }
}

// === impl Voice ===

impl Voice {
    fn now(&self, now: Instant) -> f32 {
        let stale = now.saturating_duration_since(self.last) >= STALE;
        if stale { 0.0 } else { self.loudness }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> UserId {
        UserId::new(name).unwrap()
    }

    /// A room in which each has a level for a while; a packet each 20 ms.
    struct Room {
        speakers: Speakers,
        now: Instant,
        changes: Vec<String>,
    }

    impl Room {
        fn new() -> Self {
            Self { speakers: Speakers::default(), now: Instant::now(), changes: Vec::new() }
        }

        /// Levels in dBov; None sends nothing.
        fn talk(&mut self, ms: u64, levels: &[(&str, Option<u8>)]) -> &mut Self {
            for _ in 0..ms / 20 {
                self.now += Duration::from_millis(20);
                for (name, below) in levels {
                    let level = below.map(|below| Level { below, voice: below < 60 });
                    if let Some(level) = level {
                        self.speakers.handle_level(&user(name), level, self.now);
                    }
                }
                if let Some(active) = self.speakers.poll_change(self.now) {
                    self.changes.push(active.to_string());
                }
            }
            self
        }
    }

    #[test]
    fn the_byte_is_read_as_the_rfc_has_it() {
        assert_eq!(Level::parse(0x80), Level { below: 0, voice: true });
        assert_eq!(Level::parse(0x7f), Level { below: 127, voice: false });
        assert_eq!(Level::parse(0x9e), Level { below: 30, voice: true });
    }

    #[test]
    fn whoever_talks_is_found_and_stays_when_it_is_quiet() {
        let mut room = Room::new();
        room.talk(1000, &[("ann", Some(127)), ("ben", Some(90))]);
        assert_eq!(room.changes, [""; 0]);
        room.talk(1000, &[("ann", Some(30)), ("ben", Some(90))]);
        room.talk(5000, &[("ann", Some(127)), ("ben", Some(90))]);
        assert_eq!(room.changes, ["ann"]);
        assert_eq!(room.speakers.active(), Some(&user("ann")));
    }

    #[test]
    fn a_cough_takes_nobodys_place() {
        let mut room = Room::new();
        room.talk(2000, &[("ann", Some(35)), ("ben", Some(90))]);
        room.talk(300, &[("ann", Some(35)), ("ben", Some(10))]);
        room.talk(2000, &[("ann", Some(35)), ("ben", Some(90))]);
        assert_eq!(room.changes, ["ann"]);
    }

    #[test]
    fn pauses_between_words_do_not_end_a_turn() {
        let mut room = Room::new();
        for _ in 0..10 {
            room.talk(900, &[("ann", Some(30)), ("ben", Some(40))]);
            room.talk(500, &[("ann", Some(100)), ("ben", Some(40))]);
        }
        assert_eq!(room.changes, ["ann"]);
    }

    #[test]
    fn one_who_is_clearly_louder_takes_over_and_an_equal_does_not() {
        let mut room = Room::new();
        room.talk(1000, &[("ann", Some(35)), ("ben", Some(90))]);
        room.talk(5000, &[("ann", Some(35)), ("ben", Some(32))]);
        assert_eq!(room.changes, ["ann"]);
        room.talk(1500, &[("ann", Some(35)), ("ben", Some(20))]);
        assert_eq!(room.changes, ["ann", "ben"]);
    }

    #[test]
    fn after_a_pause_the_next_talker_comes_quickly() {
        let mut room = Room::new();
        room.talk(1000, &[("ann", Some(30)), ("ben", Some(90))]);
        room.talk(1600, &[("ann", Some(127)), ("ben", Some(90))]);
        let before = room.now;
        while room.changes.len() < 2 {
            room.talk(20, &[("ann", Some(127)), ("ben", Some(40))]);
        }
        assert!(room.now - before < Duration::from_secs(1), "{:?}", room.now - before);
        assert_eq!(room.changes, ["ann", "ben"]);
    }

    #[test]
    fn loud_noise_that_is_no_voice_is_nobody() {
        let mut room = Room::new();
        room.talk(3000, &[("ann", Some(60))]);
        assert_eq!(room.changes, [""; 0]);
    }

    #[test]
    fn silence_without_packets_is_silence_and_who_leaves_is_forgotten() {
        let mut room = Room::new();
        room.talk(1000, &[("ann", Some(30)), ("ben", Some(90))]);
        room.talk(3000, &[("ann", None), ("ben", Some(50))]);
        assert_eq!(room.changes, ["ann", "ben"]);
        room.speakers.remove(&user("ben"));
        assert_eq!(room.speakers.active(), None);
        room.talk(1000, &[("ann", Some(30))]);
        assert_eq!(room.changes, ["ann", "ben", "ann"]);
    }
}
