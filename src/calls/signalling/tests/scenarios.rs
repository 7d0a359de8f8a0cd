//! Calls from their start to their end.

use super::*;
use crate::calls::messages::Presence;

#[test]
fn it_rings_on_every_device_and_the_first_answer_wins() {
    let mut scene = Scene::ringing(&["ben"]);
    assert_eq!(scene.sent(), ["a1 call", "a1 participant ben ringing", "b1 ring", "b2 ring"]);
    scene.say("b2", accept());
    assert_eq!(
        scene.sent(),
        [
            "b1 ring_stopped answered_elsewhere",
            "b2 call",
            "a1 participant ben in",
            "b2 peer 1.0 offers",
            "a1 peer 1.0",
        ]
    );
    scene.say("b1", accept());
    assert_eq!(scene.last.refused, Some(Refusal::AnsweredElsewhere));
    assert_eq!(scene.present(), ["a1", "b2"]);
}

#[test]
fn a_call_that_nobody_answers_ends_after_forty_five_seconds() {
    let mut scene = Scene::ringing(&["ben"]);
    assert_eq!(scene.call.next_wake(), Some(scene.now + Duration::from_secs(45)));
    scene.wait(44);
    assert_eq!(scene.sent(), [""; 0]);
    scene.wait(1);
    let stopped = ["b1 ring_stopped no_answer", "b2 ring_stopped no_answer"];
    assert_eq!(scene.sent()[..2], stopped);
    assert_eq!(scene.call.over(), Some(EndReason::NoAnswer));
    assert_eq!(scene.call.next_wake(), None);
}

#[test]
fn who_can_not_be_rung_ends_the_call_with_the_reason() {
    for (reach, reason) in [
        (Reach::Devices(Vec::new()), EndReason::Unreachable),
        (Reach::Not(OutCause::Busy), EndReason::Busy),
        (Reach::Not(OutCause::DoNotDisturb), EndReason::DoNotDisturb),
    ] {
        let mut scene = Scene::new();
        let callees = vec![Callee { user: user("ben"), reach }];
        scene.say("a1", Request::Invite { callees, media: VIDEO });
        assert_eq!(scene.call.over(), Some(reason));
    }
}

#[test]
fn a_device_that_is_busy_leaves_the_others_ringing() {
    let mut scene = Scene::ringing(&["ben"]);
    scene.say("b1", Request::Busy);
    assert_eq!(scene.sent(), ["b1 ring_stopped busy"]);
    assert_eq!(scene.call.over(), None);
    scene.say("b2", Request::Busy);
    assert_eq!(scene.call.over(), Some(EndReason::Busy));
}

#[test]
fn declining_on_one_device_declines_on_all() {
    let mut scene = Scene::ringing(&["ben"]);
    scene.say("b1", Request::Decline);
    assert!(scene.sent().contains(&"b2 ring_stopped declined".to_owned()));
    assert_eq!(scene.call.over(), Some(EndReason::Declined));
}

#[test]
fn a_device_that_connects_while_its_user_is_rung_rings_for_the_rest_of_the_time() {
    let mut scene = Scene::new();
    let callees = vec![Callee {
        user: user("ben"),
        reach: Reach::Devices(vec![DeviceId::new("b1").unwrap()]),
    }];
    scene.say("a1", Request::Invite { callees, media: VIDEO });
    scene.wait(15).device("b2", DeviceChange::Came);
    let [Output::Send { message: ServerMessage::Ring { stops_in_ms, .. }, .. }] =
        scene.last.outputs[..]
    else {
        panic!("{:?}", scene.last)
    };
    assert_eq!(stops_in_ms, 30_000);
}

#[test]
fn either_of_two_hangs_up_and_both_are_told() {
    for hanging_up in ["a1", "b1"] {
        let mut scene = Scene::together(&["ben"]);
        scene.say(hanging_up, Request::HangUp);
        assert_eq!(
            scene.sent(),
            ["a1 call_ended hung_up", "b1 call_ended hung_up", "b2 call_ended hung_up"]
        );
    }
}

