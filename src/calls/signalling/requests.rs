//! What a device asks of its call, and whether it may.

use std::time::Instant;

use crate::calls::ids::{Address, UserId};
use crate::calls::messages::{EndReason, LeftCause, Media, OutCause, RingStop, ServerMessage};

use super::Call;
use super::input::{Relayed, Request};
use super::output::{Outputs, Turn};
use super::participant::{Participant, Stage};
use super::refusal::Refusal;

type Decided = Result<(), Refusal>;

// === impl Call ===

impl Call {
    pub(super) fn request(
        &mut self,
        from: &Address,
        request: Request,
        now: Instant,
        out: &mut Outputs,
    ) -> Decided {
        if self.participant(&from.user).is_none() {
            return Err(Refusal::NotInvited);
        }
        // What it says it says over a socket.
        self.back(from, out);
        match request {
            Request::Invite { callees, media } => {
                self.check_in(from)?;
                self.invite(from, callees, media, now, out)
            }
            Request::Accept { media } => {
                self.check_ringing(from)?;
                self.enter(from, media, Turn::Answered, out);
                Ok(())
            }
            Request::Decline => {
                self.check_ringing(from)?;
                self.put_out(&from.user, OutCause::Declined, out);
                Ok(())
            }
            Request::Busy => self.busy(from, out),
            Request::Cancel { user } => self.cancel(from, user.as_ref(), out),
            Request::HangUp => self.hang_up(from, out),
            Request::Leave => {
                self.check_in(from)?;
                let cause = LeftCause::Left;
                out.send(from.clone(), ServerMessage::Left { call: self.id.clone(), cause });
                self.put_out(&from.user, OutCause::Left, out);
                Ok(())
            }
            Request::Rejoin { media } => self.rejoin(from, media, out),
            Request::Media { media } => {
                self.check_in(from)?;
                let Some(participant) = self.participant_mut(&from.user) else { return Ok(()) };
                if std::mem::replace(&mut participant.media, media) == media {
                    return Ok(());
                }
                self.tell_of(&from.user, out);
                Ok(())
            }
            Request::Relay { session, epoch, what } => self.relay(from, session, epoch, what, out),
            Request::Restart { session, epoch } => {
                self.check_in(from)?;
                let session = self.peers.renew(&from.user, session, epoch)?;
                self.tell_peers(&session, out);
                Ok(())
            }
        }
    }

    fn check_in(&self, from: &Address) -> Decided {
        match self.participant(&from.user).and_then(Participant::in_call) {
            Some(address) if address == *from => Ok(()),
            Some(_) => Err(Refusal::OnOtherDevice),
            None => Err(Refusal::NotInCall),
        }
    }

    fn check_ringing(&self, from: &Address) -> Decided {
        let participant = self.participant(&from.user).ok_or(Refusal::NotInvited)?;
        match &participant.stage {
            Stage::Ringing { .. } => {
                let rings = participant.device(&from.device).is_some_and(|device| device.rings);
                if rings { Ok(()) } else { Err(Refusal::NotRinging) }
            }
            Stage::In(device) if *device == from.device => Err(Refusal::AlreadyIn),
            Stage::In(_) => Err(Refusal::AnsweredElsewhere),
            Stage::Out(_) => Err(Refusal::NotRinging),
        }
    }

    fn busy(&mut self, from: &Address, out: &mut Outputs) -> Decided {
        self.check_ringing(from)?;
        let Some(participant) = self.participant_mut(&from.user) else { return Ok(()) };
        if participant.ringing().count() == 1 {
            self.put_out(&from.user, OutCause::Busy, out);
            return Ok(());
        }
        participant.known(&from.device).rings = false;
        let reason = RingStop::Busy;
        out.send(from.clone(), ServerMessage::RingStopped { call: self.id.clone(), reason });
        Ok(())
    }

    fn cancel(&mut self, from: &Address, user: Option<&UserId>, out: &mut Outputs) -> Decided {
        self.check_in(from)?;
        let is_host = from.user == self.host;
        let meant = |p: &&Participant| {
            let Stage::Ringing { by, .. } = &p.stage else { return false };
            (is_host || *by == from.user) && user.is_none_or(|user| p.user == *user)
        };
        let cancelled: Vec<UserId> =
            self.participants.iter().filter(meant).map(|p| p.user.clone()).collect();
        if cancelled.is_empty() {
            return Err(Refusal::NobodyRinging);
        }
        for user in cancelled {
            self.put_out(&user, OutCause::Cancelled, out);
        }
        Ok(())
    }

    fn hang_up(&mut self, from: &Address, out: &mut Outputs) -> Decided {
        self.check_in(from)?;
        let live = self.participants.iter().filter(|p| p.is_in() || p.is_ringing()).count();
        if live > 2 && from.user != self.host {
            return Err(Refusal::OnlyTheHost);
        }
        self.end(EndReason::HungUp, out);
        Ok(())
    }

    /// Whoever was let in once may come back, but for one whose invitation was withdrawn.
    fn rejoin(&mut self, from: &Address, media: Media, out: &mut Outputs) -> Decided {
        let participant = self.participant(&from.user).ok_or(Refusal::NotInvited)?;
        let turn = match &participant.stage {
            Stage::Ringing { .. } => return Err(Refusal::StillRinging),
            Stage::Out(OutCause::Cancelled) => return Err(Refusal::Withdrawn),
            Stage::In(device) if *device != from.device => Turn::Moved,
            Stage::In(_) => Turn::Rejoined,
            Stage::Out(_) => {
                let live = self.participants.iter().filter(|p| p.is_in() || p.is_ringing());
                if live.count() >= self.rules.participants {
                    return Err(Refusal::CallFull(self.rules.participants));
                }
                Turn::Rejoined
            }
        };
        self.enter(from, media, turn, out);
        Ok(())
    }

    fn relay(
        &mut self,
        from: &Address,
        session: u32,
        epoch: u32,
        what: Relayed,
        out: &mut Outputs,
    ) -> Decided {
        self.check_in(from)?;
        let user = &from.user;
        let other = match &what {
            Relayed::Candidate { .. } => {
                self.peers.relay_candidate(user, session, epoch, self.rules.candidates)?
            }
            _ => self.peers.relay(user, session, epoch)?,
        };
        let to = self.participant(&other).and_then(Participant::in_call);
        let to = to.ok_or(Refusal::UnknownPeer)?;
        let (call, from) = (self.id.clone(), user.clone());
        let message = match what {
            Relayed::Offer(sdp) => ServerMessage::Offer { call, session, epoch, from, sdp },
            Relayed::Answer(sdp) => ServerMessage::Answer { call, session, epoch, from, sdp },
            Relayed::Candidate { candidate, mid } => {
                ServerMessage::Candidate { call, session, epoch, from, candidate, mid }
            }
        };
        out.send(to, message);
        Ok(())
    }
}
