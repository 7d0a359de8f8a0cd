//! Driving calls: what happens goes in, what comes out is delivered.

use std::time::Instant;

use crate::calls::ids::{Address, CallId, UserId};
use crate::calls::messages::{ConfigureCause, EndReason, ServerMessage};
use crate::calls::signalling::{DeviceChange, Event, Input, Output, Refusal, Request, Turn};

use super::live::Negotiated;
use super::{Alarm, Hub, Note, OVER_FOR, Origin, Refused};

// === impl Hub ===

impl Hub {
    /// A device asks something of a call.
    pub(super) fn ask(
        &mut self,
        origin: Origin,
        from: Address,
        call: &CallId,
        request: Request,
        now: Instant,
    ) -> Result<(), Refusal> {
        // Whoever rejoins is told of it again when their device changes.
        self.index_if_admitted(call, &from.user);
        let input = Input::From { address: from.clone(), request };
        let refused = self.drive(call, input, Some((&from, origin.request)), now);
        refused.map_or(Ok(()), Err)
    }

    pub(super) fn change_device(
        &mut self,
        call: &CallId,
        address: &Address,
        change: DeviceChange,
        now: Instant,
    ) {
        if !self.is_at_home(call) {
            return self.device_of_foreign(call, address, change);
        }
        if change == DeviceChange::Came {
            // Wherever it was, it is here now.
            self.nodes.away.remove(call, address);
            self.index_if_admitted(call, &address.user);
        } else if self.nodes.away.get(call, address).is_some() {
            // It takes part by another node: what is left of it here says nothing.
            return;
        }
        self.drive(call, Input::Device { address: address.clone(), change }, None, now);
    }

    /// A device has lost what it was told.
    pub(super) fn forget_told(&mut self, call: &CallId, address: &Address, now: Instant) {
        if let Some(live) = self.calls.get_mut(call) {
            live.configured.remove(address);
            live.forget_media(address, now);
        }
    }

    pub(super) fn tick(&mut self, call: &CallId, now: Instant) {
        if self.calls.get(call).is_some_and(|live| live.call.over().is_some()) {
            self.forget_call(call);
        } else {
            self.drive(call, Input::Tick, None, now);
        }
    }

    pub(super) fn end_all(&mut self, now: Instant) {
        let calls: Vec<CallId> = self.calls.keys().cloned().collect();
        for call in calls {
            self.drive(&call, Input::End(EndReason::ServerStopping), None, now);
        }
    }

    pub(super) fn forget_call(&mut self, id: &CallId) {
        self.alarms.set(&Alarm::Call(id.clone()), None);
        self.nodes.away.forget(id);
        let Some(live) = self.calls.remove(id) else { return };
        for user in &live.users {
            if let Some(user) = self.users.get_mut(user) {
                user.calls.remove(id);
            }
        }
    }

    /// `asker` is who is answered, and by which number.
    pub(super) fn drive(
        &mut self,
        id: &CallId,
        input: Input,
        asker: Option<(&Address, Option<u32>)>,
        now: Instant,
    ) -> Option<Refusal> {
        let live = self.calls.get_mut(id)?;
        let was_over = live.call.over().is_some();
        let handled = live.call.handle(input, now);
        if handled.refused.is_none() && !std::mem::replace(&mut live.started, true) {
            let by = asker.map(|(address, _)| address.clone());
            self.note(Note::Started { call: id.clone(), by });
        }
        // What is refused and changes nothing costs nothing more.
        let is_idle = handled.refused.is_some() && handled.outputs.is_empty();
        let mut request = asker.and_then(|(_, request)| request);
        for output in handled.outputs {
            match output {
                // What a peer sends must not cost the other its session: that peer tries again.
                Output::Send { to, message } if is_relayed(&message) && !self.has_room(&to) => {}
                Output::Send { to, message } => {
                    let is_asker = asker.is_some_and(|(address, _)| *address == to);
                    let request = if is_asker { request.take() } else { None };
                    if let ServerMessage::Ring { .. } = &message {
                        self.note(Note::Rings { call: id.clone(), address: to.clone() });
                    }
                    self.deliver(&to, request, message);
                }
                Output::Event(event) => self.turn(id, event, now),
            }
        }
        if !was_over && !is_idle {
            self.settle(id, None, now);
        }
        handled.refused
    }

