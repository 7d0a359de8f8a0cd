//! Tests of the hub: devices and calls, without a socket.

use super::*;
use crate::calls::messages::{
    Capabilities, ClientMessage, CodecLimit, Direction, Few, IceServer, Media, Network, Path,
    PathReport, Sdp,
};
use crate::calls::topology;
use serde_json::{Value, json};
use stentor_protocol::{BitsPerSecond, Codec, Resolution};

mod contacts;
mod hundred;

pub struct Scene {
    pub hub: Hub,
    pub now: Instant,
}

pub const MEDIA: Media = Media { audio: true, video: true, screen: false };

pub fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

pub fn capabilities() -> Capabilities {
    let limit =
        CodecLimit { codec: Codec::Vp8, resolution: Resolution::new(1280, 720), frame_rate: 30 };
    let codecs: Few<CodecLimit, 16> = vec![limit].try_into().unwrap();
    Capabilities {
        encode: codecs.clone(),
        decode: codecs,
        up_bps: BitsPerSecond::from_kilo(4000),
        down_bps: BitsPerSecond::from_kilo(20_000),
        network: Network::Ethernet,
    }
}

pub fn limits() -> Limits {
    Limits {
        sockets: 10,
        user_devices: 2,
        calls: 10,
        rings: Rate { per_second: 1.0, burst: 3.0 },
        guests: 300,
        mesh_most: 12,
        record: RecordBy::Inviter,
        rules: Rules::default(),
    }
}

pub fn kinds(messages: &[Value]) -> Vec<&str> {
    messages.iter().map(|message| message["type"].as_str().unwrap()).collect()
}

/// What comes from a user, as a device says that sees them.
pub fn report(of: &str, shown: Path, alive: bool, packets: u32) -> PathReport {
    PathReport {
        user: user(of),
        direction: Direction::Receive,
        path: shown,
        direct_alive: alive,
        packets,
        lost_permille: 0,
        silent_ms: None,
        round_trip_ms: alive.then_some(20),
        bitrate_bps: BitsPerSecond(0),
    }
}

/// Three across the world go through the server, and three in one country do not. `arranged_for` has
/// three in a call whose networks are there, and gives what is said of the way that they take; None:
/// they stay in a mesh.
pub fn assert_far_ones_are_served(arranged_for: impl Fn([topology::Place; 3]) -> Option<String>) {
    let place = |(latitude, longitude)| topology::Place { latitude, longitude };
    let [berlin, munich, new_york, sydney] =
        [(52.5, 13.4), (48.1, 11.6), (40.7, -74.0), (-33.9, 151.2)].map(place);
    let reason = arranged_for([berlin, new_york, sydney]);
    let expected = "between alice and carol it is 258 ms, 160 are good for 3 people";
    assert_eq!(reason.as_deref(), Some(expected));
    assert_eq!(arranged_for([berlin, munich, berlin]), None);
}

fn invitee(name: &str, allowed: Result<(), Refused>) -> Invitee {
    Invitee { user: user(name), allowed, elsewhere: Whereabouts::default() }
}

impl Scene {
    pub fn new() -> Self {
        let mut last = 0;
        let random = Box::new(move || {
            last += 1;
            Some(last)
        });
        Self { hub: Hub::new(limits(), random), now: Instant::now() }
    }

    fn pass(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        self.hub.wake(self.now);
    }

    pub fn sign_in(&mut self, name: &str, device: &str) -> SocketId {
        self.sign_in_as(name, device, Circle::Everybody)
    }

    fn sign_in_as(&mut self, name: &str, device: &str, circle: Circle) -> SocketId {
        self.sign_in_at(name, device, circle, None)
    }

