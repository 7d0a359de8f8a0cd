//! Who is in calls that live elsewhere, as their nodes tell devices here: chat in a call is for
//! those who are in it.

use crate::calls::ids::{Address, CallId, UserId};
use crate::calls::messages::{Participant, Presence, ServerMessage};

use super::super::Hub;
use super::Part;

// === impl Hub ===

impl Hub {
    /// Those who are in a call elsewhere, for one of them who is here.
    pub(in super::super) fn people_in_foreign(
        &self,
        call: &CallId,
        user: &UserId,
    ) -> Option<Vec<UserId>> {
        if !self.is_in_foreign_call(user, call) {
            return None;
        }
        let people = self.nodes.people.get(call)?;
        people.contains(user).then(|| people.iter().cloned().collect())
    }

    /// Keeps what a message to a device in the call says of who is in it.
    pub(super) fn note_people(&mut self, call: &CallId, message: &ServerMessage) {
        match message {
            ServerMessage::Call { participants, .. } => {
                let people = participants.iter().filter(|p| is_in(p)).map(|p| p.user.clone());
                self.nodes.people.insert(call.clone(), people.collect());
            }
            ServerMessage::Participant { participant, .. } => {
                let Some(people) = self.nodes.people.get_mut(call) else { return };
                if is_in(participant) {
                    people.insert(participant.user.clone());
                } else {
                    people.remove(&participant.user);
                }
            }
            _ => {}
        }
    }

    /// A device here is no part of a call elsewhere any more. Gives what it was.
    pub(super) fn part_with(&mut self, call: &CallId, device: &Address) -> Option<Part> {
        let part = self.nodes.foreign.remove(call, device);
        if !self.nodes.foreign.devices(call).any(|(_, part)| *part == Part::In) {
            self.nodes.people.remove(call);
        }
        part
    }
}

fn is_in(participant: &Participant) -> bool {
    matches!(participant.state, Presence::In | Presence::Lost)
}
