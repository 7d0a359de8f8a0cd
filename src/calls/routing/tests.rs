//! Tests of routing.

use proptest::prelude::*;

use super::*;

const SD: Sd = Sd { codec: Codec::H264, height: 360, bitrate: BitsPerSecond::from_kilo(400) };

fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

fn limit(codec: Codec, height: u32) -> CodecLimit {
    CodecLimit { codec, resolution: Resolution::new(height * 16 / 9, height), frame_rate: 30 }
}

fn camera(name: &str, codec: Codec, height: u32, kbps: u64) -> Sender {
    let picture = Picture {
        codec,
        resolution: Resolution::new(height * 16 / 9, height),
        frame_rate: 30,
        bitrate: BitsPerSecond::from_kilo(kbps),
    };
    Sender { user: user(name), audible: true, picture: Some(picture) }
}

fn hd(name: &str) -> Sender {
    camera(name, Codec::H264, 720, 1500)
}

fn receiver(name: &str, tiles: &[&str], kbps: u64) -> Receiver {
    Receiver {
        user: user(name),
        tiles: tiles.iter().map(|name| user(name)).collect(),
        tile_height: 720,
        large: None,
        decode: vec![limit(Codec::H264, 1080), limit(Codec::Vp8, 1080)],
        down: BitsPerSecond::from_kilo(kbps),
    }
}

/// `o`riginal, `s`d or `-` for each tile, and how many are encoded.
fn told(routing: &Routing, name: &str) -> String {
    let letter = |stream: &Stream| match stream.rendition {
        Rendition::Original => 'o',
        Rendition::Sd => 's',
        Rendition::None => '-',
    };
    let streams: String = routing.streams[&user(name)].iter().map(letter).collect();
    format!("{streams} {}", routing.encode.len())
}

fn alone(senders: &[Sender], receiver: Receiver) -> String {
    let name = receiver.user.to_string();
    told(&route(senders, &[receiver], &SD, &Routing::default()), &name)
}

#[test]
fn what_one_receiver_gets() {
    let senders = [
        hd("ann"),
        hd("ben"),
        camera("sid", Codec::H264, 360, 500),
        Sender { user: user("mic"), audible: true, picture: None },
        camera("vic", Codec::Vp8, 720, 1500),
        camera("low", Codec::Vp8, 180, 150),
    ];
    let all = ["ann", "ben", "sid", "mic", "vic", "low"];
    let wide = 50_000;
    let small_tiles = Receiver { tile_height: 360, ..receiver("x", &all, wide) };
    let weak =
        Receiver { decode: vec![limit(Codec::H264, 360)], ..receiver("x", &["ann", "sid"], wide) };
    let no_vp8 =
        Receiver { decode: vec![limit(Codec::H264, 1080)], ..receiver("x", &["vic", "low"], wide) };
    let no_h264 =
        Receiver { decode: vec![limit(Codec::Vp8, 1080)], ..receiver("x", &["ann", "vic"], wide) };
    let one_large = Receiver { large: Some(user("ben")), ..small_tiles.clone() };
    for (what, receiver, expected) in [
        ("a capable one gets everything untouched", receiver("x", &all, wide), "ooo-oo 0"),
        ("a weak decoder gets SD of HD, and SD as it is", weak, "so 1"),
        ("small tiles show no more than SD", small_tiles, "sso-so 3"),
        ("of the large one HD", one_large, "soo-so 2"),
        ("another codec is encoded, never larger than it was", no_vp8, "ss 2"),
        ("who can't read SD either gets what it can read", no_h264, "-o 0"),
        ("a narrow line gets SD of all", receiver("x", &["ann", "ben"], 1500), "ss 2"),
        ("a wider one HD of the first", receiver("x", &["ann", "ben"], 3000), "os 1"),
        ("a very narrow one sees whom it can", receiver("x", &["ann", "ben"], 900), "s- 1"),
        ("and no one at all where only sound fits", receiver("x", &["ann", "ben"], 300), "-- 0"),
        ("nothing shown, nothing sent", receiver("x", &[], wide), " 0"),
        ("nobody gets themself", receiver("ann", &["ann", "ben"], wide), "o 0"),
        ("named twice, sent once", receiver("x", &["ann", "ann"], wide), "o 0"),
        ("who isn't there has no picture", receiver("x", &["zoe"], wide), "- 0"),
    ] {
        assert_eq!(alone(&senders, receiver), expected, "{what}");
    }
}

