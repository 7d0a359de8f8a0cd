//! One participant: a web socket, what it is told to watch and publish, and its stay's account.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use stentor_protocol::{BitsPerSecond, Codec, Resolution};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep_until, timeout};

use super::leg::{self, Live, Watched};
use super::reading::Equipment;
use super::script::{Fares, Order, Script};
use super::socket::{Socket, SocketError};
use super::summary::Stay;
use crate::calls::ids::{CallId, DeviceId, UserId};
use crate::calls::messages::{
    Capabilities, ClientMessage, CodecLimit, ErrorCode, Media, Network, Rendition, ServerMessage,
    Text, Token, VERSION,
};
use crate::load::whep::Client;

/// How often it is looked at how the call fares: as often as the product's own client does.
const REPORT_EVERY: Duration = Duration::from_millis(500);
/// How long the last words may take.
const FAREWELL: Duration = Duration::from_secs(5);
/// Lines that carry what a call of the largest size sends.
const DOWN: BitsPerSecond = BitsPerSecond::from_kilo(200_000);

/// Who a participant is.
pub(super) struct Part {
    /// 0 is the one who invites. Those below `cameras` have one.
    pub number: usize,
    pub cameras: usize,
    pub user: UserId,
    /// Whom the one who invites invites.
    pub invites: Vec<UserId>,
    pub token: Option<String>,
    /// After it rings.
    pub accepts_after: Duration,
    pub tile_height: u32,
    /// What its camera sends: the size, and bits per second.
    pub picture: (Resolution, u32, u64),
}

/// How far the call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    SignIn,
    Call,
    /// What was watched is counted, while cameras go on for the others.
    End,
    /// Everybody has counted.
    Over,
}

pub(super) struct Device {
    part: Part,
    equipment: Arc<Equipment>,
    client: Client,
    script: Script,
    stay: Stay,
    legs: HashMap<UserId, Leg>,
    camera: Option<Camera>,
    accepts: Option<(Instant, CallId)>,
    /// By user: what was watched and isn't any more.
    ended: Vec<(UserId, JoinHandle<Watched>)>,
    reported: Instant,
}

struct Leg {
    wanted: watch::Sender<Rendition>,
    live: Arc<Live>,
    bytes: u64,
    task: JoinHandle<Watched>,
}

struct Camera {
    /// Its end ends the task.
    wanted: watch::Sender<Rendition>,
    task: JoinHandle<Result<(), String>>,
}

// === impl Device ===

impl Device {
    pub fn new(part: Part, equipment: Arc<Equipment>, client: Client) -> Self {
        let script = Script::new(part.user.clone(), part.tile_height);
        let stay = Stay { user: part.user.to_string(), ..Stay::default() };
        Self {
            part,
            equipment,
            client,
            script,
            stay,
            legs: HashMap::new(),
            camera: None,
            accepts: None,
            ended: Vec::new(),
            reported: Instant::now(),
        }
    }

    /// Takes part until the call's end. As many sign in at once as there are places.
    pub async fn run(mut self, mut phase: watch::Receiver<Phase>, places: &Semaphore) -> Stay {
        let place = places.acquire().await;
        let signed_in = timeout(self.equipment.patience, self.sign_in()).await;
        drop(place);
        let signed_in = signed_in.unwrap_or_else(|_| Err(broken("no answer in time")));
        let signed_in = signed_in.map_err(|error| format!("not signed in: {error}"));
        let invites = self.part.number == 0;
        let shared = &self.equipment.shared;
        shared.signed_in.fetch_add(u64::from(signed_in.is_ok()), Ordering::Relaxed);
        shared.arrived.fetch_add(1, Ordering::Relaxed);
        shared.counted.fetch_add(u64::from(signed_in.is_err()), Ordering::Relaxed);
        shared.is_off.fetch_or(invites && signed_in.is_err(), Ordering::Relaxed);
        self.stay.signed_in = signed_in.is_ok();
        self.stay.failed = signed_in.as_ref().err().cloned();
        if let Ok(mut socket) = signed_in {
            if let Err(error) = self.talk(&mut socket, &mut phase).await {
                self.stay.failed.get_or_insert(error.to_string());
                self.equipment.shared.is_off.fetch_or(invites, Ordering::Relaxed);
            }
            self.take_stock().await;
            self.equipment.shared.counted.fetch_add(1, Ordering::Relaxed);
            let _ = phase.wait_for(|phase| *phase == Phase::Over).await;
            self.say_farewell(&mut socket).await;
            let shared = &self.equipment.shared;
            shared.messages.fetch_add(socket.messages, Ordering::Relaxed);
            shared.message_bytes.fetch_add(socket.bytes, Ordering::Relaxed);
        }
        if self.stay.failed.is_some() {
            self.equipment.shared.failed.fetch_add(1, Ordering::Relaxed);
        }
        self.stay
    }

