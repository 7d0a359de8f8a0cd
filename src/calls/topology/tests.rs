//! Tests of the choice between mesh and server.

use proptest::prelude::*;

use super::*;

const BERLIN: Place = Place { latitude: 52.5, longitude: 13.4 };
const MUNICH: Place = Place { latitude: 48.1, longitude: 11.6 };
const NEW_YORK: Place = Place { latitude: 40.7, longitude: -74.0 };
const SYDNEY: Place = Place { latitude: -33.9, longitude: 151.2 };

fn member(name: usize, place: Option<Place>, site: Option<&str>) -> Member {
    Member {
        user: UserId::new(&format!("u{name}")).unwrap(),
        up: BitsPerSecond::from_kilo(50_000),
        down: BitsPerSecond::from_kilo(100_000),
        sends_video: true,
        place,
        site: site.map(str::to_owned),
    }
}

fn group(members: Vec<Member>) -> Group {
    let per_copy = BitsPerSecond::from_kilo(1000);
    Group { members, round_trips: Vec::new(), per_copy, recorded: false, most: MESH_MOST }
}

fn office(size: usize) -> Group {
    group((0..size).map(|n| member(n, Some(BERLIN), Some("192.0.2.7"))).collect())
}

fn spread(places: &[Place]) -> Group {
    group(places.iter().enumerate().map(|(n, place)| member(n, Some(*place), None)).collect())
}

fn verdict_of(group: &Group) -> String {
    let decision = verdict(group, 100);
    format!("{:?}: {}", decision.topology, decision.reason)
}

#[test]
fn size_distance_lines_and_recording_decide() {
    let thin = |mut group: Group, up, down| {
        group.members[1].up = BitsPerSecond::from_kilo(up);
        group.members[1].down = BitsPerSecond::from_kilo(down);
        group
    };
    let measured = |mut group: Group, ms| {
        group.round_trips.push((1, 0, Duration::from_millis(ms)));
        group
    };
    let recorded = Group { recorded: true, ..office(2) };
    let mut listeners = thin(office(4), 200, 100_000);
    listeners.members.iter_mut().for_each(|member| member.sends_video = false);
    for (what, group, expected) in [
        ("two", office(2), "Mesh: two people talk directly"),
        ("two across the world", spread(&[BERLIN, SYDNEY]), "Mesh: two people talk directly"),
        ("two, recorded", recorded, "Server: the call is recorded"),
        (
            "ten in one office",
            office(10),
            "Mesh: 10 people are near enough to each other, and their lines carry it",
        ),
        (
            "three across the world",
            spread(&[BERLIN, NEW_YORK, SYDNEY]),
            "Server: between u0 and u2 it is 258 ms, 160 are good for 3 people",
        ),
        (
            "three in one country",
            spread(&[BERLIN, MUNICH, BERLIN]),
            "Mesh: 3 people are near enough to each other, and their lines carry it",
        ),
        (
            "three on two sides of an ocean",
            spread(&[BERLIN, NEW_YORK, NEW_YORK]),
            "Mesh: 3 people are near enough to each other, and their lines carry it",
        ),
        (
            "five on two sides of an ocean",
            spread(&[BERLIN, NEW_YORK, NEW_YORK, BERLIN, BERLIN]),
            "Server: between u0 and u1 it is 111 ms, 80 are good for 5 people",
        ),
        (
            "what was measured counts more than the place",
            measured(office(3), 200),
            "Server: between u0 and u1 it is 200 ms, 160 are good for 3 people",
        ),
        (
            "thirteen in one office",
            office(13),
            "Server: 13 people are too many for a mesh, 12 may be in one",
        ),
        (
            "one with a narrow line up",
            thin(office(4), 3000, 100_000),
            "Server: u1 would send 3120 kb/s, and has 3000 kb/s up",
        ),
        (
            "one with a narrow line down",
            thin(office(4), 50_000, 3000),
            "Server: u1 would receive 3120 kb/s, and has 3000 kb/s down",
        ),
        (
            "the same with sound alone",
            listeners,
            "Mesh: 4 people are near enough to each other, and their lines carry it",
        ),
        (
            "nothing is known",
            group((0..3).map(|n| member(n, None, None)).collect()),
            "Server: nothing is known of the path between u0 and u1",
        ),
    ] {
        assert_eq!(verdict_of(&group), expected, "{what}");
    }
}

