//! Tests of a call's media in the hub: who is told what, and who may do what.

use serde_json::{Value, json};

use super::*;
use crate::calls::hub::tests::{
    MEDIA, Scene, assert_far_ones_are_served, capabilities, kinds, report, user,
};
use crate::calls::hub::{Circle, SocketId};
use crate::calls::messages::{Capabilities, ClientMessage, Media, Path};
use crate::calls::topology::Place;

impl Scene {
    fn reports(&mut self, socket: SocketId, call: &CallId, ms: u64, reports: &[PathReport]) {
        for _ in 0..ms / 500 {
            self.now += Duration::from_millis(500);
            let reports = reports.to_vec().try_into().unwrap();
            self.say(socket, ClientMessage::PathReport { call: call.clone(), reports });
        }
    }

    /// What the driver does.
    fn make(&mut self) -> Option<MediaWanted> {
        let effects = self.hub.take_effects();
        let media = |effect| match effect {
            Effect::Media(call) => Some(call),
            _ => None,
        };
        let call = effects.into_iter().filter_map(media).last()?;
        let wanted = self.hub.media_of(&call);
        self.hub.media_ready(&call, wanted.revision, &BTreeSet::new(), self.now);
        Some(wanted)
    }

    fn cut(&mut self, socket: SocketId, call: &CallId, of: &str) {
        self.reports(socket, call, 1000, &[report(of, Path::Direct, true, 50)]);
        self.reports(socket, call, 2000, &[report(of, Path::Direct, true, 0)]);
    }
}

fn of_kind<'a>(messages: &'a [Value], kind: &str) -> Vec<&'a Value> {
    messages.iter().filter(|message| message["type"] == kind).collect()
}

#[test]
fn a_direction_that_is_cut_goes_through_the_server_and_comes_back() {
    let mut scene = Scene::new();
    let (alice, bob, call) = scene.two_in_a_call();
    scene.make();
    for socket in [alice, bob] {
        scene.heard(socket);
    }
    scene.cut(bob, &call, "alice");
    for socket in [alice, bob] {
        let heard = scene.heard(socket);
        let [path] = of_kind(&heard, "path")[..] else { panic!("{heard:?}") };
        assert_eq!(
            (&path["from"], &path["to"], &path["path"]),
            (&json!("alice"), &json!("bob"), &json!("server"))
        );
        assert_eq!(of_kind(&heard, "legs").len(), 0, "nothing is there yet");
    }
    let wanted = scene.make().unwrap();
    assert_eq!(wanted.legs.len(), 2);
    let heard = scene.heard(alice);
    let to_alice = of_kind(&heard, "legs")[0];
    let heard = scene.heard(bob);
    let to_bob = of_kind(&heard, "legs")[0];
    let channel = to_alice["publish"].as_str().unwrap().strip_prefix("/whip/").unwrap();
    assert_eq!(to_alice["watch"], json!([]));
    assert_eq!(to_bob["publish"], Value::Null);
    assert_eq!(to_bob["watch"], json!([{"user": "alice", "url": format!("/whep/{channel}")}]));
    assert_ne!(to_alice["token"], to_bob["token"]);
    let leg = &wanted.legs[to_bob["token"].as_str().unwrap()];
    assert_eq!((leg.publish.as_deref(), leg.watch[&user("alice")].as_str()), (None, channel));
    let counts = MediaCounts { direct: 1, served: 1, publishers: 1, watchers: 1 };
    assert_eq!(scene.hub.media_counts(), counts);

    scene.reports(bob, &call, 6000, &[report("alice", Path::Server, true, 50)]);
    assert_eq!(of_kind(&scene.heard(bob), "path")[0]["path"], "direct");
    assert_eq!(scene.make(), None, "Bob still shows what comes through the server");
    scene.reports(bob, &call, 1500, &[report("alice", Path::Direct, true, 50)]);
    let wanted = scene.make().unwrap();
    assert!(wanted.legs.values().all(|leg| *leg == Leg::default()));
    assert_eq!(of_kind(&scene.heard(bob), "legs")[0]["watch"], json!([]));
}

#[test]
fn devices_are_told_of_what_there_is_and_again_once_there_is_more() {
    let mut scene = Scene::new();
    let (alice, bob, call) = scene.two_in_a_call();
    scene.make();
    scene.cut(bob, &call, "alice");
    for socket in [alice, bob] {
        scene.heard(socket);
    }
    scene.hub.take_effects();
    let wanted = scene.hub.media_of(&call);
    let missing: BTreeSet<String> =
        wanted.legs.values().filter_map(|leg| leg.publish.clone()).collect();
    assert_eq!(missing.len(), 1);
    let now = scene.now;
    scene.hub.media_ready(&call, wanted.revision, &missing, now);
    for socket in [alice, bob] {
        assert_eq!(of_kind(&scene.heard(socket), "legs").len(), 0, "nothing is there yet");
    }
    scene.hub.media_ready(&call, wanted.revision, &BTreeSet::new(), now);
    assert!(of_kind(&scene.heard(alice), "legs")[0]["publish"].is_string());
    assert_eq!(of_kind(&scene.heard(bob), "legs")[0]["watch"][0]["user"], "alice");
}

