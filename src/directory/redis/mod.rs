//! Several nodes as one service, by way of Redis.
//!
//! Each node tells every second that it is there, and counts as gone when it hasn't for
//! [`LIFE`]; its devices' entries count while it is there. A message goes into the stream of the
//! node that it is for, is sent again until that node has acknowledged it in the sender's stream,
//! and is taken once: a Redis that loses everything loses no message.
//!
//! Redis gone: what is connected here is found and reached still, messages for others wait for
//! their deadline, nobody is declared gone. When it is back, the node tells everything anew under
//! a new epoch, so that what stood there from before counts for nothing, and gives the others
//! [`LIFE`] to do likewise.
//!
//! Lock order: `roster`, then `links`. `connection` and [`Local`]'s own are taken alone. None is
//! held across an await or while someone is told something.

mod commands;
mod links;
mod session;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use redis::Client;
use redis::aio::MultiplexedConnection;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::local::{Local, Registration};
use super::memory::to_self;
use super::roster::Roster;
use super::wire::{Keys, device, parse_device};
use super::{
    Directory, Entry, Found, Health, Incoming, Located, MAX_BODY, NodeId, Origin, Pending,
    RegisterError, SendError,
};
use crate::identity::UserId;
use crate::telemetry::directory::DirectoryMetrics;
use commands::Commands;
use links::Links;

/// One node among several. It leaves the service when dropped.
pub struct RedisDirectory {
    shared: Arc<Shared>,
    /// None: it has left.
    task: Mutex<Option<JoinHandle<()>>>,
}

/// How to find the others.
#[derive(Clone)]
pub struct RedisConfig {
    /// Such as `redis://:password@host:6379/0`, or `redis+unix:///run/redis.sock`.
    pub url: String,
    /// What all keys begin with. Default `stentor`.
    pub prefix: String,
    /// Where other nodes' pages reach this one.
    pub origin: Option<Origin>,
}

/// Why the directory can't be used. The operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum RedisError {
    /// The address isn't repeated: it may hold a password.
    #[error("not the address of a Redis server")]
    Url,
    #[error("no random numbers: {0}")]
    Random(getrandom::Error),
}

/// How long a user's entries are kept that nobody renews, and how often their node does.
#[derive(Debug, Clone, Copy)]
struct Lease {
    life: Duration,
    renewal: Duration,
}

/// What the task and those who ask have in common.
struct Shared {
    node: NodeId,
    /// Where pages reach it.
    origin: Option<Origin>,
    lease: Lease,
    client: Client,
    keys: Keys,
    local: Arc<Local>,
    links: Mutex<Links>,
    roster: Mutex<Roster>,
    /// While Redis is there.
    connection: Mutex<Option<MultiplexedConnection>>,
    /// Rings when there is something to send.
    outgoing: Notify,
    incoming: mpsc::Sender<Incoming>,
    health: watch::Sender<Health>,
    metrics: DirectoryMetrics,
}

/// How long a node counts as there without being heard of.
pub const LIFE: Duration = Duration::from_secs(5);
/// Between two signs of life.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// How long a message is tried to be brought.
const DEADLINE: Duration = Duration::from_secs(10);
/// How long Redis may take for an answer.
const PATIENCE: Duration = Duration::from_secs(1);
/// Of one user, on all nodes together: more aren't looked at.
const MAX_FOUND: usize = 256;

