//! The accounts of another node, as this one asks for them.
//!
//! Where that node is away, this one doesn't wait for it with each question: one task greets it
//! again and again, and what is asked meanwhile fails at once. Calls go on, and tokens are checked
//! by the key that the node gave when it was last there, which a restart outlives.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{Notify, watch};
use tracing::{error, info, warn};
use warp::http::{HeaderName, HeaderValue, StatusCode};
use warp::reply::Response;

use super::question::{Forwarded, Greeting, Passed, Question};
use crate::accounts::{Lane, Line, LineError};
use crate::calls::ids::Address;
use crate::http::access::KeyOfOthers;
use crate::http::problem::{Kind, Problem};
use crate::http::reply::{self, Answer};
use crate::http::request::Request;
use crate::http::state::State;
use crate::telemetry::accounts::AccountMetrics;

pub struct AccountsElsewhere {
    line: Line,
    key: Arc<KeyOfOthers>,
    /// Where the key is kept.
    file: Option<PathBuf>,
    /// Locked for itself, and never across an await.
    greeting: Mutex<Greeting>,
    up: watch::Sender<bool>,
    /// It is there, and takes no questions of this one's.
    refuses: AtomicBool,
    /// Something failed: the node is to be greeted at once.
    doubt: Notify,
    metrics: AccountMetrics,
}

/// There is no answer: a dependency's fault, and to be tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Away {
    /// Nobody is there who would know better.
    #[error("the server that has the accounts can't be asked at present")]
    Silent,
    /// It is there, and doesn't say.
    #[error("the server that has the accounts doesn't answer at present")]
    Refusing,
}

/// Between two greetings.
const GREET: Duration = Duration::from_secs(2);

// === impl AccountsElsewhere ===

impl AccountsElsewhere {
    /// With the key that was kept in `file`, until the node says another.
    pub fn new(
        line: Line,
        key: Arc<KeyOfOthers>,
        file: Option<PathBuf>,
        metrics: AccountMetrics,
    ) -> Self {
        if let Some(kept) = file.as_ref().and_then(|file| std::fs::read_to_string(file).ok()) {
            key.set(Some(&kept));
        }
        metrics.up.set(0);
        let (greeting, up) = (Mutex::default(), watch::Sender::new(false));
        let (refuses, doubt) = (AtomicBool::new(false), Notify::new());
        Self { line, key, file, greeting, up, refuses, doubt, metrics }
    }

    /// The operator's to mend: whatever is asked is refused until then.
    pub fn refuses(&self) -> bool {
        self.refuses.load(Ordering::Relaxed)
    }

    pub fn is_up(&self) -> bool {
        *self.up.borrow()
    }

    pub fn features(&self) -> Vec<String> {
        self.greeting().features.clone()
    }

    /// Changes as the node is there, or isn't.
    pub fn health(&self) -> watch::Receiver<bool> {
        self.up.subscribe()
    }

