//! The server's messages to one device, numbered, and kept until the device has them: a socket
//! may drop and another go on where it ended, so that no message is lost or comes twice.
//!
//! Pure. A session has an outbox, and a socket at most; the socket takes what
//! [`Outbox::poll_message`] gives.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How long a session waits for another socket.
pub const RESUME_WITHIN: Duration = Duration::from_secs(30);

/// How much may wait for a device that doesn't take it.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// Messages. Default: 1,000.
    pub messages: usize,
    /// Bytes. Default: 1 MiB.
    pub bytes: usize,
}

/// A session's messages, written out.
#[derive(Debug)]
pub struct Outbox {
    room: Room,
    /// Sent or to be sent, and not acknowledged. Oldest first, their numbers without a gap.
    kept: VecDeque<Box<str>>,
    bytes: usize,
    /// Number of the first in `kept`; numbers begin with 1.
    first: u64,
    /// Number of the next that goes to the socket.
    next: u64,
    /// Since when there is no socket.
    detached: Option<Instant>,
}

/// The device takes messages too slowly. Its session is over: the socket is closed with a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{messages} messages wait for a device that doesn't acknowledge them")]
pub struct TooSlow {
    pub messages: usize,
}

/// Why a session can't go on. The client says hello instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotResumable {
    #[error("the session ended {0:?} after its socket")]
    Expired(Duration),
    /// A client that acknowledged more than it now says it has.
    #[error("messages from {from} on are asked for, those before {first} are gone")]
    Gone { from: u64, first: u64 },
    #[error("message {0} was never sent")]
    NeverSent(u64),
}

// === impl Room ===

impl Default for Room {
    fn default() -> Self {
        Self { messages: 1000, bytes: 1024 * 1024 }
    }
}

// === impl Outbox ===

impl Outbox {
    /// Of a session whose socket is there.
    pub fn new(room: Room) -> Self {
        Self { room, kept: VecDeque::new(), bytes: 0, first: 1, next: 1, detached: None }
    }

    /// Takes a message; `write` is given its number.
    pub fn push(&mut self, write: impl FnOnce(u64) -> String) -> Result<u64, TooSlow> {
        let seq = self.first + self.kept.len() as u64;
        let text = write(seq).into_boxed_str();
        let full = self.kept.len() >= self.room.messages;
        if full || self.bytes + text.len() > self.room.bytes {
            return Err(TooSlow { messages: self.kept.len() });
        }
        self.bytes += text.len();
        self.kept.push_back(text);
        Ok(seq)
    }

    /// Whether what the device hasn't acknowledged is below a part of what may wait for it.
    pub fn is_below(&self, part: usize) -> bool {
        self.kept.len() < self.room.messages / part && self.bytes < self.room.bytes / part
    }

    /// The next for the socket; None where there is none, or no socket.
    pub fn poll_message(&mut self) -> Option<&str> {
        if self.detached.is_some() {
            return None;
        }
        let text = self.kept.get(usize::try_from(self.next - self.first).ok()?)?;
        self.next += 1;
        Some(text)
    }

    /// The device has everything up to `seq`. Numbers that were never sent are ignored.
    pub fn handle_ack(&mut self, seq: u64) {
        while self.first <= seq && self.first < self.next {
            let Some(text) = self.kept.pop_front() else { return };
            self.bytes -= text.len();
            self.first += 1;
        }
    }

    /// The socket is gone.
    pub fn detach(&mut self, now: Instant) {
        self.detached.get_or_insert(now);
    }

    /// Another socket goes on after message `seq`. It may come before the old one's end is
    /// noticed, and takes its place.
    pub fn resume(&mut self, seq: u64, now: Instant) -> Result<(), NotResumable> {
        if self.is_expired(now) {
            let since = self.detached.map_or(Duration::ZERO, |at| now - at);
            return Err(NotResumable::Expired(since));
        }
        if seq >= self.next {
            return Err(NotResumable::NeverSent(seq));
        }
        if seq + 1 < self.first {
            return Err(NotResumable::Gone { from: seq + 1, first: self.first });
        }
        self.handle_ack(seq);
        self.next = self.first;
        self.detached = None;
        Ok(())
    }

