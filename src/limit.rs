//! How often someone may do something: a token bucket each, in a bounded table.
//!
//! Pure: time is an argument.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use crate::bucket::Bucket;
pub use crate::bucket::Rate;

/// Buckets by key.
pub struct Limit<K> {
    rate: Rate,
    most: usize,
    buckets: HashMap<K, Bucket>,
    /// Shared by those for whom there is no room.
    crowd: Bucket,
}

// === impl Limit ===

impl<K: Hash + Eq> Limit<K> {
    /// At most `most` keys have a bucket of their own.
    pub fn new(rate: Rate, most: usize, now: Instant) -> Self {
        let crowd = Bucket::new(rate, now);
        Self { rate, most, buckets: HashMap::new(), crowd }
    }

    /// Takes `cost` tokens, or says how long to wait for them.
    pub fn take(&mut self, key: K, cost: f64, now: Instant) -> Result<(), Duration> {
        if !self.buckets.contains_key(&key) && self.buckets.len() >= self.most {
            self.forget_idle(now);
        }
        let rate = self.rate;
        let bucket = if self.buckets.len() < self.most || self.buckets.contains_key(&key) {
            self.buckets.entry(key).or_insert(Bucket::new(rate, now))
        } else {
            &mut self.crowd
        };
        bucket.take(cost, rate, now)
    }

    /// Puts back what was taken for something that turned out to cost nothing.
    pub fn give_back<Q>(&mut self, key: &Q, cost: f64)
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let bucket = self.buckets.get_mut(key).unwrap_or(&mut self.crowd);
        bucket.put_back(cost, self.rate);
    }

    /// Keys with a bucket of their own.
    pub fn len(&self) -> usize {
        self.buckets.len()
    }

    pub fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }

    /// A bucket that is full again is as good as none.
    fn forget_idle(&mut self, now: Instant) {
        let rate = self.rate;
        self.buckets.retain(|_, bucket| bucket.full_at(rate) > now);
    }
}

/// Whose address it is: a customer has a /64 of IPv6 addresses.
pub fn customer(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(per_second: f64, burst: f64, most: usize, now: Instant) -> Limit<&'static str> {
        Limit::new(Rate { per_second, burst }, most, now)
    }

    #[test]
    fn a_burst_passes_then_the_rate_counts_and_others_are_not_concerned() {
        let t0 = Instant::now();
        let mut limit = limit(2.0, 3.0, 10, t0);
        for _ in 0..3 {
            assert_eq!(limit.take("anna", 1.0, t0), Ok(()));
        }
        assert_eq!(limit.take("anna", 1.0, t0), Err(Duration::from_millis(500)));
        assert_eq!(limit.take("bert", 1.0, t0), Ok(()));
        assert_eq!(limit.take("anna", 1.0, t0 + Duration::from_millis(500)), Ok(()));
    }

    #[test]
    fn the_table_is_bounded_and_a_crowd_shares_one_bucket() {
        let t0 = Instant::now();
        let mut limit = limit(1.0, 1.0, 2, t0);
        assert!(limit.take("anna", 1.0, t0).is_ok());
        assert!(limit.take("bert", 1.0, t0).is_ok());
        assert!(limit.take("carl", 1.0, t0).is_ok());
        assert!(limit.take("dora", 1.0, t0).is_err());
        assert_eq!(limit.len(), 2);
        // Both are full again after a second and make room.
        let later = t0 + Duration::from_secs(1);
        assert!(limit.take("dora", 1.0, later).is_ok());
        assert_eq!(limit.len(), 1);
    }

    #[test]
    fn what_is_given_back_can_be_taken_again_and_never_more_than_the_burst() {
        let t0 = Instant::now();
        let mut limit = Limit::new(Rate::one_each(Duration::from_secs(10), 1), 10, t0);
        assert_eq!(limit.take("anna".to_owned(), 1.0, t0), Ok(()));
        assert_eq!(limit.take("anna".to_owned(), 1.0, t0), Err(Duration::from_secs(10)));
        limit.give_back("anna", 1.0);
        limit.give_back("anna", 1.0);
        assert_eq!(limit.take("anna".to_owned(), 1.0, t0), Ok(()));
        assert!(limit.take("anna".to_owned(), 1.0, t0).is_err());
    }
}
