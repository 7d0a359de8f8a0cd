//! The hub of calls among its sockets: one lock, a bell for each socket, and a clock.
//!
//! The lock is held for one message at a time, and never across an await. The directory's own are
//! taken while it is held, and never the other way round.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc};
use tracing::info;

use super::outside::Outside;
use crate::bucket::Rate;
use crate::calls::hub::{Close, Effect, Full, Hub, Limits, Note, SocketId};
use crate::calls::ids::CallId;
use crate::calls::messages::{Path, Topology};
use crate::calls::signalling::Turn;
use crate::directory::Origin;
use crate::events::{Events, events_of};
use crate::telemetry::calls::CallMetrics;

/// What the configuration says.
#[derive(Debug, Clone)]
pub struct BoardConfig {
    pub limits: Limits,
    /// Where devices on other nodes reach this one.
    pub public_url: Option<String>,
    /// Messages of one socket.
    pub messages: Rate,
    /// Reports of one socket.
    pub reports: Rate,
    /// A socket of which nothing is heard for so long is closed. It is asked before.
    pub idle: Duration,
}

/// Calls, as sockets see them.
pub struct Board {
    pub config: BoardConfig,
    pub metrics: CallMetrics,
    /// Other nodes.
    pub outside: Outside,
    inside: Mutex<Inside>,
    /// Who is to know which calls ended.
    endings: Option<mpsc::Sender<CallId>>,
    events: Events,
    /// The next alarm is sooner than it was.
    sooner: Notify,
    /// Some call's media is wanted otherwise.
    media: Notify,
}

struct Inside {
    hub: Hub,
    bells: HashMap<SocketId, Arc<Bell>>,
    /// Calls whose media is wanted otherwise than it is.
    unsettled: BTreeSet<CallId>,
}

/// How a socket's task learns that there is something for it.
#[derive(Debug, Default)]
pub struct Bell {
    pub rings: Notify,
    /// There may be chat.
    pub chat: Notify,
    pub close: OnceLock<Close>,
}

// === impl Board ===

impl Board {
    /// Calls that end are told to `endings`, as far as there is room.
    pub fn new(
        config: BoardConfig,
        outside: Outside,
        metrics: CallMetrics,
        endings: Option<mpsc::Sender<CallId>>,
        events: Events,
    ) -> Self {
        let random = Box::new(|| {
            let mut bytes = [0; 16];
            getrandom::fill(&mut bytes).ok().map(|()| u128::from_ne_bytes(bytes))
        });
        let hub = Hub::new(config.limits, random).on_node(outside.node().clone());
        let hub = hub.reached_at(config.public_url.clone());
        let inside = Inside { hub, bells: HashMap::new(), unsettled: BTreeSet::new() };
        let inside = Mutex::new(inside);
        let (sooner, media) = (Notify::new(), Notify::new());
        Self { config, metrics, outside, inside, endings, events, sooner, media }
    }

    pub fn open(&self) -> Result<SocketId, Full> {
        let mut inside = self.lock();
        let id = inside.hub.open().inspect_err(|_| {
            self.metrics.refused.with_label_values(&["full"]).inc();
        })?;
        inside.bells.insert(id, Arc::default());
        self.metrics.sockets.inc();
        Ok(id)
    }

    pub fn close(&self, id: SocketId, signed_out: bool) {
        if self.lock().bells.remove(&id).is_some() {
            self.metrics.sockets.dec();
        }
        self.with(|hub, now| hub.close(id, signed_out, now));
    }

    pub fn bell(&self, id: SocketId) -> Arc<Bell> {
        self.lock().bells.get(&id).cloned().unwrap_or_default()
    }

    /// Does something with the hub, and then what the hub wants done.
    pub fn with<T>(&self, action: impl FnOnce(&mut Hub, Instant) -> T) -> T {
        let mut inside = self.lock();
        let before = inside.hub.next_wake();
        let result = action(&mut inside.hub, Instant::now());
        for effect in inside.hub.take_effects() {
            match effect {
                Effect::Wake(id) => {
                    inside.bells.get(&id).iter().for_each(|bell| bell.rings.notify_one());
                }
                Effect::Chat(id) => {
                    inside.bells.get(&id).iter().for_each(|bell| bell.chat.notify_one());
                }
                Effect::Close(id, why) => {
                    if let Some(bell) = inside.bells.get(&id) {
                        // The first reason is the reason.
                        let _ = bell.close.set(why);
                        bell.rings.notify_one();
                    }
                }
                Effect::Media(call) => {
                    inside.unsettled.insert(call);
                    self.media.notify_one();
                }
                // In the hub's order, which is that of what is said.
                Effect::Send { to, wire } => self.outside.send(&to, *wire),
                Effect::Register { address, card } => self.outside.register(address, &card),
                Effect::Amend { address, card } => self.outside.amend(&address, &card),
                Effect::Detached(address) => self.outside.detach(&address),
                Effect::Unregister(address) => self.outside.unregister(&address),
                Effect::Arrived(address) => self.outside.arrived(address),
                Effect::Note(note) => self.tell(note),
            }
        }
        self.metrics.devices.set(inside.hub.devices() as i64);
        self.metrics.set_media(inside.hub.media_counts());
        let after = inside.hub.next_wake();
        if after.is_some_and(|after| before.is_none_or(|before| after < before)) {
            self.sooner.notify_one();
        }
        result
    }

