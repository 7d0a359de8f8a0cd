//! Two who ring each other, and who is in a call elsewhere.

use super::*;

impl World {
    /// Both invite before either node hears of the other's call.
    fn both_ring(&mut self, one: (Device, &str), other: (Device, &str)) {
        let now = self.now;
        let found =
            [one, other].map(|(device, name)| (device, self.find(device.0, vec![user(name)])));
        for (Device(name, socket), invitees) in found {
            let invitation = Invitation { call: None, invitees, media: MEDIA };
            self.hub(name).invite(Origin { socket, request: Some(9) }, invitation, now);
        }
        self.settle();
    }
}

#[test]
fn two_calls_that_cross_become_the_one_of_the_lesser_name() {
    let mut world = World::new();
    let alice = world.sign_in('a', "alice", "a");
    let bob = world.sign_in('b', "bob", "b");
    world.heard(alice);
    world.heard(bob);
    world.both_ring((bob, "alice"), (alice, "bob"));
    let heard = world.heard_of_calls(bob);
    assert_eq!(kinds(&heard), ["call", "participant", "call_ended", "call", "peer", "configure"]);
    assert_eq!(heard[2]["reason"], "crossed");
    assert_eq!(heard[0]["call"], heard[2]["call"]);
    let call = heard[3]["call"].clone();
    assert!(call.as_str().unwrap().starts_with("a."), "{call}");
    let heard = world.heard_of_calls(alice);
    assert!(heard.iter().all(|message| message["call"] == call), "{heard:?}");
    assert!(kinds(&heard).contains(&"configure") && !kinds(&heard).contains(&"ring"), "{heard:?}");
    assert_eq!((world.hub('a').calls(), world.hub('b').calls()), (1, 0));
    assert_eq!(world.faults, []);
}

#[test]
fn whoever_rings_one_who_rings_them_from_elsewhere_accepts() {
    let mut world = World::new();
    let alice = world.sign_in('a', "alice", "a");
    let bob = world.sign_in('b', "bob", "b");
    let carol = world.sign_in('b', "carol", "c");
    let call = world.start(alice, &["bob", "carol"]);
    world.heard(bob);
    world.heard(carol);
    let heard = world.invite(bob, None, &["alice"]);
    assert_eq!(kinds(&heard)[0], "call");
    assert_eq!((heard[0]["call"].as_str(), &heard[0]["request"]), (Some(call.as_str()), &json!(9)));
    // A group's invitation is one of its own, and Alice is in a call by now.
    let heard = world.invite(carol, None, &["alice", "dave"]);
    assert_ne!(heard[0]["call"], call.as_str());
}

#[test]
fn a_ring_of_a_group_or_for_one_who_rings_another_does_not_cross() {
    for (of_bob, of_alice) in [(vec!["carol"], vec!["bob"]), (vec!["alice"], vec!["bob", "carol"])]
    {
        let mut world = World::new();
        let alice = world.sign_in('a', "alice", "a");
        let bob = world.sign_in('b', "bob", "b");
        world.sign_in('c', "carol", "c");
        let now = world.now;
        let found = [(bob, of_bob), (alice, of_alice)].map(|(device, names)| {
            let users = names.into_iter().map(user).collect();
            (device, world.find(device.0, users))
        });
        for (Device(name, socket), invitees) in found {
            let invitation = Invitation { call: None, invitees, media: MEDIA };
            world.hub(name).invite(Origin { socket, request: None }, invitation, now);
        }
        world.settle();
        let heard = world.heard_of_calls(alice);
        let of_bob = |message: &&Value| message["participant"]["user"] == "bob";
        let out = heard.iter().filter(of_bob).map(|message| &message["participant"]["cause"]);
        let ended = heard.iter().map(|message| &message["reason"]);
        assert!(out.chain(ended).any(|why| why == "busy"), "{heard:?}");
    }
}