#[test]
fn a_group_is_ended_by_its_host_and_left_by_the_others() {
    let mut scene = Scene::together(&["ben", "cat"]);
    scene.say("b1", Request::HangUp);
    assert_eq!(scene.last.refused, Some(Refusal::OnlyTheHost));
    scene.say("b1", Request::Leave);
    assert_eq!(
        scene.sent(),
        [
            "b1 left left",
            "a1 participant ben left",
            "c1 participant ben left",
            "a1 peer_closed 1",
            "c1 peer_closed 3",
        ]
    );
    scene.say("a1", Request::HangUp);
    assert_eq!(scene.call.over(), Some(EndReason::HungUp));
    // A stranger doesn't hear even that.
    scene.say("d1", rejoin());
    assert_eq!(scene.last.refused, Some(Refusal::NotInvited));
}

#[test]
fn who_left_may_rejoin_and_whoever_stays_alone_waits_thirty_seconds() {
    let mut scene = Scene::together(&["ben"]);
    scene.say("b1", Request::Leave).wait(29).say("b1", rejoin());
    assert_eq!(scene.sent()[..2], ["b1 call", "a1 participant ben in"]);
    assert_eq!(scene.present(), ["a1", "b1"]);
    // The time begins again.
    scene.say("b1", Request::Leave).wait(29);
    assert_eq!(scene.call.over(), None);
    scene.wait(1);
    assert_eq!(scene.call.over(), Some(EndReason::EverybodyLeft));
}

#[test]
fn a_socket_that_drops_is_awaited_for_thirty_seconds() {
    let mut scene = Scene::together(&["ben"]);
    scene.device("b1", DeviceChange::Lost);
    assert_eq!(scene.sent(), ["a1 participant ben lost"]);
    scene.wait(29).device("b1", DeviceChange::Back);
    assert_eq!(scene.sent(), ["a1 participant ben in"]);
    scene.device("b1", DeviceChange::Lost).wait(30);
    assert_eq!(scene.call.over(), Some(EndReason::Lost));
}

#[test]
fn a_group_goes_on_without_the_one_whose_socket_stayed_away() {
    let mut scene = Scene::together(&["ben", "cat"]);
    scene.device("b1", DeviceChange::Lost).wait(30);
    assert_eq!(scene.call.over(), None);
    assert_eq!(scene.turns(), [Turn::Out(OutCause::Lost)]);
    scene.say("b1", rejoin());
    assert_eq!(scene.present(), ["a1", "b1", "c1"]);
}

#[test]
fn a_device_that_rings_without_a_socket_can_still_answer_in_time() {
    let mut scene = Scene::ringing(&["cat"]);
    scene.device("c1", DeviceChange::Lost).wait(10).device("c1", DeviceChange::Back);
    scene.say("c1", accept());
    assert_eq!(scene.present(), ["a1", "c1"]);
    let mut scene = Scene::ringing(&["cat"]);
    scene.device("c1", DeviceChange::Lost).wait(30);
    assert_eq!(scene.call.over(), Some(EndReason::Unreachable));
}

#[test]
fn a_node_that_goes_takes_its_devices_out_of_the_call_with_the_reason() {
    let mut scene = Scene::together(&["ben", "cat"]);
    scene.feed(Input::NodeGone { devices: vec![address("b1"), address("b2")] });
    assert_eq!(scene.present(), ["a1", "c1"]);
    scene.feed(Input::NodeGone { devices: vec![address("c1")] });
    assert_eq!(scene.call.over(), Some(EndReason::NodeGone));
    assert!(scene.sent().contains(&"a1 call_ended node_gone".to_owned()));
}

