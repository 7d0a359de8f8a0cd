//! Tests of the ways that directions take.

use super::*;
use crate::calls::hub::tests::{report, user};

struct Scene {
    paths: Paths,
    now: Instant,
    moves: Vec<(String, Path)>,
}

impl Scene {
    fn new(names: &[&str]) -> Self {
        let now = Instant::now();
        let mut paths = Paths::default();
        paths.set_topology(Topology::Mesh, now);
        let people: Vec<_> = names.iter().map(|name| (user(name), true)).collect();
        assert!(paths.set_people(&people, now) && !paths.set_people(&people, now));
        Self { paths, now, moves: Vec::new() }
    }

    /// Reports of these, `(receiver, report)`, twice a second for so long.
    fn report(&mut self, ms: u64, reports: &[(&str, PathReport)]) -> bool {
        let mut changed = false;
        for _ in 0..ms / 500 {
            self.now += Duration::from_millis(500);
            for (to, report) in reports {
                let reported = self.paths.handle_report(&user(to), report, true, self.now);
                changed |= reported.changed;
                if let Some(Moved { from, to, step }) = reported.moved {
                    self.moves.push((format!("{from}-{to}"), step.to));
                }
            }
        }
        changed
    }

    fn served(&self) -> Vec<String> {
        let served = self.paths.served();
        let pairs = served.iter().flat_map(|(from, to)| to.iter().map(move |to| (from, to)));
        pairs.map(|(from, to)| format!("{from}-{to}")).collect()
    }
}

#[test]
fn one_direction_is_served_and_the_other_is_not() {
    let mut scene = Scene::new(&["ann", "ben"]);
    let fine = [
        ("ben", report("ann", Path::Direct, true, 50)),
        ("ann", report("ben", Path::Direct, true, 50)),
    ];
    assert!(!scene.report(5000, &fine));
    assert_eq!(scene.served(), [""; 0]);
    let cut = [
        ("ben", report("ann", Path::Direct, false, 0)),
        ("ann", report("ben", Path::Direct, true, 50)),
    ];
    assert!(scene.report(2000, &cut));
    assert_eq!(scene.moves, [("ann-ben".to_owned(), Path::Server)]);
    assert_eq!((scene.served(), scene.paths.count()), (vec!["ann-ben".to_owned()], [1, 1]));
}

#[test]
fn where_one_direction_is_cut_the_server_stands_by_for_the_other() {
    let mut scene = Scene::new(&["ann", "ben"]);
    let back = ("ann", report("ben", Path::Direct, true, 50));
    let cut = ("ben", report("ann", Path::Direct, true, 0));
    scene.report(500, &[("ben", report("ann", Path::Direct, true, 50)), back.clone()]);
    scene.report(2000, &[cut.clone(), back.clone()]);
    assert_eq!(scene.served(), ["ann-ben"]);
    scene.report(1500, &[("ben", report("ann", Path::Server, false, 0)), back.clone()]);
    assert_eq!(scene.served(), ["ann-ben", "ben-ann"]);
    assert_eq!((scene.moves.len(), scene.paths.count()), (1, [1, 1]), "it stays direct");
    scene.report(9000, &[("ben", report("ann", Path::Server, true, 50)), back.clone()]);
    scene.report(1500, &[("ben", report("ann", Path::Direct, true, 50)), back]);
    assert_eq!(scene.served(), [""; 0]);
}

#[test]
fn the_server_stands_by_for_a_direction_that_falls_silent_and_for_a_while_after() {
    let mut scene = Scene::new(&["ann", "ben"]);
    let from_ann = |packets| [("ben", report("ann", Path::Direct, true, packets))];
    scene.report(4000, &from_ann(50));
    assert!(scene.report(500, &from_ann(0)));
    assert_eq!(scene.served(), ["ann-ben"]);
    assert!(!scene.report(9500, &from_ann(50)));
    assert!(scene.report(500, &from_ann(50)));
    assert_eq!((scene.served(), scene.moves.len()), (Vec::new(), 0));
    // One that goes on being silent is moved, and what is there for it is there.
    scene.report(500, &from_ann(0));
    assert!(!scene.report(500, &from_ann(0)));
    assert_eq!((scene.served(), scene.moves.len()), (vec!["ann-ben".to_owned()], 1));
}

