//! Something about devices in calls, to be found by call and by user.

use std::collections::{BTreeMap, HashMap};

use crate::calls::ids::{Address, CallId, UserId};

#[derive(Debug)]
pub struct Book<T> {
    calls: HashMap<CallId, BTreeMap<Address, T>>,
    /// How many of the user's devices are in each.
    users: HashMap<UserId, BTreeMap<CallId, usize>>,
}

// === impl Book ===

impl<T> Default for Book<T> {
    fn default() -> Self {
        Self { calls: HashMap::new(), users: HashMap::new() }
    }
}

impl<T> Book<T> {
    pub fn insert(&mut self, call: &CallId, address: &Address, value: T) {
        let devices = self.calls.entry(call.clone()).or_default();
        if devices.insert(address.clone(), value).is_none() {
            let calls = self.users.entry(address.user.clone()).or_default();
            *calls.entry(call.clone()).or_default() += 1;
        }
    }

    pub fn get(&self, call: &CallId, address: &Address) -> Option<&T> {
        self.calls.get(call)?.get(address)
    }

    pub fn get_mut(&mut self, call: &CallId, address: &Address) -> Option<&mut T> {
        self.calls.get_mut(call)?.get_mut(address)
    }

    pub fn remove(&mut self, call: &CallId, address: &Address) -> Option<T> {
        let devices = self.calls.get_mut(call)?;
        let value = devices.remove(address)?;
        if devices.is_empty() {
            self.calls.remove(call);
        }
        self.uncount(call, &address.user);
        Some(value)
    }

    /// The whole call.
    pub fn forget(&mut self, call: &CallId) -> BTreeMap<Address, T> {
        let devices = self.calls.remove(call).unwrap_or_default();
        for address in devices.keys() {
            self.uncount(call, &address.user);
        }
        devices
    }

    pub fn calls_of(&self, user: &UserId) -> impl Iterator<Item = &CallId> {
        self.users.get(user).into_iter().flat_map(BTreeMap::keys)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&CallId, &Address, &T)> {
        let of_call = |(call, devices): (_, _)| {
            let devices: &BTreeMap<Address, T> = devices;
            devices.iter().map(move |(address, value)| (call, address, value))
        };
        self.calls.iter().flat_map(of_call)
    }

    /// Those in one call.
    pub fn devices(&self, call: &CallId) -> impl Iterator<Item = (&Address, &T)> {
        self.calls.get(call).into_iter().flatten()
    }

    /// Calls.
    pub fn len(&self) -> usize {
        self.calls.len()
    }

    fn uncount(&mut self, call: &CallId, user: &UserId) {
        let Some(calls) = self.users.get_mut(user) else { return };
        if let Some(count) = calls.get_mut(call) {
            *count -= 1;
            if *count == 0 {
                calls.remove(call);
            }
        }
        if calls.is_empty() {
            self.users.remove(user);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_in_a_call_while_one_of_their_devices_is() {
        let call = CallId::new("c1").unwrap();
        let user = UserId::new("anna").unwrap();
        let address =
            |device: &str| Address { user: user.clone(), device: device.parse().unwrap() };
        let mut book = Book::default();
        book.insert(&call, &address("a"), 1);
        book.insert(&call, &address("b"), 2);
        book.insert(&call, &address("b"), 3);
        assert_eq!(book.get(&call, &address("b")), Some(&3));
        assert_eq!(book.remove(&call, &address("a")), Some(1));
        assert_eq!(book.remove(&call, &address("a")), None);
        assert_eq!(book.calls_of(&user).collect::<Vec<_>>(), [&call]);
        book.insert(&call, &address("a"), 4);
        assert_eq!(book.forget(&call).len(), 2);
        assert!(book.users.is_empty() && book.calls.is_empty());
    }
}
