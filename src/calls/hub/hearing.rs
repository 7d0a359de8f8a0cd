//! Who talks, in a call through the server.

use std::time::Instant;

use crate::calls::ids::{Address, CallId, UserId};
use crate::calls::messages::{ServerMessage, Topology};
use crate::calls::speaker::{Level, Speakers};

use super::Hub;

// === impl Hub ===

impl Hub {
    /// How loud someone is: the byte of RFC 6464. Gives who talks, where it is another than before.
    pub fn hear(&mut self, id: &CallId, user: &UserId, level: u8, now: Instant) -> Option<UserId> {
        let live = self.calls.get_mut(id)?;
        if live.call.topology() == Topology::Mesh || !live.is_in(user) {
            return None;
        }
        let speakers = &mut live.media.speakers;
        speakers.handle_level(user, Level::parse(level), now);
        let active = speakers.poll_change(now).cloned()?;
        self.tell_speaker(id, Some(active.clone()));
        self.finish(now);
        Some(active)
    }

    /// Those who left don't talk any more, and in a mesh nobody listens for it.
    pub(super) fn quiet(&mut self, id: &CallId) {
        let Some(live) = self.calls.get_mut(id) else { return };
        let before = live.media.speakers.active().cloned();
        let Some(active) = before else { return };
        if live.call.topology() == Topology::Mesh || live.call.over().is_some() {
            live.media.speakers = Speakers::default();
        } else if !live.is_in(&active) {
            live.media.speakers.remove(&active);
        }
        if live.media.speakers.active() != Some(&active) {
            self.tell_speaker(id, None);
        }
    }

    fn tell_speaker(&mut self, id: &CallId, user: Option<UserId>) {
        let Some(live) = self.calls.get(id) else { return };
        let present: Vec<Address> = live.call.present().collect();
        for address in present {
            let message = ServerMessage::Speaker { call: id.clone(), user: user.clone() };
            self.deliver(&address, None, message);
        }
    }
}