#[test]
fn a_directory_that_is_late_makes_nobody_busy() {
    let mut world = World::new();
    let (alice, bob, call) = world.two_in_a_call();
    let carol = world.sign_in('c', "carol", "c");
    let late = world.cards.clone();
    world.say(alice, ClientMessage::HangUp { call });
    world.heard(bob);
    world.cards = late;
    world.heard(carol);
    assert_eq!(kinds(&world.invite(carol, None, &["bob"])), ["call", "participant"]);
    assert_eq!(kinds(&world.heard_of_calls(bob)), ["ring"]);
}

#[test]
fn who_is_in_a_call_elsewhere_is_known_to_those_who_are_in_it() {
    let mut world = World::new();
    let (alice, bob, call) = world.two_in_a_call();
    let people = |world: &mut World, name: &str| {
        world.hub('b').people_in(&call, &user(name)).map(|people| people.len())
    };
    assert_eq!(people(&mut world, "bob"), Some(2));
    assert_eq!(people(&mut world, "alice"), None, "she isn't here");
    let carol = world.sign_in('b', "carol", "c");
    world.invite(alice, Some(&call), &["carol"]);
    assert_eq!(people(&mut world, "carol"), None, "she is rung");
    world.accept(carol, &call);
    assert_eq!((people(&mut world, "carol"), people(&mut world, "bob")), (Some(3), Some(3)));
    world.say(alice, ClientMessage::Leave { call: call.clone() });
    assert_eq!(people(&mut world, "bob"), Some(2));
    world.say(bob, ClientMessage::Leave { call: call.clone() });
    assert_eq!((people(&mut world, "carol"), people(&mut world, "bob")), (Some(1), None));
    world.say(carol, ClientMessage::Leave { call: call.clone() });
    assert_eq!(people(&mut world, "carol"), None);
    assert!(world.hub('b').nodes.people.is_empty());
}

#[test]
fn a_notice_is_its_senders_own() {
    let mut world = World::new();
    let bob = world.sign_in('b', "bob", "b");
    world.heard(bob);
    let alice = user("alice");
    let typing = |peer: &str, who: &str| ServerMessage::ChatTyping {
        conversation: Conversation::User(user(peer)),
        user: user(who),
        typing: true,
    };
    let now = world.now;
    for (message, followed) in [
        (typing("alice", "alice"), true),
        (typing("carol", "alice"), false),
        (typing("carol", "carol"), false),
        (ServerMessage::ContactsChanged {}, false),
    ] {
        world.hub('b').notice(&alice, &[user("bob")], &message, now);
        world.settle();
        let faults = std::mem::take(&mut world.faults);
        let told = kinds(&world.heard(bob)) == ["chat_typing"];
        assert_eq!((told, faults.is_empty()), (followed, followed), "{message:?}");
    }
    // Their other devices call it by the peer.
    world.hub('b').notice(&user("bob"), &[user("bob")], &typing("carol", "bob"), now);
    assert_eq!(kinds(&world.heard(bob)), ["chat_typing"]);
    // A notice that wasn't looked up in the directory, and word that there is chat.
    let users = vec![user("bob")].try_into().unwrap();
    let wire = Wire::Notice { from: alice, users, message: typing("alice", "alice") };
    world.hub('b').handle_wire(&node('a'), wire, now);
    world.settle();
    assert_eq!(world.faults, [Fault::NotYours]);
    let users = vec![user("bob"), user("nobody")].try_into().unwrap();
    world.hub('b').handle_wire(&node('a'), Wire::Chat { users }, now);
    assert_eq!(world.hub('b').take_effects(), [Effect::Chat(bob.1)]);
}

