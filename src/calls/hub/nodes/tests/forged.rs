//! A node that says what isn't its to say.

use super::*;
use crate::calls::hub::nodes::wire::Seen;
use crate::calls::messages::{EndReason, RingStop};
use crate::calls::signalling::DeviceChange;

fn tell(message: ServerMessage) -> Wire {
    Wire::Tell { to: address("bob", "b"), request: None, message }
}

#[test]
fn a_node_speaks_for_its_own_calls_and_devices_alone() {
    let mut world = World::new();
    let (alice, bob, call) = world.two_in_a_call();
    let (anna, ours) = (address("alice", "a"), address("bob", "b"));
    let id = || call.clone();
    let hang_up = |from: &Address| Wire::Say {
        from: from.clone(),
        request: None,
        message: ClientMessage::HangUp { call: id() },
    };
    let change =
        |address: &Address, change| Wire::Device { call: id(), address: address.clone(), change };
    let end = || ServerMessage::CallEnded { call: id(), reason: EndReason::HungUp };
    let ring = |call: CallId| ServerMessage::Ring {
        call,
        from: user("mallory"),
        media: MEDIA,
        others: Vec::new(),
        stops_in_ms: 1000,
    };
    let not_a_call = || ServerMessage::Pong {};
    use Fault::{NotOwner, NotYours};
    for (to, wire, fault) in [
        // As Bob, who is on another node, and as Alice, who is on the call's own.
        ('a', hang_up(&ours), Some(NotYours)),
        ('a', hang_up(&anna), Some(NotYours)),
        ('a', change(&ours, DeviceChange::Came), Some(NotYours)),
        ('a', change(&ours, DeviceChange::Gone), None),
        ('a', change(&ours, DeviceChange::Lost), None),
        (
            'a',
            Wire::Capabilities { call: id(), address: ours.clone(), capabilities: capabilities() },
            Some(NotYours),
        ),
        // For a device that isn't where it says.
        ('b', Wire::Arrived { address: address("bob", "x"), at: node('c') }, Some(NotYours)),
        // For a call that is another node's.
        ('b', tell(end()), Some(NotOwner)),
        ('b', tell(ring(id())), Some(NotOwner)),
        ('b', hang_up(&ours), Some(NotOwner)),
        ('b', change(&ours, DeviceChange::Gone), Some(NotOwner)),
        // For no node's, and for no call.
        ('b', tell(ring(CallId::new("c").unwrap())), Some(NotOwner)),
        ('b', tell(ring(CallId::new("b.1").unwrap())), Some(NotOwner)),
        ('b', tell(not_a_call()), Some(NotOwner)),
        (
            'b',
            tell(ServerMessage::RingStopped {
                call: CallId::new("a.1").unwrap(),
                reason: RingStop::Busy,
            }),
            Some(NotOwner),
        ),
        // What only a socket says.
        (
            'a',
            Wire::Say { from: ours.clone(), request: None, message: ClientMessage::Ping {} },
            Some(NotOwner),
        ),
    ] {
        let shown = format!("{wire:?}");
        world.faults.clear();
        world.bring('c', to, wire);
        world.settle();
        assert_eq!(world.faults.first().copied(), fault, "{shown}");
        assert!(world.heard_of_calls(alice).is_empty(), "{shown}");
        assert!(world.heard_of_calls(bob).is_empty(), "{shown}");
    }
    // Whoever wasn't invited learns nothing, wherever they are.
    let mallory = world.sign_in('c', "mallory", "m");
    world.heard(mallory);
    world.say(mallory, ClientMessage::Rejoin { call: id(), media: MEDIA });
    world.say(mallory, offer(&call));
    let heard = world.heard(mallory);
    assert!(heard.iter().all(|message| message["code"] == "not_invited"), "{heard:?}");
    assert_eq!(heard.len(), 2);
    // A call's own node can't bring a device into it that doesn't ring, or isn't there.
    world.faults.clear();
    let peer = ServerMessage::PeerClosed { call: CallId::new("c.1").unwrap(), session: 1 };
    world.bring('c', 'b', tell(peer));
    let nobody = Wire::Tell {
        to: address("bob", "none"),
        request: None,
        message: ring(CallId::new("c.1").unwrap()),
    };
    world.bring('c', 'b', nobody);
    world.settle();
    assert_eq!(world.faults[..2], [NotYours, NotYours]);
    assert!(world.heard_of_calls(bob).is_empty());
}

#[test]
fn calls_elsewhere_are_bounded() {
    let mut world = World::new();
    let bob = world.sign_in('b', "bob", "b");
    world.heard(bob);
    let most = limits().calls;
    for number in 0..most + 5 {
        let ring = ServerMessage::Ring {
            call: CallId::new(&format!("c.{number}")).unwrap(),
            from: user("mallory"),
            media: MEDIA,
            others: Vec::new(),
            stops_in_ms: 1000,
        };
        world.bring('c', 'b', tell(ring));
    }
    assert_eq!(world.heard_of_calls(bob).len(), most);
    assert_eq!(world.hub('b').nodes.foreign.len(), most);
}

#[test]
fn guests_are_bounded() {
    let mut world = World::new();
    for from in 0..3 {
        let seen = |n: usize| Seen {
            user: user(&format!("u{from}-{n}")),
            availability: Availability::Available,
        };
        let users: Vec<Seen> = (0..200).map(seen).collect();
        world.bring('c', 'b', Wire::Presence { users: users.try_into().unwrap(), all: false });
    }
    assert_eq!(world.hub('b').guests().count(), 300);
    let none = Wire::Presence { users: Vec::new().try_into().unwrap(), all: true };
    world.bring('c', 'b', none);
    assert_eq!(world.hub('b').guests().count(), 0);
}

/// More than one message holds.
#[test]
fn all_who_are_here_are_told_of_and_none_of_those_who_were() {
    let mut world = World::new();
    for (there, expected) in [(250, 250), (200, 200), (0, 0)] {
        let hub = world.hub('a');
        hub.nodes.announced.clear();
        for n in 0..there {
            hub.nodes.announced.insert(user(&format!("u{n}")), Availability::Available);
        }
        hub.tell_who_is_here(&node('b'));
        world.settle();
        assert_eq!(world.hub('b').guests().count(), expected);
    }
}
