//! Who is there, told to those who may know: to contacts, where there are any; else to everybody.
//!
//! Everybody who tells everybody is a square of messages: only so many users see each other come
//! and go. Whoever comes after is rung by name.

use std::collections::BTreeSet;
use std::time::Instant;

use crate::calls::ids::{Address, DeviceId, UserId};
use crate::calls::messages::{Availability, ServerMessage};

use super::nodes::stronger;
use super::{Alarm, Hub};

/// Whom a user sees, and is seen by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Circle {
    Everybody,
    Contacts {
        users: BTreeSet<UserId>,
        /// Until when the user isn't to be disturbed.
        quiet_until: Option<Instant>,
    },
}

/// Users of a node who see each other, and of others whom they see, where all do.
pub const MOST_IN_LOBBY: usize = 100;

// === impl Hub ===

impl Hub {
    /// What is known of a user's contacts now. Of one who isn't here, nothing is kept.
    pub fn set_circle(&mut self, id: &UserId, circle: Circle, now: Instant) {
        let Some(user) = self.users.get_mut(id) else { return };
        let Circle::Contacts { users, quiet_until } = &circle else { return };
        let quiet = quiet_until.filter(|until| *until > now);
        user.quiet = quiet.is_some();
        self.alarms.set(&Alarm::Quiet(id.clone()), quiet);
        // Those who come to see the user learn how it is now, and not how it was.
        self.tell_presence(id);
        let users = users.clone();
        let Some(user) = self.users.get_mut(id) else { return };
        let old = match std::mem::replace(&mut user.circle, circle) {
            Circle::Contacts { users, .. } => users,
            Circle::Everybody => BTreeSet::new(),
        };
        self.watch(id, &old, &users);
        let gone = old.difference(&users).filter(|peer| self.shown(peer).is_some());
        for peer in gone.cloned().collect::<Vec<_>>() {
            let availability = Availability::Offline;
            self.tell(id, None, &ServerMessage::Presence { user: peer, availability });
        }
        // Whoever of the two is looked up last lets both know.
        let new = users.difference(&old).filter(|peer| self.sees(peer, id) || self.is_guest(peer));
        for peer in new.cloned().collect::<Vec<_>>() {
            self.introduce(&peer, id);
            self.introduce(id, &peer);
        }
        self.finish(now);
    }

    /// A device that came is told who is there.
    pub(super) fn enter_lobby(&mut self, address: &Address) {
        let has_room = self.lobby < MOST_IN_LOBBY;
        let Some(user) = self.users.get_mut(&address.user) else { return };
        let is_open = user.circle == Circle::Everybody;
        if !user.shown && (has_room || !is_open) {
            user.shown = true;
            self.lobby += usize::from(is_open);
        }
        if !user.shown {
            return;
        }
        let guests: Vec<UserId> = match &user.circle {
            Circle::Contacts { users, .. } => {
                let users = users.clone();
                users.into_iter().filter(|user| self.is_guest(user)).collect()
            }
            Circle::Everybody => self.guests().cloned().collect(),
        };
        let guests = guests.into_iter().filter(|guest| *guest != address.user);
        let there: BTreeSet<UserId> =
            self.seen_by(&address.user).into_iter().chain(guests).collect();
        for user in there {
            if let Some(availability) = self.shown(&user) {
                self.deliver(address, None, ServerMessage::Presence { user, availability });
            }
        }
    }

    /// Tells the others what became of a user, where that is news.
    pub(super) fn tell_presence(&mut self, id: &UserId) {
        self.tell_busy(id);
        let here = self.availability(id);
        let availability = stronger(here, self.availability_elsewhere(id));
        let Some(user) = self.users.get_mut(id).filter(|user| user.shown) else { return };
        let is_news = std::mem::replace(&mut user.told, availability) != availability;
        if here == Availability::Offline {
            user.shown = false;
            user.told = here;
            self.lobby -= usize::from(user.circle == Circle::Everybody);
        }
        self.announce(id, here);
        if is_news {
            for other in self.seen_by(id) {
                let user = id.clone();
                self.tell(&other, None, &ServerMessage::Presence { user, availability });
            }
        }
    }

