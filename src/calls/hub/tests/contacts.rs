//! Contacts see each other and nobody else does; devices are signed out; calls that cross; chat's
//! place in a session.

use std::collections::BTreeSet;

use super::*;
use crate::calls::messages::Availability;

fn contacts(names: &[&str], quiet_until: Option<Instant>) -> Circle {
    Circle::Contacts { users: names.iter().map(|name| user(name)).collect(), quiet_until }
}

impl Scene {
    /// Someone whose contacts are looked up after the session is there.
    fn come(&mut self, name: &str, peers: &[&str]) -> SocketId {
        let nobody = Circle::Contacts { users: BTreeSet::new(), quiet_until: None };
        let socket = self.sign_in_as(name, "a", nobody);
        self.hub.set_circle(&user(name), contacts(peers, None), self.now);
        socket
    }

    /// Of presence alone: who, and how.
    fn seen(&mut self, socket: SocketId) -> Vec<(String, Availability)> {
        let heard = self.heard(socket);
        let presence = heard.iter().filter(|message| message["type"] == "presence");
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let how = |value: &Value| serde_json::from_value(value.clone()).unwrap();
        presence.map(|m| (text(&m["user"]), how(&m["availability"]))).collect()
    }
}

fn is(name: &str, how: Availability) -> (String, Availability) {
    (name.to_owned(), how)
}

#[test]
fn contacts_see_each_other_come_change_and_go_and_strangers_see_nothing() {
    use Availability::{Available, DoNotDisturb, Offline};
    let mut scene = Scene::new();
    let alice = scene.come("alice", &["bob"]);
    let carol = scene.come("carol", &[]);
    let bob = scene.come("bob", &["alice"]);
    assert_eq!(scene.seen(alice), [is("bob", Available)]);
    assert_eq!(scene.seen(bob), [is("alice", Available)]);
    let until = scene.now + Duration::from_secs(60);
    scene.hub.set_circle(&user("alice"), contacts(&["bob"], Some(until)), scene.now);
    assert_eq!(scene.seen(bob), [is("alice", DoNotDisturb)]);
    scene.pass(60);
    assert_eq!(scene.seen(bob), [is("alice", Available)]);

    // Carol becomes a contact, and Bob is one no longer.
    scene.hub.set_circle(&user("alice"), contacts(&["carol"], None), scene.now);
    scene.hub.set_circle(&user("carol"), contacts(&["alice"], None), scene.now);
    scene.hub.set_circle(&user("bob"), contacts(&[], None), scene.now);
    assert_eq!(scene.seen(alice), [is("bob", Offline), is("carol", Available)]);
    assert_eq!(scene.seen(carol), [is("alice", Available)]);
    assert_eq!(scene.seen(bob), [is("alice", Offline)]);
    scene.hub.close(alice, true, scene.now);
    assert_eq!(scene.seen(carol), [is("alice", Offline)]);
    assert_eq!(scene.seen(bob), []);
    scene.hub.close(carol, true, scene.now);
    scene.hub.close(bob, true, scene.now);
    assert!(scene.hub.users.is_empty() && scene.hub.lobby == 0);
    assert!(scene.hub.watched.is_empty());
    assert_eq!(scene.hub.next_wake(), None);
}

#[test]
fn a_device_that_is_signed_out_is_closed_and_resumes_nothing() {
    let mut scene = Scene::new();
    let (alice, bob, _) = scene.two_in_a_call();
    scene.heard(bob);
    scene.closed();
    let address = scene.hub.address_of(alice).unwrap();
    scene.hub.sign_out(&address, scene.now);
    assert_eq!(scene.closed(), [(alice, Close::SignedOut)]);
    let heard = scene.heard(bob);
    assert!(kinds(&heard).contains(&"call_ended"), "{heard:?}");
    let again = scene.resume(&format!("{:032x}", 1), 1, None);
    assert_eq!(scene.heard(again)[0]["code"], "not_resumable");
    scene.hub.sign_out(&address, scene.now);
    assert_eq!(scene.closed(), []);
}

#[test]
fn two_who_ring_each_other_at_once_are_in_one_call() {
    let mut scene = Scene::new();
    let alice = scene.sign_in("alice", "a");
    let bob = scene.sign_in("bob", "b");
    scene.heard(alice);
    scene.heard(bob);
    let first = scene.invite(alice, &["bob"]).unwrap();
    // Bob has not heard of it yet. Whether he might ring Alice doesn't matter: he is rung.
    let refused = Refused::new(ErrorCode::DoNotDisturb, "doesn't want to be disturbed");
    scene.invite_all(bob, vec![invitee("alice", Err(refused))]);
    let heard = scene.heard(bob);
    let call = heard.iter().find(|message| message["type"] == "call").unwrap();
    assert_eq!((&call["request"], call["call"].as_str()), (&json!(9), Some(first.as_str())));
    assert!(!kinds(&heard).contains(&"call_ended"), "{heard:?}");
    let heard = scene.heard(alice);
    assert!(kinds(&heard).contains(&"peer"), "{heard:?}");
    assert_eq!(scene.hub.calls(), 1);
    // A group's invitation is one of its own.
    let carol = scene.sign_in("carol", "c");
    let dave = scene.sign_in("dave", "d");
    scene.heard(carol);
    scene.heard(dave);
    let theirs = scene.invite(carol, &["dave"]).unwrap();
    let group = scene.invite(dave, &["carol", "erin"]).unwrap();
    assert_ne!(theirs, group);
}

#[test]
fn chat_is_handed_over_in_order_and_waits_for_a_device_that_acknowledges_nothing() {
    let mut scene = Scene::new();
    let alice = scene.sign_in("alice", "a");
    let turn = scene.hub.chat_turn(alice).unwrap();
    assert_eq!(turn.after, None);
    let pong = || vec![ServerMessage::Pong {}];
    assert!(scene.hub.push_chat(alice, &turn, pong(), 7, scene.now));
    assert!(!scene.hub.push_chat(alice, &turn, pong(), 8, scene.now), "that was handed over");
    assert_eq!(scene.hub.chat_turn(alice).unwrap().after, Some(7));
    assert_eq!(kinds(&scene.heard(alice)), ["welcome", "pong"]);
    for at in 8..400 {
        let Some(turn) = scene.hub.chat_turn(alice) else { break };
        assert!(scene.hub.push_chat(alice, &turn, pong(), at, scene.now));
    }
    assert!(scene.hub.chat_turn(alice).is_none(), "a third of what may wait");
    let last = scene.heard(alice).last().unwrap()["seq"].as_u64().unwrap();
    scene.hub.take_effects();
    scene.say(alice, ClientMessage::Ack { seq: last });
    assert!(scene.hub.take_effects().contains(&Effect::Chat(alice)));
    // A session that resumes goes on where it was; one that is new begins with the cursor.
    scene.hub.close(alice, false, scene.now);
    let again = scene.resume(&format!("{:032x}", 1), last, None);
    let place = scene.hub.chat_turn(again).unwrap().after;
    assert!(place.is_some_and(|place| place > 300), "{place:?}");
    let anew = scene.sign_in("alice", "a");
    assert_eq!(scene.hub.chat_turn(anew).unwrap().after, None);
}
