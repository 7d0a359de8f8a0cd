//! Tests of a call: every input in every state as a table, scenarios, and any order of inputs.

use std::time::{Duration, Instant};

use super::*;
use crate::calls::ids::DeviceId;
use crate::calls::messages::{CandidateLine, Sdp};

mod properties;
mod scenarios;
mod table;

/// A call, its time, and what came of the last input.
struct Scene {
    call: Call,
    now: Instant,
    last: Handled,
}

const VIDEO: Media = Media { audio: true, video: true, screen: false };
/// Users and the devices that they have.
const DEVICES: &[(&str, &[&str])] =
    &[("ann", &["a1", "a2"]), ("ben", &["b1", "b2"]), ("cat", &["c1"]), ("dan", &["d1"])];

fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

/// Of a device by its name: `b1` is ben's.
fn address(device: &str) -> Address {
    let (name, _) = DEVICES.iter().find(|(_, devices)| devices.contains(&device)).unwrap();
    Address { user: user(name), device: DeviceId::new(device).unwrap() }
}

fn callee(name: &str) -> Callee {
    let (_, devices) = DEVICES.iter().find(|(user, _)| *user == name).unwrap();
    let devices = devices.iter().map(|device| DeviceId::new(device).unwrap()).collect();
    Callee { user: user(name), reach: Reach::Devices(devices) }
}

fn invite(names: &[&str]) -> Request {
    Request::Invite { callees: names.iter().map(|name| callee(name)).collect(), media: VIDEO }
}

fn accept() -> Request {
    Request::Accept { media: VIDEO }
}

fn rejoin() -> Request {
    Request::Rejoin { media: VIDEO }
}

fn relay(session: u32, epoch: u32, what: Relayed) -> Request {
    Request::Relay { session, epoch, what }
}

fn offer() -> Relayed {
    Relayed::Offer(Sdp::cut("v=0"))
}

fn candidate() -> Relayed {
    Relayed::Candidate { candidate: CandidateLine::cut("candidate:1"), mid: None }
}

// === impl Scene ===

impl Scene {
    /// Ann on a1 is about to call.
    fn new() -> Self {
        let now = Instant::now();
        let id = CallId::new("call").unwrap();
        let call = Call::new(id, address("a1"), VIDEO, Rules::default(), now);
        Self { call, now, last: Handled { outputs: Vec::new(), refused: None } }
    }

    /// Ann calls these.
    fn ringing(names: &[&str]) -> Self {
        let mut scene = Self::new();
        scene.say("a1", invite(names));
        scene
    }

    /// Ann calls, and all of these accept on their first device.
    fn together(names: &[&str]) -> Self {
        let mut scene = Self::ringing(names);
        for name in names {
            scene.say(&format!("{}1", &name[..1]), accept());
        }
        scene
    }

    fn feed(&mut self, input: Input) -> &mut Self {
        self.last = self.call.handle(input, self.now);
        self
    }

    fn say(&mut self, device: &str, request: Request) -> &mut Self {
        self.feed(Input::From { address: address(device), request })
    }

    fn device(&mut self, device: &str, change: DeviceChange) -> &mut Self {
        self.feed(Input::Device { address: address(device), change })
    }

    fn wait(&mut self, seconds: u64) -> &mut Self {
        self.now += Duration::from_secs(seconds);
        self.feed(Input::Tick)
    }

    /// What was sent for the last input, as `device message`.
    fn sent(&self) -> Vec<String> {
        self.last.outputs.iter().filter_map(line).collect()
    }

    fn turns(&self) -> Vec<Turn> {
        let turn = |output: &Output| match output {
            Output::Event(event) => Some(event.turn.clone()),
            Output::Send { .. } => None,
        };
        self.last.outputs.iter().filter_map(turn).collect()
    }

    fn present(&self) -> Vec<String> {
        self.call.present().map(|address| address.device.to_string()).collect()
    }
}

/// Device, message, and what is special about it.
fn line(output: &Output) -> Option<String> {
    let Output::Send { to, message } = output else { return None };
    let json = serde_json::to_value(message).unwrap();
    let word = |value: &serde_json::Value| value.as_str().map(|text| format!(" {text}"));
    let special = match message {
        ServerMessage::Participant { participant, .. } => {
            let person = &json["participant"];
            let state = word(&person["cause"]).or(word(&person["state"]));
            Some(format!(" {}{}", participant.user, state.unwrap_or_default()))
        }
        ServerMessage::Peer { session, epoch, offers, .. } => {
            let offers = if *offers { " offers" } else { "" };
            Some(format!(" {session}.{epoch}{offers}"))
        }
        ServerMessage::PeerClosed { session, .. } => Some(format!(" {session}")),
        _ => word(&json["reason"]).or(word(&json["cause"])),
    };
    let kind = json["type"].as_str().unwrap().to_owned();
    Some(format!("{} {kind}{}", to.device, special.unwrap_or_default()))
}