/// Removes an entry if it is still its node's: `KEYS[1]` the user, `ARGV` the device and what its
/// value begins with.
const REMOVE: &str = "local value = redis.call('HGET', KEYS[1], ARGV[1])
if value and string.sub(value, 1, #ARGV[2]) == ARGV[2] then
    return redis.call('HDEL', KEYS[1], ARGV[1])
end
return 0";
/// Writes an entry that is nobody's or this node's: `KEYS[1]` the user, `ARGV` the device, what this
/// node's values begin with, and the value.
const KEEP: &str = "local value = redis.call('HGET', KEYS[1], ARGV[1])
if not value or string.sub(value, 1, #ARGV[2]) == ARGV[2] then
    redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
end
return 0";

// === impl RedisConfig ===

/// Without the address, which may hold a password: this may end up in a log.
impl std::fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisConfig").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl RedisConfig {
    /// Whether the address can be understood. Nothing is opened.
    pub fn is_url(&self) -> bool {
        Client::open(self.url.as_str()).is_ok()
    }
}

// === impl Lease ===

impl Default for Lease {
    fn default() -> Self {
        Self { life: Duration::from_secs(3600), renewal: Duration::from_secs(1200) }
    }
}

// === impl RedisDirectory ===

impl RedisDirectory {
    /// Starts a node, whether Redis is there already or not. `incoming` gets what comes from the
    /// others; while it is full they are asked to wait.
    pub fn start(
        config: &RedisConfig,
        incoming: mpsc::Sender<Incoming>,
        metrics: DirectoryMetrics,
    ) -> Result<Self, RedisError> {
        Self::start_with(config, incoming, metrics, Lease::default())
    }

    fn start_with(
        config: &RedisConfig,
        incoming: mpsc::Sender<Incoming>,
        metrics: DirectoryMetrics,
        lease: Lease,
    ) -> Result<Self, RedisError> {
        let shared = Arc::new(Shared {
            node: NodeId::random().map_err(RedisError::Random)?,
            origin: config.origin.clone(),
            lease,
            client: Client::open(config.url.as_str()).map_err(|_| RedisError::Url)?,
            keys: Keys::new(&config.prefix),
            local: Arc::default(),
            links: Mutex::default(),
            roster: Mutex::default(),
            connection: Mutex::default(),
            outgoing: Notify::new(),
            incoming,
            health: watch::Sender::new(Health::Down),
            metrics,
        });
        let task = tokio::spawn(session::run(shared.clone()));
        Ok(Self { shared, task: Mutex::new(Some(task)) })
    }
}

impl Drop for RedisDirectory {
    fn drop(&mut self) {
        if let Some(task) = lock(&self.task).take() {
            task.abort();
        }
    }
}

impl Directory for RedisDirectory {
    fn node(&self) -> &NodeId {
        &self.shared.node
    }

    fn register(&self, entry: Entry) -> Result<Registration, RegisterError> {
        self.shared.local.register(entry)
    }

    fn find<'a>(&'a self, user: &'a UserId) -> Pending<'a, Found> {
        Box::pin(async move {
            let shared = &self.shared;
            let own = shared.local.find(user).into_iter();
            let own = own.map(|entry| Located { node: shared.node.clone(), entry });
            let elsewhere = shared.find_elsewhere(user).await;
            let complete = elsewhere.is_some();
            Found { devices: own.chain(elsewhere.into_iter().flatten()).collect(), complete }
        })
    }

    fn send(&self, node: &NodeId, body: String) -> Pending<'static, Result<(), SendError>> {
        if *node == self.shared.node {
            return to_self(&self.shared.incoming, node, body);
        }
        let metrics = self.shared.metrics.clone();
        let begin = Instant::now();
        let queued = self.shared.queue(node, body, begin);
        Box::pin(async move {
            let sent = match queued {
                Ok(told) => told.await.unwrap_or(Err(SendError::Timeout)),
                Err(error) => Err(error),
            };
            match sent {
                Ok(()) => metrics.round_trip.observe(begin.elapsed().as_secs_f64()),
                Err(error) => metrics.failed.with_label_values(&[error.name()]).inc(),
            }
            sent
        })
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.shared.health.subscribe()
    }

    fn is_reached_at(&self, origin: &Origin) -> bool {
        lock(&self.shared.roster).is_at(origin)
    }

    fn leave(&self) -> Pending<'_, ()> {
        Box::pin(async {
            let Some(task) = lock(&self.task).take() else { return };
            task.abort();
            // Its last sign of life comes before the leaving.
            let _ = task.await;
            let connection = lock(&self.shared.connection).take();
            if let Some(mut connection) = connection {
                // Where this fails they find out by themselves.
                let _ = session::leave(&self.shared, &mut connection).await;
            }
        })
    }
}

// === impl Shared ===

impl Shared {
    /// Gives who hears what became of it.
    fn queue(
        &self,
        node: &NodeId,
        body: String,
        now: Instant,
    ) -> Result<oneshot::Receiver<Result<(), SendError>>, SendError> {
        if body.len() > MAX_BODY {
            return Err(SendError::TooLong);
        }
        if !lock(&self.roster).lives(node) {
            return Err(SendError::NodeGone);
        }
        let (done, told) = oneshot::channel();
        let pushed = lock(&self.links).push(node, body, done, now + DEADLINE, now);
        if !pushed {
            return Err(SendError::Full);
        }
        self.outgoing.notify_one();
        Ok(told)
    }

    /// None where Redis can't be asked.
    async fn find_elsewhere(&self, user: &UserId) -> Option<Vec<Located>> {
        let mut connection = lock(&self.connection).clone()?;
        let key = self.keys.user(user);
        let found: Result<Vec<(String, String)>, _> =
            redis::cmd("HGETALL").arg(&key).query_async(&mut connection).await;
        let mut devices = Vec::new();
        let mut stale = redis::pipe();
        {
            let roster = lock(&self.roster);
            for (device, value) in found.ok()?.iter().take(MAX_FOUND) {
                let Some((located, epoch)) = parse_device(user, device, value) else { continue };
                if located.node == self.node {
                    continue;
                }
                if roster.counts(&located.node, epoch) {
                    devices.push(located);
                } else if !roster.lives(&located.node) && !roster.is_patient() {
                    stale.cmd("EVAL").arg(REMOVE).arg(1).arg(&key).arg(device).arg(value).ignore();
                }
            }
        }
        if !stale.is_empty() {
            // Left over from a node that ended. They don't count in any case.
            let _ = stale.query_async::<()>(&mut connection).await;
        }
        Some(devices)
    }

    /// What of the devices here has changed, as commands.
    fn changes(&self, epoch: u64) -> Commands {
        let mut commands = Commands::default();
        let changes = self.local.take_changes();
        let mine = format!("{}:", self.node);
        for (user, id) in changes.here {
            let Some((entry, is_lost)) = self.local.get(&user, &id) else { continue };
            let (key, value) = (self.keys.user(&user), device(&self.node, epoch, &entry));
            let pipe = commands.next();
            if is_lost {
                let command = pipe.cmd("EVAL").arg(KEEP).arg(1).arg(&key);
                command.arg(id.as_str()).arg(&mine).arg(value).ignore();
            } else {
                pipe.cmd("HSET").arg(&key).arg(id.as_str()).arg(value).ignore();
            }
            pipe.cmd("PEXPIRE").arg(&key).arg(self.lease.life.as_millis() as u64).ignore();
        }
        for (user, id) in changes.gone {
            let key = self.keys.user(&user);
            let pipe = commands.next();
            pipe.cmd("EVAL").arg(REMOVE).arg(1).arg(key).arg(id.as_str()).arg(&mine).ignore();
        }
        commands
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
