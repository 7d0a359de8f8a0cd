//! Who users are, who may ring whom and who sees whom: whoever decides it.

mod answer;
mod chat;
mod elsewhere;
mod ended;
mod question;
mod requests;

use std::iter::{once, repeat};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::warn;

use super::access::OwnKey;
use super::ws::Board;
use crate::accounts::chat::Chat;
use crate::accounts::hook::{Signer, UserService};
use crate::accounts::{Accounts, Around, DatabaseError, Moment, Person, RingRefusal};
use crate::calls::hub::{Circle, Invitee, Refused, Whereabouts};
use crate::calls::ids::{Address, CallId, DeviceId, UserId};
use crate::calls::messages::{ErrorCode, ServerMessage};
use crate::limit::Limit;
use crate::telemetry::accounts::AccountMetrics;

pub use answer::answer;
pub use chat::{Outcome, Said, Told, Trouble};
pub use elsewhere::AccountsElsewhere;
pub use question::PATH as QUESTIONS;

use elsewhere::Away;
use question::Question;

pub struct People {
    pub decider: Decider,
    /// Other nodes ask this one, and sign by this. None: they don't.
    pub others: Option<Signer>,
    /// None: nothing is kept.
    pub chat: Option<Chat>,
    pub metrics: AccountMetrics,
    /// What one user may write and ask. Locked for itself, and never across an await.
    pub writing: Mutex<Limit<UserId>>,
    /// Whoever looks up what is around a user has that user's lock up to the hub's hearing of it,
    /// so that the last to look is the last to tell.
    looking: Vec<tokio::sync::Mutex<()>>,
}

/// Who decides.
pub enum Decider {
    /// Nobody: all who are signed in know each other.
    Everybody,
    /// The accounts of this server.
    Accounts(Box<UserDesk>),
    /// The operator's own user service.
    Service(Box<UserService>),
    /// The node that has the accounts.
    Elsewhere(Arc<AccountsElsewhere>),
}

/// What signing in takes.
pub struct UserDesk {
    pub accounts: Accounts,
    pub key: OwnKey,
    /// Anybody may make an account.
    pub is_open: bool,
}

/// Whose request it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    pub user: UserId,
    pub device: DeviceId,
}

const LOCKS: usize = 64;
/// For how long the operator's service is asked about one invitation.
const ASKING: Duration = Duration::from_secs(10);

// === impl People ===

impl People {
    pub fn new(
        decider: Decider,
        chat: Option<Chat>,
        metrics: AccountMetrics,
        writing: Limit<UserId>,
    ) -> Self {
        let looking = (0..LOCKS).map(|_| tokio::sync::Mutex::new(())).collect();
        let (others, writing) = (None, Mutex::new(writing));
        Self { decider, others, chat, metrics, writing, looking }
    }

    /// Answers nodes that share this secret.
    pub fn answering(self, others: Signer) -> Self {
        Self { others: Some(others), ..self }
    }

    /// Whether whoever has the accounts can be asked.
    pub fn can_ask(&self) -> bool {
        !matches!(&self.decider, Decider::Elsewhere(node) if !node.is_up())
    }

    /// Whoever has the accounts is there, and takes no questions of this node's.
    pub fn is_refused(&self) -> bool {
        matches!(&self.decider, Decider::Elsewhere(node) if node.refuses())
    }

    /// As a client finds them among the server's.
    pub fn features(&self) -> Vec<String> {
        if let Decider::Elsewhere(node) = &self.decider {
            return node.features();
        }
        let accounts = self.desk().map(|desk| if desk.is_open { 2 } else { 1 }).unwrap_or(0);
        let mut features = vec!["accounts", "sign-up"];
        features.truncate(accounts);
        features.extend(matches!(self.decider, Decider::Service(_)).then_some("user-service"));
        features.extend(self.chat.iter().map(|_| "chat"));
        features.into_iter().map(str::to_owned).collect()
    }

    /// None: this server has no accounts.
    pub fn desk(&self) -> Option<&UserDesk> {
        match &self.decider {
            Decider::Accounts(desk) => Some(desk),
            _ => None,
        }
    }

    /// What a user is called by others; their id where nobody here knows.
    pub async fn name_of(&self, user: &UserId) -> String {
        let called = self.known(user).await.map(|person| match person.display.is_empty() {
            true => person.name,
            false => person.display,
        });
        called.unwrap_or_else(|| user.to_string())
    }

    /// What they sign in by.
    pub async fn login_of(&self, user: &UserId) -> String {
        self.known(user).await.map_or_else(|| user.to_string(), |person| person.name)
    }

    async fn known(&self, user: &UserId) -> Option<Person> {
        self.desk()?.accounts.person(user).await.ok().flatten()
    }

    /// What is known of a newcomer's circle before it is looked up.
    pub fn circle(&self) -> Circle {
        match self.decider {
            Decider::Everybody => Circle::Everybody,
            _ => Circle::Contacts { users: Default::default(), quiet_until: None },
        }
    }

