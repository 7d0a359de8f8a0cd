//! This node's own devices, and what of them the others have still to be told.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::{Entry, MAX_CAPABILITIES, MAX_DEVICES, RegisterError};
use crate::identity::{DeviceId, UserId};

/// Shared by the registrations.
#[derive(Default)]
pub struct Local {
    devices: Mutex<Devices>,
    /// Rings when there is something to tell.
    pub changed: Notify,
}

#[derive(Default)]
struct Devices {
    by_user: HashMap<UserId, Vec<Here>>,
    /// Counts registrations, so that the end of an older one doesn't end a newer one.
    made: u64,
    untold: Changes,
}

struct Here {
    number: u64,
    entry: Entry,
    is_lost: bool,
}

/// Since they were last taken. Of a device that came and went its end alone is told.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    pub here: HashSet<(UserId, DeviceId)>,
    pub gone: HashSet<(UserId, DeviceId)>,
}

/// A device's presence. Ends when dropped.
#[must_use]
pub struct Registration {
    local: Arc<Local>,
    user: UserId,
    device: DeviceId,
    number: u64,
}

// === impl Local ===

impl Local {
    pub fn register(self: &Arc<Self>, entry: Entry) -> Result<Registration, RegisterError> {
        if entry.capabilities.len() > MAX_CAPABILITIES {
            return Err(RegisterError::TooLong);
        }
        let (user, device) = (entry.user.clone(), entry.device.clone());
        let mut devices = self.devices();
        devices.made += 1;
        let number = devices.made;
        let list = devices.by_user.entry(user.clone()).or_default();
        let here = Here { number, entry, is_lost: false };
        match list.iter().position(|known| known.entry.device == device) {
            Some(at) => list[at] = here,
            None if list.len() >= MAX_DEVICES => return Err(RegisterError::TooManyDevices),
            None => list.push(here),
        }
        let key = (user.clone(), device.clone());
        devices.untold.gone.remove(&key);
        devices.untold.here.insert(key);
        drop(devices);
        self.changed.notify_one();
        Ok(Registration { local: self.clone(), user, device, number })
    }

    pub fn find(&self, user: &UserId) -> Vec<Entry> {
        let devices = self.devices();
        devices.by_user.get(user).into_iter().flatten().map(|here| here.entry.clone()).collect()
    }

    /// A device, and whether its connection is lost.
    pub fn get(&self, user: &UserId, device: &DeviceId) -> Option<(Entry, bool)> {
        let devices = self.devices();
        let mut list = devices.by_user.get(user)?.iter();
        let here = list.find(|here| here.entry.device == *device)?;
        Some((here.entry.clone(), here.is_lost))
    }

    /// What changed since this was asked last.
    pub fn take_changes(&self) -> Changes {
        std::mem::take(&mut self.devices().untold)
    }

    /// All that is here is to be told again.
    pub fn all_changed(&self) {
        let mut devices = self.devices();
        let entries = devices.by_user.values().flatten();
        let keys = entries.map(|here| (here.entry.user.clone(), here.entry.device.clone()));
        devices.untold.here = keys.collect();
    }

    /// What has gone needn't be told: nobody listens, and who listens later is told who is here.
    pub fn forget_gone(&self) {
        self.devices().untold.gone.clear();
    }

    fn lose(&self, user: &UserId, number: u64) {
        let mut devices = self.devices();
        let mut list = devices.by_user.get_mut(user).into_iter().flatten();
        if let Some(here) = list.find(|here| here.number == number) {
            here.is_lost = true;
        }
    }

    fn amend(&self, user: &UserId, number: u64, capabilities: Arc<str>) {
        let mut devices = self.devices();
        let mut list = devices.by_user.get_mut(user).into_iter().flatten();
        let Some(here) = list.find(|here| here.number == number) else { return };
        here.entry.capabilities = capabilities;
        let key = (user.clone(), here.entry.device.clone());
        devices.untold.here.insert(key);
        drop(devices);
        self.changed.notify_one();
    }

    fn remove(&self, user: &UserId, device: &DeviceId, number: u64) {
        let mut devices = self.devices();
        let Some(list) = devices.by_user.get_mut(user) else { return };
        let before = list.len();
        list.retain(|here| here.number != number);
        if list.len() == before {
            return;
        }
        if list.is_empty() {
            devices.by_user.remove(user);
        }
        let key = (user.clone(), device.clone());
        devices.untold.here.remove(&key);
        devices.untold.gone.insert(key);
        drop(devices);
        self.changed.notify_one();
    }

