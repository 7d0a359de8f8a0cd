//! A call's media through the server of the node on which it lives.

use super::*;
use crate::calls::hub::tests::{assert_far_ones_are_served, report};
use crate::calls::messages::Path;

impl World {
    fn reached(mut self) -> Self {
        let all = std::mem::take(&mut self.hubs).into_iter();
        let url = |name: char| Some(format!("https://{name}.example"));
        self.hubs = all.map(|(name, hub)| (name, hub.reached_at(url(name)))).collect();
        self
    }

    fn say_how(&mut self, device: Device, call: &CallId, of: &str, packets: u32) {
        for _ in 0..6 {
            self.now += Duration::from_millis(500);
            let reports = vec![report(of, Path::Direct, true, packets)].try_into().unwrap();
            self.say(device, ClientMessage::PathReport { call: call.clone(), reports });
        }
    }

    /// What the driver does.
    fn make(&mut self, name: char, call: &CallId) -> usize {
        let now = self.now;
        let hub = self.hub(name);
        let wanted = hub.media_of(call);
        hub.media_ready(call, wanted.revision, &BTreeSet::new(), now);
        self.settle();
        wanted.legs.len()
    }

    /// The last of a kind that a device heard.
    fn last(&mut self, device: Device, kind: &str) -> Option<Value> {
        let mut heard = self.heard(device);
        heard.retain(|message| message["type"] == kind);
        heard.pop()
    }
}

#[test]
fn a_direction_between_nodes_that_is_cut_goes_through_the_calls_node() {
    let mut world = World::new().reached();
    let (alice, bob, call) = world.two_in_a_call();
    for (watcher, other, of) in [(bob, alice, "alice"), (alice, bob, "bob")] {
        world.say_how(watcher, &call, of, 50);
        world.say_how(watcher, &call, of, 0);
        assert_eq!(world.last(watcher, "path").unwrap()["path"], "server");
        assert_eq!(world.make('a', &call), 2);
        let path = |legs: &Value| legs["watch"][0]["url"].as_str().unwrap().to_owned();
        let watches = path(&world.last(watcher, "legs").unwrap());
        let publish = world.last(other, "legs").unwrap()["publish"].clone();
        let publish = publish.as_str().unwrap().replace("whip", "whep");
        // One here is told a path, one elsewhere a URL.
        let [here, there] = if of == "bob" { [watches, publish] } else { [publish, watches] };
        assert_eq!(there, format!("https://a.example{here}"));
        assert!(here.starts_with("/whep/call-"), "{here}");
    }
    assert_eq!(world.faults, []);
}

#[test]
fn a_group_of_several_nodes_goes_through_the_calls_node_and_is_told_why_it_does_not() {
    for is_reached in [true, false] {
        let world = World::new();
        let mut world = if is_reached { world.reached() } else { world };
        world.hubs.values_mut().for_each(|hub| hub.limits.mesh_most = 2);
        let (alice, bob, call) = world.two_in_a_call();
        let carol = world.sign_in('a', "carol", "c");
        let dave = world.sign_in('a', "dave", "d");
        world.say(bob, ClientMessage::Leave { call: call.clone() });
        for (device, name) in [(carol, "carol"), (dave, "dave")] {
            world.invite(alice, Some(&call), &[name]);
            world.accept(device, &call);
        }
        assert_eq!(world.last(alice, "topology").unwrap()["topology"], "server");
        world.say(bob, ClientMessage::Rejoin { call: call.clone(), media: MEDIA });
        let rearranged = world.last(alice, "topology");
        if is_reached {
            assert_eq!(rearranged, None);
            assert_eq!(world.last(bob, "call").unwrap()["topology"], "server");
            assert_eq!(world.make('a', &call), 4);
            let legs = world.last(bob, "legs").unwrap();
            assert_eq!(legs["watch"].as_array().unwrap().len(), 3);
            let url = legs["publish"].as_str().unwrap();
            assert!(url.starts_with("https://a.example/whip/call-"), "{url}");
        } else {
            let rearranged = rearranged.unwrap();
            assert_eq!(rearranged["topology"], "mesh");
            let reason = rearranged["reason"].as_str().unwrap();
            assert!(reason.contains("has no URL"), "{reason}");
        }
    }
}

/// Of three who are on three nodes.
fn arranged_for(places: [topology::Place; 3]) -> Option<String> {
    let mut world = World::new().reached();
    let people = [('a', "alice"), ('b', "bob"), ('c', "carol")];
    let devices: Vec<Device> = people
        .iter()
        .zip(places)
        .map(|((node, who), place)| world.sign_in_from(*node, who, "d", Some(place)))
        .collect();
    let call = world.start(devices[0], &["bob", "carol"]);
    for device in &devices[1..] {
        world.accept(*device, &call);
    }
    world.heard(devices[0]);
    for _ in 0..7 {
        world.now += Duration::from_millis(500);
        let reports = vec![report("bob", Path::Direct, false, 0)].try_into().unwrap();
        world.say(devices[0], ClientMessage::PathReport { call: call.clone(), reports });
    }
    let told = world.last(devices[0], "topology")?;
    assert_eq!(told["topology"], "server");
    told["reason"].as_str().map(str::to_owned)
}

#[test]
fn three_across_the_world_and_on_three_nodes_go_through_the_server() {
    assert_far_ones_are_served(arranged_for);
}

#[test]
fn without_a_url_what_is_cut_between_nodes_stays_cut() {
    let mut world = World::new();
    let (_, bob, call) = world.two_in_a_call();
    world.say_how(bob, &call, "alice", 50);
    world.say_how(bob, &call, "alice", 0);
    assert_eq!(world.last(bob, "path"), None);
    assert_eq!(world.make('a', &call), 0);
}