    /// Whether the device is one that may connect.
    pub async fn check_device(&self, address: &Address) -> Result<(), Refused> {
        let known = match &self.decider {
            Decider::Elsewhere(node) => {
                node.knows_device(address.clone(), true).await.map_err(|_| out_of_order())
            }
            _ => self.knows_device(address, true).await.map_err(|error| self.unavailable(&error)),
        };
        match known? {
            true => Ok(()),
            false => Err(Refused::new(ErrorCode::NotAllowed, "the device was signed out")),
        }
    }

    /// Whether the device is its user's, by the accounts of this server. `connects`: it is seen at
    /// this moment.
    async fn knows_device(
        &self,
        Address { user, device }: &Address,
        connects: bool,
    ) -> Result<bool, DatabaseError> {
        let Some(desk) = self.desk() else { return Ok(true) };
        if connects {
            desk.accounts.is_signed_in(user, device, Moment::now()).await
        } else {
            desk.accounts.has_device(user, device).await
        }
    }

    /// Whom of these the caller may ring.
    pub async fn invitees(
        &self,
        caller: &Address,
        call: Option<&CallId>,
        users: Vec<UserId>,
    ) -> Vec<Invitee> {
        let now = Moment::now();
        let answers = match &self.decider {
            Decider::Everybody => vec![Ok(()); users.len()],
            Decider::Accounts(desk) => {
                let others = users.iter().filter(|user| **user != caller.user).cloned().collect();
                match desk.accounts.may_ring_all(&caller.user, others, now).await {
                    Ok(answers) => with_oneself(&users, &caller.user, answers),
                    // The first no is the answer, and is counted.
                    Err(refusal) => {
                        once(Err(refusal)).chain(repeat(Ok(()))).take(users.len()).collect()
                    }
                }
            }
            Decider::Service(service) => ask_all(service, caller, call, &users).await,
            Decider::Elsewhere(node) => return ask_there(node, caller, call, users).await,
        };
        let named = users.into_iter().zip(answers);
        named.map(|(user, answer)| self.invitee(user, answer)).collect()
    }

    fn invitee(&self, user: UserId, answer: Result<(), RingRefusal>) -> Invitee {
        let allowed = answer.map_err(|refusal| {
            self.metrics.ring_refusals.with_label_values(&[refusal.label()]).inc();
            Refused { user: Some(user.clone()), ..self.refused(&refusal) }
        });
        Invitee { user, allowed, elsewhere: Whereabouts::default() }
    }

    /// As the client is told.
    pub fn refused(&self, refusal: &RingRefusal) -> Refused {
        let code = match refusal {
            RingRefusal::Yourself => ErrorCode::Yourself,
            RingRefusal::NotContacts => ErrorCode::NotContacts,
            RingRefusal::BlockedByCallee => ErrorCode::BlockedByCallee,
            RingRefusal::BlockedByCaller => ErrorCode::BlockedByCaller,
            RingRefusal::DoNotDisturb { .. } => ErrorCode::DoNotDisturb,
            RingRefusal::TooOften { .. } => ErrorCode::TooManyRequests,
            RingRefusal::Denied { .. } => ErrorCode::Denied,
            RingRefusal::Undecided => ErrorCode::Undecided,
            RingRefusal::Database(error) => {
                self.count(error);
                return out_of_order();
            }
        };
        Refused::new(code, refusal.to_string())
    }

    pub fn unavailable(&self, error: &DatabaseError) -> Refused {
        self.count(error);
        out_of_order()
    }

    /// What the client isn't told: it is the server's own.
    pub fn count(&self, error: &dyn std::fmt::Display) {
        self.metrics.database_errors.inc();
        warn!(%error, "accounts");
    }

    /// Takes from what the user may write at a time, of which a message costs 1.
    pub fn take_writing(&self, user: &UserId, cost: f64) -> Result<(), Refused> {
        let mut writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        writing.take(user.clone(), cost, Instant::now()).map_err(|wait| {
            let detail = format!("too many messages, wait {} s", wait.as_secs() + 1);
            Refused::new(ErrorCode::TooManyRequests, detail)
        })
    }

    /// Looks up what is around a user and lets the hub know; those of the user's devices that have
    /// been signed out are put out.
    pub async fn refresh(&self, board: &Board, user: &UserId) {
        let lock = user.as_str().bytes().fold(0, |sum: usize, b| sum * 31 % 8191 + usize::from(b));
        let _held = self.looking[lock % LOCKS].lock().await;
        // What signs in meanwhile may be known of after what is looked up now.
        let devices = board.with(|hub, _| hub.devices_of(user));
        let Some(around) = self.around(user).await else { return };
        let wall = Moment::now().wall;
        let left = around.undisturbed_until.and_then(|until| until.duration_since(wall).ok());
        // Further than the clock goes is for good.
        let quiet_until = left.map(|left| Instant::now() + left.min(CENTURY));
        let circle = Circle::Contacts { users: around.contacts, quiet_until };
        board.with(|hub, now| hub.set_circle(user, circle, now));
        for device in devices.into_iter().filter(|device| !around.devices.contains(device)) {
            let user = user.clone();
            board.with(|hub, now| hub.sign_out(&Address { user, device }, now));
        }
    }