/// What the judge says each second for so long.
fn run(judge: &mut Judge, group: &Group, from: &mut Instant, seconds: u64) -> Vec<Topology> {
    (0..seconds)
        .map(|_| {
            *from += Duration::from_secs(1);
            judge.decide(group, *from).topology
        })
        .collect()
}

#[test]
fn recording_size_and_lines_move_at_once() {
    let now = Instant::now();
    for group in [Group { recorded: true, ..office(3) }, office(13)] {
        assert_eq!(Judge::new().decide(&group, now).topology, Topology::Server);
    }
}

#[test]
fn a_slow_path_moves_after_three_seconds_and_a_spike_does_not() {
    let mut now = Instant::now();
    let mut judge = Judge::new();
    let slow = Group { round_trips: vec![(0, 1, Duration::from_millis(300))], ..office(3) };
    assert_eq!(run(&mut judge, &slow, &mut now, 3), [Topology::Mesh; 3]);
    assert_eq!(run(&mut judge, &office(3), &mut now, 1), [Topology::Mesh]);
    let moved = run(&mut judge, &slow, &mut now, 4);
    assert_eq!(moved, [Topology::Mesh, Topology::Mesh, Topology::Mesh, Topology::Server]);
}

#[test]
fn the_way_back_takes_a_while_in_which_all_is_well_within_bounds() {
    let mut now = Instant::now();
    let mut judge = Judge::new();
    judge.decide(&Group { recorded: true, ..office(3) }, now);
    // 140 ms would do for a mesh that is one, and is too near the bound for one that isn't.
    let near = Group { round_trips: vec![(0, 1, Duration::from_millis(140))], ..office(3) };
    assert!(run(&mut judge, &near, &mut now, 60).iter().all(|t| *t == Topology::Server));
    let well = run(&mut judge, &office(3), &mut now, 16);
    assert_eq!(well.iter().filter(|t| **t == Topology::Server).count(), 15);
    assert_eq!(well.last(), Some(&Topology::Mesh));
    assert!(run(&mut judge, &near, &mut now, 60).iter().all(|t| *t == Topology::Mesh));
}

#[test]
fn a_path_at_the_bound_does_not_flap() {
    let mut now = Instant::now();
    let mut judge = Judge::new();
    let mut moves = 0;
    for n in 0..600_u64 {
        let ms = if n / 5 % 2 == 0 { 150 } else { 170 };
        let group = Group { round_trips: vec![(0, 1, Duration::from_millis(ms))], ..office(3) };
        let before = judge.current();
        run(&mut judge, &group, &mut now, 1);
        moves += u32::from(judge.current() != before);
    }
    assert!(moves <= 1, "{moves}");
}

#[test]
fn while_it_waits_it_says_why() {
    let now = Instant::now();
    let mut judge = Judge::new();
    judge.decide(&office(13), now);
    let decision = judge.decide(&office(3), now + Duration::from_secs(1));
    assert_eq!(decision, Decision { topology: Topology::Server, reason: Reason::Settling });
}

proptest! {
    #[test]
    fn a_stricter_bound_never_makes_a_mesh_of_what_was_none(
        places in prop::collection::vec((any::<f64>(), any::<f64>(), 0..5000_u64), 0..20),
        stricter in 1..100_u64,
    ) {
        let mut members = Vec::new();
        let mut round_trips = Vec::new();
        for (n, (latitude, longitude, ms)) in places.iter().enumerate() {
            members.push(member(n, Some(Place { latitude: *latitude, longitude: *longitude }), None));
            round_trips.push((n, n / 2, Duration::from_millis(*ms)));
        }
        let group = Group { round_trips, ..group(members) };
        let lenient = verdict(&group, 100).topology;
        if lenient == Topology::Server {
            prop_assert_eq!(verdict(&group, stricter).topology, Topology::Server);
        }
    }
}
