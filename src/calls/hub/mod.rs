//! A node's devices, their sessions, and the calls between them, as one machine without I/O.
//!
//! A socket that is there is [`Hub::open`]ed, signs in by [`Hub::hello`] or [`Hub::resume`], says
//! things ([`Hub::handle`], [`Hub::invite`]), and is [`Hub::close`]d. [`Hub::take_effects`] says
//! what to do then; a socket that is to wake takes what [`Hub::poll_message`] gives. Call
//! [`Hub::wake`] at [`Hub::next_wake`]. `nodes/` is what other nodes have to do with it.

mod alarms;
mod asking;
mod calls;
mod chat;
mod counts;
mod devices;
mod effect;
mod hearing;
mod inviting;
mod legs;
mod live;
mod media;
mod nodes;
mod paths;
mod presence;
mod reach;
mod record;
mod shown;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::bucket::Rate;
use crate::calls::ids::{Address, CallId, DeviceId, SessionId, UserId};
use crate::calls::messages::{ErrorCode, Numbered, Sentence, ServerMessage};
use crate::calls::signalling::Rules;

pub use chat::ChatTurn;
pub use counts::MediaCounts;
pub use devices::{Hello, Resume};
pub use effect::{Close, Effect, Gone, Note, SocketId, Step};
pub use inviting::{Invitation, Invitee, hello_first, in_another_call};
pub use legs::{Leg, MediaWanted, Recorded};
pub use nodes::{Card, Fault, MOST_ANNOUNCED, Place, Whereabouts, Wire};
pub use presence::{Circle, MOST_IN_LOBBY};

use alarms::Alarms;
use devices::{Session, User};
use live::LiveCall;
use nodes::{AWAY, Nodes};

/// What there may be at once, and how fast.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Sockets, signed in or not.
    pub sockets: usize,
    /// Devices of one user.
    pub user_devices: usize,
    pub calls: usize,
    /// How many a user may ring.
    pub rings: Rate,
    /// Users of other nodes who are seen here.
    pub guests: usize,
    /// Past so many in it, a call goes through the server.
    pub mesh_most: usize,
    pub record: RecordBy,
    pub rules: Rules,
}

/// Who may have a call recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordBy {
    Anyone,
    /// Whoever started it.
    Inviter,
    Nobody,
}

/// 128 random bits; None where there are none.
pub type Random = Box<dyn FnMut() -> Option<u128> + Send>;

/// What a message asks that came over a socket.
#[derive(Debug, Clone, Copy)]
pub struct Origin {
    pub socket: SocketId,
    /// The number that its answer is to carry.
    pub request: Option<u32>,
}

/// No socket more is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} web sockets are open, the most that are taken")]
pub struct Full(pub usize);

/// Why something is refused, as the client is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    pub code: ErrorCode,
    pub detail: Sentence,
    pub call: Option<CallId>,
    /// Whom it is about, where that is one of several.
    pub user: Option<UserId>,
}

pub struct Hub {
    limits: Limits,
    random: Random,
    sockets: HashMap<SocketId, Socket>,
    last_socket: u64,
    sessions: HashMap<SessionId, Session>,
    users: HashMap<UserId, User>,
    /// Users who see each other come and go.
    lobby: usize,
    /// By user: those here who have them among their contacts.
    watched: HashMap<UserId, BTreeSet<UserId>>,
    calls: HashMap<CallId, LiveCall>,
    nodes: Nodes,
    /// The URL by which devices on other nodes reach this one's call server. None: they don't.
    reached: Option<String>,
    alarms: Alarms<Alarm>,
    media_counts: MediaCounts,
    effects: Vec<Effect>,
    /// Sessions whose outbox is full.
    doomed: Vec<SessionId>,
    /// Nothing new begins.
    draining: bool,
    stopping: bool,
}

