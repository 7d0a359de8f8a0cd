//! Who may have how much: allocations per user and in all, and bits a second likewise. Threads
//! share it; a packet costs two atomic operations.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Bounds. Zero bits a second is no bound.
#[derive(Debug, Clone, Copy)]
pub struct Quotas {
    pub allocations: usize,
    pub allocations_per_user: usize,
    /// Each way.
    pub bits_per_second: u64,
    /// Each way.
    pub user_bits_per_second: u64,
}

/// All users with allocations.
pub struct Ledger {
    quotas: Quotas,
    started: Instant,
    pace: [Pace; 2],
    users: Mutex<Users>,
}

#[derive(Default)]
struct Users {
    seats: usize,
    /// Those with a seat at least, and how many they have.
    accounts: HashMap<Box<str>, (usize, Arc<[Pace; 2]>)>,
}

/// An allocation's place. Given back when dropped.
pub struct Seat {
    ledger: Arc<Ledger>,
    user: Box<str>,
    pace: Arc<[Pace; 2]>,
}

/// Which way a packet goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    ToPeer = 0,
    ToClient = 1,
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoSeat {
    User,
    Server,
}

/// A rate with a burst, as the time at which all that was let through is paid for (the generic
/// cell rate algorithm).
#[derive(Debug)]
pub struct Pace {
    /// 0: no bound.
    bits_per_second: u64,
    /// Nanoseconds on the caller's clock.
    paid_at: AtomicU64,
}

/// What may come at once, as time at the full rate. Longer than a keyframe takes.
const BURST: Duration = Duration::from_millis(500);

// === impl Ledger ===

impl Ledger {
    pub fn new(quotas: Quotas, now: Instant) -> Self {
        Self { pace: pair(quotas.bits_per_second), quotas, started: now, users: Mutex::default() }
    }

    /// Allocations at present.
    #[cfg(test)]
    pub fn seats(&self) -> usize {
        self.users().seats
    }

    pub fn take_seat(self: &Arc<Self>, user: &str) -> Result<Seat, NoSeat> {
        let mut users = self.users();
        if users.seats >= self.quotas.allocations {
            return Err(NoSeat::Server);
        }
        let taken = users.accounts.get(user).map_or(0, |(seats, _)| *seats);
        if taken >= self.quotas.allocations_per_user {
            return Err(NoSeat::User);
        }
        let fresh = || (0, Arc::new(pair(self.quotas.user_bits_per_second)));
        let (seats, pace) = users.accounts.entry(user.into()).or_insert_with(fresh);
        *seats += 1;
        let pace = pace.clone();
        users.seats += 1;
        Ok(Seat { ledger: self.clone(), user: user.into(), pace })
    }

    fn users(&self) -> MutexGuard<'_, Users> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Seat ===

impl Seat {
    /// Whether a packet may pass.
    pub fn allows(&self, way: Way, bytes: usize, now: Instant) -> bool {
        let since = now.saturating_duration_since(self.ledger.started).as_nanos() as u64;
        self.pace[way as usize].take(bytes, since)
            && self.ledger.pace[way as usize].take(bytes, since)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut users = self.ledger.users();
        users.seats = users.seats.saturating_sub(1);
        if let Some((seats, _)) = users.accounts.get_mut(&self.user) {
            *seats -= 1;
            if *seats == 0 {
                users.accounts.remove(&self.user);
            }
        }
    }
}

// === impl Pace ===

fn pair(bits_per_second: u64) -> [Pace; 2] {
    [Pace::new(bits_per_second), Pace::new(bits_per_second)]
}

impl Pace {
    pub fn new(bits_per_second: u64) -> Self {
        Self { bits_per_second, paid_at: AtomicU64::new(0) }
    }

    /// Lets so many bytes through, or not. `now` is in nanoseconds on any clock.
    pub fn take(&self, bytes: usize, now: u64) -> bool {
        if self.bits_per_second == 0 {
            return true;
        }
        let cost = (bytes as u64).saturating_mul(8_000_000_000) / self.bits_per_second;
        let latest = now + BURST.as_nanos() as u64;
        let paid = |paid_at: u64| {
            let next = paid_at.max(now).saturating_add(cost);
            (next <= latest).then_some(next)
        };
        self.paid_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, paid).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(quotas: Quotas) -> Arc<Ledger> {
        Arc::new(Ledger::new(quotas, Instant::now()))
    }

    const QUOTAS: Quotas = Quotas {
        allocations: 3,
        allocations_per_user: 2,
        bits_per_second: 0,
        user_bits_per_second: 0,
    };

    #[test]
    fn seats_are_bounded_per_user_and_in_all_and_come_back() {
        let ledger = ledger(QUOTAS);
        let first = ledger.take_seat("anna").ok();
        let second = ledger.take_seat("anna").ok();
        assert_eq!(ledger.take_seat("anna").err(), Some(NoSeat::User));
        let third = ledger.take_seat("bert").ok();
        assert_eq!(ledger.take_seat("carl").err(), Some(NoSeat::Server));
        assert!(first.is_some() && third.is_some());
        drop(second);
        assert!(ledger.take_seat("carl").is_ok());
        drop((first, third));
        assert_eq!(ledger.seats(), 0);
        assert!(ledger.users().accounts.is_empty(), "nothing is kept about those who left");
    }

    #[test]
    fn a_user_who_is_refused_leaves_no_account() {
        let ledger = ledger(Quotas { allocations_per_user: 0, ..QUOTAS });
        assert_eq!(ledger.take_seat("anna").err(), Some(NoSeat::User));
        assert!(ledger.users().accounts.is_empty());
    }

    #[test]
    fn a_pace_lets_its_rate_through_and_a_burst() {
        const SECOND: u64 = 1_000_000_000;
        let pace = Pace::new(8_000_000);
        let at = |now: u64| (0..10_000).take_while(|_| pace.take(1000, now)).count();
        // 1000 packets a second; half a second's worth may come at once.
        assert_eq!(at(SECOND), 500);
        assert_eq!(at(SECOND), 0);
        assert_eq!(at(SECOND + SECOND / 10), 100);
        assert_eq!(at(100 * SECOND), 500, "what wasn't used isn't saved up");
        assert!(Pace::new(0).take(usize::MAX, 0));
    }

    #[test]
    fn two_seats_of_a_user_share_the_pace() {
        let ledger = ledger(Quotas { user_bits_per_second: 16_000, ..QUOTAS });
        let (a, b) =
            (ledger.take_seat("anna").ok().unwrap(), ledger.take_seat("anna").ok().unwrap());
        let now = Instant::now();
        assert!(a.allows(Way::ToPeer, 1000, now));
        assert!(!b.allows(Way::ToPeer, 1000, now));
        assert!(b.allows(Way::ToClient, 1000, now), "each way for itself");
    }
}
