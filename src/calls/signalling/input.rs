//! What happens to a call.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::calls::ids::{Address, CallId, DeviceId, UserId};
use crate::calls::messages::{
    CandidateLine, ClientMessage, EndReason, Media, OutCause, Sdp, Sentence, Text256, Topology,
};
use crate::calls::outbox::RESUME_WITHIN;

/// Times and bounds.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// How long a device rings. Default: 45 s.
    pub ring: Duration,
    /// How long a device may be without a socket. Default: 30 s.
    pub resume: Duration,
    /// How long someone waits alone for another to come back. Default: 30 s.
    pub alone: Duration,
    /// In the call or rung at one time. Default: 100.
    pub participants: usize,
    /// Up to so many, each pair may have a direct connection. Default: 16.
    pub mesh: usize,
    /// ICE candidates of one end in one epoch. Default: 100.
    pub candidates: u16,
}

#[derive(Debug, Clone)]
pub enum Input {
    /// A device says something.
    From {
        address: Address,
        request: Request,
    },
    Device {
        address: Address,
        change: DeviceChange,
    },
    /// A node went, and these devices with it.
    NodeGone {
        devices: Vec<Address>,
    },
    Recording(bool),
    Topology {
        topology: Topology,
        reason: Sentence,
    },
    /// Media goes through the server on every side: the direct connections may go.
    DirectNotNeeded,
    /// From outside: the server stops, an operator says so.
    End(EndReason),
    /// Time passed.
    Tick,
}

/// What a device asks of its call.
#[derive(Debug, Clone)]
pub enum Request {
    Invite {
        callees: Vec<Callee>,
        media: Media,
    },
    Accept {
        media: Media,
    },
    Decline,
    Busy,
    /// None: all that this user may withdraw.
    Cancel {
        user: Option<UserId>,
    },
    HangUp,
    Leave,
    Rejoin {
        media: Media,
    },
    Media {
        media: Media,
    },
    Relay {
        session: u32,
        epoch: u32,
        what: Relayed,
    },
    Restart {
        session: u32,
        epoch: u32,
    },
}

/// What goes from one peer to the other as it is.
#[derive(Debug, Clone)]
pub enum Relayed {
    Offer(Sdp),
    Answer(Sdp),
    Candidate { candidate: CandidateLine, mid: Option<Text256> },
}

/// Someone to be rung. Whether the inviter may ring them was decided before.
#[derive(Debug, Clone)]
pub struct Callee {
    pub user: UserId,
    pub reach: Reach,
}

#[derive(Debug, Clone)]
pub enum Reach {
    /// The devices that are connected. None: the user can't be reached.
    Devices(Vec<DeviceId>),
    /// Not to be rung at present: in another call, do-not-disturb.
    Not(OutCause),
}

/// What happened to a device's connection with the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceChange {
    /// It connected.
    Came,
    /// Its socket dropped.
    Lost,
    /// It resumed.
    Back,
    /// It signed out, or its session ended.
    Gone,
}

// === impl Rules ===

impl Default for Rules {
    fn default() -> Self {
        Self {
            ring: Duration::from_secs(45),
            resume: RESUME_WITHIN,
            alone: Duration::from_secs(30),
            participants: 100,
            mesh: 16,
            candidates: 100,
        }
    }
}

// === impl Request ===

impl Request {
    /// What a message asks of which call. None of one that isn't for the call's machine, and of
    /// an invitation: whom it reaches, the directory knows.
    pub fn of(message: ClientMessage) -> Option<(CallId, Self)> {
        let relay = |session, epoch, what| Self::Relay { session, epoch, what };
        Some(match message {
            ClientMessage::Accept { call, media } => (call, Self::Accept { media }),
            ClientMessage::Decline { call } => (call, Self::Decline),
            ClientMessage::Busy { call } => (call, Self::Busy),
            ClientMessage::Cancel { call, user } => (call, Self::Cancel { user }),
            ClientMessage::HangUp { call } => (call, Self::HangUp),
            ClientMessage::Leave { call } => (call, Self::Leave),
            ClientMessage::Rejoin { call, media } => (call, Self::Rejoin { media }),
            ClientMessage::Media { call, media } => (call, Self::Media { media }),
            ClientMessage::Offer { call, session, epoch, sdp } => {
                (call, relay(session, epoch, Relayed::Offer(sdp)))
            }
            ClientMessage::Answer { call, session, epoch, sdp } => {
                (call, relay(session, epoch, Relayed::Answer(sdp)))
            }
            ClientMessage::Candidate { call, session, epoch, candidate, mid } => {
                (call, relay(session, epoch, Relayed::Candidate { candidate, mid }))
            }
            ClientMessage::Restart { call, session, epoch } => {
                (call, Self::Restart { session, epoch })
            }
            _ => return None,
        })
    }
}
