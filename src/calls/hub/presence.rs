//! Who is there, told to those who may know.
//!
//! Everybody who tells everybody is a square of messages: only so many users see each other come
//! and go. Whoever comes after is rung by name.

use crate::calls::ids::{Address, UserId};
use crate::calls::messages::{Availability, ServerMessage};

use super::Hub;

/// Users who see each other.
const MOST: usize = 200;

// === impl Hub ===

impl Hub {
    /// A device that came is told who is there, where there is room for its user.
    pub(super) fn enter_lobby(&mut self, address: &Address) {
        let has_room = self.lobby < MOST;
        let Some(user) = self.users.get_mut(&address.user) else { return };
        if !user.shown && has_room {
            user.shown = true;
            self.lobby += 1;
        }
        if !user.shown {
            return;
        }
        let there: Vec<(UserId, Availability)> = self
            .users
            .iter()
            .filter(|(id, user)| user.shown && **id != address.user)
            .filter(|(id, _)| self.policy.may_see(&address.user, id))
            .map(|(id, user)| (id.clone(), user.told))
            .collect();
        for (user, availability) in there {
            self.deliver(address, None, ServerMessage::Presence { user, availability });
        }
    }

    /// Tells the others what became of a user, where that is news.
    pub(super) fn tell_presence(&mut self, id: &UserId) {
        let availability = self.availability(id);
        let Some(user) = self.users.get_mut(id).filter(|user| user.shown) else { return };
        if std::mem::replace(&mut user.told, availability) == availability {
            return;
        }
        if availability == Availability::Offline {
            user.shown = false;
            self.lobby -= 1;
        }
        let told: Vec<Address> = self
            .users
            .iter()
            .filter(|(other, user)| user.shown && *other != id)
            .filter(|(other, _)| self.policy.may_see(other, id))
            .flat_map(|(other, user)| {
                let devices = user.devices.keys().cloned();
                devices.map(|device| Address { user: other.clone(), device })
            })
            .collect();
        for address in told {
            let message = ServerMessage::Presence { user: id.clone(), availability };
            self.deliver(&address, None, message);
        }
    }

    pub(super) fn availability(&self, id: &UserId) -> Availability {
        match self.users.get(id) {
            Some(user) if !user.devices.is_empty() => {
                if self.is_in_call(id) {
                    Availability::InCall
                } else {
                    Availability::Available
                }
            }
            _ => Availability::Offline,
        }
    }

    pub(super) fn is_in_call(&self, id: &UserId) -> bool {
        let Some(user) = self.users.get(id) else { return false };
        let calls = user.calls.iter().filter_map(|call| self.calls.get(call));
        calls.into_iter().any(|live| live.is_in(id))
    }
}