    pub fn sign_in_at(
        &mut self,
        name: &str,
        device: &str,
        circle: Circle,
        place: Option<topology::Place>,
    ) -> SocketId {
        let socket = self.hub.open().unwrap();
        let address = Address { user: user(name), device: DeviceId::new(device).unwrap() };
        let ice_servers = Vec::new();
        let (capabilities, site) = (capabilities(), None);
        let hello = Hello { address, capabilities, site, place, ice_servers, circle };
        self.hub.hello(Origin { socket, request: None }, hello, self.now);
        socket
    }

    fn resume(&mut self, session: &str, seq: u64, user: Option<UserId>) -> SocketId {
        let socket = self.hub.open().unwrap();
        let session = SessionId::new(session).unwrap();
        let ice_servers: Vec<IceServer> = Vec::new();
        let resume = Resume { session, seq, user, device: None, ice_servers };
        self.hub.resume(Origin { socket, request: None }, resume, self.now);
        socket
    }

    pub fn say(&mut self, socket: SocketId, message: ClientMessage) {
        self.hub.handle(Origin { socket, request: Some(9) }, message, self.now);
    }

    pub fn heard(&mut self, socket: SocketId) -> Vec<Value> {
        let next = || self.hub.poll_message(socket);
        std::iter::from_fn(next).map(|text| serde_json::from_str(&text).unwrap()).collect()
    }

    fn invite_all(&mut self, socket: SocketId, invitees: Vec<Invitee>) {
        let invitation = Invitation { call: None, invitees, media: MEDIA };
        self.hub.invite(Origin { socket, request: Some(9) }, invitation, self.now);
    }

    pub fn call(&mut self, socket: SocketId, names: &[&str]) -> CallId {
        self.invite(socket, names).unwrap()
    }

    fn invite(&mut self, socket: SocketId, names: &[&str]) -> Option<CallId> {
        let invitee = |name: &&str| invitee(name, Ok(()));
        let invitees = names.iter().map(invitee).collect();
        self.invite_all(socket, invitees);
        let heard = self.heard(socket);
        let call = heard.iter().find(|message| message["type"] == "call")?;
        assert_eq!(call["request"], 9);
        CallId::new(call["call"].as_str()?).ok()
    }

    pub fn invite_to(&mut self, socket: SocketId, call: &CallId, name: &str) {
        let invitees = vec![invitee(name, Ok(()))];
        let invitation = Invitation { call: Some(call.clone()), invitees, media: MEDIA };
        self.hub.invite(Origin { socket, request: Some(9) }, invitation, self.now);
    }

    /// Alice and Bob, in a call.
    pub fn two_in_a_call(&mut self) -> (SocketId, SocketId, CallId) {
        let alice = self.sign_in("alice", "a");
        let bob = self.sign_in("bob", "b");
        self.heard(alice);
        self.heard(bob);
        let call = self.invite(alice, &["bob"]).unwrap();
        self.say(bob, ClientMessage::Accept { call: call.clone(), media: MEDIA });
        (alice, bob, call)
    }

    fn closed(&mut self) -> Vec<(SocketId, Close)> {
        let effects = self.hub.take_effects();
        let closed = |effect| match effect {
            Effect::Close(socket, why) => Some((socket, why)),
            _ => None,
        };
        effects.into_iter().filter_map(closed).collect()
    }
}

