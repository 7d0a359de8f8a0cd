//! Wiring of accounts: who decides about users, and where what they write is kept.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use stentor_protocol::units::Secret;
use tokio::sync::mpsc;
use tracing::info;

use super::StartError;
use crate::accounts::chat::{Chat, ChatError, Reach};
use crate::accounts::hook::{ServiceError, Signer, UserService};
use crate::accounts::{Accounts, Database, DatabaseError, Line, Moment, OpenError, Rules};
use crate::bucket::Rate;
use crate::calls::ids::CallId;
use crate::config::{Config, SignUp};
use crate::http::access::{Access, KeyError, KeyOfOthers, OwnKey};
use crate::http::{AccountsElsewhere, Board, Decider, People, QUESTIONS, State, UserDesk};
use crate::limit::Limit;
use crate::telemetry::accounts::AccountMetrics;

/// Why accounts can't be had. The operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum AccountsError {
    #[error("accounts need `server.state_directory`, where they and their key are kept")]
    NoState,
    #[error("accounts can't be opened: {0}")]
    Open(#[from] OpenError),
    #[error("accounts can't be opened: {0}")]
    Database(#[from] DatabaseError),
    #[error("chat can't be opened: {0}")]
    Chat(#[from] ChatError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("the user service, or the node with the accounts, can't be asked: {0}")]
    Service(#[from] ServiceError),
    #[error("{}: {error}", path.display())]
    Secret { path: PathBuf, error: io::Error },
    #[error("{}: expected a secret of 16 to 4096 bytes", path.display())]
    Weak { path: PathBuf },
}

/// What one user may write: so many at once, and then one in so long.
const WRITING: (u32, Duration) = (40, Duration::from_millis(200));
/// Users who are told apart in a limit, about 100 bytes each.
const ENTRIES: usize = 100_000;
/// Where a node keeps the key of the one that has the accounts.
const KEY_OF_OTHERS: &str = "accounts-at-key.pem";
/// Calls whose end waits to be noted.
const ENDINGS: usize = 1000;

/// Who decides, as the configuration has it; and whose tokens are good then.
pub async fn people(
    config: &Config,
    access: Access,
    folder: Option<&Path>,
    metrics: AccountMetrics,
) -> Result<(People, Access), StartError> {
    let writing = Limit::new(Rate::one_each(WRITING.1, WRITING.0), ENTRIES, Moment::now().now);
    if !config.accounts.enabled {
        return Ok((People::new(Decider::Everybody, None, metrics, writing), access));
    }
    if let Some(line) = line(config)? {
        let key = Arc::new(KeyOfOthers::default());
        let file = folder.map(|folder| folder.join(KEY_OF_OTHERS));
        let node = AccountsElsewhere::new(line, key.clone(), file, metrics.clone());
        node.greet().await;
        let decider = Decider::Elsewhere(Arc::new(node));
        let people = People::new(decider, None, metrics, writing);
        return Ok((people, access.with_others(key)));
    }
    let (decider, chat, access) = open(config, access, folder).await?;
    let people = People::new(decider, Some(chat), metrics, writing);
    let people = match signer(config)? {
        Some(others) => people.answering(others),
        None => people,
    };
    Ok((people, access))
}

async fn open(
    config: &Config,
    access: Access,
    folder: Option<&Path>,
) -> Result<(Decider, Chat, Access), AccountsError> {
    let own = |name| folder.map(|folder| folder.join(name)).ok_or(AccountsError::NoState);
    let path = match &config.accounts.database {
        Some(path) => path.clone(),
        None => own("accounts.db")?,
    };
    let (decider, chat, access) = match service(config)? {
        Some(service) => {
            let chat = Chat::new(Database::open(&path)?, Reach::Anyone);
            (Decider::Service(Box::new(service)), chat, access)
        }
        None => {
            let key = OwnKey::load_or_make(&own("accounts-key.pem")?)?;
            let accounts = Accounts::open(&path, rules(config), Moment::now().now)?;
            let access = access.with_own(&key);
            let is_open = config.accounts.sign_up == SignUp::Open;
            let chat = accounts.chat();
            (Decider::Accounts(Box::new(UserDesk { accounts, key, is_open })), chat, access)
        }
    };
    chat.end_calls().await?;
    info!(database = %path.display(), "accounts are open");
    Ok((decider, chat, access))
}

/// Reads what the configuration points to.
pub fn check(config: &Config) -> Result<(), AccountsError> {
    service(config)?;
    line(config)?;
    signer(config)?;
    Ok(())
}

/// To the node that has the accounts. None: they are here.
fn line(config: &Config) -> Result<Option<Line>, AccountsError> {
    let at = &config.accounts.at;
    let (Some(url), Some(path)) = (&at.url, &at.secret_file) else { return Ok(None) };
    let secret = secret(path)?;
    Ok(Some(Line::new(url, QUESTIONS, &secret, &at.ca_file, at.timeout.0)?))
}

/// Of other nodes' questions. None: they ask none.
fn signer(config: &Config) -> Result<Option<Signer>, AccountsError> {
    let path = config.accounts.nodes_secret_file.as_deref();
    let secret = path.map(secret).transpose()?;
    Ok(secret.map(|secret| Signer::new(secret.0.as_bytes())))
}

fn service(config: &Config) -> Result<Option<UserService>, AccountsError> {
    let hook = &config.accounts.hook;
    let (Some(url), Some(path)) = (&hook.url, &hook.secret_file) else { return Ok(None) };
    let secret = secret(path)?;
    let questions = Limit::new(rings(config), ENTRIES, Moment::now().now);
    let service = UserService::new(url, &secret, &hook.ca_file, hook.timeout.0, questions)?;
    Ok(Some(service))
}

pub(super) fn secret(path: &Path) -> Result<Secret, AccountsError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| AccountsError::Secret { path: path.to_owned(), error })?;
    let text = text.trim();
    if (16..=4096).contains(&text.len()) {
        Ok(Secret(text.to_owned()))
    } else {
        Err(AccountsError::Weak { path: path.to_owned() })
    }
}

fn rules(config: &Config) -> Rules {
    Rules { token_life: config.accounts.token_life.0, ring: rings(config), ..Rules::default() }
}

fn rings(config: &Config) -> Rate {
    let rings = f64::from(config.calls.rings_per_minute);
    Rate { per_second: rings / 60.0, burst: rings }
}

/// Where calls that end are told, and what comes out there. None: there is no chat.
pub fn endings(people: &People) -> Option<(mpsc::Sender<CallId>, mpsc::Receiver<CallId>)> {
    people.keeps_chat().then(|| mpsc::channel(ENDINGS))
}

/// Notes the end of calls in their chat. Never ends.
pub async fn note_ends(state: Arc<State>, mut ended: mpsc::Receiver<CallId>) {
    while let Some(call) = ended.recv().await {
        state.people.call_ended(&call).await;
    }
}

/// Looks up again what other nodes say has changed, and all where the node with the accounts comes
/// back. Never ends.
pub async fn follow(state: Arc<State>, board: Arc<Board>) {
    let look = async {
        loop {
            let user = board.outside.next_look().await;
            state.people.look_again(&board, &user).await;
        }
    };
    tokio::join!(look, state.people.keep_in_touch(&board));
}
