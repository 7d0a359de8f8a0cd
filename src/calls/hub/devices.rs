//! Sessions: devices that sign in, lose their sockets, resume, and go.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use crate::bucket::Bucket;
use crate::calls::ids::{Address, CallId, DeviceId, SessionId, UserId};
use crate::calls::messages::{
    Availability, Capabilities, ErrorCode, IceServer, ServerMessage, VERSION,
};
use crate::calls::outbox::{Outbox, RESUME_WITHIN, Room};
use crate::calls::signalling::DeviceChange;
use crate::calls::topology::Place;

use super::chat::ChatPlace;
use super::effect::{Gone, Step};
use super::{Alarm, Circle, Close, Effect, Hub, Note, Origin, Refused};

/// A device's stay.
#[derive(Debug)]
pub struct Session {
    pub address: Address,
    pub outbox: Outbox,
    pub socket: Option<super::SocketId>,
    pub capabilities: Capabilities,
    pub site: Option<String>,
    pub place: Option<Place>,
    pub chat: ChatPlace,
}

/// Someone who is here, on a device at least, or was a moment ago.
#[derive(Debug)]
pub struct User {
    pub devices: BTreeMap<DeviceId, SessionId>,
    /// Those that this user is in or rung by, and some that are over.
    pub calls: BTreeSet<CallId>,
    /// Among those who see each other come and go.
    pub shown: bool,
    /// What the others were told last.
    pub told: Availability,
    pub circle: Circle,
    /// Not to be disturbed.
    pub quiet: bool,
    pub rings: Bucket,
}

/// Who signs in.
#[derive(Debug, Clone)]
pub struct Hello {
    pub address: Address,
    pub capabilities: Capabilities,
    /// The network that it comes from, for the choice between mesh and server.
    pub site: Option<String>,
    /// Where that network is, where somebody knows: a database of addresses. Distances stand in for
    /// round trips that weren't measured.
    pub place: Option<Place>,
    pub ice_servers: Vec<IceServer>,
    /// Whether the user sees everybody, or contacts: [`Hub::set_circle`] names them.
    pub circle: Circle,
}

/// Who goes on.
#[derive(Debug, Clone)]
pub struct Resume {
    pub session: SessionId,
    pub seq: u64,
    /// Whose token came with it. None: the server asks for none.
    pub user: Option<UserId>,
    /// The one device that the token is good for. None: any.
    pub device: Option<DeviceId>,
    pub ice_servers: Vec<IceServer>,
}

// === impl Hub ===

impl Hub {
    /// Begins a session. One that the device had before is over, and what was in it is lost.
    pub fn hello(&mut self, origin: Origin, hello: Hello, now: Instant) {
        match self.begin(origin, &hello, now) {
            Err(refused) => self.refuse(origin, refused, now),
            Ok(session) => self.welcome(origin, session, hello, now),
        }
        self.finish(now);
    }

    fn begin(&mut self, origin: Origin, hello: &Hello, now: Instant) -> Result<SessionId, Refused> {
        self.check_newcomer(origin)?;
        let Address { user, device } = &hello.address;
        if self.draining && !self.has_call(user) {
            return Err(draining());
        }
        let devices = self.users.get(user).map(|user| &user.devices);
        let before = devices.and_then(|devices| devices.get(device)).cloned();
        let most = self.limits.user_devices;
        if before.is_none() && devices.is_some_and(|devices| devices.len() >= most) {
            let detail = format!("{most} devices of {user} are connected, the most that may be");
            return Err(Refused::new(ErrorCode::NotAllowed, detail));
        }
        let id = self.random_id();
        let id = id.and_then(|id| SessionId::new(&id).ok()).ok_or_else(no_randomness)?;
        if let Some(before) = before {
            self.step(&hello.address, Step::Gone(Gone::Replaced));
            self.replace(&before);
            self.sessions.remove(&before);
            self.alarms.set(&Alarm::Session(before), None);
        }
        let rings = Bucket::new(self.limits.rings, now);
        let user = self
            .users
            .entry(user.clone())
            .or_insert_with(|| User::new(rings, hello.circle.clone()));
        user.devices.insert(device.clone(), id.clone());
        self.alarms.set(&Alarm::User(hello.address.user.clone()), None);
        Ok(id)
    }

