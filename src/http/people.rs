//! Who users are, who may ring whom and who sees whom: whoever decides it.

use std::iter::{once, repeat};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::warn;

use super::access::{self, Need, OwnKey, Role};
use super::problem::{Kind, Problem};
use super::request::Request;
use super::state::State;
use super::ws::Board;
use crate::accounts::chat::Chat;
use crate::accounts::hook::UserService;
use crate::accounts::{Accounts, DatabaseError, Moment, Person, RingRefusal};
use crate::calls::hub::{Circle, Invitee, Refused, Whereabouts};
use crate::calls::ids::{Address, CallId, DeviceId, UserId};
use crate::calls::messages::{ErrorCode, ServerMessage};
use crate::limit::Limit;
use crate::telemetry::accounts::AccountMetrics;

pub struct People {
    pub decider: Decider,
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
        Self { decider, chat, metrics, writing: Mutex::new(writing), looking }
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
        let Some(desk) = self.desk() else { return Ok(()) };
        match desk.accounts.is_signed_in(&address.user, &address.device, Moment::now()).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Refused::new(ErrorCode::NotAllowed, "the device was signed out")),
            Err(error) => Err(self.unavailable(&error)),
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

    /// Looks up what is around a user and lets the hub know; the device, where one is given, is
    /// put out if it has been signed out meanwhile.
    pub async fn refresh(&self, board: &Board, user: &UserId, device: Option<&DeviceId>) {
        let Some(desk) = self.desk() else { return };
        let lock = user.as_str().bytes().fold(0, |sum: usize, b| sum * 31 % 8191 + usize::from(b));
        let _held = self.looking[lock % LOCKS].lock().await;
        let around = match desk.accounts.around(user).await {
            Ok(around) => around,
            Err(error) => return self.count(&error),
        };
        let wall = Moment::now().wall;
        let left = around.undisturbed_until.and_then(|until| until.duration_since(wall).ok());
        // Further than the clock goes is for good.
        let quiet_until = left.map(|left| Instant::now() + left.min(CENTURY));
        let circle = Circle::Contacts { users: around.contacts, quiet_until };
        board.with(|hub, now| hub.set_circle(user, circle, now));
        if let Some(device) = device.filter(|device| !around.devices.contains(*device)) {
            let (user, device) = (user.clone(), device.clone());
            board.with(|hub, now| hub.sign_out(&Address { user, device }, now));
        }
    }

    /// Something about these users' contacts changed: they see others or no longer, and all of
    /// their devices are told to look again.
    pub async fn contacts_changed(&self, board: Option<&Board>, users: &[&UserId]) {
        let Some(board) = board else { return };
        for user in users {
            self.refresh(board, user, None).await;
            board.with(|hub, _| hub.tell(user, None, &ServerMessage::ContactsChanged {}));
        }
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

// === impl State ===

impl State {
    /// A token that an account's device shows is good while the device is signed in.
    pub async fn check_device(&self, request: &Request) -> Result<(), Problem> {
        let (Some(desk), Some(text)) = (self.people.desk(), request.authorization()) else {
            return Ok(());
        };
        // What is no good token is refused where one is needed.
        let Ok(claims) = self.access.claims(Some(text)) else { return Ok(()) };
        let (Role::User, Some(user)) = (claims.role, claims.user) else { return Ok(()) };
        let known = match &claims.device {
            Some(device) => desk.accounts.has_device(&user, device).await,
            None => Ok(false),
        };
        match known {
            Ok(true) => Ok(()),
            Ok(false) => {
                let challenge = "Bearer realm=\"stentor\", error=\"invalid_token\"".to_owned();
                let detail = "the device was signed out";
                Err(Problem::unauthorized(Kind::InvalidToken, challenge, detail))
            }
            Err(error) => Err(self.database_problem(&error)),
        }
    }

    pub fn desk(&self) -> Result<&UserDesk, Problem> {
        let none = || Problem::not_found(Kind::NoAccounts, "this server has no accounts");
        self.people.desk().ok_or_else(none)
    }

    /// Whose request it is, and where users are kept.
    pub fn caller(&self, request: &Request) -> Result<(&UserDesk, Caller), Problem> {
        if request.authorization().is_none() {
            return Err(access::no_token());
        }
        let desk = self.desk()?;
        let claims = self.authorize(request, Need::Call)?.claims;
        match claims.map(|claims| (claims.user, claims.device)) {
            Some((Some(user), Some(device))) => Ok((desk, Caller { user, device })),
            _ => Err(Problem::forbidden("expected the token of a device that signed in here")),
        }
    }

    pub fn database_problem(&self, error: &DatabaseError) -> Problem {
        self.people.count(error);
        let detail = "the server can't look that up at present";
        match error {
            DatabaseError::Busy => Problem::unavailable(Kind::Busy, detail),
            _ => Problem::new(warp::http::StatusCode::INTERNAL_SERVER_ERROR, Kind::Blank, detail),
        }
    }

    /// Devices whose right was taken away: their sockets are closed.
    pub fn put_out(&self, user: &UserId, devices: &[DeviceId]) {
        let Some(board) = &self.calls else { return };
        for device in devices {
            let address = Address { user: user.clone(), device: device.clone() };
            board.with(|hub, now| hub.sign_out(&address, now));
        }
    }
}
