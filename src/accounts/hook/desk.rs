//! The operator's user service as the daemon's rooms ask it: reached by TCP or TLS, a bounded
//! number of questions at a time, and of each user so many.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use stentor_protocol::units::Secret;
use tokio::sync::Semaphore;

use super::remembered::Remembered;
use super::{Line, Question, ServiceError, verdict};
use crate::accounts::{Moment, RingRefusal};
use crate::calls::ids::{Address, CallId};
use crate::identity::UserId;
use crate::limit::Limit;

pub struct UserService {
    line: Line,
    /// Questions that are asked at present.
    turns: Semaphore,
    /// Locked for itself, and never across an await.
    questions: Mutex<Limit<UserId>>,
    /// The same.
    remembered: Mutex<Remembered>,
}

/// More wait.
const TURNS: usize = 64;

// === impl UserService ===

impl UserService {
    /// `authorities` is a PEM file with the certificates that are trusted.
    pub fn new(
        url: &str,
        secret: &Secret,
        authorities: &Path,
        timeout: Duration,
        questions: Limit<UserId>,
    ) -> Result<Self, ServiceError> {
        let line = Line::new(url, secret, authorities, timeout)?;
        let (turns, questions) = (Semaphore::new(TURNS), Mutex::new(questions));
        Ok(Self { line, turns, questions, remembered: Mutex::default() })
    }

    /// Whether the caller may ring the callee now.
    pub async fn may_ring(
        &self,
        call: Option<&CallId>,
        caller: &Address,
        callee: &UserId,
        moment: Moment,
    ) -> Result<(), RingRefusal> {
        let Address { user, device } = caller.clone();
        let (call, callee) = (call.cloned(), callee.clone());
        let version = Question::VERSION;
        self.ask(Question::Ring { version, call, caller: user, device, callee }, moment).await
    }

    /// Whether one may write to the other now.
    pub async fn may_write(
        &self,
        sender: &Address,
        recipient: &UserId,
        moment: Moment,
    ) -> Result<(), RingRefusal> {
        let Address { user, device } = sender.clone();
        let version = Question::VERSION;
        let question =
            Question::Write { version, sender: user, device, recipient: recipient.clone() };
        let verdict = self.ask(question, moment).await;
        self.remembered().note(&sender.user, recipient, &verdict, moment.now);
        verdict
    }

    /// Whether the other may see that one writes: by what the service said of the two a moment
    /// ago, and only where it said nothing by asking.
    pub async fn may_show_typing(
        &self,
        sender: &Address,
        recipient: &UserId,
        moment: Moment,
    ) -> Result<(), RingRefusal> {
        let known = self.remembered().get(&sender.user, recipient, moment.now);
        match known {
            Some(verdict) => verdict,
            None => self.may_write(sender, recipient, moment).await,
        }
    }

    fn remembered(&self) -> MutexGuard<'_, Remembered> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask(&self, question: Question, moment: Moment) -> Result<(), RingRefusal> {
        {
            let mut questions = self.questions.lock().unwrap_or_else(PoisonError::into_inner);
            let taken = questions.take(question.asker().clone(), 1.0, moment.now);
            taken.map_err(|wait| RingRefusal::TooOften { wait })?;
        }
        let turn = tokio::time::timeout(self.line.timeout(), self.turns.acquire()).await;
        let Ok(Ok(_turn)) = turn else { return Err(RingRefusal::Undecided) };
        verdict(&self.line.ask(&question, moment.wall).await)
    }
}