#[test]
fn a_pair_grows_into_a_group_mid_call() {
    let mut scene = Scene::together(&["ben"]);
    scene.say("b1", invite(&["cat"]));
    let expected =
        ["b1 call", "a1 participant cat ringing", "b1 participant cat ringing", "c1 ring"];
    assert_eq!(scene.sent(), expected);
    scene.say("c1", accept());
    assert_eq!(scene.present(), ["a1", "b1", "c1"]);
    let peers: Vec<_> = scene.sent().into_iter().filter(|line| line.contains("peer")).collect();
    let expected = ["c1 peer 2.0 offers", "a1 peer 2.0", "c1 peer 3.0 offers", "b1 peer 3.0"];
    assert_eq!(peers, expected);
    // One who declines leaves the rest as they are.
    scene.say("c1", invite(&["dan"])).say("d1", Request::Decline);
    assert_eq!(scene.call.over(), None);
}

#[test]
fn an_invitation_is_withdrawn_by_who_gave_it_or_by_the_host() {
    let mut scene = Scene::together(&["ben", "cat"]);
    scene.say("b1", invite(&["dan"]));
    scene.say("c1", Request::Cancel { user: None });
    assert_eq!(scene.last.refused, Some(Refusal::NobodyRinging));
    scene.say("a1", Request::Cancel { user: Some(user("dan")) });
    assert_eq!(scene.sent()[0], "d1 ring_stopped cancelled");
    assert!(!scene.call.admits(&user("dan")));
    scene.say("d1", rejoin());
    assert_eq!(scene.last.refused, Some(Refusal::Withdrawn));
    scene.say("b1", invite(&["dan"])).say("d1", accept());
    assert_eq!(scene.present().len(), 4);
}

#[test]
fn a_call_moves_to_another_device_and_its_connections_are_made_anew() {
    let mut scene = Scene::together(&["ben"]);
    scene.say("b2", rejoin());
    assert_eq!(
        scene.sent(),
        ["b2 call", "a1 participant ben in", "b1 left moved", "b2 peer 1.1 offers", "a1 peer 1.1",]
    );
    scene.say("b2", relay(1, 0, offer()));
    assert_eq!(scene.last.refused, Some(Refusal::Stale { current: 1 }));
    scene.say("b1", relay(1, 1, offer()));
    assert_eq!(scene.last.refused, Some(Refusal::OnOtherDevice));
    scene.say("b2", relay(1, 1, offer()));
    assert_eq!(scene.sent(), ["a1 offer"]);
}

#[test]
fn a_page_that_was_reloaded_is_in_again_when_it_rejoins() {
    let mut scene = Scene::together(&["ben"]);
    scene.device("b1", DeviceChange::Came);
    assert_eq!(scene.sent(), ["a1 participant ben lost"]);
    scene.say("b1", rejoin());
    assert!(scene.sent().contains(&"b1 call".to_owned()));
    assert!(scene.sent().contains(&"b1 peer 1.1 offers".to_owned()));
}

#[test]
fn of_two_restarts_that_cross_one_counts() {
    let mut scene = Scene::together(&["ben"]);
    scene.say("b1", Request::Restart { session: 1, epoch: 0 });
    assert_eq!(scene.sent(), ["b1 peer 1.1 offers", "a1 peer 1.1"]);
    scene.say("a1", Request::Restart { session: 1, epoch: 0 });
    assert_eq!(scene.last.refused, Some(Refusal::Stale { current: 1 }));
}

#[test]
fn candidates_are_bounded_in_an_epoch_and_for_each_end() {
    let mut scene = Scene::together(&["ben"]);
    for _ in 0..100 {
        scene.say("b1", relay(1, 0, candidate()));
        assert_eq!(scene.sent(), ["a1 candidate"]);
    }
    scene.say("b1", relay(1, 0, candidate()));
    assert_eq!(scene.last.refused, Some(Refusal::TooManyCandidates(100)));
    scene.say("a1", relay(1, 0, candidate()));
    assert_eq!(scene.sent(), ["b1 candidate"]);
    scene.say("b1", Request::Restart { session: 1, epoch: 0 });
    scene.say("b1", relay(1, 1, candidate()));
    assert_eq!(scene.last.refused, None);
}