#[test]
fn two_see_each_other_ring_talk_and_hang_up() {
    let mut scene = Scene::new();
    let (alice, bob, call) = scene.two_in_a_call();
    let heard = scene.heard(bob);
    // That Alice is in a call, Bob hears as everybody does.
    let mut found = kinds(&heard);
    found.sort_unstable();
    assert_eq!(found, ["call", "configure", "peer", "presence", "ring"]);
    let configure = heard.iter().find(|m| m["type"] == "configure").unwrap();
    assert_eq!((&configure["revision"], &configure["cause"]), (&json!(1), &json!("started")));
    assert_eq!(configure["configuration"]["video"]["codec"], "vp8");
    let heard = scene.heard(alice);
    assert!(kinds(&heard).contains(&"configure"), "{heard:?}");

    let sdp: Sdp = "v=0".to_owned().try_into().unwrap();
    scene.say(bob, ClientMessage::Offer { call: call.clone(), session: 1, epoch: 0, sdp });
    let heard = scene.heard(alice);
    assert_eq!(kinds(&heard), ["offer"]);
    assert_eq!(heard[0]["from"], "bob");

    scene.say(alice, ClientMessage::HangUp { call: call.clone() });
    assert!(kinds(&scene.heard(alice)).contains(&"call_ended"));
    let heard = scene.heard(bob);
    assert_eq!(heard[0]["reason"], "hung_up");
    assert_eq!(heard.last().unwrap()["availability"], "available");
    scene.say(bob, ClientMessage::HangUp { call: call.clone() });
    assert_eq!(scene.heard(bob)[0]["code"], "call_over");
    assert_eq!(scene.hub.calls(), 0);
    scene.pass(61);
    scene.say(bob, ClientMessage::HangUp { call });
    assert_eq!(scene.heard(bob)[0]["code"], "unknown_call");
}

#[test]
fn whoever_is_in_a_call_is_busy() {
    let mut scene = Scene::new();
    let (alice, ..) = scene.two_in_a_call();
    let carol = scene.sign_in("carol", "c");
    let heard = scene.heard(carol);
    assert_eq!(heard[1]["availability"], "in_call");
    let call = scene.invite(carol, &["bob"]).unwrap();
    scene.say(carol, ClientMessage::HangUp { call });
    assert_eq!(scene.heard(carol)[0]["code"], "call_over");
    scene.heard(alice);
    assert_eq!(scene.invite(alice, &["carol"]), None, "alice is in a call");
}

#[test]
fn who_may_not_be_rung_is_not_rung_and_neither_are_those_beside_them() {
    let mut scene = Scene::new();
    let alice = scene.sign_in("alice", "a");
    let bob = scene.sign_in("bob", "b");
    scene.heard(alice);
    scene.heard(bob);
    let refused = Refused::new(ErrorCode::NotAllowed, "not one of your contacts");
    let invitees = vec![invitee("bob", Ok(())), invitee("carol", Err(refused))];
    scene.invite_all(alice, invitees);
    let heard = scene.heard(alice);
    assert_eq!(kinds(&heard), ["error"]);
    let answer = (&heard[0]["request"], &heard[0]["detail"]);
    assert_eq!(answer, (&json!(9), &json!("not one of your contacts")));
    assert!(scene.heard(bob).is_empty());
    assert_eq!(scene.hub.calls(), 0);
    // Without the answers, there is no invitation.
    let users = vec![user("bob")].try_into().unwrap();
    scene.say(alice, ClientMessage::Invite { call: None, users, media: MEDIA });
    assert_eq!(scene.heard(alice)[0]["code"], "unavailable");
}

#[test]
fn a_session_resumes_without_losing_a_message_and_is_nobody_elses() {
    let mut scene = Scene::new();
    let (alice, bob, call) = scene.two_in_a_call();
    let heard = scene.heard(alice);
    let last = heard.last().unwrap()["seq"].as_u64().unwrap();
    // By the numbers that the scene's random source gives: alice came first.
    let session = format!("{:032x}", 1);
    scene.hub.close(alice, false, scene.now);
    let lost = scene.heard(bob);
    assert_eq!(lost.last().unwrap()["participant"]["state"], "lost");
    let sdp: Sdp = "v=0".to_owned().try_into().unwrap();
    scene.say(bob, ClientMessage::Offer { call, session: 1, epoch: 0, sdp });

    let thief = scene.resume(&session, last, Some(user("mallory")));
    assert_eq!(scene.heard(thief)[0]["code"], "not_resumable");
    scene.pass(29);
    let again = scene.resume(&session, last, Some(user("alice")));
    let heard = scene.heard(again);
    assert_eq!(kinds(&heard), ["offer", "welcome"]);
    assert_eq!(heard[1]["resumed"], true);
    let back = scene.heard(bob);
    assert_eq!(back.last().unwrap()["participant"]["state"], "in");
    assert_eq!(scene.hub.calls(), 1);
}

