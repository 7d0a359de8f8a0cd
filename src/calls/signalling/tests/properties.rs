//! Whatever comes in whatever order, the call and its devices agree.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const ALL: &[&str] = &["a1", "a2", "b1", "b2", "c1", "d1"];

#[derive(Debug, Clone)]
enum Step {
    Say(usize, u8, u8),
    Change(usize, u8),
    Nodes(Vec<usize>),
    Outside(u8),
    Wait(u16),
}

/// What the devices believe from what they were told.
#[derive(Debug, Default)]
struct Believed {
    ringing: BTreeSet<String>,
    present: BTreeSet<String>,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..ALL.len(), 0..14_u8, 0..4_u8).prop_map(|(d, what, n)| Step::Say(d, what, n)),
        3 => (0..ALL.len(), 0..4_u8).prop_map(|(d, change)| Step::Change(d, change)),
        1 => prop::collection::vec(0..ALL.len(), 0..3).prop_map(Step::Nodes),
        1 => (0..5_u8).prop_map(Step::Outside),
        3 => (0..40_000_u16).prop_map(Step::Wait),
    ]
}

fn request(what: u8, n: u8) -> Request {
    let names: &[&[&str]] = &[&["ben"], &["cat", "dan"], &["ann", "ben", "cat"], &["dan"]];
    let (session, epoch) = (u32::from(n), u32::from(what % 2));
    match what {
        0..=2 => invite(names[usize::from(n)]),
        3..=4 => accept(),
        5 => Request::Decline,
        6 => Request::Busy,
        7 => Request::Cancel { user: (n > 1).then(|| user(DEVICES[usize::from(n)].0)) },
        8 => Request::HangUp,
        9 => Request::Leave,
        10 => rejoin(),
        11 => relay(session, epoch, offer()),
        12 => relay(session, epoch, candidate()),
        _ => Request::Restart { session, epoch },
    }
}

fn outside(what: u8) -> Input {
    let order = |topology| Input::Topology { topology, reason: Sentence::cut("so") };
    match what {
        0 => order(Topology::Mesh),
        1 => order(Topology::Server),
        2 => Input::DirectNotNeeded,
        3 => Input::Recording(true),
        _ => Input::Tick,
    }
}

// === impl Believed ===

impl Believed {
    fn hear(&mut self, outputs: &[Output]) -> Result<(), TestCaseError> {
        for output in outputs {
            let Output::Send { to, message } = output else { continue };
            let device = to.device.to_string();
            match message {
                ServerMessage::Ring { stops_in_ms, .. } => {
                    prop_assert!(*stops_in_ms <= 45_000);
                    self.ringing.insert(device);
                }
                ServerMessage::RingStopped { .. } => {
                    prop_assert!(self.ringing.remove(&device), "{device} didn't ring");
                }
                ServerMessage::Call { .. } => {
                    self.ringing.remove(&device);
                    self.present.insert(device);
                }
                ServerMessage::Left { .. } => {
                    self.present.remove(&device);
                }
                ServerMessage::CallEnded { .. } => {
                    prop_assert!(!self.ringing.contains(&device), "{device} rings at the end");
                    self.present.remove(&device);
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn check(scene: &Scene, believed: &Believed) -> Result<(), TestCaseError> {
    let of = |addresses: Vec<Address>| -> BTreeSet<String> {
        addresses.into_iter().map(|address| address.device.to_string()).collect()
    };
    let ringing = of(scene.call.ringing().collect());
    let present: Vec<Address> = scene.call.present().collect();
    let users: BTreeSet<_> = present.iter().map(|address| &address.user).collect();
    prop_assert_eq!(users.len(), present.len(), "a user is in on one device");
    prop_assert_eq!(&ringing, &believed.ringing);
    match scene.call.over() {
        Some(_) => {
            prop_assert!(ringing.is_empty());
            prop_assert_eq!(scene.call.next_wake(), None);
        }
        None => {
            prop_assert!(of(present).is_subset(&believed.present));
            if !ringing.is_empty() {
                prop_assert!(scene.call.next_wake().is_some());
            }
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn no_order_of_inputs_panics_or_leaves_a_device_ringing(
        steps in prop::collection::vec(step(), 0..80),
    ) {
        let mut scene = Scene::new();
        let mut believed = Believed::default();
        believed.present.insert("a1".to_owned());
        for step in steps {
            match step {
                Step::Say(device, what, n) => {
                    scene.say(ALL[device], request(what, n));
                }
                Step::Change(device, change) => {
                    let change = match change {
                        0 => DeviceChange::Came,
                        1 => DeviceChange::Lost,
                        2 => DeviceChange::Back,
                        _ => DeviceChange::Gone,
                    };
                    scene.device(ALL[device], change);
                }
                Step::Nodes(devices) => {
                    let devices = devices.into_iter().map(|d| address(ALL[d])).collect();
                    scene.feed(Input::NodeGone { devices });
                }
                Step::Outside(what) => {
                    scene.feed(outside(what));
                }
                Step::Wait(ms) => {
                    scene.now += Duration::from_millis(ms.into());
                    scene.feed(Input::Tick);
                }
            }
            believed.hear(&scene.last.outputs)?;
            check(&scene, &believed)?;
        }
        // Nobody says anything more, so it ends, unless two are in it.
        for _ in 0..4 {
            scene.wait(46);
            believed.hear(&scene.last.outputs)?;
        }
        prop_assert_eq!(scene.call.ringing().count(), 0);
        prop_assert!(scene.call.over().is_some() || scene.call.present().count() >= 2);
    }
}
