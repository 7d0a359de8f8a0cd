//! A call's life, and that of whoever is in it. `call` stands in each envelope; `user` and
//! `device` where the event is about one of them.

use serde::{Deserialize, Serialize};

use crate::calls::messages::{Configuration, EndReason, Path, Topology};

/// Somebody began it: the envelope's user.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CallStarted {}

/// The envelope's user was invited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallInvited {
    /// The user who did.
    pub by: String,
}

/// A device of the one invited rings.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CallRinging {}

/// The invitation was accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallAnswered {
    /// Milliseconds since the invitation.
    pub after_ms: u64,
}

/// The one invited declined.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CallDeclined {}

/// The invitation was withdrawn.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CallCancelled {}

/// The one invited is in another call.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CallBusy {}

/// Nobody answered; the cause is `no_answer`, `unreachable` or `do_not_disturb`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CallMissed {}

/// The user takes part, by the envelope's device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallJoined {
    pub how: Joined,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Joined {
    /// Began the call.
    Started,
    Answered,
    Rejoined,
    /// Took it over from another device of the user.
    Moved,
}

/// First media has come to the user directly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallConnected {
    /// Milliseconds since the answer.
    pub after_ms: u64,
}

/// The device's socket dropped; it may resume.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CallLost {}

/// The device is there again.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CallResumed {}

/// The user is out before the call is over; the cause is `left`, `lost` or `node_gone`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CallLeft {}

/// It is over for all who were in it, of whom nothing more is said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallEnded {
    pub reason: EndReason,
    /// Milliseconds since it began.
    pub lasted_ms: u64,
}

/// What devices send was agreed anew; the cause is a `ConfigureCause`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallConfigured {
    /// None: nothing was agreed before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Configuration>,
    pub after: Configuration,
}

/// What one user sends to another takes another way; the cause says why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallPath {
    pub from: String,
    pub to: String,
    pub before: Path,
    pub after: Path,
}

/// Mesh or server. A call of which nothing is said is a mesh. The cause is a sentence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallTopology {
    pub topology: Topology,
}

/// Recording begins or ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallRecorded {
    pub recorded: bool,
}