    fn welcome(&mut self, origin: Origin, id: SessionId, hello: Hello, now: Instant) {
        let Hello { address, capabilities, site, place, ice_servers, .. } = hello;
        let network = capabilities.network;
        let session = Session {
            address: address.clone(),
            outbox: Outbox::new(Room::default()),
            socket: Some(origin.socket),
            capabilities,
            site,
            place,
            chat: ChatPlace::default(),
        };
        self.sessions.insert(id.clone(), session);
        self.register(&address);
        if let Some(socket) = self.sockets.get_mut(&origin.socket) {
            socket.session = Some(id.clone());
        }
        self.step(&address, Step::Connected(network));
        self.answer(origin, welcome(&address.user, id, false, ice_servers));
        self.effects.push(Effect::Chat(origin.socket));
        self.enter_lobby(&address);
        for call in self.calls_of(&address.user) {
            self.forget_told(&call, &address, now);
            self.change_device(&call, &address, DeviceChange::Came, now);
        }
        self.tell_presence(&address.user);
        self.effects.push(Effect::Arrived(address));
    }

    /// Goes on with a session, over this socket.
    pub fn resume(&mut self, origin: Origin, resume: Resume, now: Instant) {
        match self.take_up(origin, &resume, now) {
            Err(refused) => self.refuse(origin, refused, now),
            Ok(address) => {
                let Resume { session, ice_servers, .. } = resume;
                self.step(&address, Step::Resumed);
                self.alarms.set(&Alarm::Session(session.clone()), None);
                self.register(&address);
                self.answer(origin, welcome(&address.user, session, true, ice_servers));
                self.effects.push(Effect::Chat(origin.socket));
                for call in self.calls_of(&address.user) {
                    self.change_device(&call, &address, DeviceChange::Back, now);
                }
            }
        }
        self.finish(now);
    }

    fn take_up(
        &mut self,
        origin: Origin,
        resume: &Resume,
        now: Instant,
    ) -> Result<Address, Refused> {
        self.check_newcomer(origin)?;
        let refuse = |detail: &str| Refused::new(ErrorCode::NotResumable, detail);
        let session = self.sessions.get_mut(&resume.session);
        // To whoever it doesn't belong to, a session is one that isn't there.
        let session = session
            .filter(|s| resume.user.as_ref().is_none_or(|user| *user == s.address.user))
            .filter(|s| resume.device.as_ref().is_none_or(|device| *device == s.address.device))
            .ok_or_else(|| refuse("there is no such session, or it has ended"))?;
        let resumed = session.outbox.resume(resume.seq, now);
        resumed.map_err(|error| refuse(&error.to_string()))?;
        let address = session.address.clone();
        self.replace(&resume.session);
        if let Some(session) = self.sessions.get_mut(&resume.session) {
            session.socket = Some(origin.socket);
        }
        if let Some(socket) = self.sockets.get_mut(&origin.socket) {
            socket.session = Some(resume.session.clone());
        }
        Ok(address)
    }

    fn check_newcomer(&self, origin: Origin) -> Result<(), Refused> {
        if self.stopping {
            return Err(Refused::new(ErrorCode::Unavailable, "the server stops"));
        }
        if self.is_signed_in(origin.socket) {
            let detail = "somebody has signed in over this socket already";
            return Err(Refused::new(ErrorCode::Invalid, detail));
        }
        Ok(())
    }

    /// Everything up to `seq` has arrived.
    pub(super) fn acknowledge(&mut self, origin: Origin, seq: u64) {
        let Some(id) = self.session_of(origin.socket).cloned() else { return };
        if let Some(session) = self.sessions.get_mut(&id) {
            session.outbox.handle_ack(seq);
        }
        self.resume_chat(origin.socket);
    }

    /// The user took the device's right away: its socket is closed, and nothing of it goes on.
    pub fn sign_out(&mut self, address: &Address, now: Instant) {
        let devices = self.users.get(&address.user).map(|user| &user.devices);
        let Some(id) = devices.and_then(|devices| devices.get(&address.device)).cloned() else {
            return;
        };
        if let Some(socket) = self.sessions.get(&id).and_then(|session| session.socket) {
            self.effects.push(Effect::Close(socket, Close::SignedOut));
        }
        self.end_session(&id, Gone::SignedOut, now);
        self.finish(now);
    }

    /// The device's token is good no longer: nothing of it goes on, and what it had of the call
    /// server ends.
    pub fn expire(&mut self, socket: super::SocketId, now: Instant) {
        let Some(id) = self.session_of(socket).cloned() else { return };
        self.end_session(&id, Gone::TokenEnded, now);
        self.finish(now);
    }

