//! One call's life, as a machine without I/O: [`Call::handle`] takes what happened and the time,
//! and gives what is to be sent and told. Call it again at [`Call::next_wake`], if nothing happens
//! before.
//!
//! A user is rung, in, or out. Someone rung rings on each device until one accepts; someone in is
//! in on one device, which may be without a socket for a while. A call ends when nobody is left to
//! talk to, when one of two hangs up, or when the host of a group does; what is said to it then is
//! refused with the reason.

mod ending;
mod input;
mod output;
mod participant;
mod peers;
mod presence;
mod refusal;
mod requests;
mod start;

use std::time::Instant;

use crate::calls::ids::{Address, CallId, UserId};
use crate::calls::messages::{EndReason, Media, OutCause, Sentence, ServerMessage, Topology};

pub use input::{Callee, DeviceChange, Input, Reach, Relayed, Request, Rules};
pub use output::{Event, Handled, Output, Turn};
pub use refusal::Refusal;

use output::Outputs;
use participant::{Participant, Stage};
use peers::Peers;

/// A call from its start to its end.
#[derive(Debug)]
pub struct Call {
    id: CallId,
    /// Who started it.
    host: UserId,
    rules: Rules,
    /// Everybody who was ever in it or rung, the host first.
    participants: Vec<Participant>,
    peers: Peers,
    topology: Topology,
    recorded: bool,
    over: Option<EndReason>,
    /// Two were in it at one time: from then on, whoever is left alone waits for a while.
    met: bool,
    /// Why the last of those who are out went.
    last_out: Option<OutCause>,
    /// When the one who is left alone stops waiting.
    alone_until: Option<Instant>,
}

// === impl Call ===

impl Call {
    /// The host is in it, on this device. An invitation is the next that should come.
    pub fn new(id: CallId, host: Address, media: Media, rules: Rules, now: Instant) -> Self {
        let user = host.user.clone();
        Self {
            id,
            host: user,
            participants: vec![Participant::host(host, media)],
            peers: Peers::default(),
            topology: Topology::Mesh,
            recorded: false,
            over: None,
            met: false,
            last_out: None,
            alone_until: Some(now + rules.alone),
            rules,
        }
    }

    pub fn handle(&mut self, input: Input, now: Instant) -> Handled {
        let mut out = Outputs::default();
        self.expire(now, &mut out);
        self.settle(now, &mut out);
        let refused = self.apply(input, now, &mut out).err();
        self.settle(now, &mut out);
        Handled { outputs: out.into_vec(), refused }
    }

    /// When the next time runs out.
    pub fn next_wake(&self) -> Option<Instant> {
        if self.over.is_some() {
            return None;
        }
        self.participants.iter().filter_map(Participant::deadline).chain(self.alone_until).min()
    }

    pub fn over(&self) -> Option<EndReason> {
        self.over
    }

    pub fn topology(&self) -> Topology {
        self.topology
    }

    pub fn is_in(&self, user: &UserId) -> bool {
        self.participants.iter().any(|p| p.is_in() && p.user == *user)
    }

    /// Those in the call, and the device of each.
    pub fn present(&self) -> impl Iterator<Item = Address> {
        self.participants.iter().filter_map(Participant::in_call)
    }

    /// The same with what each sends.
    pub fn sending(&self) -> impl Iterator<Item = (Address, Media)> {
        self.participants.iter().filter_map(|p| Some((p.in_call()?, p.media)))
    }

    /// Who started it.
    pub fn host(&self) -> &UserId {
        &self.host
    }

    /// The same of one.
    pub fn sending_of(&self, user: &UserId) -> Option<(Address, Media)> {
        let participant = self.participant(user)?;
        Some((participant.in_call()?, participant.media))
    }

    pub fn is_recorded(&self) -> bool {
        self.recorded
    }

    /// Devices that ring.
    pub fn ringing(&self) -> impl Iterator<Item = Address> {
        self.participants.iter().flat_map(Participant::ringing)
    }

    /// Whether the user may see what is said in the call, and its chat.
    pub fn admits(&self, user: &UserId) -> bool {
        self.participant(user).is_some_and(|p| p.stage != Stage::Out(OutCause::Cancelled))
    }

    fn apply(&mut self, input: Input, now: Instant, out: &mut Outputs) -> Result<(), Refusal> {
        if let Some(reason) = self.over {
            return match input {
                Input::From { address, .. } if self.participant(&address.user).is_none() => {
                    Err(Refusal::NotInvited)
                }
                Input::From { .. } => Err(Refusal::CallOver(reason)),
                _ => Ok(()),
            };
        }
        match input {
            Input::From { address, request } => self.request(&address, request, now, out)?,
            Input::Device { address, change } => self.device(&address, change, now, out),
            Input::NodeGone { devices } => {
                for address in devices {
                    self.gone(&address, OutCause::NodeGone, out);
                }
            }
            Input::Recording(recorded) => self.record(recorded, out),
            Input::Topology { topology, reason } => self.arrange(topology, reason, out),
            Input::DirectNotNeeded => self.close_direct(out),
            Input::End(reason) => self.end(reason, out),
            Input::Tick => {}
        }
        Ok(())
    }

    fn record(&mut self, recorded: bool, out: &mut Outputs) {
        if self.recorded != recorded {
            self.recorded = recorded;
            out.event(None, Turn::Recorded(recorded));
            self.tell_all(&ServerMessage::Recorded { call: self.id.clone(), recorded }, out);
        }
    }

    /// Orders mesh or server. Connections that are there stay until they aren't needed, so that
    /// nobody misses anything on the way.
    fn arrange(&mut self, topology: Topology, reason: Sentence, out: &mut Outputs) {
        if self.topology == topology {
            return;
        }
        self.topology = topology;
        out.event(None, Turn::Topology(topology));
        self.tell_all(&ServerMessage::Topology { call: self.id.clone(), topology, reason }, out);
        if topology == Topology::Mesh {
            let present: Vec<UserId> = self.present().map(|address| address.user).collect();
            for user in present {
                self.connect(&user, out);
            }
        }
    }

    fn close_direct(&mut self, out: &mut Outputs) {
        if self.topology == Topology::Server {
            for session in self.peers.close_all() {
                self.tell_closed(&session, out);
            }
        }
    }

    fn participant(&self, user: &UserId) -> Option<&Participant> {
        self.participants.iter().find(|p| p.user == *user)
    }

    fn participant_mut(&mut self, user: &UserId) -> Option<&mut Participant> {
        self.participants.iter_mut().find(|p| p.user == *user)
    }

    /// To everybody in the call.
    fn tell_all(&self, message: &ServerMessage, out: &mut Outputs) {
        for address in self.present() {
            out.send(address, message.clone());
        }
    }

    /// What became of a user, to everybody else in the call.
    fn tell_of(&self, user: &UserId, out: &mut Outputs) {
        let Some(participant) = self.participant(user).map(Participant::shown) else { return };
        let message = ServerMessage::Participant { call: self.id.clone(), participant };
        for address in self.present().filter(|address| address.user != *user) {
            out.send(address, message.clone());
        }
    }
}

#[cfg(test)]
mod tests;