#[test]
fn whoever_is_out_has_nothing_any_more_and_the_end_takes_all() {
    let mut scene = Scene::new();
    let (alice, bob, call) = scene.two_in_a_call();
    scene.cut(bob, &call, "alice");
    let before = scene.make().unwrap();
    scene.say(bob, ClientMessage::Leave { call: call.clone() });
    let after = scene.make().unwrap();
    assert_eq!(
        (before.legs.len(), after.legs.values().filter(|leg| leg.publish.is_some()).count()),
        (2, 0)
    );
    scene.say(bob, ClientMessage::Rejoin { call: call.clone(), media: MEDIA });
    scene.cut(bob, &call, "alice");
    let again = scene.make().unwrap();
    let known = |pass| before.legs.contains_key(pass);
    assert_eq!(again.legs.keys().filter(|pass| known(*pass)).count(), 1, "Bob's pass is another");
    scene.say(alice, ClientMessage::HangUp { call: call.clone() });
    assert_eq!(scene.make().unwrap().legs.len(), 0);
    assert_eq!(scene.hub.media_counts(), MediaCounts::default());
}

#[test]
fn a_page_that_is_loaded_again_is_told_anew_once_it_is_back_in_the_call() {
    let mut scene = Scene::new();
    let (_, bob, call) = scene.two_in_a_call();
    scene.cut(bob, &call, "alice");
    let before = scene.make().unwrap();
    scene.heard(bob);
    let bob = scene.sign_in("bob", "b");
    scene.make();
    scene.heard(bob);
    scene.say(bob, ClientMessage::Rejoin { call: call.clone(), media: MEDIA });
    let after = scene.make().unwrap();
    let heard = scene.heard(bob);
    let [legs] = of_kind(&heard, "legs")[..] else { panic!("{heard:?}") };
    assert_eq!(legs["watch"][0]["user"], "alice");
    assert_eq!(of_kind(&heard, "path")[0]["path"], "server");
    let pass = legs["token"].as_str().unwrap();
    assert!(after.legs.contains_key(pass) && !before.legs.contains_key(pass));
}

#[test]
fn nobody_reports_for_a_call_that_they_are_not_in() {
    let mut scene = Scene::new();
    let (_, bob, call) = scene.two_in_a_call();
    let mallory = scene.sign_in("mallory", "m");
    scene.reports(bob, &call, 1000, &[report("alice", Path::Direct, true, 50)]);
    scene.reports(mallory, &call, 4000, &[report("alice", Path::Direct, true, 0)]);
    assert_eq!(scene.make(), None);
    assert!(!kinds(&scene.heard(mallory)).contains(&"legs"));
}

#[test]
fn a_group_past_the_mesh_goes_through_the_server_and_its_direct_connections_end() {
    let mut scene = Scene::new();
    scene.hub.limits.mesh_most = 2;
    let (alice, bob, call) = scene.two_in_a_call();
    let carol = scene.sign_in("carol", "c");
    scene.invite_to(alice, &call, "carol");
    let quiet = Media { audio: false, video: false, screen: false };
    scene.say(carol, ClientMessage::Accept { call: call.clone(), media: quiet });
    let heard = scene.heard(bob);
    let [topology] = of_kind(&heard, "topology")[..] else { panic!("{heard:?}") };
    assert_eq!(topology["topology"], "server");
    assert_eq!(topology["reason"], "3 people are too many for a mesh, 2 may be in one");
    let wanted = scene.make().unwrap();
    let watched: Vec<usize> = wanted.legs.values().map(|leg| leg.watch.len()).collect();
    assert_eq!(watched.iter().sum::<usize>(), 4, "Carol watches two and sends nothing");

    let served = |of| report(of, Path::Server, true, 50);
    scene.reports(alice, &call, 2000, &[served("bob")]);
    scene.reports(bob, &call, 500, &[served("alice")]);
    assert!(of_kind(&scene.heard(alice), "peer_closed").is_empty());
    scene.reports(carol, &call, 500, &[served("alice"), served("bob")]);
    assert_eq!(of_kind(&scene.heard(alice), "peer_closed").len(), 2);

    scene.say(carol, ClientMessage::Leave { call: call.clone() });
    scene.heard(alice);
    scene.reports(alice, &call, 16_000, &[served("bob")]);
    let heard = scene.heard(alice);
    assert_eq!(of_kind(&heard, "topology")[0]["topology"], "mesh");
    assert_eq!(of_kind(&heard, "peer").len(), 1);
    assert_eq!(scene.hub.media_counts().publishers, 2, "until the direct path is good");
}

