//! Places for connections: so many at once, and so many of them for one customer, so that nobody
//! takes them all.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ipnet::{IpNet, Ipv4Net};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::limit::customer;

/// All places of a server.
pub struct Places {
    free: Arc<Semaphore>,
    all: usize,
    of_one: usize,
    /// Behind these are many, or who has the machine anyway: they are not bounded.
    spared: Vec<IpNet>,
    /// Customers with a place at least, and how many they have.
    taken: Mutex<HashMap<IpAddr, usize>>,
}

/// A connection's place. Given back when dropped.
pub struct Place {
    places: Arc<Places>,
    /// None: one who is spared.
    customer: Option<IpAddr>,
    _free: OwnedSemaphorePermit,
}

/// One customer has this part of all places at most,
const PART_OF_ONE: usize = 4;
/// and so many at least: several browsers', with as many connections as each opens at once.
const LEAST_OF_ONE: usize = 32;

// === impl Places ===

impl Places {
    /// A quarter of them is the most that one customer gets, but for loopback and `proxies`.
    pub fn new(all: usize, proxies: &[IpAddr]) -> Arc<Self> {
        let loopback = [
            Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8).into(),
            IpNet::from(IpAddr::V6(Ipv6Addr::LOCALHOST)),
        ];
        let proxies = proxies.iter().map(|ip| IpNet::from(ip.to_canonical()));
        let spared = loopback.into_iter().chain(proxies).collect();
        Self::with(all, (all / PART_OF_ONE).max(LEAST_OF_ONE), spared)
    }

    pub(super) fn with(all: usize, of_one: usize, spared: Vec<IpNet>) -> Arc<Self> {
        let free = Arc::new(Semaphore::new(all));
        Arc::new(Self { free, all, of_one, spared, taken: Mutex::default() })
    }

    /// Waits for one that is free.
    pub async fn free(&self) -> Option<OwnedSemaphorePermit> {
        self.free.clone().acquire_owned().await.ok()
    }

    /// None: the address's customer has as many as one may have.
    pub fn take(self: &Arc<Self>, free: OwnedSemaphorePermit, address: IpAddr) -> Option<Place> {
        let address = address.to_canonical();
        let is_spared = self.spared.iter().any(|net| net.contains(&address));
        let customer = (!is_spared).then(|| customer(address));
        if let Some(customer) = customer {
            let mut taken = self.taken();
            let count = taken.entry(customer).or_default();
            if *count >= self.of_one {
                return None;
            }
            *count += 1;
        }
        Some(Place { places: self.clone(), customer, _free: free })
    }

    /// Waits until all have been given back.
    pub async fn all_back(&self) {
        let all = u32::try_from(self.all).unwrap_or(u32::MAX);
        // It is never closed.
        let _ = self.free.acquire_many(all).await;
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(customer) = self.customer else { return };
        let mut taken = self.places.taken();
        if let Some(count) = taken.get_mut(&customer) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&customer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    async fn take(places: &Arc<Places>, address: &str) -> Option<Place> {
        let free = places.free().await.unwrap();
        places.take(free, ip(address))
    }

    #[tokio::test]
    async fn one_customer_takes_a_quarter_of_the_places_and_gets_what_it_gave_back() {
        let places = Places::new(400, &[]);
        let mut held = Vec::new();
        for host in 0..100 {
            // A customer has a /64.
            held.push(take(&places, &format!("2001:db8::{host:x}")).await.unwrap());
        }
        assert!(take(&places, "2001:db8::ffff:1").await.is_none());
        assert_eq!(places.free.available_permits(), 300, "who is refused holds none");
        assert!(take(&places, "2001:db8:0:1::1").await.is_some());
        assert!(take(&places, "192.0.2.1").await.is_some());
        held.pop();
        assert!(take(&places, "2001:db8::1").await.is_some());
        held.clear();
        assert!(places.taken().is_empty(), "nothing is kept about those who left");
        places.all_back().await;
    }

    #[tokio::test]
    async fn this_machine_and_proxies_that_are_trusted_may_take_all() {
        let places = Places::new(200, &[ip("10.0.0.1")]);
        for address in ["127.0.0.1", "::1", "::ffff:127.0.0.2", "10.0.0.1", "::ffff:10.0.0.1"] {
            let mut held = Vec::new();
            while held.len() < 200 {
                held.push(take(&places, address).await.expect(address));
            }
        }
        let mut held = Vec::new();
        for _ in 0..50 {
            held.push(take(&places, "10.0.0.2").await.unwrap());
        }
        assert!(take(&places, "::ffff:10.0.0.2").await.is_none());
    }
}
