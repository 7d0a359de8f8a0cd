//! The time from one connection to Redis to its end, over and over: telling, hearing and sending
//! beside each other until one of them fails.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisResult};
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::{interval, sleep, timeout};

use super::super::link::Turn;
use super::super::wire::{Frame, node, parse_node};
use super::super::{Health, Incoming, MAX_BODY, NodeId, SendError};
use super::commands::{BATCH, Commands};
use super::links::tell;
use super::{HEARTBEAT, LIFE, PATIENCE, Shared, lock};

/// Between two attempts to connect.
const PAUSE: Duration = Duration::from_millis(500);
/// How often what waits is looked at, beside when something comes.
pub const TICK: Duration = Duration::from_millis(200);
/// An inbox that nobody reads any more is kept so long, and where its node is.
const INBOX_LIFE: Duration = Duration::from_secs(60);
/// Frames that an inbox holds, about. What is lost beyond that is sent again.
const INBOX_FRAMES: usize = 4096;
/// Bytes: the longest body, of which every character may be escaped, and its head.
const MAX_FRAME: usize = 2 * MAX_BODY + 1024;
/// How long Redis holds a read for which there is nothing.
const HOLD: Duration = Duration::from_secs(1);

/// Says that this node is there, and hears who else is: `KEYS[1]` the nodes, `ARGV` this node and
/// how many milliseconds it counts. By Redis' clock, which is the same for all.
const BEAT: &str = "local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - 3600000)
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
return redis.call('ZRANGEBYSCORE', KEYS[1], now, '+inf')";

/// The task of a node.
pub async fn run(shared: Arc<Shared>) {
    let mut epoch = 0;
    // Nodes that came or have gone, of whom the consumer has still to hear.
    let mut news = VecDeque::new();
    // A Redis that was never there is said once, too.
    let mut first = true;
    loop {
        epoch += 1;
        let Err(error) = session(&shared, epoch, &mut news).await;
        lock(&shared.connection).take();
        // Before anyone is told, who may look.
        shared.metrics.up.set(0);
        let was_told_up = shared.health.send_replace(Health::Down) == Health::Up;
        if was_told_up || first {
            tracing::warn!(%error, "Redis is away: other nodes can't be reached");
        }
        first = false;
        shared.local.forget_gone();
        let over = lock(&shared.links).expired(Instant::now());
        tell(over, Err(SendError::Timeout));
        sleep(PAUSE).await;
    }
}

/// Ends only when Redis is away.
async fn session(
    shared: &Shared,
    epoch: u64,
    news: &mut VecDeque<Incoming>,
) -> RedisResult<Infallible> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(PATIENCE))
        .set_response_timeout(Some(PATIENCE));
    let client = &shared.client;
    let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
    let config = config.set_response_timeout(Some(HOLD + PATIENCE));
    let reader = client.get_multiplexed_async_connection_with_config(&config).await?;
    // First the devices, then the epoch under which they count.
    shared.local.forget_gone();
    shared.local.all_changed();
    tell_changes(shared, epoch, &mut connection).await?;
    lock(&shared.roster).connected(Instant::now() + LIFE);
    beat(shared, epoch, &mut connection, news).await?;
    if epoch > 1 {
        let earlier = node(&shared.node, epoch - 1);
        let nodes = shared.keys.nodes();
        redis::cmd("ZREM").arg(nodes).arg(earlier).exec_async(&mut connection).await?;
    }
    *lock(&shared.connection) = Some(connection.clone());
    shared.metrics.up.set(1);
    shared.health.send_replace(Health::Up);
    tracing::info!(node = %shared.node, epoch, "Redis is there");
    tokio::select! {
        ended = beat_on(shared, epoch, connection.clone(), news) => ended,
        ended = read_on(shared, reader) => ended,
        ended = write_on(shared, epoch, connection) => ended,
    }
}