    /// None where nobody has contacts, or that isn't known at present.
    async fn around(&self, user: &UserId) -> Option<Around> {
        if let Decider::Elsewhere(node) = &self.decider {
            return node.ask(&Question::Around { user: user.clone() }).await.ok()?;
        }
        self.around_here(user).await.unwrap_or_else(|error| {
            self.count(&error);
            None
        })
    }

    async fn around_here(&self, user: &UserId) -> Result<Option<Around>, DatabaseError> {
        match self.desk() {
            Some(desk) => desk.accounts.around(user).await.map(Some),
            None => Ok(None),
        }
    }

    /// Something about these users' contacts changed: they see others or no longer, and all of
    /// their devices are told to look again.
    pub async fn contacts_changed(&self, board: Option<&Board>, users: &[&UserId]) {
        let Some(board) = board else { return };
        for user in users {
            self.look_again(board, user).await;
        }
        board.outside.look(users.iter().map(|user| (*user).clone()).collect()).await;
    }

    /// A user's contacts or devices aren't what they were.
    pub async fn look_again(&self, board: &Board, user: &UserId) {
        self.refresh(board, user).await;
        board.with(|hub, _| hub.tell(user, None, &ServerMessage::ContactsChanged {}));
    }

    /// Follows the node that has the accounts: when it is back, everything is looked up anew. Never
    /// ends; nothing is to be done where the accounts are here.
    pub async fn keep_in_touch(&self, board: &Board) {
        let Decider::Elsewhere(node) = &self.decider else { return };
        let mut health = node.health();
        let follow = async {
            while health.changed().await.is_ok() {
                if !*health.borrow_and_update() {
                    continue;
                }
                for user in board.with(|hub, _| hub.users_here()) {
                    self.refresh(board, &user).await;
                    board.with(|hub, _| hub.nudge_chat(&user));
                }
            }
        };
        tokio::join!(node.keep_in_touch(), follow);
    }
}

const CENTURY: Duration = Duration::from_secs(100 * 365 * 86_400);

/// Asks of one after another; the first no is the answer to all, and so is having asked for long.
async fn ask_all(
    service: &UserService,
    caller: &Address,
    call: Option<&CallId>,
    users: &[UserId],
) -> Vec<Result<(), RingRefusal>> {
    let began = Instant::now();
    let mut answers = Vec::with_capacity(users.len());
    for user in users {
        if *user == caller.user {
            answers.push(Ok(()));
        } else if began.elapsed() > ASKING {
            answers.push(Err(RingRefusal::Undecided));
        } else {
            answers.push(service.may_ring(call, caller, user, Moment::now()).await);
        }
        if answers.last().is_some_and(Result::is_err) {
            break;
        }
    }
    answers.resize(users.len(), Ok(()));
    answers
}

/// The same of the node that has the accounts.
async fn ask_there(
    node: &AccountsElsewhere,
    caller: &Address,
    call: Option<&CallId>,
    users: Vec<UserId>,
) -> Vec<Invitee> {
    let question = Question::MayRing {
        caller: caller.clone(),
        call: call.cloned(),
        // As many as a message names.
        users: users.clone().try_into().unwrap_or_default(),
    };
    let answers: Result<Vec<Option<Refused>>, Away> = node.ask(&question).await;
    let answers = answers.ok().filter(|answers| answers.len() == users.len());
    let answers = answers.unwrap_or_else(|| vec![Some(out_of_order()); users.len()]);
    let allowed = users.into_iter().zip(answers);
    let elsewhere = Whereabouts::default;
    let invitee = |(user, refused): (UserId, Option<Refused>)| {
        let allowed = refused.map_or(Ok(()), Err);
        Invitee { user, allowed, elsewhere: elsewhere() }
    };
    allowed.map(invitee).collect()
}

/// Puts a yes in the place of oneself, of whom nobody was asked: the hub sorts that out.
fn with_oneself(
    users: &[UserId],
    own: &UserId,
    answers: Vec<Result<(), RingRefusal>>,
) -> Vec<Result<(), RingRefusal>> {
    let mut answers = answers.into_iter();
    let answer =
        |user: &UserId| if user == own { Ok(()) } else { answers.next().unwrap_or(Ok(())) };
    users.iter().map(answer).collect()
}

fn out_of_order() -> Refused {
    Refused::new(ErrorCode::Unavailable, "the server can't look that up at present")
}
