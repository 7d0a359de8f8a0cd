//! Users on several nodes call and see each other.

use super::*;

#[test]
fn two_on_two_nodes_ring_talk_and_hang_up() {
    let mut world = World::new();
    let alice = world.sign_in('a', "alice", "a");
    let bob = world.sign_in('b', "bob", "b");
    let call = world.start(alice, &["bob"]);
    assert!(call.as_str().starts_with("a."));
    let heard = world.heard_of_calls(bob);
    assert_eq!(kinds(&heard), ["welcome", "ring"]);
    // After who is there.
    assert_eq!((&heard[1]["seq"], &heard[1]["from"]), (&json!(3), &json!("alice")));
    world.accept(bob, &call);
    let heard = world.heard_of_calls(bob);
    assert_eq!(kinds(&heard), ["call", "peer", "configure"]);
    assert_eq!(heard[0]["request"], 9);
    assert_eq!(heard[2]["configuration"]["video"]["codec"], "vp8");
    world.heard(alice);
    world.say(bob, offer(&call));
    let heard = world.heard(alice);
    assert_eq!((kinds(&heard), &heard[0]["from"]), (vec!["offer"], &json!("bob")));
    world.say(alice, offer(&call));
    assert_eq!(kinds(&world.heard_of_calls(bob)), ["offer"]);

    // What is refused is refused to whoever asked.
    world.say(bob, ClientMessage::Accept { call: call.clone(), media: MEDIA });
    let heard = world.heard(bob);
    assert_eq!((&heard[0]["code"], &heard[0]["request"]), (&json!("already_in"), &json!(9)));

    world.say(bob, ClientMessage::HangUp { call: call.clone() });
    for device in [alice, bob] {
        assert_eq!(world.heard_of_calls(device)[0]["reason"], "hung_up");
    }
    world.say(bob, ClientMessage::HangUp { call: call.clone() });
    assert_eq!(world.heard_of_calls(bob)[0]["code"], "call_over");
    world.pass(61);
    assert!(world.hubs.values().all(|hub| hub.nodes.away.len() + hub.nodes.foreign.len() == 0));
    world.say(bob, ClientMessage::HangUp { call });
    assert_eq!(world.heard_of_calls(bob)[0]["code"], "unknown_call");
    assert_eq!(world.faults, []);
}

#[test]
fn every_device_rings_wherever_it_is_and_the_first_answer_stops_the_others() {
    let mut world = World::new();
    let alice = world.sign_in('a', "alice", "a");
    let devices = [('a', "1"), ('b', "2"), ('b', "3"), ('c', "4")];
    let devices = devices.map(|(name, device)| world.sign_in(name, "bob", device));
    devices.iter().for_each(|device| drop(world.heard(*device)));
    let call = world.start(alice, &["bob"]);
    for device in devices {
        assert_eq!(kinds(&world.heard_of_calls(device)), ["ring"]);
    }
    world.accept(devices[2], &call);
    for device in [devices[0], devices[1], devices[3]] {
        let heard = world.heard_of_calls(device);
        assert_eq!(heard[0]["reason"], "answered_elsewhere");
    }
    world.accept(devices[3], &call);
    assert_eq!(world.heard_of_calls(devices[3])[0]["code"], "answered_elsewhere");
    // The call moves to a device on another node.
    world.say(devices[3], ClientMessage::Rejoin { call: call.clone(), media: MEDIA });
    assert_eq!(kinds(&world.heard_of_calls(devices[3]))[0], "call");
    let heard = world.heard_of_calls(devices[2]);
    assert_eq!(heard.last().unwrap()["cause"], "moved");
    assert_eq!(world.faults, []);
}

#[test]
fn whoever_is_in_a_call_on_another_node_is_busy() {
    let mut world = World::new();
    let (_, bob, call) = world.two_in_a_call();
    let second = world.sign_in('c', "bob", "c");
    let carol = world.sign_in('c', "carol", "c");
    world.heard(second);
    world.heard(carol);
    assert_eq!(world.invite(carol, None, &["bob"]).last().unwrap()["reason"], "busy");
    assert!(world.heard_of_calls(second).is_empty());
    // From a third node, too, none of the user's devices rings.
    let dora = world.sign_in('a', "dora", "d");
    world.heard(second);
    assert_eq!(world.invite(dora, None, &["bob"]).last().unwrap()["reason"], "busy");
    assert!(world.heard_of_calls(second).is_empty());
    // The directory doesn't know yet: the device's node does.
    world.cards.values_mut().for_each(|card| card.busy = false);
    world.cards.retain(|(name, _), _| *name != 'c');
    let dave = world.sign_in('a', "dave", "d");
    let heard = world.invite(dave, None, &["bob"]);
    assert_eq!(heard.last().unwrap()["reason"], "busy");
    assert!(world.heard_of_calls(bob).is_empty());
    // And whoever is in a call starts and enters no other.
    let bob_calls = world.invite(bob, None, &["dave"]);
    assert_eq!(bob_calls[0]["code"], "already_in");
    let other = world.start(carol, &["dave"]);
    world.say(bob, ClientMessage::Rejoin { call: other, media: MEDIA });
    assert_eq!(world.heard_of_calls(bob)[0]["code"], "already_in");
    world.say(bob, ClientMessage::Leave { call });
    world.heard(bob);
    world.hub('b').register(&address("bob", "b"));
    world.settle();
    assert_eq!(kinds(&world.invite(bob, None, &["eve"]))[0], "call");
}