#[test]
fn whoever_does_not_come_back_is_out_and_gone() {
    let mut scene = Scene::new();
    let (alice, bob, _) = scene.two_in_a_call();
    scene.heard(bob);
    scene.hub.close(alice, false, scene.now);
    scene.pass(30);
    let heard = scene.heard(bob);
    let ended = heard.iter().find(|message| message["type"] == "call_ended").unwrap();
    assert_eq!(ended["reason"], "lost");
    assert_eq!(heard.last().unwrap()["availability"], "offline");
    assert_eq!(scene.hub.devices(), 1);
}

#[test]
fn a_device_that_signs_in_again_takes_its_own_place() {
    let mut scene = Scene::new();
    let first = scene.sign_in("alice", "a");
    let second = scene.sign_in("alice", "a");
    assert_eq!(scene.closed(), [(first, Close::Replaced)]);
    scene.hub.close(first, false, scene.now);
    assert_eq!(kinds(&scene.heard(second)), ["welcome"]);
    scene.sign_in("alice", "b");
    let third = scene.sign_in("alice", "c");
    assert_eq!(scene.heard(third)[0]["code"], "not_allowed");
    assert_eq!(scene.hub.devices(), 2);
}

#[test]
fn ringing_has_its_measure_even_for_one_who_signs_in_again() {
    let mut scene = Scene::new();
    let alice = scene.sign_in("alice", "a");
    scene.heard(alice);
    for _ in 0..3 {
        assert!(scene.invite(alice, &["nobody"]).is_some());
    }
    assert!(scene.invite(alice, &["nobody"]).is_none());
    scene.hub.close(alice, true, scene.now);
    let alice = scene.sign_in("alice", "a");
    assert!(scene.invite(alice, &["nobody"]).is_none());
    scene.pass(1);
    assert!(scene.invite(alice, &["nobody"]).is_some());
    scene.hub.close(alice, true, scene.now);
    scene.pass(60);
    assert!(scene.hub.users.is_empty() && scene.hub.lobby == 0);
}

#[test]
fn a_device_that_acknowledges_nothing_is_closed() {
    let mut scene = Scene::new();
    let alice = scene.sign_in("alice", "a");
    for _ in 0..1000 {
        scene.say(alice, ClientMessage::Ping {});
    }
    assert_eq!(scene.closed(), [(alice, Close::TooSlow)]);
    assert_eq!(scene.hub.devices(), 0);
}

#[test]
fn sockets_are_counted_and_before_hello_little_is_said() {
    let mut scene = Scene::new();
    let first = scene.hub.open().unwrap();
    for _ in 0..9 {
        scene.say(first, ClientMessage::Ping {});
    }
    assert_eq!(scene.closed(), [(first, Close::Flood)]);
    let heard = scene.heard(first);
    assert_eq!(heard.len(), 8);
    assert_eq!((&heard[0]["code"], &heard[0]["seq"]), (&json!("hello_first"), &json!(0)));
    for _ in 1..10 {
        scene.hub.open().unwrap();
    }
    assert_eq!(scene.hub.open(), Err(Full(10)));
    scene.hub.close(first, false, scene.now);
    assert!(scene.hub.open().is_ok());
}

#[test]
fn the_end_of_the_server_ends_calls_and_then_sockets() {
    let mut scene = Scene::new();
    let (alice, bob, _) = scene.two_in_a_call();
    scene.heard(bob);
    scene.closed();
    scene.hub.stop(scene.now);
    assert_eq!(scene.heard(bob)[0]["reason"], "server_stopping");
    let mut closed = scene.closed();
    closed.sort_unstable_by_key(|(socket, _)| *socket);
    assert_eq!(closed, [(alice, Close::Stopping), (bob, Close::Stopping)]);
}