#[test]
fn nobody_hears_of_a_connection_that_is_not_theirs() {
    let mut scene = Scene::together(&["ben", "cat"]);
    // Session 2 is cat's with ann.
    scene.say("b1", relay(2, 0, offer()));
    assert_eq!(scene.last.refused, Some(Refusal::UnknownPeer));
    scene.say("d1", relay(2, 0, offer()));
    assert_eq!(scene.last.refused, Some(Refusal::NotInvited));
}

#[test]
fn on_the_way_to_the_server_connections_stay_until_they_are_not_needed() {
    let mut scene = Scene::together(&["ben", "cat"]);
    let order = |topology| Input::Topology { topology, reason: Sentence::cut("so") };
    scene.feed(order(Topology::Server));
    assert_eq!(scene.sent(), ["a1 topology so", "b1 topology so", "c1 topology so"]);
    scene.say("b1", relay(1, 0, candidate()));
    assert_eq!(scene.last.refused, None);
    scene.feed(Input::DirectNotNeeded);
    assert_eq!(scene.sent().len(), 6);
    // A newcomer gets none.
    scene.say("a1", invite(&["dan"])).say("d1", accept());
    assert!(!scene.sent().iter().any(|line| line.contains("peer")));
    scene.feed(order(Topology::Mesh));
    let peers = scene.sent().into_iter().filter(|line| line.contains("peer")).count();
    assert_eq!(peers, 4 * 3);
}

#[test]
fn a_call_that_is_full_takes_nobody_more() {
    let now = Instant::now();
    let rules = Rules { participants: 2, ..Rules::default() };
    let id = CallId::new("call").unwrap();
    let mut scene = Scene::new();
    scene.call = Call::new(id, address("a1"), VIDEO, rules, now);
    scene.say("a1", invite(&["ben", "cat"]));
    assert_eq!(scene.last.refused, Some(Refusal::CallFull(2)));
    scene.say("a1", invite(&["ben"])).say("b1", accept()).say("b1", Request::Leave);
    scene.say("a1", invite(&["cat"])).say("b1", rejoin());
    assert_eq!(scene.last.refused, Some(Refusal::CallFull(2)));
}

#[test]
fn a_refused_request_does_not_hide_what_ran_out_before_it() {
    let mut scene = Scene::ringing(&["ben"]);
    scene.now += Duration::from_secs(50);
    scene.say("b1", accept());
    assert_eq!(scene.last.refused, Some(Refusal::CallOver(EndReason::NoAnswer)));
    assert!(scene.sent().contains(&"b1 ring_stopped no_answer".to_owned()));
}

#[test]
fn the_snapshot_shows_everybody_and_their_state() {
    let mut scene = Scene::ringing(&["ben", "cat"]);
    scene.say("b1", accept());
    let shown = scene.last.outputs.iter().find_map(|output| match output {
        Output::Send { message: ServerMessage::Call { participants, host, .. }, .. } => {
            Some((host.clone(), participants.iter().map(|p| p.state).collect::<Vec<_>>()))
        }
        _ => None,
    });
    let states = vec![Presence::In, Presence::In, Presence::Ringing];
    assert_eq!(shown, Some((user("ann"), states)));
}

#[test]
fn every_turn_is_an_event() {
    let mut scene = Scene::ringing(&["ben"]);
    assert_eq!(scene.turns(), [Turn::Invited { by: user("ann") }]);
    assert_eq!(scene.say("b1", accept()).turns(), [Turn::Answered]);
    assert_eq!(scene.device("b1", DeviceChange::Lost).turns(), [Turn::SocketLost]);
    assert_eq!(scene.device("b1", DeviceChange::Back).turns(), [Turn::SocketResumed]);
    assert_eq!(scene.say("b2", rejoin()).turns(), [Turn::Moved]);
    assert_eq!(scene.feed(Input::Recording(true)).turns(), [Turn::Recorded(true)]);
    let left = [Turn::Out(OutCause::Left)];
    assert_eq!(scene.say("b2", Request::Leave).turns(), left);
    assert_eq!(scene.say("b2", rejoin()).turns(), [Turn::Rejoined]);
    assert_eq!(scene.say("b2", Request::HangUp).turns(), [Turn::Ended(EndReason::HungUp)]);
}