#[test]
fn on_a_narrow_line_the_large_one_comes_first() {
    let senders = [hd("ann"), hd("ben")];
    let receiver = Receiver { large: Some(user("ben")), ..receiver("x", &["ann", "ben"], 800) };
    assert_eq!(alone(&senders, receiver), "-s 1");
}

#[test]
fn sd_is_encoded_once_however_many_need_it_and_for_nobody_else() {
    let senders = [hd("ann"), hd("ben")];
    let mut receivers: Vec<Receiver> =
        (0..50).map(|n| receiver(&format!("w{n}"), &["ann"], 700)).collect();
    receivers.push(receiver("strong", &["ann", "ben"], 50_000));
    let routing = route(&senders, &receivers, &SD, &Routing::default());
    assert_eq!(routing.encode, BTreeSet::from([user("ann")]));
    receivers.drain(..50);
    let routing = route(&senders, &receivers, &SD, &routing);
    assert!(routing.encode.is_empty());
}

#[test]
fn sound_of_everybody_audible_goes_to_everybody_else() {
    let muted = Sender { audible: false, ..hd("ben") };
    let senders = [hd("ann"), muted, hd("cat")];
    let receivers = [receiver("ann", &[], 0), receiver("x", &[], 50_000)];
    let routing = route(&senders, &receivers, &SD, &Routing::default());
    assert_eq!(routing.audio[&user("ann")], [user("cat")]);
    assert_eq!(routing.audio[&user("x")], [user("ann"), user("cat")]);
}

#[test]
fn a_line_that_wavers_at_the_bound_does_not_flap() {
    let senders = [hd("ann")];
    let at =
        |kbps, before: &Routing| route(&senders, &[receiver("x", &["ann"], kbps)], &SD, before);
    // 1500 and a voice of 40, of 90 percent.
    let low = at(1750, &Routing::default());
    assert_eq!(told(&low, "x"), "s 1");
    assert_eq!(told(&at(1900, &low), "x"), "s 1");
    let high = at(2100, &low);
    assert_eq!(told(&high, "x"), "o 0");
    assert_eq!(told(&at(1750, &high), "x"), "o 0");
    assert_eq!(told(&at(1650, &high), "x"), "s 1");
}

#[test]
fn no_more_than_a_page_is_sent() {
    let senders: Vec<Sender> = (0..60).map(|n| hd(&format!("u{n}"))).collect();
    let names: Vec<String> = (0..60).map(|n| format!("u{n}")).collect();
    let tiles: Vec<&str> = names.iter().map(String::as_str).collect();
    let routing = route(&senders, &[receiver("x", &tiles, 1_000_000)], &SD, &Routing::default());
    assert_eq!(routing.streams[&user("x")].len(), 25);
    assert_eq!(routing.audio[&user("x")].len(), 60);
}

#[test]
fn of_a_hundred_people_six_cameras_are_routed() {
    let cameras: Vec<String> = (0..6).map(|n| format!("u{n}")).collect();
    let tiles: Vec<&str> = cameras.iter().map(String::as_str).collect();
    let senders: Vec<Sender> = (0..100)
        .map(|n| match n {
            0..6 => hd(&format!("u{n}")),
            _ => Sender { user: user(&format!("u{n}")), audible: false, picture: None },
        })
        .collect();
    let receivers: Vec<Receiver> = (0..100)
        .map(|n| receiver(&format!("u{n}"), &tiles, if n % 2 == 0 { 50_000 } else { 4600 }))
        .collect();
    let routing = route(&senders, &receivers, &SD, &Routing::default());
    assert_eq!(told(&routing, "u98"), "oooooo 5");
    assert_eq!(told(&routing, "u99"), "osssss 5");
    assert_eq!(routing.streams[&user("u3")].len(), 5);
}