    /// Its socket is gone; it may come back.
    pub(super) fn detach(&mut self, id: &SessionId, now: Instant) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        session.socket = None;
        session.outbox.detach(now);
        let expires = session.outbox.expires();
        let address = session.address.clone();
        self.alarms.set(&Alarm::Session(id.clone()), expires);
        if !self.stopping {
            self.step(&address, Step::Lost);
        }
        self.effects.push(Effect::Detached(address.clone()));
        for call in self.calls_of(&address.user) {
            self.change_device(&call, &address, DeviceChange::Lost, now);
        }
    }

    /// The device won't come back.
    pub(super) fn end_session(&mut self, id: &SessionId, why: Gone, now: Instant) {
        let Some(session) = self.sessions.remove(id) else { return };
        if !self.stopping {
            self.step(&session.address, Step::Gone(why));
        }
        self.alarms.set(&Alarm::Session(id.clone()), None);
        if let Some(socket) = session.socket.and_then(|socket| self.sockets.get_mut(&socket)) {
            socket.session = None;
        }
        let address = session.address;
        if let Some(user) = self.users.get_mut(&address.user)
            && user.devices.get(&address.device) == Some(id)
        {
            user.devices.remove(&address.device);
            self.effects.push(Effect::Unregister(address.clone()));
        }
        for call in self.calls_of(&address.user) {
            self.change_device(&call, &address, DeviceChange::Gone, now);
        }
        self.tell_presence(&address.user);
        self.forget_user(&address.user, now);
    }

    /// Someone without devices is forgotten, once their allowance for ringing is what a newcomer's
    /// is: signing in again gives nobody a new one.
    pub(super) fn forget_user(&mut self, id: &UserId, now: Instant) {
        let Some(user) = self.users.get(id).filter(|user| user.devices.is_empty()) else { return };
        let full_at = user.rings.full_at(self.limits.rings);
        if full_at > now {
            self.alarms.set(&Alarm::User(id.clone()), Some(full_at));
            return;
        }
        self.alarms.set(&Alarm::User(id.clone()), None);
        self.alarms.set(&Alarm::Quiet(id.clone()), None);
        let Some(user) = self.users.remove(id) else { return };
        if let Circle::Contacts { users, .. } = user.circle {
            self.watch(id, &users, &BTreeSet::new());
        }
    }

    /// Takes the session's socket away: another has its place.
    fn replace(&mut self, id: &SessionId) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        let Some(old) = session.socket.take() else { return };
        if let Some(socket) = self.sockets.get_mut(&old) {
            socket.session = None;
        }
        self.effects.push(Effect::Close(old, Close::Replaced));
    }

    /// In a call or rung by one, wherever it lives, or just out of one that goes on.
    fn has_call(&self, user: &UserId) -> bool {
        let goes_on =
            |id: &CallId| self.calls.get(id).is_none_or(|live| live.call.over().is_none());
        self.calls_of(user).iter().any(goes_on)
    }

    /// Whether the call has to do with the user, wherever it lives.
    pub fn is_call_of(&self, call: &CallId, user: &UserId) -> bool {
        self.calls_of(user).contains(call)
    }

    /// Calls that have to do with the user, wherever they live.
    pub(super) fn calls_of(&self, user: &UserId) -> Vec<CallId> {
        let indexed = self.users.get(user).into_iter().flat_map(|user| &user.calls);
        let calls: BTreeSet<&CallId> = indexed.chain(self.nodes.calls_of(user)).collect();
        calls.into_iter().cloned().collect()
    }

    pub(super) fn step(&mut self, address: &Address, step: Step) {
        self.note(Note::Device { address: address.clone(), step });
    }

    pub(super) fn random_id(&mut self) -> Option<String> {
        (self.random)().map(|bits| format!("{bits:032x}"))
    }
}

/// Those who are here go on; nothing new begins.
pub(super) fn draining() -> Refused {
    Refused::new(ErrorCode::Unavailable, "the server is draining and takes nobody new")
}

pub(super) fn no_randomness() -> Refused {
    Refused::new(ErrorCode::Unavailable, "the server has no random numbers at present")
}

fn welcome(
    user: &UserId,
    session: SessionId,
    resumed: bool,
    ice_servers: Vec<IceServer>,
) -> ServerMessage {
    ServerMessage::Welcome {
        version: VERSION,
        user: user.clone(),
        session,
        resumed,
        resume_within_ms: RESUME_WITHIN.as_millis() as u32,
        ice_servers,
    }
}

// === impl User ===

impl User {
    fn new(rings: Bucket, circle: Circle) -> Self {
        Self {
            devices: BTreeMap::new(),
            calls: BTreeSet::new(),
            shown: false,
            told: Availability::Offline,
            circle,
            quiet: false,
            rings,
        }
    }
}