    async fn sign_in(&mut self) -> Result<Socket, SocketError> {
        let mut socket = Socket::open(&self.client).await?;
        let token = self.part.token.as_deref().map(|token| Token(Text::cut(token)));
        let user = if token.is_none() { Some(self.part.user.clone()) } else { None };
        let device = DeviceId::new("load").map_err(|error| broken(&error.to_string()))?;
        let capabilities = self.capabilities();
        let hello = ClientMessage::Hello { version: VERSION, device, capabilities, token, user };
        socket.say(&hello).await?;
        loop {
            match socket.hear().await?.message {
                ServerMessage::Welcome { .. } => return Ok(socket),
                ServerMessage::Error { code, detail, .. } => {
                    return Err(SocketError::Told(format!("{code:?}: {}", detail.as_str())));
                }
                _ => {}
            }
        }
    }

    fn capabilities(&self) -> Capabilities {
        let (size, frame_rate, bits) = self.part.picture;
        let limit = |resolution, frame_rate| {
            let limit = CodecLimit { codec: Codec::H264, resolution, frame_rate };
            vec![limit].try_into().unwrap_or_default()
        };
        Capabilities {
            encode: limit(size, frame_rate),
            decode: limit(Resolution::new(8192, 8192), 120),
            // Of a line no more is used than is safe.
            up_bps: BitsPerSecond(bits * 2 + 1_000_000),
            down_bps: DOWN,
            network: Network::Ethernet,
        }
    }

