//! A call of a hundred: what its events cost, beside those of a call of a few.

use super::*;

const CAMERAS: usize = 6;
const SILENT: Media = Media { audio: false, video: false, screen: false };

/// As many as that, all in one call, the first of them with cameras.
fn crowd(people: usize) -> (Scene, Vec<SocketId>, CallId) {
    let mut scene = Scene::new();
    scene.hub.limits.sockets = people;
    scene.hub.limits.rings = Rate { per_second: 1.0, burst: people as f64 };
    let names: Vec<String> = (0..people).map(|number| format!("user-{number}")).collect();
    let sockets: Vec<SocketId> = names.iter().map(|name| scene.sign_in(name, "d")).collect();
    for socket in &sockets {
        take_all(&mut scene, *socket);
    }
    let others: Vec<&str> = names.iter().skip(1).map(String::as_str).collect();
    let call = scene.invite(sockets[0], &others).unwrap();
    for (number, socket) in sockets.iter().enumerate().skip(1) {
        let media = if number < CAMERAS { MEDIA } else { SILENT };
        scene.say(*socket, ClientMessage::Accept { call: call.clone(), media });
        settle(&mut scene, &call);
        for socket in &sockets {
            take_all(&mut scene, *socket);
        }
    }
    (scene, sockets, call)
}

/// What a device does about what it hears, and the driver about media.
fn take_all(scene: &mut Scene, socket: SocketId) -> usize {
    let mut bytes = 0;
    let mut last = 0;
    while let Some(text) = scene.hub.poll_message(socket) {
        bytes += text.len();
        let message: Value = serde_json::from_str(&text).unwrap();
        last = message["seq"].as_u64().unwrap();
    }
    if last > 0 {
        scene.say(socket, ClientMessage::Ack { seq: last });
    }
    bytes
}

fn settle(scene: &mut Scene, call: &CallId) {
    let wanted = scene.hub.media_of(call);
    scene.hub.media_ready(call, wanted.revision, &Default::default(), scene.now);
    scene.hub.take_effects();
}

fn reports() -> Few<PathReport, 200> {
    let of = |number: usize| report(&format!("user-{number}"), Path::Server, false, 0);
    (0..CAMERAS).map(of).collect::<Vec<_>>().try_into().unwrap()
}

#[test]
fn a_hundred_are_in_one_call_and_get_every_camera() {
    let (scene, _, call) = crowd(100);
    let counts = scene.hub.media_counts();
    let watchers = (CAMERAS * 99) as i64;
    assert_eq!((counts.publishers, counts.watchers), (CAMERAS as i64, watchers));
    assert_eq!(scene.hub.calls[&call].call.topology(), crate::calls::messages::Topology::Server);
}

/// Twice a second each of a hundred says how it fares. None of that may cost what it costs when
/// somebody joins.
#[test]
#[allow(clippy::print_stdout, reason = "figures are shown beside the verdict")]
fn what_is_said_all_the_time_costs_little() {
    let (mut scene, sockets, call) = crowd(100);
    let mut joins = Vec::new();
    let mut said = Vec::new();
    for round in 0..20 {
        scene.now += Duration::from_millis(500);
        // Someone leaves and comes back: all is worked out anew.
        let begin = std::time::Instant::now();
        scene.say(sockets[99], ClientMessage::Leave { call: call.clone() });
        let media = SILENT;
        scene.say(sockets[99], ClientMessage::Rejoin { call: call.clone(), media });
        joins.push(begin.elapsed() / 2);
        settle(&mut scene, &call);
        for socket in &sockets {
            let begin = std::time::Instant::now();
            let message = ClientMessage::PathReport { call: call.clone(), reports: reports() };
            scene.say(*socket, message);
            // Until the direct connections are let go, everybody is looked at.
            if round > 1 {
                said.push(begin.elapsed());
            }
            take_all(&mut scene, *socket);
        }
        scene.hub.take_effects();
    }
    joins.sort();
    said.sort();
    let (join, typical) = (joins[joins.len() / 2], said[said.len() / 2]);
    println!(
        "median: someone joins or leaves {join:?}, a report {typical:?}, worst {:?}",
        said.last()
    );
    assert!(typical * 10 < join, "a report {typical:?}, a join {join:?}");
}
