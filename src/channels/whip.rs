//! Publishers' sessions on one worker.

use std::collections::HashMap;

use stentor_protocol::control::Fault;
use tokio::sync::oneshot;

/// Sessions at once, live ones and those whose offer is being answered. A worker lets one
/// publish; the others are on their way in or out.
const MAX_SESSIONS: usize = 16;

/// Why a publisher is refused, or why a wish of it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WhipError {
    #[error("channel {0} takes no WHIP publishers: its source is another")]
    NotWhip(String),
    /// The worker's word.
    #[error("{reason}")]
    Refused { fault: Fault, reason: String },
    #[error("there is no such publishing session")]
    NoSession,
    /// This server's fault, worth a retry.
    #[error("the channel's worker did not answer in time")]
    Timeout,
    /// This server's fault, worth a retry.
    #[error("the channel's worker ended")]
    WorkerGone,
    /// This server's limit, worth a retry.
    #[error("too many publishers knock at once")]
    TooMany,
}

type Answer = Result<String, WhipError>;

#[derive(Debug, Default)]
pub struct WhipSessions {
    sessions: HashMap<String, Session>,
}

#[derive(Debug)]
struct Session {
    /// The offer's `ice-ufrag`: another one in a PATCH is an ICE restart.
    ice_ufrag: String,
    /// The offer, while no worker has been given it.
    unsent: Option<String>,
    waiting: Option<oneshot::Sender<Answer>>,
}

// === impl WhipSessions ===

impl WhipSessions {
    /// Takes a publisher in. The answer, or that there are too many, comes through `reply`.
    pub fn handle_offer(
        &mut self,
        session: &str,
        ice_ufrag: String,
        sdp: String,
        reply: oneshot::Sender<Answer>,
    ) {
        self.sessions.retain(|_, s| s.waiting.as_ref().is_none_or(|w| !w.is_closed()));
        if self.sessions.len() >= MAX_SESSIONS {
            // Whoever asked may have gone; then nobody needs to know.
            let _ = reply.send(Err(WhipError::TooMany));
            return;
        }
        let session_of_offer = Session { ice_ufrag, unsent: Some(sdp), waiting: Some(reply) };
        self.sessions.insert(session.to_owned(), session_of_offer);
    }

    /// The next offer for the worker, with its session. Call until None where there is a worker;
    /// a worker that is being started is waited for as long as the publisher waits.
    pub fn poll_offer(&mut self) -> Option<(String, String)> {
        self.sessions
            .iter_mut()
            .find_map(|(name, session)| session.unsent.take().map(|sdp| (name.clone(), sdp)))
    }

    /// True: nobody waits for this answer any more, so the worker should close the session.
    pub fn handle_answer(&mut self, session: &str, sdp: String) -> bool {
        let waiting = self.sessions.get_mut(session).and_then(|s| s.waiting.take());
        let taken = waiting.is_some_and(|w| w.send(Ok(sdp)).is_ok());
        if !taken {
            self.sessions.remove(session);
        }
        !taken
    }

    pub fn handle_refusal(&mut self, session: &str, fault: Fault, reason: String) {
        self.fail(session, WhipError::Refused { fault, reason });
    }

    /// True: there was such a session.
    pub fn handle_end(&mut self, session: &str) -> bool {
        let existed = self.sessions.contains_key(session);
        self.fail(session, WhipError::WorkerGone);
        existed
    }

    /// Ends what the worker had. Offers that it was not given yet wait for the next one.
    pub fn handle_worker_end(&mut self) {
        self.fail_where(|session| session.unsent.is_none());
    }

    /// No worker will come: nobody is left waiting for one.
    pub fn handle_refusal_of_channel(&mut self) {
        self.fail_where(|_| true);
    }

    /// The `ice-ufrag` of a session, which proves that it exists.
    pub fn ice_ufrag(&self, session: &str) -> Option<&str> {
        self.sessions.get(session).map(|s| s.ice_ufrag.as_str())
    }

    fn fail_where(&mut self, over: impl Fn(&Session) -> bool) {
        for (_, session) in self.sessions.extract_if(|_, session| over(session)) {
            if let Some(waiting) = session.waiting {
                let _ = waiting.send(Err(WhipError::WorkerGone));
            }
        }
    }

    fn fail(&mut self, session: &str, error: WhipError) {
        let waiting = self.sessions.remove(session).and_then(|s| s.waiting);
        if let Some(waiting) = waiting {
            let _ = waiting.send(Err(error));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(sessions: &mut WhipSessions, name: &str) -> oneshot::Receiver<Answer> {
        let (reply, answer) = oneshot::channel();
        sessions.handle_offer(name, "u".into(), "offer".into(), reply);
        answer
    }

    #[test]
    fn an_answer_reaches_who_offered_and_the_session_lives_until_it_ends() {
        let mut sessions = WhipSessions::default();
        let mut answer = offer(&mut sessions, "a");
        assert!(!sessions.handle_answer("a", "sdp".into()));
        assert_eq!(answer.try_recv().unwrap(), Ok("sdp".into()));
        assert_eq!(sessions.ice_ufrag("a"), Some("u"));
        assert!(sessions.handle_end("a"));
        assert!(!sessions.handle_end("a"));
        assert_eq!(sessions.ice_ufrag("a"), None);
    }

    #[test]
    fn an_answer_that_comes_too_late_closes_the_session() {
        let mut sessions = WhipSessions::default();
        drop(offer(&mut sessions, "a"));
        assert!(sessions.handle_answer("a", "sdp".into()));
        assert_eq!(sessions.ice_ufrag("a"), None);
    }

    #[test]
    fn a_worker_that_ends_leaves_nobody_waiting_whose_offer_it_had() {
        let mut sessions = WhipSessions::default();
        let mut answer = offer(&mut sessions, "a");
        assert_eq!(sessions.poll_offer(), Some(("a".into(), "offer".into())));
        sessions.handle_worker_end();
        assert_eq!(answer.try_recv().unwrap(), Err(WhipError::WorkerGone));
    }

    #[test]
    fn an_offer_waits_for_a_worker_that_is_being_started() {
        let mut sessions = WhipSessions::default();
        let mut answer = offer(&mut sessions, "a");
        sessions.handle_worker_end();
        assert!(answer.try_recv().is_err(), "still waiting");
        assert_eq!(sessions.poll_offer(), Some(("a".into(), "offer".into())));
        assert_eq!(sessions.poll_offer(), None, "each is sent once");
        let mut other = offer(&mut sessions, "b");
        sessions.handle_refusal_of_channel();
        assert_eq!(other.try_recv().unwrap(), Err(WhipError::WorkerGone));
    }

    #[test]
    fn knocking_is_bounded_and_those_who_gave_up_do_not_count() {
        let mut sessions = WhipSessions::default();
        let mut answers: Vec<_> =
            (0..MAX_SESSIONS).map(|i| offer(&mut sessions, &i.to_string())).collect();
        let mut refused = offer(&mut sessions, "x");
        assert_eq!(refused.try_recv().unwrap(), Err(WhipError::TooMany));
        answers.pop();
        let mut taken = offer(&mut sessions, "y");
        assert!(taken.try_recv().is_err(), "still waiting");
    }
}
