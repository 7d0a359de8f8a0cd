//! Messages between two nodes: numbered, kept until they are acknowledged, taken in their order and
//! once. What carries them may lose them and bring them twice. Pure: time is an argument.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What waits for one node. `T` is told what became of its message.
#[derive(Debug)]
pub struct Outbox<B, T> {
    next: u64,
    held: VecDeque<Held<B, T>>,
    /// Of what is held.
    bytes: usize,
    /// When what waits was last sent.
    sent: Instant,
}

#[derive(Debug)]
struct Held<B, T> {
    seq: u64,
    body: B,
    bytes: usize,
    deadline: Instant,
    waiting: T,
    is_sent: bool,
}

/// A message under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Numbered<B> {
    /// What comes before isn't sent any more.
    pub base: u64,
    pub seq: u64,
    pub body: B,
}

/// What was taken of one node's messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inbox {
    next: u64,
}

/// What to do with a message that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It is the next: take it, and say so by [`Inbox::taken`].
    Now,
    /// It was taken.
    Before,
    /// Others come first.
    Later,
}

/// Messages that wait for one node.
pub const MAX_HELD: usize = 1024;
/// Bytes of those.
pub const MAX_HELD_BYTES: usize = 8 * 1024 * 1024;
/// After so long without an acknowledgement everything is sent again.
pub const RESEND: Duration = Duration::from_secs(1);

// === impl Outbox ===

impl<B: Clone, T> Outbox<B, T> {
    pub fn new(now: Instant) -> Self {
        Self { next: 1, held: VecDeque::new(), bytes: 0, sent: now }
    }

    /// Takes a message of so many bytes, or gives back who waits for it where there is no room.
    pub fn push(&mut self, body: B, bytes: usize, waiting: T, deadline: Instant) -> Result<(), T> {
        if self.held.len() >= MAX_HELD || self.bytes + bytes > MAX_HELD_BYTES {
            return Err(waiting);
        }
        let seq = self.next;
        self.held.push_back(Held { seq, body, bytes, deadline, waiting, is_sent: false });
        self.bytes += bytes;
        self.next += 1;
        Ok(())
    }

    /// What is to be sent now: what is new, or everything where it was not heard of for long.
    pub fn due(&mut self, now: Instant) -> Vec<Numbered<B>> {
        let Some(base) = self.held.front().map(|held| held.seq) else { return Vec::new() };
        let anew = now.saturating_duration_since(self.sent) >= RESEND;
        // What follows doesn't put off what is under way: that may be lost.
        let first = self.held.iter().all(|held| !held.is_sent);
        let due = self.held.iter_mut().filter(|held| anew || !held.is_sent);
        let due: Vec<_> = due
            .map(|held| {
                held.is_sent = true;
                Numbered { base, seq: held.seq, body: held.body.clone() }
            })
            .collect();
        if !due.is_empty() && (anew || first) {
            self.sent = now;
        }
        due
    }

    /// The other has everything up to here. Gives those who waited for it.
    pub fn acknowledged(&mut self, up_to: u64, now: Instant) -> Vec<T> {
        let mut done = Vec::new();
        while self.held.front().is_some_and(|held| held.seq <= up_to) {
            done.extend(self.pop());
        }
        if !done.is_empty() {
            // The rest is on its way.
            self.sent = now;
        }
        done
    }

    /// Gives up what is past its deadline.
    pub fn expired(&mut self, now: Instant) -> Vec<T> {
        let mut done = Vec::new();
        while self.held.front().is_some_and(|held| held.deadline <= now) {
            done.extend(self.pop());
        }
        done
    }

    /// Gives up everything. Numbers go on: the node may come back.
    pub fn clear(&mut self) -> Vec<T> {
        self.bytes = 0;
        self.held.drain(..).map(|held| held.waiting).collect()
    }

    fn pop(&mut self) -> Option<T> {
        let held = self.held.pop_front()?;
        self.bytes -= held.bytes;
        Some(held.waiting)
    }
}

// === impl Inbox ===

impl Inbox {
    pub fn turn(&mut self, base: u64, seq: u64) -> Turn {
        self.next = self.next.max(base);
        match seq.cmp(&self.next) {
            std::cmp::Ordering::Less => Turn::Before,
            std::cmp::Ordering::Equal => Turn::Now,
            std::cmp::Ordering::Greater => Turn::Later,
        }
    }

    pub fn taken(&mut self) {
        self.next += 1;
    }

    /// What to acknowledge.
    pub fn up_to(&self) -> u64 {
        self.next - 1
    }
}

