//! Contacts who are on other nodes.

use super::super::wire::{MOST_SEEN, Seen};
use super::*;

impl World {
    /// Someone who sees these alone.
    fn come(&mut self, name: char, who: &str, device: &str, peers: &[&str]) -> Device {
        let nobody = Circle::Contacts { users: BTreeSet::new(), quiet_until: None };
        let device = self.sign_in_as(name, who, device, None, nobody);
        self.sees(name, who, peers);
        device
    }

    fn sees(&mut self, name: char, who: &str, peers: &[&str]) {
        let users = peers.iter().map(|name| user(name)).collect();
        let now = self.now;
        let circle = Circle::Contacts { users, quiet_until: None };
        self.hub(name).set_circle(&user(who), circle, now);
        self.settle();
    }

    /// Of presence alone, in order of names.
    fn seen(&mut self, device: Device) -> Vec<String> {
        let heard = self.heard(device);
        let presence = heard.iter().filter(|message| message["type"] == "presence");
        let text = |p: &Value| format!("{} {}", p["user"], p["availability"]).replace('"', "");
        let mut seen: Vec<String> = presence.map(text).collect();
        seen.sort();
        seen
    }

    /// Node b says how it is with some there.
    fn said(&mut self, names: &[&str], availability: Availability, all: bool) {
        let seen = |name: &&str| Seen { user: user(name), availability };
        let users: Vec<Seen> = names.iter().map(seen).collect();
        let now = self.now;
        let wire = Wire::Presence { users: users.try_into().unwrap(), all };
        self.hub('a').handle_wire(&node('b'), wire, now);
        self.settle();
    }
}

#[test]
fn nobody_is_gone_while_all_are_told_of_anew() {
    for count in [200, 250, 400] {
        let mut world = World::new();
        world.hub('a').limits.guests = 1000;
        let names: Vec<String> = (0..count).map(|number| format!("u{number:03}")).collect();
        let peers: Vec<&str> = names.iter().step_by(5).map(String::as_str).collect();
        let alice = world.come('a', "alice", "a", &peers);
        for name in &names {
            world.hub('b').announce(&user(name), Availability::Available);
        }
        world.settle();
        let all: Vec<String> = peers.iter().map(|name| format!("{name} available")).collect();
        assert_eq!(world.seen(alice), all);
        let now = world.now;
        world.hub('b').tell_anew(&node('a'), now);
        world.settle();
        assert_eq!(world.seen(alice), [""; 0], "{count}");
        // Two go, and the node that sees them isn't told.
        world.deaf = Some('a');
        for gone in [peers[0], peers[1]] {
            world.hub('b').announce(&user(gone), Availability::Offline);
        }
        world.settle();
        world.deaf = None;
        assert_eq!(world.seen(alice), [""; 0]);
        world.hub('b').tell_anew(&node('a'), now);
        world.settle();
        assert_eq!(world.seen(alice), ["u000 offline", "u005 offline"], "{count}");
        assert!(world.hub('a').nodes.doubted.is_empty());
    }
    // Of nobody, too; nor is a node told anew that isn't there.
    let mut world = World::new();
    let alice = world.come('a', "alice", "a", &["bob"]);
    world.said(&["bob"], Availability::Available, false);
    let now = world.now;
    world.hub('b').tell_anew(&node('z'), now);
    assert_eq!(world.hub('b').take_effects(), []);
    world.hub('b').tell_anew(&node('a'), now);
    world.settle();
    assert_eq!(world.seen(alice), ["bob available", "bob offline"]);
}

#[test]
fn a_node_that_goes_while_it_tells_takes_all_with_it() {
    let mut world = World::new();
    let alice = world.come('a', "alice", "a", &["bob", "u001"]);
    world.said(&["bob"], Availability::Available, false);
    let names: Vec<String> = (0..MOST_SEEN).map(|number| format!("u{number:03}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    world.said(&names, Availability::Available, true);
    assert_eq!(world.seen(alice), ["bob available", "u001 available"]);
    let now = world.now;
    world.hub('a').node_gone(&node('b'), now);
    assert_eq!(world.seen(alice), ["bob offline", "u001 offline"]);
    assert!(world.hub('a').nodes.doubted.is_empty());
}

#[test]
fn whoever_is_elsewhere_is_seen_by_those_who_have_them_as_contacts_now() {
    use Availability::{Available, InCall, Offline};
    let mut world = World::new();
    let alice = world.come('a', "alice", "a", &["bob"]);
    let carol = world.come('a', "carol", "c", &["dave"]);
    world.said(&["bob", "dave"], Available, false);
    assert_eq!(world.seen(alice), ["bob available"]);
    assert_eq!(world.seen(carol), ["dave available"]);
    // Another device is told how it is.
    let second = world.come('a', "alice", "second", &["bob"]);
    assert_eq!(world.seen(second), ["bob available"]);
    world.sees('a', "alice", &["dave"]);
    assert_eq!(world.seen(alice), ["bob offline", "dave available"]);
    world.said(&["bob", "dave"], InCall, false);
    assert_eq!(world.seen(alice), ["dave in_call"]);
    assert_eq!(world.seen(carol), ["dave in_call"]);
    let now = world.now;
    world.hub('a').close(carol.1, true, now);
    world.said(&["dave"], Offline, false);
    assert_eq!(world.seen(alice), ["dave offline"]);
    world.hub('a').close(alice.1, true, now);
    world.hub('a').close(second.1, true, now);
    world.pass(60);
    assert!(world.hub('a').users.is_empty() && world.hub('a').watched.is_empty());
}