#[test]
fn one_on_another_node_adds_people_to_a_call() {
    let mut world = World::new();
    let (alice, bob, call) = world.two_in_a_call();
    let carol = world.sign_in('c', "carol", "c");
    world.heard(carol);
    let heard = world.invite(bob, Some(&call), &["carol"]);
    assert_eq!((kinds(&heard)[0], &heard[0]["request"]), ("call", &json!(9)));
    assert_eq!(kinds(&world.heard_of_calls(carol)), ["ring"]);
    world.accept(carol, &call);
    let peers = world.heard_of_calls(carol);
    assert_eq!(kinds(&peers).iter().filter(|kind| **kind == "peer").count(), 2);
    world.say(carol, ClientMessage::HangUp { call: call.clone() });
    assert_eq!(world.heard_of_calls(carol)[0]["code"], "only_the_host");
    world.heard(alice);
    world.say(alice, ClientMessage::HangUp { call });
    for device in [alice, bob, carol] {
        assert_eq!(world.heard_of_calls(device).last().unwrap()["reason"], "hung_up");
    }
}

#[test]
fn what_a_device_can_do_is_known_where_its_call_lives() {
    let mut world = World::new();
    let (alice, bob, _) = world.two_in_a_call();
    let mut less = capabilities();
    less.up_bps = stentor_protocol::BitsPerSecond::from_kilo(300);
    world.say(bob, ClientMessage::Capabilities { capabilities: less.clone() });
    for device in [alice, bob] {
        let heard = world.heard_of_calls(device);
        assert_eq!(
            (kinds(&heard), &heard[0]["cause"]),
            (vec!["configure"], &json!("bandwidth_changed"))
        );
    }
    assert_eq!(
        world.cards[&('b', address("bob", "b"))],
        Card { busy: true, capabilities: less, site: None, spot: None }
    );
}

#[test]
fn who_is_there_on_other_nodes_is_seen() {
    let mut world = World::new();
    let seen = |heard: Vec<Value>| -> Vec<String> {
        let presence = heard.iter().filter(|message| message["type"] == "presence");
        presence.map(|p| format!("{} {}", p["user"], p["availability"]).replace('"', "")).collect()
    };
    let alice = world.sign_in('a', "alice", "a");
    let bob = world.sign_in('b', "bob", "b");
    assert_eq!(seen(world.heard(alice)), ["bob available"]);
    assert_eq!(seen(world.heard(bob)), ["alice available"]);
    let also = world.sign_in('c', "bob", "c");
    assert!(seen(world.heard(alice)).is_empty());
    let call = world.start(alice, &["bob"]);
    world.accept(bob, &call);
    assert_eq!(seen(world.heard(alice)), ["bob in_call"]);
    assert_eq!(seen(world.heard(also)), ["alice available", "alice in_call"]);
    let now = world.now;
    world.hub('b').close(bob.1, true, now);
    world.settle();
    assert_eq!(seen(world.heard(alice)), ["bob available"]);
    // A node that comes late is told, and one that goes takes its own with it.
    world.hub('c').node_gone(&node('a'), now);
    assert_eq!(seen(world.heard(also)).last().unwrap(), "alice offline");
    world.hub('c').node_here(node('a'), now);
    world.hub('a').node_gone(&node('c'), now);
    assert_eq!(seen(world.heard(alice)), ["bob offline"]);
    world.hub('a').node_here(node('c'), now);
    world.settle();
    assert_eq!(seen(world.heard(also)).last().unwrap(), "alice available");
    assert_eq!(seen(world.heard(alice)), ["bob available"]);
}

#[test]
fn where_others_cannot_be_asked_those_here_are_rung_and_nobody_else_is() {
    let mut world = World::new();
    let alice = world.sign_in('a', "alice", "a");
    world.sign_in('b', "bob", "b");
    let carol = world.sign_in('a', "carol", "c");
    world.heard(alice);
    world.heard(carol);
    let invite = |world: &mut World, names: &[&str]| {
        let elsewhere = Whereabouts { incomplete: true, ..Whereabouts::default() };
        let invitee = |name: &&str| Invitee {
            user: user(name),
            allowed: Ok(()),
            elsewhere: elsewhere.clone(),
        };
        let invitees = names.iter().map(invitee).collect();
        let invitation = Invitation { call: None, invitees, media: MEDIA };
        let (origin, now) = (Origin { socket: alice.1, request: Some(9) }, world.now);
        world.hub('a').invite(origin, invitation, now);
        world.settle();
        world.heard_of_calls(alice)
    };
    assert_eq!(invite(&mut world, &["bob"])[0]["code"], json!(ErrorCode::Unavailable));
    assert_eq!(world.hub('a').calls(), 0);
    assert_eq!(kinds(&invite(&mut world, &["bob", "carol"]))[0], "call");
    assert_eq!(kinds(&world.heard_of_calls(carol)), ["ring"]);
}