impl Default for Inbox {
    fn default() -> Self {
        Self { next: 1 }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seqs(due: &[Numbered<u32>]) -> Vec<u64> {
        due.iter().map(|numbered| numbered.seq).collect()
    }

    #[test]
    fn a_message_is_sent_at_once_and_again_until_it_is_acknowledged() {
        let t0 = Instant::now();
        let at = |ms| t0 + Duration::from_millis(ms);
        let mut outbox = Outbox::new(t0);
        for n in 0..3 {
            outbox.push(n, 1, n, at(10_000)).unwrap();
        }
        assert_eq!(seqs(&outbox.due(at(0))), [1, 2, 3]);
        assert!(outbox.due(at(900)).is_empty());
        outbox.push(3, 1, 3, at(10_000)).unwrap();
        assert_eq!(seqs(&outbox.due(at(900))), [4]);
        // What is new doesn't put that off.
        assert_eq!(seqs(&outbox.due(at(1000))), [1, 2, 3, 4]);
        assert_eq!(outbox.acknowledged(2, at(1050)), [0, 1]);
        assert!(outbox.due(at(2000)).is_empty());
        let again = outbox.due(at(2050));
        assert_eq!((seqs(&again), again[0].base), (vec![3, 4], 3));
        assert_eq!(outbox.acknowledged(9, at(2100)), [2, 3]);
        assert!(outbox.due(at(9000)).is_empty());
    }

    #[test]
    fn what_is_given_up_is_not_waited_for() {
        let t0 = Instant::now();
        let late = t0 + Duration::from_secs(10);
        let (mut outbox, mut inbox) = (Outbox::new(t0), Inbox::default());
        outbox.push(0, 1, "first", late).unwrap();
        outbox.push(1, 1, "second", late + Duration::from_secs(1)).unwrap();
        outbox.due(t0);
        assert_eq!(outbox.expired(late), ["first"]);
        let due = outbox.due(late);
        assert_eq!(inbox.turn(due[0].base, due[0].seq), Turn::Now);
        assert_eq!(outbox.clear(), ["second"]);
        outbox.push(2, 1, "third", late).unwrap();
        assert_eq!(outbox.due(late)[0].seq, 3);
    }

    #[test]
    fn those_who_wait_are_bounded() {
        let now = Instant::now();
        let mut outbox = Outbox::new(now);
        for n in 0..MAX_HELD {
            assert_eq!(outbox.push(0, 1, n, now), Ok(()));
        }
        assert_eq!(outbox.push(0, 1, 7, now), Err(7));
        let mut outbox = Outbox::new(now);
        outbox.push(0, MAX_HELD_BYTES, 0, now).unwrap();
        assert_eq!(outbox.push(0, 1, 7, now), Err(7));
        assert_eq!(outbox.acknowledged(1, now), [0]);
        assert_eq!(outbox.push(0, MAX_HELD_BYTES, 1, now), Ok(()));
        assert_eq!(outbox.clear(), [1]);
        assert_eq!(outbox.push(0, MAX_HELD_BYTES, 2, now), Ok(()));
    }

    proptest! {
        /// Frames get lost, come twice and in any order; acknowledgements get lost.
        #[test]
        fn every_message_is_taken_once_and_in_order_over_any_carrier(
            fates in prop::collection::vec(0..5_u8, 50..400),
        ) {
            let mut now = Instant::now();
            let deadline = now + Duration::from_secs(1_000_000);
            let (mut outbox, mut inbox) = (Outbox::new(now), Inbox::default());
            let (mut under_way, mut taken) = (Vec::new(), Vec::new());
            let mut fates = fates.into_iter();
            let mut pushed = 0;
            for round in 0..10_000 {
                now += Duration::from_millis(400);
                // Once its fates are used up the carrier is a good one.
                let bad = fates.next();
                if round < 30 {
                    outbox.push(pushed, 1, pushed, deadline).unwrap();
                    pushed += 1;
                }
                under_way.extend(outbox.due(now));
                match bad {
                    Some(0) => under_way.clear(),
                    Some(1) => under_way.extend(under_way.clone()),
                    Some(2) => under_way.reverse(),
                    Some(3) => continue,
                    _ => {}
                }
                for frame in under_way.drain(..) {
                    if inbox.turn(frame.base, frame.seq) == Turn::Now {
                        taken.push(frame.body);
                        inbox.taken();
                    }
                }
                if bad != Some(4) {
                    outbox.acknowledged(inbox.up_to(), now);
                }
                if bad.is_none() && round >= 30 && outbox.held.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(taken, (0..pushed).collect::<Vec<_>>());
        }
    }
}
