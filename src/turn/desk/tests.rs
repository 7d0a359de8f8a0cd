//! Tests of the desk: requests as bytes in, answers as bytes out, sockets pretended.

use super::super::quota::Quotas;
use super::super::request::tests::{Signed, signed};
use super::*;
use crate::stun::{Attributes, ERROR_CODE, Writer, XOR_MAPPED_ADDRESS, read_xor_address};

/// An attribute's type and value, each.
type Given<'a> = &'a [(u16, &'a [u8])];

const UNIX: u64 = 1_800_000_000;
const ID: &[u8; 12] = b"transaction!";

/// Gives addresses in the order of asking.
#[derive(Default)]
struct FakePorts {
    opened: Vec<(Family, Wanted)>,
    closed: Vec<RelayId>,
    no_v6: bool,
}

struct Scene {
    desk: Desk,
    ports: FakePorts,
    slot: Option<Allocation>,
    moment: Moment,
    user: &'static str,
    expires: u64,
}

#[derive(Debug, PartialEq, Eq)]
enum Answer {
    None,
    Success,
    Error(u16),
}

impl Ports for FakePorts {
    fn open(&mut self, family: Family, wanted: Wanted) -> Result<Opened, NoPort> {
        if family == Family::V6 && self.no_v6 {
            return Err(NoPort::Family);
        }
        self.opened.push((family, wanted));
        let n = self.opened.len();
        let ip = if family == Family::V4 { "192.0.2.1" } else { "2001:db8::1" };
        let reservation = (wanted == Wanted::EvenAndNext).then_some([7; 8]);
        let address = SocketAddr::new(ip.parse().unwrap(), 50_000 + n as u16);
        Ok(Opened { id: RelayId(n), address, reservation })
    }

    fn close(&mut self, id: RelayId) {
        self.closed.push(id);
    }
}

impl Scene {
    fn new() -> Self {
        let quotas = Quotas {
            allocations: 2,
            allocations_per_user: 1,
            bits_per_second: 0,
            user_bits_per_second: 0,
        };
        let now = Instant::now();
        Self {
            desk: Desk {
                authority: Authority::new("stentor", b"north", &[7; 32]),
                policy: PeerPolicy::default(),
                ledger: Arc::new(Ledger::new(quotas, now)),
                bounds: Bounds { permissions: 3, channels: 2 },
                max_lifetime: 3600,
            },
            ports: FakePorts::default(),
            slot: None,
            moment: Moment { now, unix: UNIX },
            user: "anna",
            expires: UNIX + 86_400,
        }
    }

    fn client(&self) -> SocketAddr {
        "198.51.100.7:4000".parse().unwrap()
    }

    fn ask(&mut self, message_type: u16, attributes: &[(u16, &[u8])]) -> (Answer, Vec<u8>) {
        let issued = self.desk.authority.issue(self.user, self.expires);
        let nonce = self.desk.authority.nonce(self.client(), self.moment.unix);
        let by = Signed {
            username: &issued.username,
            password: &issued.password.0,
            realm: "stentor",
            nonce: &nonce,
        };
        self.give(&signed(&by, message_type, attributes))
    }

    fn give(&mut self, bytes: &[u8]) -> (Answer, Vec<u8>) {
        let request = Request::parse(bytes).unwrap();
        let (client, moment) = (self.client(), self.moment);
        let mut out = Vec::new();
        let decided =
            self.desk.handle(&request, client, &mut self.slot, &mut self.ports, moment, &mut out);
        let answer = match find(&out, ERROR_CODE) {
            _ if out.is_empty() => Answer::None,
            None => Answer::Success,
            Some(error) => Answer::Error(u16::from(error[2]) * 100 + u16::from(error[3])),
        };
        assert_eq!(decided.is_ok(), answer == Answer::Success);
        (answer, out)
    }

    fn allocate(&mut self, more: &[(u16, &[u8])]) -> (Answer, Vec<u8>) {
        let mut attributes: Vec<(u16, &[u8])> = vec![(REQUESTED_TRANSPORT, &[UDP, 0, 0, 0])];
        attributes.extend(more);
        self.ask(ALLOCATE, &attributes)
    }

    fn towards(&mut self, message_type: u16, peers: &[&str], channel: Option<u16>) -> Answer {
        let mut values: Vec<(u16, Vec<u8>)> = Vec::new();
        if let Some(channel) = channel {
            values.push((CHANNEL_NUMBER, [channel.to_be_bytes(), [0; 2]].concat()));
        }
        for peer in peers {
            let mut out = Vec::new();
            let mut writer = Writer::begin(&mut out, 0, ID);
            writer.xor_address(XOR_PEER_ADDRESS, peer.parse().unwrap());
            values.push((XOR_PEER_ADDRESS, out[24..].to_vec()));
        }
        let attributes: Vec<_> = values.iter().map(|(k, v)| (*k, v.as_slice())).collect();
        self.ask(message_type, &attributes).0
    }
}

fn find(message: &[u8], kind: u16) -> Option<&[u8]> {
    Attributes::of(message).find(|(_, k, _)| *k == kind).map(|(_, _, value)| value)
}

fn lifetime(message: &[u8]) -> u32 {
    u32::from_be_bytes(find(message, LIFETIME).unwrap().try_into().unwrap())
}

#[test]
fn anyone_learns_their_address() {
    let mut scene = Scene::new();
    let mut bytes = Vec::new();
    Writer::begin(&mut bytes, BINDING, ID).fingerprint();
    let (answer, out) = scene.give(&bytes);
    assert_eq!(answer, Answer::Success);
    let address = read_xor_address(find(&out, XOR_MAPPED_ADDRESS).unwrap(), ID);
    assert_eq!(address, Some(scene.client()));
}

#[test]
fn a_stranger_is_challenged_and_nothing_is_kept() {
    let mut scene = Scene::new();
    let mut bytes = Vec::new();
    Writer::begin(&mut bytes, ALLOCATE, ID).attribute(REQUESTED_TRANSPORT, &[UDP, 0, 0, 0]);
    let (answer, out) = scene.give(&bytes);
    assert_eq!(answer, Answer::Error(401));
    assert_eq!(find(&out, REALM), Some(&b"stentor"[..]));
    let nonce = std::str::from_utf8(find(&out, NONCE).unwrap()).unwrap();
    assert_eq!(nonce, scene.desk.authority.nonce(scene.client(), UNIX));
    assert!(scene.slot.is_none() && scene.ports.opened.is_empty());
    assert_eq!(scene.desk.ledger.seats(), 0);
}

#[test]
fn an_allocation_is_made_renewed_and_given_back() {
    let mut scene = Scene::new();
    let (answer, out) = scene.allocate(&[]);
    assert_eq!((answer, lifetime(&out)), (Answer::Success, 600));
    let relayed = read_xor_address(find(&out, XOR_RELAYED_ADDRESS).unwrap(), ID).unwrap();
    assert_eq!(relayed.to_string(), "192.0.2.1:50001");
    let (_, out) = scene.ask(REFRESH, &[(LIFETIME, &[0, 0, 0x70, 0])]);
    assert_eq!(lifetime(&out), 3600, "at most");
    let (_, out) = scene.ask(REFRESH, &[(LIFETIME, &[0, 0, 0, 1])]);
    assert_eq!(lifetime(&out), 600, "at least");
    let (answer, out) = scene.ask(REFRESH, &[(LIFETIME, &[0; 4])]);
    assert_eq!((answer, lifetime(&out)), (Answer::Success, 0));
    assert!(scene.slot.is_none());
    assert_eq!(scene.ports.closed, [RelayId(1)]);
    assert_eq!(scene.desk.ledger.seats(), 0);
    assert_eq!(scene.ask(REFRESH, &[]).0, Answer::Error(437));
}

#[test]
fn an_allocate_that_comes_twice_gets_the_same_answer_and_another_one_none() {
    let mut scene = Scene::new();
    let (_, first) = scene.allocate(&[]);
    let (answer, second) = scene.allocate(&[]);
    assert_eq!(answer, Answer::Success);
    assert_eq!(first, second);
    assert_eq!(scene.ports.opened.len(), 1);
    scene.slot.as_mut().unwrap().made_by = *b"another one!";
    assert_eq!(scene.allocate(&[]).0, Answer::Error(437));
}

#[test]
fn what_an_allocate_may_not_ask_for() {
    let reserved = [1; 8];
    let cases: &[(Given<'_>, u16)] = &[
        (&[(0x001a, &[])], 420),
        (&[(0x7abc, &[])], 420),
        (&[(LIFETIME, &[0; 3])], 400),
        (&[(REQUESTED_ADDRESS_FAMILY, &[3, 0, 0, 0])], 440),
        (&[(ADDITIONAL_ADDRESS_FAMILY, &[1, 0, 0, 0])], 400),
        (
            &[
                (ADDITIONAL_ADDRESS_FAMILY, &[2, 0, 0, 0]),
                (REQUESTED_ADDRESS_FAMILY, &[1, 0, 0, 0]),
            ],
            400,
        ),
        (&[(ADDITIONAL_ADDRESS_FAMILY, &[2, 0, 0, 0]), (EVEN_PORT, &[0x80])], 400),
        (&[(RESERVATION_TOKEN, &reserved), (EVEN_PORT, &[0])], 400),
        (&[(RESERVATION_TOKEN, &reserved), (REQUESTED_ADDRESS_FAMILY, &[1, 0, 0, 0])], 400),
    ];
    for (attributes, code) in cases {
        let mut scene = Scene::new();
        assert_eq!(scene.allocate(attributes).0, Answer::Error(*code), "{attributes:?}");
        assert_eq!(scene.desk.ledger.seats(), 0);
    }
    let mut scene = Scene::new();
    assert_eq!(scene.ask(ALLOCATE, &[]).0, Answer::Error(400));
    assert_eq!(scene.ask(ALLOCATE, &[(REQUESTED_TRANSPORT, &[6, 0, 0, 0])]).0, Answer::Error(442));
}

#[test]
fn ports_and_families_are_those_asked_for() {
    let both: &[(Family, Wanted)] = &[(Family::V4, Wanted::Any), (Family::V6, Wanted::Any)];
    let cases: &[(Given<'_>, &[(Family, Wanted)])] = &[
        (&[(REQUESTED_ADDRESS_FAMILY, &[2, 0, 0, 0])], &both[1..]),
        (&[(ADDITIONAL_ADDRESS_FAMILY, &[2, 0, 0, 0])], both),
        (&[(DRAFT_ADDITIONAL_ADDRESS_FAMILY, &[2, 0, 0, 0])], both),
        (&[(EVEN_PORT, &[0])], &[(Family::V4, Wanted::Even)]),
        (&[(EVEN_PORT, &[0x80])], &[(Family::V4, Wanted::EvenAndNext)]),
        (&[(RESERVATION_TOKEN, &[9; 8])], &[(Family::V4, Wanted::Reserved([9; 8]))]),
    ];
    for (attributes, expected) in cases {
        let mut scene = Scene::new();
        let (answer, out) = scene.allocate(attributes);
        assert_eq!(answer, Answer::Success, "{attributes:?}");
        assert_eq!(&scene.ports.opened, expected);
        let token = find(&out, RESERVATION_TOKEN);
        assert_eq!(token.is_some(), expected[0].1 == Wanted::EvenAndNext);
    }
}

#[test]
fn of_two_families_one_may_be_missing_and_the_client_is_told() {
    let mut scene = Scene::new();
    scene.ports.no_v6 = true;
    let (answer, out) = scene.allocate(&[(ADDITIONAL_ADDRESS_FAMILY, &[2, 0, 0, 0])]);
    assert_eq!(answer, Answer::Success);
    assert_eq!(find(&out, ADDRESS_ERROR_CODE), Some(&[2, 0, 4, 40][..]));
    let mut scene = Scene::new();
    scene.ports.no_v6 = true;
    let only_v6 = scene.allocate(&[(REQUESTED_ADDRESS_FAMILY, &[2, 0, 0, 0])]);
    assert_eq!(only_v6.0, Answer::Error(440));
}

#[test]
fn each_family_can_be_given_back_alone() {
    let mut scene = Scene::new();
    scene.allocate(&[(ADDITIONAL_ADDRESS_FAMILY, &[2, 0, 0, 0])]);
    let v4: (u16, &[u8]) = (REQUESTED_ADDRESS_FAMILY, &[1, 0, 0, 0]);
    assert_eq!(scene.ask(REFRESH, &[(LIFETIME, &[0; 4]), v4]).0, Answer::Success);
    assert_eq!(scene.ports.closed, [RelayId(1)]);
    assert_eq!(scene.ask(REFRESH, &[v4]).0, Answer::Error(443));
    assert_eq!(scene.towards(CREATE_PERMISSION, &["1.1.1.1:5"], None), Answer::Error(443));
    assert_eq!(scene.towards(CREATE_PERMISSION, &["[2a00::1]:5"], None), Answer::Success);
}

#[test]
fn quotas_hold_for_a_user_and_for_all() {
    let mut scene = Scene::new();
    let mut slots = Vec::new();
    for (user, expected) in [
        ("anna", Answer::Success),
        ("anna", Answer::Error(486)),
        ("bert", Answer::Success),
        ("carl", Answer::Error(508)),
    ] {
        scene.user = user;
        // Another client each time.
        slots.push(scene.slot.take());
        assert_eq!(scene.allocate(&[]).0, expected, "{user}");
    }
}

#[test]
fn an_allocation_is_its_makers_and_does_not_outlive_the_credentials() {
    let mut scene = Scene::new();
    scene.expires = UNIX + 100;
    let (_, out) = scene.allocate(&[]);
    assert_eq!(lifetime(&out), 100);
    scene.user = "bert";
    assert_eq!(scene.ask(REFRESH, &[]).0, Answer::Error(441));
    assert_eq!(scene.allocate(&[]).0, Answer::Error(437), "the client is to try another port");
    scene.user = "anna";
    scene.moment.unix += 60;
    let (_, out) = scene.ask(REFRESH, &[]);
    assert_eq!(lifetime(&out), 40);
    scene.moment.unix += 40;
    assert_eq!(scene.ask(REFRESH, &[]).0, Answer::Error(401));
    assert_eq!(scene.towards(CREATE_PERMISSION, &["1.1.1.1:5"], None), Answer::Error(401));
    assert_eq!(scene.ask(REFRESH, &[(LIFETIME, &[0; 4])]).0, Answer::Success, "giving back");
    assert!(scene.slot.is_none());
}

#[test]
fn forbidden_peers_get_neither_permission_nor_channel() {
    let mut scene = Scene::new();
    assert_eq!(scene.towards(CREATE_PERMISSION, &["1.1.1.1:5"], None), Answer::Error(437));
    scene.allocate(&[(ADDITIONAL_ADDRESS_FAMILY, &[2, 0, 0, 0])]);
    for peer in [
        "127.0.0.1:5",
        "10.0.0.1:5",
        "169.254.169.254:80",
        "[::1]:5",
        "[fe80::1]:5",
        "[64:ff9b::127.0.0.1]:5",
        "[2002:7f00:1::]:5",
        "224.0.0.1:5",
        "0.0.0.0:5",
    ] {
        assert_eq!(scene.towards(CREATE_PERMISSION, &[peer], None), Answer::Error(403), "{peer}");
        let bound = scene.towards(CHANNEL_BIND, &[peer], Some(0x4000));
        assert_eq!(bound, Answer::Error(403), "{peer}");
    }
    // All or none.
    let some = scene.towards(CREATE_PERMISSION, &["1.1.1.1:5", "127.0.0.1:5"], None);
    assert_eq!(some, Answer::Error(403));
    let allocation = scene.slot.as_ref().unwrap();
    assert!(allocation.way_to("1.1.1.1:5".parse().unwrap(), scene.moment.now).is_err());
}

#[test]
fn permissions_and_channels_are_bounded_and_checked() {
    let mut scene = Scene::new();
    scene.allocate(&[]);
    let permit = |scene: &mut Scene, peers: &[&str]| scene.towards(CREATE_PERMISSION, peers, None);
    assert_eq!(permit(&mut scene, &[]), Answer::Error(400));
    assert_eq!(permit(&mut scene, &["1.1.1.1:1", "1.1.1.2:1"]), Answer::Success);
    assert_eq!(permit(&mut scene, &["1.1.1.3:1", "1.1.1.4:1"]), Answer::Error(508));
    assert_eq!(permit(&mut scene, &["[2a00::1]:1"]), Answer::Error(443));
    for (channel, peer, expected) in [
        (Some(0x3fff), "1.1.1.1:1", Answer::Error(400)),
        (Some(0x7fff), "1.1.1.1:1", Answer::Error(400)),
        (None, "1.1.1.1:1", Answer::Error(400)),
        (Some(0x4000), "1.1.1.1:1", Answer::Success),
        (Some(0x4000), "1.1.1.1:1", Answer::Success),
        (Some(0x4000), "1.1.1.1:2", Answer::Error(400)),
        (Some(0x7ffe), "1.1.1.1:2", Answer::Success),
        (Some(0x4001), "1.1.1.1:3", Answer::Error(508)),
    ] {
        assert_eq!(scene.towards(CHANNEL_BIND, &[peer], channel), expected, "{channel:?} {peer}");
    }
}

#[test]
fn what_is_no_method_is_refused_and_an_indication_is_not_answered() {
    let mut scene = Scene::new();
    assert_eq!(scene.ask(0x000a, &[]).0, Answer::Error(400));
    assert_eq!(scene.ask(DATA_INDICATION, &[]).0, Answer::None);
}