#[derive(Debug, Default)]
struct Socket {
    session: Option<SessionId>,
    /// Answers to what came before anybody signed in.
    loose: VecDeque<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Alarm {
    Session(SessionId),
    Call(CallId),
    /// Whose allowance for ringing is full again.
    User(UserId),
    /// Who may be disturbed again.
    Quiet(UserId),
}

/// Answers that may wait on a socket that nobody signed in over.
const MOST_LOOSE: usize = 8;
/// A call that is over is still known for so long: what crossed with its end is answered by that.
const OVER_FOR: Duration = Duration::from_secs(60);

// === impl Hub ===

impl Hub {
    pub fn new(limits: Limits, random: Random) -> Self {
        Self {
            limits,
            random,
            sockets: HashMap::new(),
            last_socket: 0,
            sessions: HashMap::new(),
            users: HashMap::new(),
            lobby: 0,
            watched: HashMap::new(),
            calls: HashMap::new(),
            nodes: Nodes::default(),
            reached: None,
            alarms: Alarms::new(),
            media_counts: MediaCounts::default(),
            effects: Vec::new(),
            doomed: Vec::new(),
            draining: false,
            stopping: false,
        }
    }

    pub fn open(&mut self) -> Result<SocketId, Full> {
        if self.sockets.len() >= self.limits.sockets {
            return Err(Full(self.limits.sockets));
        }
        self.last_socket += 1;
        let id = SocketId(self.last_socket);
        self.sockets.insert(id, Socket::default());
        Ok(id)
    }

    /// The socket is gone. `signed_out`: on purpose, so that nobody waits for the device.
    pub fn close(&mut self, socket: SocketId, signed_out: bool, now: Instant) {
        let session = self.sockets.remove(&socket).and_then(|socket| socket.session);
        match session {
            Some(session) if signed_out => self.end_session(&session, Gone::SignedOut, now),
            Some(session) => self.detach(&session, now),
            None => {}
        }
        self.finish(now);
    }

    /// Whether somebody signed in over the socket.
    pub fn is_signed_in(&self, socket: SocketId) -> bool {
        self.session_of(socket).is_some()
    }

    /// The next message for the socket.
    pub fn poll_message(&mut self, socket: SocketId) -> Option<String> {
        let socket = self.sockets.get_mut(&socket)?;
        if let Some(text) = socket.loose.pop_front() {
            return Some(text);
        }
        let session = self.sessions.get_mut(socket.session.as_ref()?)?;
        session.outbox.poll_message().map(str::to_owned)
    }

    pub fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    pub fn next_wake(&self) -> Option<Instant> {
        self.alarms.next()
    }

    /// Time passed.
    pub fn wake(&mut self, now: Instant) {
        while let Some(alarm) = self.alarms.pop_due(now) {
            match alarm {
                Alarm::Session(id) => {
                    if self.sessions.get(&id).is_some_and(|s| s.outbox.is_expired(now)) {
                        self.end_session(&id, Gone::Expired, now);
                    }
                }
                Alarm::Call(id) => self.tick(&id, now),
                Alarm::User(user) => self.forget_user(&user, now),
                Alarm::Quiet(user) => self.end_quiet(&user),
            }
        }
        self.finish(now);
    }

    /// The server is going to end: calls go on, and whoever is in one may come back to it; no other
    /// begins, and nobody new is let in.
    pub fn drain(&mut self) {
        self.draining = true;
    }

    /// The server ends: so do all calls, and everybody is told.
    pub fn stop(&mut self, now: Instant) {
        self.stopping = true;
        let devices: Vec<Address> = self.sessions.values().map(|s| s.address.clone()).collect();
        for device in &devices {
            self.step(device, Step::Gone(Gone::Stopping));
        }
        self.end_all(now);
        self.leave_others();
        let all = self.sockets.keys().map(|socket| Effect::Close(*socket, Close::Stopping));
        self.effects.extend(all);
        self.finish(now);
    }

    pub fn sockets(&self) -> usize {
        self.sockets.len()
    }

    pub fn devices(&self) -> usize {
        self.sessions.len()
    }

    /// Calls that go on.
    pub fn calls(&self) -> usize {
        self.calls.values().filter(|live| live.call.over().is_none()).count()
    }

    /// Answers with what was wrong.
    pub fn refuse(&mut self, origin: Origin, refused: Refused, now: Instant) {
        self.note(Note::Refused(refused.code));
        let Refused { code, detail, call, user } = refused;
        self.answer(origin, ServerMessage::Error { code, detail, call, user });
        self.finish(now);
    }