    /// Those here who see someone who is on another node alone.
    pub(super) fn tell_of_absent(&mut self, id: &UserId, availability: Availability) {
        let watching = self.watched.get(id).into_iter().flatten().filter(|viewer| {
            *viewer != id && self.users.get(*viewer).is_some_and(|viewer| viewer.shown)
        });
        let mut viewers: Vec<UserId> = watching.cloned().collect();
        // Where each sees contacts alone, nobody else needs to be asked.
        if self.lobby > 0 {
            viewers.extend(self.seers().filter(|viewer| *viewer != id).cloned());
        }
        for viewer in viewers {
            let user = id.clone();
            self.tell(&viewer, None, &ServerMessage::Presence { user, availability });
        }
    }

    /// Someone has these contacts now in place of those: they are found by them.
    pub(super) fn watch(
        &mut self,
        viewer: &UserId,
        old: &BTreeSet<UserId>,
        new: &BTreeSet<UserId>,
    ) {
        for peer in old.difference(new) {
            let Some(viewers) = self.watched.get_mut(peer) else { continue };
            viewers.remove(viewer);
            if viewers.is_empty() {
                self.watched.remove(peer);
            }
        }
        for peer in new.difference(old) {
            self.watched.entry(peer.clone()).or_default().insert(viewer.clone());
        }
    }

    /// Those who are here and see everybody.
    fn seers(&self) -> impl Iterator<Item = &UserId> {
        let open = self.users.iter().filter(|(_, u)| u.shown && u.circle == Circle::Everybody);
        open.map(|(id, _)| id)
    }

    /// Those who are here and see this user, as this one sees them.
    fn seen_by(&self, id: &UserId) -> Vec<UserId> {
        let Some(user) = self.users.get(id) else { return Vec::new() };
        match &user.circle {
            Circle::Contacts { users, .. } => {
                users.iter().filter(|other| self.sees(other, id)).cloned().collect()
            }
            Circle::Everybody => self.seers().filter(|other| *other != id).cloned().collect(),
        }
    }

    /// Whether someone who is here has the user among their contacts.
    fn sees(&self, viewer: &UserId, id: &UserId) -> bool {
        match self.users.get(viewer).map(|viewer| &viewer.circle) {
            Some(Circle::Contacts { users, .. }) => users.contains(id),
            _ => false,
        }
    }

    /// Tells one how it is with the other.
    fn introduce(&mut self, to: &UserId, id: &UserId) {
        if let Some(availability) = self.shown(id) {
            self.tell(to, None, &ServerMessage::Presence { user: id.clone(), availability });
        }
    }

    /// What others were told of a user; None where there is nothing to tell.
    fn shown(&self, id: &UserId) -> Option<Availability> {
        let here = self.users.get(id).filter(|user| user.shown).map(|user| user.told);
        here.or_else(|| self.guest(id))
    }

    pub(super) fn end_quiet(&mut self, id: &UserId) {
        if let Some(user) = self.users.get_mut(id) {
            user.quiet = false;
        }
        self.tell_presence(id);
    }

    /// On this node.
    pub(super) fn availability(&self, id: &UserId) -> Availability {
        match self.users.get(id) {
            Some(user) if user.devices.is_empty() => Availability::Offline,
            Some(user) if user.quiet => Availability::DoNotDisturb,
            Some(_) if self.is_in_call(id) => Availability::InCall,
            Some(_) => Availability::Available,
            None => Availability::Offline,
        }
    }

    /// Of one user, on this node.
    pub fn devices_of(&self, id: &UserId) -> Vec<DeviceId> {
        let devices = self.users.get(id).map(|user| user.devices.keys().cloned().collect());
        devices.unwrap_or_default()
    }

    /// Those with a device on this node.
    pub fn users_here(&self) -> Vec<UserId> {
        let here = self.users.iter().filter(|(_, user)| !user.devices.is_empty());
        here.map(|(id, _)| id.clone()).collect()
    }

    pub(super) fn is_in_call(&self, id: &UserId) -> bool {
        self.is_in_own_call(id) || self.is_in_foreign(id)
    }

    /// In a call that lives here.
    pub(super) fn is_in_own_call(&self, id: &UserId) -> bool {
        let indexed = self.users.get(id).into_iter().flat_map(|user| &user.calls);
        let calls = indexed.chain(self.nodes.away.calls_of(id));
        calls.filter_map(|call| self.calls.get(call)).any(|live| live.is_in(id))
    }
}
