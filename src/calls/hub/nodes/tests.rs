//! Tests of calls between nodes: hubs that hear each other, without a network.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::calls::hub::tests::{MEDIA, capabilities, kinds, limits, user};
use crate::calls::hub::{Circle, Hello, Invitation, Invitee, Resume};
use crate::calls::ids::SessionId;
use crate::calls::messages::{ClientMessage, Conversation, ErrorCode, Sdp};
use crate::calls::topology;

mod crossing;
mod forged;
mod guests;
mod lost;
mod served;
mod together;

/// Nodes a, b and c, and the directory.
struct World {
    now: Instant,
    hubs: BTreeMap<char, Hub>,
    cards: BTreeMap<(char, Address), Card>,
    /// What of the nodes' messages wasn't followed.
    faults: Vec<Fault>,
    /// Messages to this node get lost.
    deaf: Option<char>,
}

/// A socket of a node.
#[derive(Clone, Copy)]
struct Device(char, SocketId);

fn node(name: char) -> NodeId {
    NodeId::new(&name.to_string()).unwrap()
}

fn name_of(node: &NodeId) -> char {
    node.as_str().chars().next().unwrap()
}

fn address(name: &str, device: &str) -> Address {
    Address { user: user(name), device: DeviceId::new(device).unwrap() }
}

impl World {
    fn new() -> Self {
        let now = Instant::now();
        let hub = |name: char| {
            let mut last = name as u128 * 1000;
            let random = Box::new(move || {
                last += 1;
                Some(last)
            });
            let mut hub = Hub::new(limits(), random).on_node(node(name));
            for other in "abc".chars().filter(|other| *other != name) {
                hub.node_here(node(other), now);
            }
            (name, hub)
        };
        let hubs = "abc".chars().map(hub).collect();
        let mut world = Self { now, hubs, cards: BTreeMap::new(), faults: Vec::new(), deaf: None };
        world.settle();
        world
    }

    fn hub(&mut self, name: char) -> &mut Hub {
        self.hubs.get_mut(&name).unwrap()
    }

    /// Brings messages until there are none.
    fn settle(&mut self) {
        loop {
            let mut wires = Vec::new();
            for (name, hub) in &mut self.hubs {
                for effect in hub.take_effects() {
                    match effect {
                        Effect::Send { to, wire } => wires.push((*name, to, wire)),
                        Effect::Register { address, card } => {
                            let card = Card::read(&card.written()).unwrap();
                            drop(self.cards.insert((*name, address), card));
                        }
                        Effect::Amend { address, card } => {
                            if let Some(known) = self.cards.get_mut(&(*name, address)) {
                                *known = card;
                            }
                        }
                        Effect::Unregister(address) => drop(self.cards.remove(&(*name, address))),
                        Effect::Arrived(address) => {
                            let there = |(at, known): &&(char, Address)| {
                                at != name && known.user == address.user
                            };
                            let others = self.cards.keys().filter(there).map(|(at, _)| node(*at));
                            let at = node(*name);
                            wires.extend(others.map(|to| {
                                let wire =
                                    Wire::Arrived { address: address.clone(), at: at.clone() };
                                (*name, to, Box::new(wire))
                            }));
                        }
                        Effect::Note(Note::NotFollowed(fault)) => self.faults.push(fault),
                        _ => {}
                    }
                }
            }
            if wires.is_empty() {
                return;
            }
            for (from, to, wire) in wires {
                let to = name_of(&to);
                let wire = Wire::read(&wire.written()).unwrap();
                if self.deaf != Some(to) && self.hubs.contains_key(&to) {
                    self.bring(from, to, wire);
                }
            }
        }
    }

    fn bring(&mut self, from: char, to: char, wire: Wire) {
        let now = self.now;
        if let Wire::Arrived { address, at } = &wire
            && let Some(card) = self.cards.get(&(name_of(at), address.clone())).cloned()
        {
            return self.hub(to).arrived(&node(from), at, address, card, now);
        }
        if let Some((call, address)) = self.hub(to).wants_proof(&node(from), &wire)
            && let Some(card) = self.cards.get(&(from, address.clone())).cloned()
        {
            self.hub(to).prove(&node(from), &call, &address, card);
        }
        if let Wire::Say {
            from: address,
            request,
            message: ClientMessage::Invite { call, users, media },
        } = wire
        {
            let invitees = self.find(to, users.into_vec());
            let invitation = Invitation { call, invitees, media };
            return self.hub(to).invite_from(&node(from), address, request, invitation, now);
        }
        self.hub(to).handle_wire(&node(from), wire, now);
    }