    /// Answers what was dealt with elsewhere.
    pub fn reply(&mut self, origin: Origin, message: ServerMessage, now: Instant) {
        self.answer(origin, message);
        self.finish(now);
    }

    /// Tells all of a user's devices, but for one.
    pub fn tell(&mut self, user: &UserId, but: Option<&DeviceId>, message: &ServerMessage) {
        for device in self.devices_of(user).into_iter().filter(|device| Some(device) != but) {
            let address = Address { user: user.clone(), device };
            self.deliver(&address, None, message.clone());
        }
    }

    /// To the socket that asked, signed in or not.
    fn answer(&mut self, origin: Origin, message: ServerMessage) {
        if let Some(session) = self.session_of(origin.socket).cloned() {
            self.push(&session, origin.request, message);
            return;
        }
        if origin.socket == AWAY {
            return self.answer_speaker(origin.request, message);
        }
        let Some(socket) = self.sockets.get_mut(&origin.socket) else { return };
        if socket.loose.len() >= MOST_LOOSE {
            self.effects.push(Effect::Close(origin.socket, Close::Flood));
            return;
        }
        socket.loose.push_back(written(0, origin.request, message));
        self.effects.push(Effect::Wake(origin.socket));
    }

    /// To a device, wherever its socket is; a device that isn't there any more misses nothing.
    fn deliver(&mut self, to: &Address, request: Option<u32>, message: ServerMessage) {
        if let Some(node) = self.nodes.place_for(to, &message) {
            return self.send(node, Wire::Tell { to: to.clone(), request, message });
        }
        let session = self.users.get(&to.user).and_then(|user| user.devices.get(&to.device));
        if let Some(session) = session.cloned() {
            self.push(&session, request, message);
        }
    }

    /// Whether a device here takes what it is sent. One elsewhere has its own node to say so.
    fn has_room(&self, to: &Address) -> bool {
        let session = self.users.get(&to.user).and_then(|user| user.devices.get(&to.device));
        session.and_then(|id| self.sessions.get(id)).is_none_or(|s| s.outbox.is_below(2))
    }

    fn push(&mut self, id: &SessionId, request: Option<u32>, message: ServerMessage) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        match session.outbox.push(|seq| written(seq, request, message)) {
            Ok(_) => self.effects.extend(session.socket.map(Effect::Wake)),
            Err(_) => self.doomed.push(id.clone()),
        }
    }

    /// Ends those that don't take what they are sent, and whom that is too much for in turn.
    fn finish(&mut self, now: Instant) {
        while let Some(id) = self.doomed.pop() {
            if let Some(socket) = self.sessions.get(&id).and_then(|session| session.socket) {
                self.effects.push(Effect::Close(socket, Close::TooSlow));
            }
            self.end_session(&id, Gone::TooSlow, now);
        }
    }

    fn note(&mut self, note: Note) {
        self.effects.push(Effect::Note(note));
    }

    fn session_of(&self, socket: SocketId) -> Option<&SessionId> {
        self.sockets.get(&socket)?.session.as_ref()
    }

    /// Who signed in over the socket.
    pub fn address_of(&self, socket: SocketId) -> Option<Address> {
        if socket == AWAY {
            return self.nodes.speaker();
        }
        let session = self.sessions.get(self.session_of(socket)?)?;
        Some(session.address.clone())
    }
}

// === impl Refused ===

impl Refused {
    pub fn new(code: ErrorCode, detail: impl AsRef<str>) -> Self {
        Self { code, detail: Sentence::cut(detail.as_ref()), call: None, user: None }
    }

    pub fn of(mut self, call: &CallId) -> Self {
        self.call = Some(call.clone());
        self
    }
}

fn written(seq: u64, request: Option<u32>, message: ServerMessage) -> String {
    // Our own types: none has a map with keys that aren't strings.
    serde_json::to_string(&Numbered { seq, request, message }).unwrap_or_default()
}

#[cfg(test)]
mod tests;