    /// Nobody came back in time.
    pub fn is_expired(&self, now: Instant) -> bool {
        self.expires().is_some_and(|at| now >= at)
    }

    /// When it expires if nobody comes back.
    pub fn expires(&self) -> Option<Instant> {
        self.detached.map(|at| at + RESUME_WITHIN)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn outbox() -> Outbox {
        Outbox::new(Room { messages: 5, bytes: 100 })
    }

    fn push(outbox: &mut Outbox) -> Result<u64, TooSlow> {
        outbox.push(|seq| seq.to_string())
    }

    fn drain(outbox: &mut Outbox) -> Vec<u64> {
        std::iter::from_fn(|| outbox.poll_message().map(|text| text.parse().unwrap())).collect()
    }

    #[test]
    fn a_socket_that_drops_loses_nothing() {
        let now = Instant::now();
        let mut outbox = outbox();
        for _ in 0..3 {
            push(&mut outbox).unwrap();
        }
        assert_eq!(drain(&mut outbox), [1, 2, 3]);
        outbox.detach(now);
        push(&mut outbox).unwrap();
        assert_eq!(drain(&mut outbox), [0; 0]);
        outbox.resume(1, now + Duration::from_secs(29)).unwrap();
        assert_eq!(drain(&mut outbox), [2, 3, 4]);
    }

    #[test]
    fn after_thirty_seconds_it_is_too_late() {
        let now = Instant::now();
        let mut outbox = outbox();
        outbox.detach(now);
        // Noticed twice, counted from the first time.
        outbox.detach(now + Duration::from_secs(20));
        assert!(!outbox.is_expired(now + Duration::from_millis(29_999)));
        let late = outbox.resume(0, now + RESUME_WITHIN);
        assert_eq!(late, Err(NotResumable::Expired(RESUME_WITHIN)));
    }

    #[test]
    fn what_was_acknowledged_is_gone_and_what_was_never_sent_is_not_resumed() {
        let now = Instant::now();
        let mut outbox = outbox();
        for _ in 0..3 {
            push(&mut outbox).unwrap();
        }
        assert_eq!(outbox.resume(2, now), Err(NotResumable::NeverSent(2)));
        drain(&mut outbox);
        outbox.handle_ack(2);
        assert_eq!(outbox.resume(1, now), Err(NotResumable::Gone { from: 2, first: 3 }));
        assert_eq!(outbox.resume(3, now), Ok(()));
        outbox.handle_ack(u64::MAX);
        assert_eq!(push(&mut outbox), Ok(4));
        assert_eq!(drain(&mut outbox), [4]);
    }

    #[test]
    fn a_device_that_acknowledges_nothing_is_too_slow() {
        let mut outbox = outbox();
        for _ in 0..5 {
            push(&mut outbox).unwrap();
        }
        drain(&mut outbox);
        assert_eq!(push(&mut outbox), Err(TooSlow { messages: 5 }));
        outbox.handle_ack(1);
        assert_eq!(push(&mut outbox), Ok(6));
        outbox.handle_ack(5);
        assert!(outbox.push(|_| "x".repeat(101)).is_err());
    }

    proptest! {
        #[test]
        fn every_message_arrives_once_and_in_order(steps in prop::collection::vec(0..6_u8, 0..200)) {
            let now = Instant::now();
            let mut outbox = Outbox::new(Room { messages: 1000, bytes: 100_000 });
            let mut in_flight = VecDeque::new();
            let (mut pushed, mut has) = (0, 0);
            for step in steps {
                match step {
                    0 | 1 => pushed = push(&mut outbox).unwrap(),
                    2 => in_flight.extend(outbox.poll_message().map(str::to_owned)),
                    3 => {
                        if let Some(text) = in_flight.pop_front() {
                            prop_assert_eq!(text, (has + 1).to_string());
                            has += 1;
                        }
                    }
                    4 => outbox.handle_ack(has),
                    _ => {
                        in_flight.clear();
                        outbox.detach(now);
                        prop_assert_eq!(outbox.resume(has, now), Ok(()));
                    }
                }
            }
            outbox.resume(has, now).unwrap();
            let rest = drain(&mut outbox);
            prop_assert_eq!(rest, (has + 1..=pushed).collect::<Vec<_>>());
        }
    }
}
