//! Why a call doesn't do what a device asks.

use crate::calls::ids::CallId;
use crate::calls::messages::{EndReason, ErrorCode, Sentence, ServerMessage};

/// The client's fault, or bad luck: two things crossed on the way. Trying again doesn't help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the call is over: {}", why(*.0))]
    CallOver(EndReason),
    #[error("the user wasn't invited to this call")]
    NotInvited,
    #[error("the call doesn't ring on this device")]
    NotRinging,
    #[error("the call still rings: accept or decline it")]
    StillRinging,
    #[error("another device of the user has answered")]
    AnsweredElsewhere,
    #[error("the user is in the call already")]
    AlreadyIn,
    #[error("the user isn't in the call")]
    NotInCall,
    #[error("the user is in the call on another device")]
    OnOtherDevice,
    #[error("only its host ends a call of more than two; leave it instead")]
    OnlyTheHost,
    #[error("nobody is rung whose invitation this user may withdraw")]
    NobodyRinging,
    #[error("everybody named is in the call or rung already")]
    NobodyNew,
    #[error("the call is full: {0} may be in it")]
    CallFull(usize),
    #[error("the invitation was withdrawn")]
    Withdrawn,
    #[error("the call has no such peer session of this user")]
    UnknownPeer,
    #[error("the peer session is in epoch {current}")]
    Stale { current: u32 },
    #[error("at most {0} candidates are passed on")]
    TooManyCandidates(u16),
}

fn why(reason: EndReason) -> &'static str {
    match reason {
        EndReason::HungUp => "someone hung up",
        EndReason::EverybodyLeft => "everybody left",
        EndReason::Cancelled => "it was cancelled",
        EndReason::Declined => "it was declined",
        EndReason::Busy => "the other was busy",
        EndReason::DoNotDisturb => "the other isn't to be disturbed",
        EndReason::NoAnswer => "nobody answered",
        EndReason::Unreachable => "the other couldn't be reached",
        EndReason::Lost => "the other's connection was lost",
        EndReason::NodeGone => "a server went",
        EndReason::Crossed => "the other one's call goes on",
        EndReason::ServerStopping => "the server stops",
    }
}

// === impl Refusal ===

impl Refusal {
    pub fn code(self) -> ErrorCode {
        match self {
            Self::CallOver(_) => ErrorCode::CallOver,
            Self::NotInvited => ErrorCode::NotInvited,
            Self::NotRinging => ErrorCode::NotRinging,
            Self::StillRinging => ErrorCode::StillRinging,
            Self::AnsweredElsewhere => ErrorCode::AnsweredElsewhere,
            Self::AlreadyIn => ErrorCode::AlreadyIn,
            Self::NotInCall => ErrorCode::NotInCall,
            Self::OnOtherDevice => ErrorCode::OnOtherDevice,
            Self::OnlyTheHost => ErrorCode::OnlyTheHost,
            Self::NobodyRinging => ErrorCode::NobodyRinging,
            Self::NobodyNew => ErrorCode::NobodyNew,
            Self::CallFull(_) => ErrorCode::CallFull,
            Self::Withdrawn => ErrorCode::Withdrawn,
            Self::UnknownPeer => ErrorCode::UnknownPeer,
            Self::Stale { .. } => ErrorCode::Stale,
            Self::TooManyCandidates(_) => ErrorCode::TooManyCandidates,
        }
    }

    /// What the client is told. None: offers, answers and candidates that crossed with a restart
    /// are dropped, since the client hears of the new epoch anyway.
    pub fn answer(self, call: &CallId) -> Option<ServerMessage> {
        let told = !matches!(self, Self::Stale { .. });
        told.then(|| ServerMessage::Error {
            code: self.code(),
            detail: Sentence::cut(&self.to_string()),
            call: Some(call.clone()),
            user: None,
        })
    }
}