/// Takes this node off the list.
pub async fn leave(shared: &Shared, connection: &mut MultiplexedConnection) -> RedisResult<()> {
    let nodes: Vec<String> = redis::cmd("ZRANGE")
        .arg(shared.keys.nodes())
        .arg(0)
        .arg(-1)
        .query_async(connection)
        .await?;
    let mut commands = redis::pipe();
    for member in nodes {
        if parse_node(&member).is_some_and(|(id, _)| id == shared.node) {
            commands.cmd("ZREM").arg(shared.keys.nodes()).arg(member).ignore();
        }
    }
    commands.cmd("DEL").arg(shared.keys.inbox(&shared.node)).ignore();
    commands.cmd("DEL").arg(shared.keys.place(&shared.node)).ignore();
    commands.query_async(connection).await
}

async fn beat_on(
    shared: &Shared,
    epoch: u64,
    mut connection: MultiplexedConnection,
    news: &mut VecDeque<Incoming>,
) -> RedisResult<Infallible> {
    let mut ticks = interval(HEARTBEAT);
    let mut renewed = Instant::now();
    loop {
        ticks.tick().await;
        beat(shared, epoch, &mut connection, news).await?;
        if renewed.elapsed() > shared.lease.renewal {
            renewed = Instant::now();
            shared.local.all_changed();
        }
    }
}

async fn beat(
    shared: &Shared,
    epoch: u64,
    connection: &mut MultiplexedConnection,
    news: &mut VecDeque<Incoming>,
) -> RedisResult<()> {
    let (nodes, inbox) = (shared.keys.nodes(), shared.keys.inbox(&shared.node));
    let me = node(&shared.node, epoch);
    let mut commands = redis::pipe();
    if let Some(origin) = &shared.origin {
        // Before the node is in the list: whoever finds it there looks once.
        let set = commands.cmd("SET").arg(shared.keys.place(&shared.node)).arg(origin.as_str());
        set.arg("EX").arg(INBOX_LIFE.as_secs()).ignore();
    }
    commands.cmd("EVAL").arg(BEAT).arg(1).arg(nodes).arg(me).arg(LIFE.as_millis() as u64);
    commands.cmd("EXPIRE").arg(inbox).arg(INBOX_LIFE.as_secs()).ignore();
    let (live,): (Vec<String>,) = commands.query_async(connection).await?;
    let live: Vec<_> = live.iter().filter_map(|text| parse_node(text)).collect();
    hear(shared, &live, news);
    find_places(shared, connection).await
}

/// Takes the nodes that live, and tells what is news about them.
fn hear(shared: &Shared, live: &[(NodeId, u64)], news: &mut VecDeque<Incoming>) {
    let heard = {
        let mut roster = lock(&shared.roster);
        let heard = roster.heard(live, Instant::now());
        shared.metrics.nodes.set(roster.len() as i64);
        // The one place where two locks are held: first the roster's, then the links'.
        lock(&shared.links).tidy(&roster);
        heard
    };
    for node in heard.here.into_iter().filter(|node| *node != shared.node) {
        tracing::info!(%node, "a node is there");
        news.push_back(Incoming::NodeHere(node));
    }
    for node in heard.gone.into_iter().filter(|node| *node != shared.node) {
        tracing::info!(%node, "a node has gone");
        let waiting = lock(&shared.links).gone(&node);
        tell(waiting, Err(SendError::NodeGone));
        news.push_back(Incoming::NodeGone(node));
    }
    while let Some(first) = news.pop_front() {
        // What there is no room for is told at the next beat.
        if let Err(TrySendError::Full(first)) = shared.incoming.try_send(first) {
            news.push_front(first);
            break;
        }
    }
}

/// Asks where pages reach the nodes of which that isn't known.
async fn find_places(shared: &Shared, connection: &mut MultiplexedConnection) -> RedisResult<()> {
    let nodes = lock(&shared.roster).unplaced(BATCH);
    if nodes.is_empty() {
        return Ok(());
    }
    let mut command = redis::cmd("MGET");
    for node in &nodes {
        command.arg(shared.keys.place(node));
    }
    let places: Vec<Option<String>> = command.query_async(connection).await?;
    let mut roster = lock(&shared.roster);
    for (node, place) in nodes.iter().zip(places) {
        roster.place(node, place.and_then(|text| text.parse().ok()));
    }
    Ok(())
}