    async fn talk(
        &mut self,
        socket: &mut Socket,
        phase: &mut watch::Receiver<Phase>,
    ) -> Result<(), SocketError> {
        let mut ticks = interval(REPORT_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let accepts_at = self.accepts.as_ref().map(|(at, _)| *at);
            let accept = async {
                match accepts_at {
                    Some(at) => sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                message = socket.hear() => {
                    let orders = self.script.take(message?.message);
                    for order in orders {
                        self.follow(socket, order).await?;
                    }
                    socket.acknowledge().await?;
                }
                () = accept => self.accept(socket).await?,
                _ = ticks.tick() => self.report(socket).await?,
                changed = phase.changed() => {
                    let phase = *phase.borrow_and_update();
                    match phase {
                        Phase::Call if self.part.number == 0 => self.invite(socket).await?,
                        Phase::End | Phase::Over => return Ok(()),
                        _ if changed.is_err() => return Ok(()),
                        _ => {}
                    }
                }
            }
        }
    }

    fn media(&self) -> Media {
        let has_camera = self.part.number < self.part.cameras;
        Media { audio: has_camera, video: has_camera, screen: false }
    }

    async fn invite(&mut self, socket: &mut Socket) -> Result<(), SocketError> {
        self.stay.accepted_at = Some(Instant::now());
        let users = self.part.invites.clone().try_into().unwrap_or_default();
        socket.say(&ClientMessage::Invite { call: None, users, media: self.media() }).await
    }

    async fn accept(&mut self, socket: &mut Socket) -> Result<(), SocketError> {
        let Some((_, call)) = self.accepts.take() else { return Ok(()) };
        self.stay.accepted_at = Some(Instant::now());
        socket.say(&ClientMessage::Accept { call, media: self.media() }).await
    }

    async fn report(&mut self, socket: &mut Socket) -> Result<(), SocketError> {
        let now = Instant::now();
        let passed = now.saturating_duration_since(self.reported).as_secs_f64().max(0.001);
        self.reported = now;
        let mut fares: BTreeMap<UserId, Fares> = BTreeMap::new();
        for (user, leg) in &mut self.legs {
            let bytes = leg.live.bytes.load(Ordering::Relaxed);
            let came = bytes.saturating_sub(std::mem::replace(&mut leg.bytes, bytes));
            let bits_per_second = (came as f64 * 8.0 / passed) as u64;
            let plays = leg.live.plays.load(Ordering::Relaxed);
            fares.insert(user.clone(), Fares { plays, bits_per_second });
        }
        let fares = |user: &UserId| fares.get(user).copied().unwrap_or_default();
        for message in self.script.report(fares, now) {
            socket.say(&message).await?;
        }
        Ok(())
    }

    async fn follow(&mut self, socket: &mut Socket, order: Order) -> Result<(), SocketError> {
        match order {
            Order::Say(message) => socket.say(&message).await?,
            Order::Rings(call) => {
                self.accepts = Some((Instant::now() + self.part.accepts_after, call));
            }
            Order::Joined => {
                self.stay.joined_at = Some(Instant::now());
                self.equipment.shared.joined.fetch_add(1, Ordering::Relaxed);
            }
            Order::Watch { user, place, token, rendition } => {
                self.watch(user, &place, &token, rendition);
            }
            Order::Unwatch(user) => {
                if let Some(leg) = self.legs.remove(&user) {
                    self.ended.push((user, leg.task));
                }
            }
            Order::Choose(user, rendition) => {
                if let Some(leg) = self.legs.get(&user) {
                    leg.wanted.send_replace(rendition);
                }
            }
            Order::Publish { place, token } => self.publish(&place, &token),
            Order::Unpublish => self.camera = None,
            Order::Over(reason) => return Err(SocketError::Told(reason)),
            Order::Refused(reason) if self.stay.joined_at.is_none() => {
                return Err(SocketError::Told(reason));
            }
            Order::Refused(reason) => {
                self.stay.failed.get_or_insert(reason);
            }
        }
        Ok(())
    }

    fn watch(&mut self, user: UserId, place: &str, token: &str, rendition: Rendition) {
        let Some(client) = self.client.at(place, token) else {
            self.stay.failed.get_or_insert(format!("no place to watch: {place}"));
            return;
        };
        let (wanted, receiver) = watch::channel(rendition);
        let live = Arc::new(Live::default());
        let task = leg::watch(self.equipment.clone(), client, receiver, live.clone());
        let leg = Leg { wanted, live, bytes: 0, task: tokio::spawn(task) };
        if let Some(before) = self.legs.insert(user.clone(), leg) {
            self.ended.push((user, before.task));
        }
    }

    fn publish(&mut self, place: &str, token: &str) {
        let Some(client) = self.client.at(place, token) else {
            self.stay.failed.get_or_insert(format!("no place to publish: {place}"));
            return;
        };
        let (wanted, receiver) = watch::channel(Rendition::Original);
        let task = leg::publish(self.equipment.clone(), client, self.part.number, receiver);
        self.camera = Some(Camera { wanted, task: tokio::spawn(task) });
    }

    /// Ends all that is watched, and takes down how it went; cameras go on for the others.
    async fn take_stock(&mut self) {
        let running = self.legs.drain().map(|(user, leg)| (user, leg.task));
        let all: Vec<_> = self.ended.drain(..).chain(running).collect();
        for (user, task) in all {
            let watched = task.await.unwrap_or_default();
            self.stay.watched.entry(user.to_string()).or_default().push(watched);
        }
        if self.stay.joined_at.is_none() {
            self.stay.failed.get_or_insert_with(|| "not let into the call".to_owned());
        }
    }

    /// The one who invited ends the call; the others wait for that.
    async fn say_farewell(&mut self, socket: &mut Socket) {
        // The server ends what is published with the call.
        if let Some(Camera { wanted, task }) = self.camera.take() {
            drop(wanted);
            if let Ok(Ok(Err(reason))) = timeout(FAREWELL, task).await {
                self.stay.failed.get_or_insert(format!("its own camera: {reason}"));
            }
        }
        let end = async {
            let Some(call) = self.script.call.clone() else { return };
            if self.part.number == 0 {
                let _ = socket.say(&ClientMessage::HangUp { call }).await;
            }
            while let Ok(heard) = socket.hear().await {
                match heard.message {
                    ServerMessage::CallEnded { .. } | ServerMessage::Left { .. } => break,
                    ServerMessage::Error { code: ErrorCode::CallOver, .. } => break,
                    _ => {}
                }
            }
        };
        let _ = timeout(FAREWELL, end).await;
        socket.close().await;
    }
}

fn broken(reason: &str) -> SocketError {
    SocketError::Broken(reason.to_owned())
}
