//! Who has a direct connection with whom, and in which epoch. What is meant for an earlier epoch
//! is stale: its connection is gone.

use crate::calls::ids::UserId;

use super::refusal::Refusal;

#[derive(Debug, Default)]
pub struct Peers {
    sessions: Vec<PeerSession>,
    /// Numbers are never used twice in a call's life.
    last: u32,
}

#[derive(Debug, Clone)]
pub struct PeerSession {
    pub id: u32,
    /// From 0; another one is another connection.
    pub epoch: u32,
    /// The first makes the first offer.
    pub ends: [UserId; 2],
    /// Passed on in this epoch, of each end.
    candidates: [u16; 2],
}

// === impl Peers ===

impl Peers {
    /// `offerer` came later, so knows that the other is there. None where there is one already.
    pub fn open(&mut self, offerer: &UserId, other: &UserId) -> Option<PeerSession> {
        let there = self.sessions.iter().any(|s| s.has(offerer) && s.has(other));
        if there || offerer == other {
            return None;
        }
        self.last += 1;
        let ends = [offerer.clone(), other.clone()];
        let session = PeerSession { id: self.last, epoch: 0, ends, candidates: [0, 0] };
        self.sessions.push(session.clone());
        Some(session)
    }

    /// Every connection of this user is made anew.
    pub fn renew_of(&mut self, user: &UserId) -> Vec<PeerSession> {
        let of_user = self.sessions.iter_mut().filter(|session| session.has(user));
        of_user.map(PeerSession::renew).collect()
    }

    /// One connection is made anew.
    pub fn renew(
        &mut self,
        user: &UserId,
        session: u32,
        epoch: u32,
    ) -> Result<PeerSession, Refusal> {
        let (session, _) = self.current(user, session, epoch)?;
        Ok(session.renew())
    }

    pub fn close_of(&mut self, user: &UserId) -> Vec<PeerSession> {
        self.sessions.extract_if(.., |session| session.has(user)).collect()
    }

    pub fn close_all(&mut self) -> Vec<PeerSession> {
        std::mem::take(&mut self.sessions)
    }

    /// Whom something of this user goes to.
    pub fn relay(&mut self, user: &UserId, session: u32, epoch: u32) -> Result<UserId, Refusal> {
        let (session, end) = self.current(user, session, epoch)?;
        Ok(session.ends[1 - end].clone())
    }

    /// The same for a candidate, of which there are few.
    pub fn relay_candidate(
        &mut self,
        user: &UserId,
        session: u32,
        epoch: u32,
        most: u16,
    ) -> Result<UserId, Refusal> {
        let (session, end) = self.current(user, session, epoch)?;
        if session.candidates[end] >= most {
            return Err(Refusal::TooManyCandidates(most));
        }
        session.candidates[end] += 1;
        Ok(session.ends[1 - end].clone())
    }

    fn current(
        &mut self,
        user: &UserId,
        session: u32,
        epoch: u32,
    ) -> Result<(&mut PeerSession, usize), Refusal> {
        let found = self.sessions.iter_mut().find(|s| s.id == session && s.has(user));
        let session = found.ok_or(Refusal::UnknownPeer)?;
        if session.epoch != epoch {
            return Err(Refusal::Stale { current: session.epoch });
        }
        let end = usize::from(session.ends[0] != *user);
        Ok((session, end))
    }
}

// === impl PeerSession ===

impl PeerSession {
    fn has(&self, user: &UserId) -> bool {
        self.ends.contains(user)
    }

    fn renew(&mut self) -> Self {
        self.epoch = self.epoch.wrapping_add(1);
        self.candidates = [0, 0];
        self.clone()
    }
}