async fn read_on(
    shared: &Shared,
    mut connection: MultiplexedConnection,
) -> RedisResult<Infallible> {
    // From the beginning: what was taken before is known by its number.
    let mut last = "0".to_owned();
    let inbox = shared.keys.inbox(&shared.node);
    loop {
        let mut command = redis::cmd("XREAD");
        command.arg("COUNT").arg(BATCH).arg("BLOCK").arg(HOLD.as_millis() as u64);
        command.arg("STREAMS").arg(&inbox).arg(&last);
        let read: Option<Streams> = command.query_async(&mut connection).await?;
        let Some(((_, entries),)) = read else { continue };
        for (id, fields) in entries {
            for (_, text) in fields {
                let frame = (text.len() <= MAX_FRAME).then(|| serde_json::from_str(&text));
                match frame {
                    Some(Ok(frame)) => take(shared, frame),
                    _ => shared.metrics.dropped.with_label_values(&["unreadable"]).inc(),
                }
            }
            last = id;
        }
        shared.outgoing.notify_one();
        redis::cmd("XTRIM")
            .arg(&inbox)
            .arg("MINID")
            .arg("~")
            .arg(&last)
            .exec_async(&mut connection)
            .await?;
    }
}

/// Of one stream: its name, and its entries' ids and fields.
type Streams = ((String, Vec<(String, Vec<(String, String)>)>),);

fn take(shared: &Shared, frame: Frame) {
    match frame {
        Frame::Taken { from, up_to } => {
            let done = lock(&shared.links).acknowledged(&from, up_to, Instant::now());
            tell(done, Ok(()));
        }
        Frame::Message { from, base, seq, body } => {
            // Its answer must find its way before the next sign of life.
            lock(&shared.roster).greet(&from);
            let turn = lock(&shared.links).turn(&from, base, seq);
            let message = Incoming::Message { from: from.clone(), body };
            let label = match turn {
                // Nobody else takes turns, so it is still this one's.
                Turn::Now if shared.incoming.try_send(message).is_ok() => {
                    lock(&shared.links).taken(&from);
                    return shared.metrics.received.inc();
                }
                Turn::Before => "repeated",
                // It comes again.
                Turn::Now | Turn::Later => "early",
            };
            shared.metrics.dropped.with_label_values(&[label]).inc();
        }
    }
}

async fn write_on(
    shared: &Shared,
    epoch: u64,
    mut connection: MultiplexedConnection,
) -> RedisResult<Infallible> {
    loop {
        // One that rings meanwhile is remembered; the tick is for what is sent again.
        let _ = timeout(TICK, async {
            tokio::select! {
                () = shared.outgoing.notified() => {}
                () = shared.local.changed.notified() => {}
            }
        })
        .await;
        tell_changes(shared, epoch, &mut connection).await?;
        let now = Instant::now();
        let over = lock(&shared.links).expired(now);
        tell(over, Err(SendError::Timeout));
        let frames = lock(&shared.links).due(&shared.node, now);
        let mut commands = Commands::default();
        for (node, frame) in frames {
            // What is made of strings and numbers can be written.
            let text = serde_json::to_string(&frame).unwrap_or_default();
            let inbox = shared.keys.inbox(&node);
            let pipe = commands.next();
            pipe.cmd("XADD").arg(&inbox).arg("MAXLEN").arg("~").arg(INBOX_FRAMES);
            pipe.arg("*").arg("f").arg(text).ignore();
            pipe.cmd("EXPIRE").arg(inbox).arg(INBOX_LIFE.as_secs()).ignore();
            shared.metrics.sent.inc();
        }
        commands.run(&mut connection).await?;
    }
}

async fn tell_changes(
    shared: &Shared,
    epoch: u64,
    connection: &mut MultiplexedConnection,
) -> RedisResult<()> {
    let commands = shared.changes(epoch);
    commands.run(connection).await
}
