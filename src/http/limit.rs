//! How many requests a client address may make.
//!
//! Pure: time is an argument.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::limit::{Limit, Rate, customer};

pub struct RateLimit(Limit<IpAddr>);

// === impl RateLimit ===

impl RateLimit {
    pub fn new(per_second: u32, burst: u32, most: usize, now: Instant) -> Self {
        let rate = Rate { per_second: f64::from(per_second), burst: f64::from(burst) };
        Self(Limit::new(rate, most, now))
    }

    /// Takes `cost` tokens, or says how long to wait for them.
    pub fn take(&mut self, address: IpAddr, cost: f64, now: Instant) -> Result<(), Duration> {
        self.0.take(customer(address), cost, now)
    }

    /// Puts back what was taken for something that turned out to cost less.
    pub fn give_back(&mut self, address: IpAddr, cost: f64) {
        self.0.give_back(&customer(address), cost);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_burst_passes_then_the_rate_counts_and_others_are_not_concerned() {
        let t0 = Instant::now();
        let mut limit = RateLimit::new(2, 3, 10, t0);
        let one = ip("192.0.2.1");
        for _ in 0..3 {
            assert_eq!(limit.take(one, 1.0, t0), Ok(()));
        }
        assert_eq!(limit.take(one, 1.0, t0), Err(Duration::from_millis(500)));
        assert_eq!(limit.take(ip("192.0.2.2"), 1.0, t0), Ok(()));
        assert_eq!(limit.take(one, 1.0, t0 + Duration::from_millis(500)), Ok(()));
    }

    #[test]
    fn addresses_of_one_ipv6_network_count_as_one_and_mapped_ones_as_ipv4() {
        let t0 = Instant::now();
        let mut limit = RateLimit::new(1, 1, 10, t0);
        assert!(limit.take(ip("2001:db8::1"), 1.0, t0).is_ok());
        assert!(limit.take(ip("2001:db8::ffff:2"), 1.0, t0).is_err());
        assert!(limit.take(ip("2001:db8:0:1::1"), 1.0, t0).is_ok());
        assert!(limit.take(ip("192.0.2.1"), 1.0, t0).is_ok());
        assert!(limit.take(ip("::ffff:192.0.2.1"), 1.0, t0).is_err());
    }
}