    /// Calls that go on here, or elsewhere with devices that are here.
    pub fn calls(&self) -> usize {
        let inside = self.lock();
        inside.hub.calls() + inside.hub.calls_elsewhere()
    }

    /// Whether one of the other nodes is reached there by pages.
    pub fn knows_node_at(&self, origin: &Origin) -> bool {
        self.outside.directory().is_reached_at(origin)
    }

    /// These calls' media is to be made again: there was no room for it.
    pub fn unsettle(&self, calls: impl IntoIterator<Item = CallId>) {
        self.lock().unsettled.extend(calls);
        self.media.notify_one();
    }

    /// A call whose media is wanted otherwise than it is.
    pub async fn next_unsettled(&self) -> CallId {
        loop {
            if let Some(call) = self.lock().unsettled.pop_first() {
                return call;
            }
            self.media.notified().await;
        }
    }

    /// Wakes the hub whenever something runs out. Never ends.
    pub async fn keep_time(&self) {
        loop {
            let next = self.lock().hub.next_wake();
            let due = async {
                match next {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = due => self.with(|hub, now| hub.wake(now)),
                () = self.sooner.notified() => {}
            }
        }
    }

    /// Ends all calls, tells everybody, and waits until the sockets are closed. Other nodes are
    /// told, too.
    pub async fn stop(&self, at_most: Duration) {
        self.with(|hub, now| hub.stop(now));
        let deadline = Instant::now() + at_most;
        while self.lock().hub.sockets() > 0 && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.outside.leave(at_most).await;
    }

    fn tell(&self, note: Note) {
        events_of(&note).into_iter().for_each(|event| self.events.emit(event));
        let metrics = &self.metrics;
        match note {
            Note::Refused(code) => {
                let name = serde_json::to_value(code).unwrap_or_default();
                let name = name.as_str().unwrap_or("other");
                metrics.refused.with_label_values(&[name]).inc();
            }
            Note::NotFollowed(fault) => self.outside.not_followed(fault.name()),
            Note::Rings { .. } | Note::Device { .. } => {}
            Note::Started { call, .. } => {
                info!(%call, "call started");
                metrics.started.inc();
                metrics.current.inc();
            }
            Note::Answered { after, .. } => metrics.ring.observe(after.as_secs_f64()),
            Note::Connected { after, .. } => metrics.connect.observe(after.as_secs_f64()),
            Note::Ended { call, reason, lasted } => {
                let name = serde_json::to_value(reason).unwrap_or_default();
                let name = name.as_str().unwrap_or("other");
                info!(%call, reason = name, ?lasted, "call ended");
                let endings = self.endings.as_ref();
                if endings.is_some_and(|endings| endings.try_send(call).is_err()) {
                    metrics.endings_dropped.inc();
                }
                metrics.ended.with_label_values(&[name]).inc();
                metrics.current.dec();
            }
            Note::Configured { call, change } => {
                let (before, after) = (change.before, change.after);
                info!(%call, cause = ?change.cause, ?before, ?after, "call configured");
                metrics.configured.inc();
            }
            Note::Moved { call, from, to, step } => {
                let way = if step.to == Path::Server { "server" } else { "direct" };
                info!(%call, %from, %to, way, cause = %step.cause, "direction moved");
                metrics.moves.with_label_values(&[way, step.cause.name()]).inc();
            }
            Note::Arranged { call, topology, reason } => {
                let to = if topology == Topology::Server { "server" } else { "mesh" };
                info!(%call, to, reason = reason.as_str(), "call arranged");
                metrics.arranged.with_label_values(&[to]).inc();
            }
            Note::Turn { call, event } => {
                if !matches!(event.turn, Turn::Ended(_)) {
                    let (user, device) = (event.user.as_ref(), event.device.as_ref());
                    let user = user.map(tracing::field::display);
                    let device = device.map(tracing::field::display);
                    info!(%call, user, device, turn = ?event.turn, "call");
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