fn any_sender(n: usize) -> impl Strategy<Value = Sender> {
    let codec = prop_oneof![Just(Codec::H264), Just(Codec::Vp8), Just(Codec::Av1)];
    (codec, 90..1100_u32, 50..5000_u64, any::<bool>(), any::<bool>()).prop_map(
        move |(codec, height, kbps, audible, on)| {
            let sender = camera(&format!("u{n}"), codec, height, kbps);
            Sender { audible, picture: sender.picture.filter(|_| on), ..sender }
        },
    )
}

fn any_receiver(n: usize) -> impl Strategy<Value = Receiver> {
    let codec = prop_oneof![Just(Codec::H264), Just(Codec::Vp8), Just(Codec::Av1)];
    let decode = prop::collection::vec((codec, 90..1100_u32), 0..4);
    let large = prop::option::of(0..8_usize);
    (prop::collection::vec(0..9_usize, 0..30), decode, large, 0..20_000_u64, 90..1080_u32).prop_map(
        move |(tiles, decode, large, kbps, tile_height)| Receiver {
            user: user(&format!("u{n}")),
            tiles: tiles.iter().map(|n| user(&format!("u{n}"))).collect(),
            tile_height,
            large: large.map(|n| user(&format!("u{n}"))),
            decode: decode.into_iter().map(|(codec, height)| limit(codec, height)).collect(),
            down: BitsPerSecond::from_kilo(kbps),
        },
    )
}

proptest! {
    #[test]
    fn nobody_gets_what_they_can_not_read_or_carry_and_nothing_is_encoded_for_nobody(
        senders in (0..8_usize).prop_map(|n| (0..n).map(any_sender).collect::<Vec<_>>())
            .prop_flat_map(|all| all),
        receivers in (0..8_usize).prop_map(|n| (0..n).map(any_receiver).collect::<Vec<_>>())
            .prop_flat_map(|all| all),
    ) {
        let routing = route(&senders, &receivers, &SD, &Routing::default());
        let mut needed = BTreeSet::new();
        for receiver in &receivers {
            let mut total = routing.audio[&receiver.user].len() as u64 * AUDIO;
            let mut sees = false;
            for stream in &routing.streams[&receiver.user] {
                prop_assert!(stream.user != receiver.user);
                let sender = senders.iter().find(|s| s.user == stream.user);
                let Some(picture) = sender.and_then(|sender| sender.picture) else {
                    prop_assert_eq!(stream.rendition, Rendition::None);
                    continue;
                };
                match stream.rendition {
                    Rendition::Original => {
                        prop_assert!(receiver.decodes(&picture));
                        total += picture.bitrate.0;
                    }
                    Rendition::Sd => {
                        prop_assert!(receiver.decode.iter().any(|l| l.codec == SD.codec));
                        needed.insert(stream.user.clone());
                        total += SD.bitrate.0.min(picture.bitrate.0);
                    }
                    Rendition::None => continue,
                }
                sees = true;
            }
            prop_assert!(!sees || total <= receiver.down.0);
        }
        prop_assert_eq!(&routing.encode, &needed);
        // Asked again, nobody gets less.
        let again = route(&senders, &receivers, &SD, &routing);
        for (user, streams) in &again.streams {
            for (now, before) in streams.iter().zip(&routing.streams[user]) {
                let worth = |stream: &Stream| match stream.rendition {
                    Rendition::Original => 2,
                    Rendition::Sd => 1,
                    Rendition::None => 0,
                };
                prop_assert!(worth(now) >= worth(before), "{:?} {:?}", now, before);
            }
        }
    }
}