#[test]
fn whoever_accepts_a_call_elsewhere_can_accept_no_other_meanwhile() {
    let mut world = World::new();
    let alice = world.sign_in('a', "alice", "a");
    let bob = world.sign_in('b', "bob", "b");
    let carol = world.sign_in('c', "carol", "c");
    let first = world.start(alice, &["bob"]);
    let second = world.start(carol, &["bob"]);
    world.heard(bob);
    world.deaf = Some('a');
    world.accept(bob, &first);
    world.deaf = None;
    let is_busy = |world: &World| world.cards[&('b', address("bob", "b"))].busy;
    assert!(is_busy(&world));
    world.accept(bob, &second);
    assert_eq!(world.heard_of_calls(bob)[0]["code"], "already_in");
    // The first went unheard, so he is free.
    let refused = Refused::new(ErrorCode::Unavailable, "away").of(&first);
    let now = world.now;
    world.hub('b').undelivered(&address("bob", "b"), Some(9), refused, now);
    world.settle();
    assert!(!is_busy(&world));
    assert_eq!(world.heard_of_calls(bob)[0]["code"], "unavailable");
    world.accept(bob, &second);
    assert_eq!(kinds(&world.heard_of_calls(bob))[0], "call");
    assert_eq!(world.faults, []);
}

#[test]
fn whoever_rejoins_a_call_by_another_node_is_busy_until_it_is_answered() {
    let mut world = World::new();
    let (_, bob, call) = world.two_in_a_call();
    world.sign_in('b', "dave", "d");
    world.say(bob, ClientMessage::Leave { call: call.clone() });
    let bob = world.sign_in('c', "bob", "other");
    world.heard(bob);
    let me = address("bob", "other");
    let is_busy = |world: &World| world.cards[&('c', me.clone())].busy;
    let rejoin = || ClientMessage::Rejoin { call: call.clone(), media: MEDIA };
    let now = world.now;
    for how in ["unheard", "refused", "not found"] {
        world.deaf = Some('a');
        world.say(bob, rejoin());
        world.deaf = None;
        assert!(is_busy(&world), "{how}");
        assert_eq!(world.invite(bob, None, &["dave"])[0]["code"], "already_in", "{how}");
        let refused = Refused::new(ErrorCode::Unavailable, "away").of(&call);
        if how == "unheard" {
            world.hub('c').undelivered(&me, Some(9), refused, now);
        } else if how == "refused" {
            let Refused { code, detail, call, user } = refused;
            let message = ServerMessage::Error { code, detail, call, user };
            let tell = Wire::Tell { to: me.clone(), request: Some(9), message };
            world.hub('c').handle_wire(&node('a'), tell, now);
        } else {
            // The directory has lost the device for a moment.
            let card = world.cards.remove(&('c', me.clone())).unwrap();
            let say = Wire::Say { from: me.clone(), request: Some(9), message: rejoin() };
            world.bring('c', 'a', say);
            world.cards.insert(('c', me.clone()), card);
        }
        world.settle();
        let heard = world.heard_of_calls(bob);
        assert_eq!((&heard[0]["code"], &heard[0]["request"]), (&json!("unavailable"), &json!(9)));
        assert!(!is_busy(&world), "{how}");
        assert_eq!(world.hub('c').nodes.foreign.len(), 0, "{how}");
    }
    assert_eq!(std::mem::take(&mut world.faults), [Fault::NotYours]);
    world.say(bob, rejoin());
    assert_eq!(kinds(&world.heard_of_calls(bob))[0], "call");
    assert!(is_busy(&world));
    assert_eq!(world.faults, []);
}

#[test]
fn whoever_was_about_to_enter_a_call_is_told_that_it_went_with_its_node() {
    let mut world = World::new();
    let alice = world.sign_in('a', "alice", "a");
    let bob = world.sign_in('b', "bob", "b");
    let call = world.start(alice, &["bob"]);
    world.heard(bob);
    world.hubs.remove(&'a');
    world.accept(bob, &call);
    let now = world.now;
    world.hub('b').node_gone(&node('a'), now);
    world.settle();
    assert_eq!(world.heard_of_calls(bob)[0]["reason"], "node_gone");
    assert!(!world.cards[&('b', address("bob", "b"))].busy);
}
