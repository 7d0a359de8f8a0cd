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

/// What counts where another node has told of the device, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// This: the device has just come.
    Ours,
    /// What the other says: the device may have gone there.
    Theirs,
}

/// Since they were last taken. Of a device that came and went its end alone is told.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    pub here: HashMap<(UserId, DeviceId), Word>,
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
        devices.untold.here.insert(key, Word::Ours);
        drop(devices);
        self.changed.notify_one();
        Ok(Registration { local: self.clone(), user, device, number })
    }

    pub fn find(&self, user: &UserId) -> Vec<Entry> {
        let devices = self.devices();
        devices.by_user.get(user).into_iter().flatten().map(|here| here.entry.clone()).collect()
    }

    pub fn get(&self, user: &UserId, device: &DeviceId) -> Option<Entry> {
        let devices = self.devices();
        let mut list = devices.by_user.get(user)?.iter();
        Some(list.find(|here| here.entry.device == *device)?.entry.clone())
    }

    /// What changed since this was asked last.
    pub fn take_changes(&self) -> Changes {
        std::mem::take(&mut self.devices().untold)
    }

    /// All that is here is to be told again.
    pub fn all_changed(&self) {
        let mut devices = self.devices();
        let all = devices.by_user.values().flatten().map(|here| {
            let word = if here.is_lost { Word::Theirs } else { Word::Ours };
            ((here.entry.user.clone(), here.entry.device.clone()), word)
        });
        devices.untold.here = all.collect();
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
            let key = (user.clone(), here.entry.device.clone());
            if let Some(word) = devices.untold.here.get_mut(&key) {
                *word = Word::Theirs;
            }
        }
    }

    fn amend(&self, user: &UserId, number: u64, capabilities: Arc<str>) {
        let mut devices = self.devices();
        let mut list = devices.by_user.get_mut(user).into_iter().flatten();
        let Some(here) = list.find(|here| here.number == number) else { return };
        here.entry.capabilities = capabilities;
        let key = (user.clone(), here.entry.device.clone());
        devices.untold.here.entry(key).or_insert(Word::Theirs);
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

    /// What is told of the device is another. Where another node has told of it since, that one's
    /// word counts all the same.
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
        assert_eq!(&*known("d1").capabilities, "new");
        second.amend("newer".into()).unwrap();
        assert_eq!(&*known("d1").capabilities, "newer");
        let third = local.register(entry("anna", "d1", "")).unwrap();
        drop((second, third, other));
        assert!(local.find(&anna).is_empty());
        assert!(local.devices().by_user.is_empty(), "nothing is kept about those who left");
    }

    #[test]
    fn whoever_has_a_device_last_has_the_word_on_it() {
        let local = Arc::new(Local::default());
        let first = local.register(entry("anna", "d1", "")).unwrap();
        let other = local.register(entry("anna", "d2", "")).unwrap();
        let said = |device: &str| local.take_changes().here.get(&key("anna", device)).copied();
        // It has just come, whatever else is told of it.
        first.amend("new".into()).unwrap();
        assert_eq!(said("d1"), Some(Word::Ours));
        // Its connection may be lost, though nobody has noticed.
        first.amend("newer".into()).unwrap();
        assert_eq!(said("d1"), Some(Word::Theirs));
        first.lose();
        local.all_changed();
        let all =
            HashMap::from([(key("anna", "d1"), Word::Theirs), (key("anna", "d2"), Word::Ours)]);
        assert_eq!(local.take_changes().here, all);
        let second = local.register(entry("anna", "d1", "")).unwrap();
        first.lose();
        assert_eq!(said("d1"), Some(Word::Ours), "it is back");
        drop((first, second, other));
    }

    #[test]
    fn changes_are_told_once_and_the_last_one_counts() {
        let local = Arc::new(Local::default());
        let one = local.register(entry("anna", "d1", "")).unwrap();
        let two = local.register(entry("anna", "d2", "")).unwrap();
        drop(two);
        let changes = local.take_changes();
        assert_eq!(changes.here, HashMap::from([(key("anna", "d1"), Word::Ours)]));
        assert_eq!(changes.gone, HashSet::from([key("anna", "d2")]));
        assert_eq!(local.take_changes(), Changes::default());
        drop(one);
        let again = local.register(entry("anna", "d1", "")).unwrap();
        let changes = local.take_changes();
        assert_eq!(changes.here, HashMap::from([(key("anna", "d1"), Word::Ours)]));
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