    /// What follows from what happened: configuration, alarm, presence.
    pub(super) fn settle(&mut self, id: &CallId, hint: Option<ConfigureCause>, now: Instant) {
        self.configure(id, hint);
        self.settle_media(id, now);
        let Some(live) = self.calls.get(id) else { return };
        let at = match live.call.over() {
            Some(_) => Some(now + OVER_FOR),
            None => live.call.next_wake(),
        };
        let users = live.users.clone();
        self.alarms.set(&Alarm::Call(id.clone()), at);
        for user in &users {
            self.tell_presence(user);
        }
    }

    fn configure(&mut self, id: &CallId, hint: Option<ConfigureCause>) {
        let (users, sessions, away) = (&self.users, &self.sessions, &self.nodes.away);
        let capabilities_of = |address: &Address| {
            if let Some(place) = away.get(id, address) {
                return Some(&place.capabilities);
            }
            let session = users.get(&address.user)?.devices.get(&address.device)?;
            Some(&sessions.get(session)?.capabilities)
        };
        let Some(live) = self.calls.get_mut(id) else { return };
        let Some(negotiated) = live.negotiate(capabilities_of, hint) else { return };
        let revision = live.revision;
        let Negotiated { change, cause, told } = negotiated;
        if let Some(change) = change {
            self.note(Note::Configured { call: id.clone(), change });
        }
        for (address, configuration) in told {
            let call = id.clone();
            let message = ServerMessage::Configure { call, revision, configuration, cause };
            self.deliver(&address, None, message);
        }
    }

    fn turn(&mut self, id: &CallId, event: Event, now: Instant) {
        let enters = matches!(event.turn, Turn::Answered | Turn::Rejoined | Turn::Moved);
        if let (true, Some(user), Some(device)) = (enters, &event.user, &event.device)
            && let Some(live) = self.calls.get_mut(id)
        {
            let address = Address { user: user.clone(), device: device.clone() };
            live.tell_media_again(&address);
            if event.turn == Turn::Moved {
                live.media.paths.renew(user, now);
            }
        }
        match (&event.turn, &event.user) {
            (Turn::Invited { .. }, Some(user)) => {
                self.index(id, user);
                if let Some(live) = self.calls.get_mut(id) {
                    live.rung.insert(user.clone(), now);
                }
            }
            (Turn::Answered, Some(user)) => {
                if let Some(live) = self.calls.get_mut(id) {
                    live.answered.insert(user.clone(), now);
                    let since = live.rung.remove(user).unwrap_or(now);
                    let (user, device) = (user.clone(), event.device.clone());
                    let (call, after) = (id.clone(), now - since);
                    self.note(Note::Answered { call, user, device, after });
                }
            }
            (Turn::Ended(reason), _) => {
                if let Some(live) = self.calls.get(id) {
                    let lasted = now - live.began;
                    self.note(Note::Ended { call: id.clone(), reason: *reason, lasted });
                }
            }
            _ => {}
        }
        self.note(Note::Turn { call: id.clone(), event });
    }

    /// Media has come to a device directly.
    pub(super) fn connected(&mut self, id: &CallId, from: &Address, now: Instant) {
        let Some(live) = self.calls.get_mut(id) else { return };
        if !live.call.present().any(|address| address == *from) {
            return;
        }
        if let Some(since) = live.answered.remove(&from.user) {
            let (call, address) = (id.clone(), from.clone());
            self.note(Note::Connected { call, address, after: now - since });
        }
    }

    fn index_if_admitted(&mut self, id: &CallId, user: &UserId) {
        if self.calls.get(id).is_some_and(|live| live.call.admits(user)) {
            self.index(id, user);
        }
    }

    pub(super) fn index(&mut self, id: &CallId, user: &UserId) {
        // One who isn't here finds it when they come only if they were here before.
        let Some(known) = self.users.get_mut(user) else { return };
        known.calls.insert(id.clone());
        if let Some(live) = self.calls.get_mut(id) {
            live.users.insert(user.clone());
        }
    }
}

/// What goes from one peer to the other as it is.
fn is_relayed(message: &ServerMessage) -> bool {
    matches!(
        message,
        ServerMessage::Offer { .. }
            | ServerMessage::Answer { .. }
            | ServerMessage::Candidate { .. }
    )
}

/// What the client is told of what a call refuses. None: nothing, on purpose.
pub(super) fn refused(call: &CallId, refusal: Refusal) -> Option<Refused> {
    match refusal.answer(call)? {
        ServerMessage::Error { code, detail, call, user } => {
            Some(Refused { code, detail, call, user })
        }
        _ => None,
    }
}