    fn find(&self, here: char, users: Vec<UserId>) -> Vec<Invitee> {
        let invitee = |user: UserId| {
            let there = |(name, address): &&(char, Address)| *name != here && address.user == user;
            let found = self.cards.iter().filter(|(key, _)| there(key));
            let cards = found
                .map(|((name, address), card)| (address.device.clone(), node(*name), card.clone()));
            let elsewhere = Whereabouts::of(cards, 32);
            Invitee { user, allowed: Ok(()), elsewhere }
        };
        users.into_iter().map(invitee).collect()
    }

    fn sign_in(&mut self, name: char, who: &str, device: &str) -> Device {
        self.sign_in_from(name, who, device, None)
    }

    fn sign_in_from(
        &mut self,
        name: char,
        who: &str,
        device: &str,
        place: Option<topology::Place>,
    ) -> Device {
        self.sign_in_as(name, who, device, place, Circle::Everybody)
    }

    fn sign_in_as(
        &mut self,
        name: char,
        who: &str,
        device: &str,
        place: Option<topology::Place>,
        circle: Circle,
    ) -> Device {
        let now = self.now;
        let hub = self.hub(name);
        let socket = hub.open().unwrap();
        let address = address(who, device);
        let hello = Hello {
            address,
            capabilities: capabilities(),
            site: None,
            place,
            ice_servers: Vec::new(),
            circle,
        };
        hub.hello(Origin { socket, request: None }, hello, now);
        self.settle();
        Device(name, socket)
    }

    fn say(&mut self, Device(name, socket): Device, message: ClientMessage) {
        let now = self.now;
        self.hub(name).handle(Origin { socket, request: Some(9) }, message, now);
        self.settle();
    }

    fn heard(&mut self, Device(name, socket): Device) -> Vec<Value> {
        let hub = self.hub(name);
        let next = || hub.poll_message(socket);
        std::iter::from_fn(next).map(|text| serde_json::from_str(&text).unwrap()).collect()
    }

    /// What a device hears beside who comes and goes.
    fn heard_of_calls(&mut self, device: Device) -> Vec<Value> {
        let mut heard = self.heard(device);
        heard.retain(|message| message["type"] != "presence");
        heard
    }

    fn invite(&mut self, device: Device, call: Option<&CallId>, names: &[&str]) -> Vec<Value> {
        let users = names.iter().map(|name| user(name)).collect();
        let call = call.cloned();
        let invitees = self.find(device.0, users);
        let invitation = Invitation { call, invitees, media: MEDIA };
        let now = self.now;
        let origin = Origin { socket: device.1, request: Some(9) };
        self.hub(device.0).invite(origin, invitation, now);
        self.settle();
        self.heard_of_calls(device)
    }

    fn start(&mut self, device: Device, names: &[&str]) -> CallId {
        let heard = self.invite(device, None, names);
        let call = heard.iter().find(|message| message["type"] == "call").unwrap();
        CallId::new(call["call"].as_str().unwrap()).unwrap()
    }

    fn accept(&mut self, device: Device, call: &CallId) {
        self.say(device, ClientMessage::Accept { call: call.clone(), media: MEDIA });
    }

    /// Alice on a and Bob on b, in a call of Alice's, with nothing left to hear.
    fn two_in_a_call(&mut self) -> (Device, Device, CallId) {
        let alice = self.sign_in('a', "alice", "a");
        let bob = self.sign_in('b', "bob", "b");
        self.heard(alice);
        self.heard(bob);
        let call = self.start(alice, &["bob"]);
        self.accept(bob, &call);
        self.heard(alice);
        self.heard(bob);
        (alice, bob, call)
    }

    fn pass(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        let now = self.now;
        self.hubs.values_mut().for_each(|hub| hub.wake(now));
        self.settle();
    }
}

fn offer(call: &CallId) -> ClientMessage {
    let sdp: Sdp = "v=0".to_owned().try_into().unwrap();
    ClientMessage::Offer { call: call.clone(), session: 1, epoch: 0, sdp }
}