#[test]
fn whoever_talks_is_told_to_all_until_they_leave() {
    let mut scene = Scene::new();
    scene.hub.limits.mesh_most = 1;
    let (alice, bob, call) = scene.two_in_a_call();
    let speak = |scene: &mut Scene, name: &str| {
        for _ in 0..10 {
            scene.now += Duration::from_millis(100);
            scene.hub.hear(&call, &user(name), 0x80 | 30, scene.now);
        }
    };
    scene.heard(bob);
    speak(&mut scene, "mallory");
    assert!(of_kind(&scene.heard(bob), "speaker").is_empty(), "whoever isn't in it isn't heard");
    speak(&mut scene, "alice");
    let heard = scene.heard(bob);
    let [speaker] = of_kind(&heard, "speaker")[..] else { panic!("{heard:?}") };
    assert_eq!(speaker["user"], "alice");
    scene.say(alice, ClientMessage::Leave { call: call.clone() });
    assert_eq!(of_kind(&scene.heard(bob), "speaker")[0]["user"], Value::Null);
}

#[test]
fn each_gets_of_each_picture_what_it_shows_and_can_take() {
    let mut scene = Scene::new();
    scene.hub.limits.mesh_most = 1;
    let (_, bob, call) = scene.two_in_a_call();
    let told = |scene: &mut Scene| {
        let heard = scene.heard(bob);
        of_kind(&heard, "streams").last().map(|message| message["streams"].clone())
    };
    let of_alice = |rendition: &str| Some(json!([{"user": "alice", "rendition": rendition}]));
    assert_eq!(told(&mut scene), of_alice("original"), "all is shown before anything is said");
    let show = |scene: &mut Scene, names: &[&str]| {
        let users: Vec<UserId> = names.iter().map(|name| user(name)).collect();
        let message = ClientMessage::Tiles {
            call: call.clone(),
            page_size: crate::calls::messages::PageSize::Nine,
            page: 0,
            users: users.try_into().unwrap(),
            height: 720,
            large: None,
        };
        scene.say(bob, message);
    };
    show(&mut scene, &[]);
    assert_eq!(told(&mut scene), Some(json!([])));
    show(&mut scene, &["alice"]);
    assert_eq!(told(&mut scene), of_alice("original"));
    let narrow = |down| Capabilities { down_bps: BitsPerSecond::from_kilo(down), ..capabilities() };
    scene.say(bob, ClientMessage::Capabilities { capabilities: narrow(200) });
    assert_eq!(told(&mut scene), of_alice("none"), "there is no room for a picture");
}

#[test]
fn a_recorded_call_is_at_the_server_and_what_is_sent_there_is_recorded() {
    let mut scene = Scene::new();
    let (alice, bob, call) = scene.two_in_a_call();
    scene.make();
    let record = |recorded| ClientMessage::Record { call: call.clone(), recorded };
    scene.heard(bob);
    scene.say(bob, record(true));
    assert_eq!(of_kind(&scene.heard(bob), "error")[0]["code"], "not_allowed");
    scene.heard(alice);
    scene.say(alice, record(true));
    let wanted = scene.make().unwrap();
    let recorded = wanted.recorded.unwrap();
    assert_eq!(recorded.by, Some(user("alice")));
    assert_eq!(recorded.people, BTreeSet::from([user("alice"), user("bob")]));
    let published = wanted.legs.values().filter_map(|leg| leg.publish.clone());
    assert_eq!(recorded.channels.keys().cloned().collect::<BTreeSet<_>>(), published.collect());
    assert_eq!(recorded.channels.len(), 2);
    for socket in [alice, bob] {
        let heard = scene.heard(socket);
        assert_eq!(of_kind(&heard, "recorded")[0]["recorded"], true);
        assert_eq!(of_kind(&heard, "topology")[0]["topology"], "server");
    }
    scene.say(alice, record(true));
    assert_eq!(of_kind(&scene.heard(alice), "recorded").len(), 1, "it is so already");
    assert_eq!(scene.heard(bob), Vec::<Value>::new());
    scene.say(alice, record(false));
    assert_eq!(scene.make().unwrap().recorded, None);
    scene.say(alice, record(true));
    scene.make();
    scene.say(alice, ClientMessage::HangUp { call: call.clone() });
    assert_eq!(scene.make().unwrap().recorded, None, "with the call it ends");
    scene.say(alice, record(true));
    assert!(!of_kind(&scene.heard(alice), "error").is_empty());
}

/// Of three who can't tell how far they are from each other.
fn arranged_for(places: [Place; 3]) -> Option<String> {
    let mut scene = Scene::new();
    let mut sign_in =
        |name: &str, place| scene.sign_in_at(name, "d", Circle::Everybody, Some(place));
    let names = ["alice", "bob", "carol"];
    let sockets: Vec<SocketId> =
        names.iter().zip(places).map(|(name, place)| sign_in(name, place)).collect();
    let call = scene.call(sockets[0], &["bob", "carol"]);
    for socket in &sockets[1..] {
        scene.say(*socket, ClientMessage::Accept { call: call.clone(), media: MEDIA });
    }
    scene.heard(sockets[0]);
    scene.reports(sockets[0], &call, 3500, &[report("bob", Path::Direct, false, 0)]);
    let heard = scene.heard(sockets[0]);
    let told = of_kind(&heard, "topology").pop()?;
    assert_eq!(told["topology"], "server");
    told["reason"].as_str().map(str::to_owned)
}

#[test]
fn three_across_the_world_go_through_the_server_and_three_in_one_country_do_not() {
    assert_far_ones_are_served(arranged_for);
}
