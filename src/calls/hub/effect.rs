//! What the hub wants done, and what it wants known.

use std::time::Duration;

use crate::calls::ids::{Address, CallId, DeviceId, NodeId, UserId};
use crate::calls::messages::{EndReason, ErrorCode, Network, Sentence, Topology};
use crate::calls::negotiation::Change;
use crate::calls::path::Move;
use crate::calls::signalling::Event;

use super::nodes::{Card, Fault, Wire};

/// A web socket, by a number that is never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId(pub u64);

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// There is something for the socket: see [`super::Hub::poll_message`].
    Wake(SocketId),
    /// There may be chat for the socket's device: see [`super::Hub::chat_turn`].
    Chat(SocketId),
    /// The socket is to be closed, after what there is for it.
    Close(SocketId, Close),
    /// What the call needs of the call server is another: see [`super::Hub::media_of`].
    Media(CallId),
    /// Another node is to be told.
    Send {
        to: NodeId,
        wire: Box<Wire>,
    },
    /// The device is here, and this is to stand in the directory.
    Register {
        address: Address,
        card: Card,
    },
    /// This is to stand in the directory of a device without a socket, unless it is on another node.
    Amend {
        address: Address,
        card: Card,
    },
    /// Its socket is gone: another node may have it by now.
    Detached(Address),
    /// It isn't any more.
    Unregister(Address),
    /// Its user's devices on other nodes may be rung: their nodes are to know of this one, too.
    Arrived(Address),
    Note(Note),
}

/// Why the server closes a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Close {
    /// The server ends.
    Stopping,
    /// A message that can't be taken in, so that the next can't be found.
    TooLong,
    /// Nobody signed in over it.
    NoHello,
    /// What waits for the device is more than is kept.
    TooSlow,
    /// The session goes on over another socket, or the device began another.
    Replaced,
    /// It went on sending what was refused.
    Flood,
    /// Nothing was heard.
    Silent,
    /// The user signed the device out.
    SignedOut,
    /// Its token is good no longer, and no other came.
    Expired,
}

/// For metrics, logs and events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    Refused(ErrorCode),
    /// Something that another node said.
    NotFollowed(Fault),
    Started {
        call: CallId,
        by: Option<Address>,
    },
    /// A device is told that the call wants it.
    Rings {
        call: CallId,
        address: Address,
    },
    Turn {
        call: CallId,
        event: Event,
    },
    /// Someone answered, after so long.
    Answered {
        call: CallId,
        user: UserId,
        device: Option<DeviceId>,
        after: Duration,
    },
    /// From the answer to the first media that came directly.
    Connected {
        call: CallId,
        address: Address,
        after: Duration,
    },
    /// A turn in a device's stay here.
    Device {
        address: Address,
        step: Step,
    },
    Configured {
        call: CallId,
        change: Change,
    },
    /// A direction takes another way.
    Moved {
        call: CallId,
        from: UserId,
        to: UserId,
        step: Move,
    },
    /// Mesh or server, and why.
    Arranged {
        call: CallId,
        topology: Topology,
        reason: Sentence,
    },
    Ended {
        call: CallId,
        reason: EndReason,
        lasted: Duration,
    },
}

/// What became of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Connected(Network),
    Resumed,
    /// Its socket dropped.
    Lost,
    Gone(Gone),
}

/// Why a device won't come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gone {
    SignedOut,
    /// It is good no longer.
    TokenEnded,
    /// It began another session.
    Replaced,
    TooSlow,
    /// It didn't resume in time.
    Expired,
    Stopping,
}

// === impl Gone ===

impl Gone {
    pub const fn name(self) -> &'static str {
        match self {
            Self::SignedOut => "signed_out",
            Self::TokenEnded => "token_ended",
            Self::Replaced => "replaced",
            Self::TooSlow => "too_slow",
            Self::Expired => "expired",
            Self::Stopping => "stopping",
        }
    }
}

// === impl Close ===

impl Close {
    /// RFC 6455, 7.4: those from 4000 on are an application's own.
    pub const fn code(self) -> u16 {
        match self {
            Self::Stopping => 1001,
            Self::TooLong => 1009,
            Self::NoHello => 4001,
            Self::TooSlow => 4002,
            Self::Replaced => 4003,
            Self::Flood => 4004,
            Self::Silent => 4005,
            Self::SignedOut => 4006,
            Self::Expired => 4007,
        }
    }

    pub const fn reason(self) -> &'static str {
        match self {
            Self::Stopping => "the server stops",
            Self::TooLong => "a message was too long",
            Self::NoHello => "nobody signed in",
            Self::TooSlow => "messages aren't acknowledged",
            Self::Replaced => "the device is connected by another socket",
            Self::Flood => "too many messages",
            Self::Silent => "nothing was heard",
            Self::SignedOut => "the device was signed out",
            Self::Expired => "the token has expired",
        }
    }

    /// The metric label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stopping => "stopping",
            Self::TooLong => "too_long",
            Self::NoHello => "no_hello",
            Self::TooSlow => "too_slow",
            Self::Replaced => "replaced",
            Self::Flood => "flood",
            Self::Silent => "silent",
            Self::SignedOut => "signed_out",
            Self::Expired => "expired",
        }
    }
}
