//! Sockets that drop, nodes that go, and messages that get lost between them.

use super::*;

/// Bob of node b comes back to it over another socket.
fn resumed(world: &mut World) -> Device {
    let now = world.now;
    let socket = world.hub('b').open().unwrap();
    // By the numbers of the node's random source: Bob was its first.
    let session = SessionId::new(&format!("{:032x}", u128::from(b'b') * 1000 + 1)).unwrap();
    let (ice_servers, user) = (Vec::new(), Some(user("bob")));
    let resume = Resume { session, seq: 0, user, device: None, ice_servers };
    world.hub('b').resume(Origin { socket, request: None }, resume, now);
    world.settle();
    Device('b', socket)
}

#[test]
fn a_socket_that_drops_on_another_node_resumes_and_misses_nothing() {
    let mut world = World::new();
    let (alice, bob, call) = world.two_in_a_call();
    let now = world.now;
    world.hub('b').close(bob.1, false, now);
    world.settle();
    let heard = world.heard_of_calls(alice);
    assert_eq!(heard[0]["participant"]["state"], "lost");
    world.say(alice, offer(&call));
    world.pass(29);
    let bob = resumed(&mut world);
    let heard = world.heard(bob);
    // Numbers begin with what wasn't acknowledged, and none is missing.
    let numbers: Vec<u64> = heard.iter().map(|m| m["seq"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    assert!(kinds(&heard).contains(&"offer"));
    let back = world.heard_of_calls(alice);
    assert_eq!(back[0]["participant"]["state"], "in");
    let now = world.now;
    world.hub('b').close(bob.1, false, now);
    world.pass(30);
    assert_eq!(world.heard_of_calls(alice).last().unwrap()["reason"], "lost");
}

#[test]
fn a_device_that_signs_in_anew_rings_again_and_so_does_one_that_comes_elsewhere() {
    let mut world = World::new();
    let alice = world.sign_in('a', "alice", "a");
    let bob = world.sign_in('b', "bob", "b");
    world.heard(bob);
    let call = world.start(alice, &["bob"]);
    let anew = world.sign_in('b', "bob", "b");
    assert_eq!(kinds(&world.heard_of_calls(anew)), ["welcome", "ring"]);
    let second = world.sign_in('b', "bob", "second");
    assert_eq!(kinds(&world.heard_of_calls(second)), ["welcome", "ring"]);
    let home = world.sign_in('a', "bob", "home");
    assert_eq!(kinds(&world.heard_of_calls(home)), ["welcome", "ring"]);
    // On a node that has nothing to do with the call.
    let third = world.sign_in('c', "bob", "third");
    assert_eq!(kinds(&world.heard_of_calls(third)), ["welcome", "ring"]);
    world.accept(home, &call);
    for device in [second, third] {
        assert_eq!(world.heard_of_calls(device)[0]["reason"], "answered_elsewhere");
    }
    assert_eq!(world.faults, []);
}

#[test]
fn a_node_that_goes_takes_its_devices_and_its_calls_with_it() {
    let mut world = World::new();
    let (alice, bob, _) = world.two_in_a_call();
    let carol = world.sign_in('c', "carol", "c");
    let dave = world.sign_in('b', "dave", "d");
    world.heard(carol);
    let rings = world.start(dave, &["carol"]);
    assert_eq!(kinds(&world.heard_of_calls(carol)), ["ring"]);
    world.hubs.remove(&'b');
    let now = world.now;
    for name in ['a', 'c'] {
        world.hub(name).node_gone(&node('b'), now);
    }
    world.settle();
    assert_eq!(world.heard_of_calls(alice).last().unwrap()["reason"], "node_gone");
    assert_eq!(world.heard_of_calls(carol)[0]["type"], "ring_stopped");
    assert_eq!(world.hub('a').calls(), 0);
    assert!(world.hubs.values().all(|hub| hub.nodes.away.len() + hub.nodes.foreign.len() == 0));
    // What is said to it then has no server to go to.
    world.say(carol, ClientMessage::Decline { call: rings.clone() });
    let refused = Refused::new(ErrorCode::UnknownCall, "gone").of(&rings);
    let (address, now) = (address("carol", "c"), world.now);
    world.hub('c').undelivered(&address, Some(9), refused, now);
    assert_eq!(world.heard(carol)[0]["code"], "unknown_call");
    let _ = bob;
}

#[test]
fn those_in_a_call_whose_node_goes_are_told_and_are_free_again() {
    let mut world = World::new();
    let (_, bob, _) = world.two_in_a_call();
    world.hubs.remove(&'a');
    let now = world.now;
    world.hub('b').node_gone(&node('a'), now);
    world.settle();
    assert_eq!(world.heard_of_calls(bob)[0]["reason"], "node_gone");
    assert!(!world.cards[&('b', address("bob", "b"))].busy);
}

#[test]
fn a_node_that_ends_ends_its_calls_and_is_gone_at_once() {
    let mut world = World::new();
    let (alice, _, _) = world.two_in_a_call();
    let carol = world.sign_in('c', "carol", "c");
    let dave = world.sign_in('b', "dave", "d");
    world.heard(carol);
    let theirs = world.start(dave, &["carol"]);
    world.accept(carol, &theirs);
    world.heard(carol);
    let now = world.now;
    world.hub('b').stop(now);
    world.settle();
    assert_eq!(world.heard_of_calls(alice).last().unwrap()["reason"], "node_gone");
    assert_eq!(world.heard_of_calls(carol)[0]["reason"], "server_stopping");
    assert!(world.hubs.values().all(|hub| hub.calls() == 0));
}

#[test]
fn a_device_whose_node_went_comes_back_on_another_and_rejoins() {
    let mut world = World::new();
    let (alice, _, call) = world.two_in_a_call();
    let carol = world.sign_in('a', "carol", "c");
    world.invite(alice, Some(&call), &["carol"]);
    world.accept(carol, &call);
    world.hubs.remove(&'b');
    world.cards.retain(|(name, _), _| *name != 'b');
    let now = world.now;
    world.hub('a').node_gone(&node('b'), now);
    world.settle();
    let heard = world.heard_of_calls(alice);
    let out = heard.iter().rfind(|m| m["type"] == "participant").unwrap();
    assert_eq!(out["participant"]["cause"], "node_gone");
    let bob = world.sign_in('c', "bob", "b");
    world.heard(bob);
    world.say(bob, ClientMessage::Rejoin { call: call.clone(), media: MEDIA });
    assert_eq!(kinds(&world.heard_of_calls(bob))[0], "call");
    world.say(alice, ClientMessage::HangUp { call });
    assert_eq!(world.heard_of_calls(bob).last().unwrap()["reason"], "hung_up");
}

#[test]
fn what_got_lost_while_nodes_could_not_reach_each_other_is_made_good() {
    let mut world = World::new();
    let (alice, bob, call) = world.two_in_a_call();
    let carol = world.sign_in('b', "carol", "c");
    world.heard(carol);
    world.invite(alice, Some(&call), &["carol"]);
    assert_eq!(kinds(&world.heard_of_calls(carol)), ["ring"]);
    world.heard(bob);
    // Carol is no longer rung, and the others hear nothing of it.
    world.deaf = Some('b');
    world.say(alice, ClientMessage::Cancel { call: call.clone(), user: None });
    assert!(world.heard(carol).is_empty() && world.heard(bob).is_empty());
    world.deaf = None;
    let now = world.now;
    world.hub('b').reconnected(now);
    world.settle();
    assert_eq!(kinds(&world.heard_of_calls(carol)), ["ring_stopped"]);
    let heard = world.heard_of_calls(bob);
    assert_eq!(heard[0]["type"], "call");
    let out = heard[0]["participants"].as_array().unwrap().iter().find(|p| p["user"] == "carol");
    assert_eq!(out.unwrap()["cause"], "cancelled");
    // The call ends, and Bob hears nothing of it.
    world.deaf = Some('b');
    world.say(alice, ClientMessage::HangUp { call: call.clone() });
    world.deaf = None;
    world.hub('b').reconnected(now);
    world.settle();
    assert_eq!(world.heard_of_calls(bob)[0]["reason"], "hung_up");
    assert!(!world.cards[&('b', address("bob", "b"))].busy);
}

#[test]
fn a_node_that_was_given_up_and_never_knew_is_told_so_when_it_is_seen_again() {
    let mut world = World::new();
    let (alice, bob, _) = world.two_in_a_call();
    let now = world.now;
    // It stood still for a while.
    world.hub('a').node_gone(&node('b'), now);
    world.deaf = Some('b');
    world.settle();
    assert_eq!(world.heard_of_calls(alice).last().unwrap()["reason"], "node_gone");
    assert!(world.heard_of_calls(bob).is_empty());
    world.deaf = None;
    world.hub('a').node_here(node('b'), now);
    world.settle();
    assert_eq!(world.heard_of_calls(bob)[0]["type"], "call_ended");
    assert!(!world.cards[&('b', address("bob", "b"))].busy);
}

#[test]
fn a_device_that_went_unheard_is_put_out_when_its_node_is_asked() {
    let mut world = World::new();
    let (alice, bob, _) = world.two_in_a_call();
    world.deaf = Some('a');
    let now = world.now;
    world.hub('b').close(bob.1, true, now);
    world.settle();
    assert!(world.heard_of_calls(alice).is_empty());
    world.deaf = None;
    world.hub('a').reconnected(now);
    world.settle();
    assert_eq!(world.heard_of_calls(alice).last().unwrap()["reason"], "lost");
}

#[test]
fn a_node_that_holds_a_device_which_is_elsewhere_is_told_that_it_is_in_no_call() {
    let mut world = World::new();
    let (_, _, call) = world.two_in_a_call();
    let now = world.now;
    let held = vec![Held { call: call.clone(), address: address("bob", "b") }];
    let check = Wire::Check { held: held.try_into().unwrap() };
    world.hub('a').handle_wire(&node('c'), check, now);
    let reason = crate::calls::messages::EndReason::NodeGone;
    let message = ServerMessage::CallEnded { call, reason };
    let wire = Wire::Tell { to: address("bob", "b"), request: None, message };
    let expected = Effect::Send { to: node('c'), wire: Box::new(wire) };
    assert_eq!(world.hub('a').take_effects(), [expected]);
}

#[test]
fn word_of_a_device_that_came_goes_on_to_the_calls_node_once() {
    let mut world = World::new();
    world.two_in_a_call();
    let now = world.now;
    let card = Card { busy: false, capabilities: capabilities(), site: None, spot: None };
    let came = address("bob", "c");
    for (from, passed_on) in [('c', true), ('a', false)] {
        let (from, at) = (node(from), node('c'));
        world.hub('b').arrived(&from, &at, &came, card.clone(), now);
        let effects = world.hub('b').take_effects();
        let to_owner =
            |effect: &Effect| matches!(effect, Effect::Send { to, .. } if *to == node('a'));
        assert_eq!(effects.iter().any(to_owner), passed_on, "{effects:?}");
    }
}

#[test]
fn a_device_that_went_to_another_node_stays_in_the_directory_there() {
    let mut world = World::new();
    let bob = world.sign_in('b', "bob", "b");
    let other = world.sign_in('b', "bob", "other");
    world.sign_in('c', "carol", "c");
    let now = world.now;
    world.hub('b').close(bob.1, false, now);
    world.sign_in('a', "bob", "b");
    // In the directory a device has one entry.
    let here = ('b', address("bob", "b"));
    world.cards.remove(&here);
    world.start(other, &["carol"]);
    let told = |world: &World, device: &str| {
        world.cards.get(&('b', address("bob", device))).map(|card| card.busy)
    };
    assert_eq!((told(&world, "other"), told(&world, "b")), (Some(true), None));
    // It comes back to where it was.
    resumed(&mut world);
    assert_eq!(told(&world, "b"), Some(true));
}

#[test]
fn a_device_that_moved_before_its_dead_socket_was_found_keeps_its_entry() {
    let mut world = World::new();
    world.sign_in('b', "bob", "b");
    let other = world.sign_in('b', "bob", "other");
    world.sign_in('c', "carol", "c");
    world.sign_in('a', "bob", "b");
    // In the directory a device has one entry.
    let here = ('b', address("bob", "b"));
    world.cards.remove(&here);
    world.start(other, &["carol"]);
    assert!(world.cards[&('b', address("bob", "other"))].busy);
    assert!(!world.cards.contains_key(&here));
}

#[test]
fn whoever_reloads_a_page_and_does_not_rejoin_is_free_again() {
    let mut world = World::new();
    let (alice, _, call) = world.two_in_a_call();
    let carol = world.sign_in('c', "carol", "c");
    world.invite(alice, Some(&call), &["carol"]);
    world.accept(carol, &call);
    let bob = world.sign_in('b', "bob", "b");
    world.heard(bob);
    world.pass(31);
    assert_eq!(kinds(&world.heard_of_calls(bob)), ["left"]);
    assert!(!world.cards[&('b', address("bob", "b"))].busy);
    let dave = world.sign_in('c', "dave", "d");
    world.heard(dave);
    world.start(bob, &["dave"]);
    assert_eq!(kinds(&world.heard_of_calls(dave)), ["ring"]);
    assert_eq!(world.faults, []);
}

#[test]
fn whoever_hangs_up_while_the_nodes_are_apart_is_out_and_the_others_hear_of_it_later() {
    let mut world = World::new();
    let (alice, bob, call) = world.two_in_a_call();
    let now = world.now;
    world.deaf = Some('a');
    let refused = Refused::new(ErrorCode::Unavailable, "").of(&call);
    world.hub('b').left_unheard(&address("bob", "b"), Some(9), refused, now);
    world.settle();
    let heard = world.heard_of_calls(bob);
    assert_eq!((kinds(&heard), &heard[0]["request"]), (vec!["left"], &9.into()));
    assert!(!world.cards[&('b', address("bob", "b"))].busy);
    world.deaf = None;
    world.hub('a').reconnected(now);
    world.settle();
    assert_eq!(world.heard_of_calls(alice).last().unwrap()["type"], "call_ended");
}

#[test]
fn a_device_without_a_socket_is_not_held_to_be_in_a_call_that_is_over() {
    let mut world = World::new();
    let (alice, bob, call) = world.two_in_a_call();
    let other = world.sign_in('c', "bob", "other");
    world.heard(other);
    let now = world.now;
    world.hub('b').close(bob.1, false, now);
    world.settle();
    assert!(world.cards[&('b', address("bob", "b"))].busy);
    world.say(alice, ClientMessage::HangUp { call });
    assert!(!world.cards[&('b', address("bob", "b"))].busy);
    world.heard(alice);
    world.start(alice, &["bob"]);
    assert_eq!(kinds(&world.heard_of_calls(other)), ["ring"]);
}

#[test]
fn a_device_that_rejoined_by_another_node_stays_when_it_is_no_longer_waited_for() {
    let mut world = World::new();
    let bob = world.sign_in('b', "bob", "b");
    let carol = world.sign_in('c', "carol", "c");
    let call = world.start(bob, &["carol"]);
    world.accept(carol, &call);
    let now = world.now;
    world.hub('b').close(bob.1, false, now);
    world.settle();
    let bob = world.sign_in('a', "bob", "b");
    world.cards.remove(&('b', address("bob", "b")));
    world.heard(bob);
    world.say(bob, ClientMessage::Rejoin { call: call.clone(), media: MEDIA });
    assert_eq!(kinds(&world.heard_of_calls(bob))[0], "call");
    world.heard(carol);
    world.pass(31);
    assert_eq!(world.hub('b').devices(), 0);
    assert!(world.heard_of_calls(carol).is_empty());
    world.say(bob, ClientMessage::HangUp { call });
    assert_eq!(world.heard_of_calls(carol).last().unwrap()["reason"], "hung_up");
}