    fn devices(&self) -> MutexGuard<'_, Devices> {
        self.devices.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Registration ===

impl Registration {
    /// The device has lost its connection. It may come back, or be on another node by now, whose
    /// word counts then.
    pub fn lose(&self) {
        self.local.lose(&self.user, self.number);
    }

    /// What the device can do is another. Of one that lost its connection, another node's word
    /// counts all the same.
    pub fn amend(&self, capabilities: Arc<str>) -> Result<(), RegisterError> {
        if capabilities.len() > MAX_CAPABILITIES {
            return Err(RegisterError::TooLong);
        }
        self.local.amend(&self.user, self.number, capabilities);
        Ok(())
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.local.remove(&self.user, &self.device, self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(user: &str, device: &str, capabilities: &str) -> Entry {
        let capabilities = capabilities.into();
        Entry { user: user.parse().unwrap(), device: device.parse().unwrap(), capabilities }
    }

    fn key(user: &str, device: &str) -> (UserId, DeviceId) {
        (user.parse().unwrap(), device.parse().unwrap())
    }

    #[test]
    fn a_device_is_here_until_its_registration_ends() {
        let local = Arc::new(Local::default());
        let anna = "anna".parse().unwrap();
        let first = local.register(entry("anna", "d1", "old")).unwrap();
        let other = local.register(entry("anna", "d2", "")).unwrap();
        assert_eq!(local.find(&anna).len(), 2);
        // A socket that is opened again before the old one was found dead.
        let second = local.register(entry("anna", "d1", "new")).unwrap();
        drop(first);
        let known = |device: &str| local.get(&anna, &device.parse().unwrap()).unwrap();
        assert_eq!((&*known("d1").0.capabilities, known("d1").1), ("new", false));
        second.lose();
        assert_eq!((known("d1").1, known("d2").1), (true, false));
        local.take_changes();
        second.amend("newer".into()).unwrap();
        assert_eq!((&*known("d1").0.capabilities, known("d1").1), ("newer", true));
        assert_eq!(local.take_changes().here, HashSet::from([key("anna", "d1")]));
        let third = local.register(entry("anna", "d1", "")).unwrap();
        second.lose();
        assert!(!known("d1").1, "it is back");
        drop((second, third, other));
        assert!(local.find(&anna).is_empty());
        assert!(local.devices().by_user.is_empty(), "nothing is kept about those who left");
    }

    #[test]
    fn changes_are_told_once_and_the_last_one_counts() {
        let local = Arc::new(Local::default());
        let one = local.register(entry("anna", "d1", "")).unwrap();
        let two = local.register(entry("anna", "d2", "")).unwrap();
        drop(two);
        let changes = local.take_changes();
        assert_eq!(changes.here, HashSet::from([key("anna", "d1")]));
        assert_eq!(changes.gone, HashSet::from([key("anna", "d2")]));
        assert_eq!(local.take_changes(), Changes::default());
        drop(one);
        let again = local.register(entry("anna", "d1", "")).unwrap();
        let changes = local.take_changes();
        assert_eq!(changes.here, HashSet::from([key("anna", "d1")]));
        assert!(changes.gone.is_empty());
        local.all_changed();
        assert_eq!(local.take_changes().here.len(), 1);
        drop(again);
    }

    #[test]
    fn what_a_user_registers_is_bounded() {
        let local = Arc::new(Local::default());
        let long = "x".repeat(MAX_CAPABILITIES + 1);
        assert_eq!(local.register(entry("anna", "d", &long)).err(), Some(RegisterError::TooLong));
        let made: Vec<_> = (0..MAX_DEVICES)
            .map(|n| local.register(entry("anna", &format!("d{n}"), "")).unwrap())
            .collect();
        let error = local.register(entry("anna", "more", "")).err();
        assert_eq!(error, Some(RegisterError::TooManyDevices));
        assert!(local.register(entry("anna", "d0", "")).is_ok());
        assert!(local.register(entry("bert", "more", "")).is_ok());
        drop(made);
    }
}