    /// Greets the node for as long as this one runs. Never ends.
    pub async fn keep_in_touch(&self) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(GREET) => {}
                () = self.doubt.notified() => {}
            }
            self.greet().await;
        }
    }

    /// Asks whether it is there, and what it is like.
    pub async fn greet(&self) {
        match self.exchange::<Greeting>(&Question::Greet {}).await {
            Ok(greeting) => {
                if *self.greeting() != greeting {
                    self.key.set(greeting.key.as_deref());
                    self.keep(greeting.key.as_deref());
                    *self.greeting() = greeting;
                }
                self.set_refuses(false);
                self.set_up(true);
            }
            Err(error) => self.miss(&error),
        }
    }

    /// A greeting wasn't answered as it should be.
    fn miss(&self, error: &LineError) {
        if self.is_up() {
            warn!(%error, "accounts");
        }
        let refuses = match error {
            LineError::Refused(400..=404) => true,
            // It was asked too often, and says nothing else by it.
            LineError::Refused(429) => self.refuses(),
            _ => false,
        };
        if self.set_refuses(refuses) && refuses {
            error!(
                %error,
                "the node with the accounts refuses this one: is accounts.at.secret_file its \
                 accounts.nodes_secret_file, is it at accounts.at.url, and do the clocks agree?"
            );
        }
        self.set_up(false);
    }

    /// Asks, where the node is there.
    pub async fn ask<T: DeserializeOwned>(&self, question: &Question) -> Result<T, Away> {
        if !self.is_up() {
            return Err(if self.refuses() { Away::Refusing } else { Away::Silent });
        }
        self.exchange(question).await.map_err(|error| {
            self.metrics.database_errors.inc();
            warn!(%error, "accounts");
            match error {
                LineError::Unreachable(_) => {
                    self.set_up(false);
                    self.doubt.notify_one();
                    Away::Silent
                }
                // One slow answer says nothing of others: the greeting does.
                LineError::Timeout => {
                    self.doubt.notify_one();
                    Away::Silent
                }
                LineError::Refused(_) | LineError::TooLong | LineError::Unreadable(_) => {
                    Away::Refusing
                }
            }
        })
    }

    /// Whether the device is one that is signed in. Where nobody is there to ask, its token, which
    /// was checked, is what there is to go by. `connects`: it is seen at this moment.
    pub async fn knows_device(&self, address: Address, connects: bool) -> Result<bool, Away> {
        match self.ask(&Question::SignedIn { address, connects }).await {
            Err(Away::Silent) => Ok(true),
            answered => answered,
        }
    }

    /// Has a client's request answered where the accounts are.
    pub async fn forward(&self, state: &State, request: &mut Request) -> Answer {
        let text = |value: &HeaderValue| value.to_str().map(str::to_owned).ok();
        let headers = &request.headers;
        let content_type = headers.get(warp::http::header::CONTENT_TYPE).and_then(text);
        let forwarded = Forwarded {
            method: request.method.to_string(),
            path: request.path.clone(),
            authorization: request.authorization().map(str::to_owned),
            content_type,
            client: state.client(request),
            body: request.utf8().await?,
        };
        let passed: Passed =
            self.ask(&Question::Request(forwarded)).await.map_err(Away::problem)?;
        Ok(response(passed))
    }

    async fn exchange<T: DeserializeOwned>(&self, question: &Question) -> Result<T, LineError> {
        let answer = self.line.ask(written(question), lane(question)).await?;
        let read = serde_json::from_slice(&answer);
        read.map_err(|error| LineError::Unreadable(error.to_string()))
    }

    /// Gives whether that is news.
    fn set_refuses(&self, refuses: bool) -> bool {
        self.metrics.refused.set(i64::from(refuses));
        self.refuses.swap(refuses, Ordering::Relaxed) != refuses
    }

    fn set_up(&self, up: bool) {
        self.metrics.up.set(i64::from(up));
        let changed = self.up.send_if_modified(|before| std::mem::replace(before, up) != up);
        if changed && up {
            info!("the node with the accounts is there");
        }
    }

    fn keep(&self, key: Option<&str>) {
        let Some(file) = &self.file else { return };
        let kept = match key {
            Some(key) => std::fs::write(file, key),
            None if file.exists() => std::fs::remove_file(file),
            None => Ok(()),
        };
        if let Err(error) = kept {
            warn!(%error, file = %file.display(), "the accounts' key isn't kept");
        }
    }

    fn greeting(&self) -> MutexGuard<'_, Greeting> {
        self.greeting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Away ===

impl Away {
    pub fn problem(self) -> Problem {
        Problem::unavailable(Kind::AccountsAway, self.to_string())
    }
}

const fn lane(question: &Question) -> Lane {
    match question {
        Question::Greet {} => Lane::Clear,
        Question::Request(_) | Question::MayRing { .. } => Lane::Long,
        Question::SignedIn { .. }
        | Question::Around { .. }
        | Question::Said(_)
        | Question::Undelivered { .. }
        | Question::CallEnded { .. } => Lane::Quick,
    }
}

fn written(question: &impl Serialize) -> Vec<u8> {
    // Our own types: none has a map with keys that aren't strings.
    serde_json::to_vec(question).unwrap_or_default()
}

fn response(passed: Passed) -> Response {
    let mut response = Response::new(passed.body.into());
    *response.status_mut() = StatusCode::from_u16(passed.status).unwrap_or(StatusCode::BAD_GATEWAY);
    for (name, value) in passed.headers {
        if let Ok(name) = HeaderName::try_from(name) {
            reply::add(&mut response, name, value);
        }
    }
    response
}

#[cfg(test)]
mod tests;