#[test]
fn the_server_is_left_only_once_the_receiver_shows_what_comes_directly() {
    let mut scene = Scene::new(&["ann", "ben"]);
    scene.report(500, &[("ben", report("ann", Path::Direct, true, 50))]);
    scene.report(2000, &[("ben", report("ann", Path::Direct, true, 0))]);
    assert_eq!(scene.served(), ["ann-ben"]);
    let good = |shown| [("ben", report("ann", shown, true, 50))];
    assert!(!scene.report(6000, &good(Path::Server)));
    assert_eq!(scene.moves.last(), Some(&("ann-ben".to_owned(), Path::Direct)));
    assert_eq!(scene.served(), ["ann-ben"]);
    assert!(scene.report(1000, &good(Path::Direct)));
    assert_eq!(scene.served(), [""; 0]);
}

#[test]
fn a_connection_that_never_comes_up_is_given_up_for_the_server() {
    let mut scene = Scene::new(&["ann", "ben"]);
    let down = [
        ("ben", report("ann", Path::Direct, false, 0)),
        ("ann", report("ben", Path::Direct, false, 0)),
    ];
    scene.report(3500, &down);
    assert_eq!(scene.moves, []);
    scene.report(2500, &down);
    assert_eq!(scene.served(), ["ann-ben", "ben-ann"]);
}

#[test]
fn a_device_that_begins_anew_has_time_to_connect_again() {
    let mut scene = Scene::new(&["ann", "ben"]);
    scene.report(5000, &[("ben", report("ann", Path::Direct, true, 50))]);
    scene.paths.renew(&user("ann"), scene.now);
    scene.report(3500, &[("ben", report("ann", Path::Direct, false, 0))]);
    scene.report(5000, &[("ben", report("ann", Path::Direct, true, 50))]);
    assert_eq!(scene.moves, []);
}

#[test]
fn who_sends_nothing_is_not_watched_and_who_only_mutes_is() {
    let mut scene = Scene::new(&["ann", "ben"]);
    let people = [(user("ann"), false), (user("ben"), false), (user("cat"), false)];
    scene.paths.set_people(&people, scene.now);
    scene.paths.set_topology(Topology::Server, scene.now);
    assert_eq!(scene.served(), ["ann-ben", "ann-cat", "ben-ann", "ben-cat"]);
    assert!(scene.paths.set_people(&people[1..], scene.now));
    assert_eq!(scene.served(), ["ben-cat"]);
}

#[test]
fn direct_connections_may_go_once_all_show_what_comes_through_the_server() {
    let mut scene = Scene::new(&["ann", "ben"]);
    assert!(scene.paths.set_topology(Topology::Server, scene.now));
    let ben = |shown| ("ben", report("ann", shown, true, 50));
    let ann = |shown| ("ann", report("ben", shown, true, 50));
    scene.report(3000, &[ben(Path::Server), ann(Path::Direct)]);
    assert!(!scene.paths.take_all_served(scene.now));
    scene.report(500, &[ann(Path::Server)]);
    assert!(scene.paths.take_all_served(scene.now));
    assert_eq!(scene.moves, [], "the topology says it, no direction does");

    scene.paths.set_topology(Topology::Mesh, scene.now);
    assert!(!scene.paths.take_all_served(scene.now + PATIENCE));
    assert_eq!(scene.served(), ["ann-ben", "ben-ann"]);
    scene.report(6000, &[ben(Path::Server), ann(Path::Server)]);
    assert_eq!(scene.moves.len(), 2);
    scene.report(1500, &[ben(Path::Direct), ann(Path::Direct)]);
    assert_eq!(scene.served(), [""; 0]);
}

#[test]
fn one_who_does_not_report_does_not_hold_the_others_up() {
    let mut scene = Scene::new(&["ann", "ben"]);
    scene.paths.set_topology(Topology::Server, scene.now);
    assert!(!scene.paths.take_all_served(scene.now + PATIENCE - OVERLAP));
    assert!(scene.paths.take_all_served(scene.now + PATIENCE));
}
