//! What a call wants done.

use crate::calls::ids::{Address, DeviceId, UserId};
use crate::calls::messages::{EndReason, OutCause, ServerMessage, Topology};

use super::refusal::Refusal;

/// What came of an input. A refused one may have outputs, too: of times that ran out before it.
#[derive(Debug)]
pub struct Handled {
    pub outputs: Vec<Output>,
    pub refused: Option<Refusal>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    Send { to: Address, message: ServerMessage },
    Event(Event),
}

/// A turn in the life of a call or of someone in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// None: of the call.
    pub user: Option<UserId>,
    pub device: Option<DeviceId>,
    pub turn: Turn,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    Invited {
        by: UserId,
    },
    Answered,
    Rejoined,
    /// The call went to another device of the user.
    Moved,
    SocketLost,
    SocketResumed,
    Out(OutCause),
    Recorded(bool),
    Topology(Topology),
    Ended(EndReason),
}

#[derive(Debug, Default)]
pub struct Outputs(Vec<Output>);

// === impl Outputs ===

impl Outputs {
    pub fn send(&mut self, to: Address, message: ServerMessage) {
        self.0.push(Output::Send { to, message });
    }

    /// Of the call, or of a device.
    pub fn event(&mut self, of: Option<&Address>, turn: Turn) {
        let user = of.map(|address| address.user.clone());
        let device = of.map(|address| address.device.clone());
        self.0.push(Output::Event(Event { user, device, turn }));
    }

    /// Of a user, on no device in particular.
    pub fn event_of_user(&mut self, user: &UserId, turn: Turn) {
        self.0.push(Output::Event(Event { user: Some(user.clone()), device: None, turn }));
    }

    pub fn into_vec(self) -> Vec<Output> {
        self.0
    }
}
