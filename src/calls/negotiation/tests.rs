//! Tests of negotiation.

use proptest::prelude::*;

use super::*;
use crate::calls::messages::Few;

const H264: Codec = Codec::H264;
const VP8: Codec = Codec::Vp8;
const AV1: Codec = Codec::Av1;

type Line = (u64, u64, Network);

/// Encodes and decodes these up to their heights (16:9) at 30 frames a second.
fn device(codecs: &[(Codec, u32)], (up, down, network): Line) -> Capabilities {
    let limit = |&(codec, height): &(Codec, u32)| CodecLimit {
        codec,
        resolution: Resolution::new(height * 16 / 9, height),
        frame_rate: 30,
    };
    let limits: Vec<CodecLimit> = codecs.iter().map(limit).collect();
    Capabilities {
        encode: Few::try_from(limits.clone()).unwrap(),
        decode: Few::try_from(limits).unwrap(),
        up_bps: BitsPerSecond::from_kilo(up),
        down_bps: BitsPerSecond::from_kilo(down),
        network,
    }
}

fn told(configuration: &Configuration) -> String {
    match configuration.video {
        None => format!("sound only {}", configuration.audio_bps.0 / 1000),
        Some(video) => format!(
            "{} {} {} {}",
            video.codec.as_str(),
            video.resolution.height,
            video.frame_rate,
            video.bitrate_bps.0 / 1000
        ),
    }
}

const LAN: Line = (100_000, 100_000, Network::Ethernet);

#[test]
fn the_weakest_decides_in_each_category() {
    let desk = |codecs| device(codecs, LAN);
    let all = [(AV1, 1080), (H264, 1080), (VP8, 1080)];
    let mut slow = desk(&all);
    slow.encode = Few::try_from(vec![CodecLimit {
        codec: H264,
        resolution: Resolution::new(1920, 1080),
        frame_rate: 24,
    }])
    .unwrap();
    let mut upright = desk(&[(H264, 1080)]);
    upright.decode = Few::try_from(vec![CodecLimit {
        codec: H264,
        resolution: Resolution::new(720, 1280),
        frame_rate: 60,
    }])
    .unwrap();
    for (what, devices, expected) in [
        ("nothing is in the way", vec![desk(&all), desk(&all)], "av1 1080 30 3150"),
        ("one codec in common", vec![desk(&all), desk(&[(VP8, 1080)])], "vp8 1080 30 4500"),
        (
            "a better codec that one of them does badly gives way",
            vec![desk(&all), desk(&[(AV1, 360), (H264, 1080)])],
            "h264 1080 30 4500",
        ),
        ("none in common", vec![desk(&[(H264, 1080)]), desk(&[(VP8, 720)])], "sound only 32"),
        ("the smaller picture", vec![desk(&all), desk(&[(H264, 720)])], "h264 720 30 2500"),
        ("the lower frame rate", vec![desk(&all), slow], "h264 1080 24 4500"),
        ("a telephone held upright", vec![desk(&all), upright], "h264 720 30 2500"),
        (
            "the narrower line, up",
            vec![desk(&[(H264, 1080)]), device(&all, (1000, 50_000, Network::Wifi))],
            "h264 540 30 760",
        ),
        (
            "the narrower line, down",
            vec![desk(&[(H264, 1080)]), device(&all, (50_000, 500, Network::Wifi))],
            "h264 360 30 360",
        ),
        (
            "a cell, however fast",
            vec![desk(&[(H264, 1080)]), device(&all, (50_000, 50_000, Network::Cellular))],
            "h264 720 30 1200",
        ),
        (
            "hardly a line at all",
            vec![desk(&all), device(&all, (60, 60, Network::Cellular))],
            "sound only 16",
        ),
        (
            "the best of one and the best of the other are not combined",
            vec![
                device(&[(H264, 1080)], (100_000, 900, Network::Ethernet)),
                device(&[(H264, 180)], LAN),
            ],
            "h264 180 15 200",
        ),
    ] {
        assert_eq!(told(&for_mesh(&devices, None)), expected, "{what}");
    }
}

#[test]
fn in_a_mesh_a_line_is_shared_by_all_copies() {
    let one = device(&[(H264, 1080)], (6000, 6000, Network::Wifi));
    for (size, expected) in [
        (2, "h264 1080 30 4500"),
        (3, "h264 1080 30 2360"),
        (4, "h264 720 30 1560"),
        (6, "h264 720 30 920"),
        (9, "h264 540 30 560"),
        (16, "h264 360 30 280"),
    ] {
        let devices = vec![one.clone(); size];
        assert_eq!(told(&for_mesh(&devices, None)), expected, "{size}");
    }
}

#[test]
fn through_the_server_only_the_sender_itself_counts() {
    let strong = device(&[(H264, 1080)], (6000, 300, Network::Wifi));
    assert_eq!(told(&for_server(&strong, None)), "h264 1080 30 4500");
    let weak = device(&[(VP8, 360)], (400, 50_000, Network::Cellular));
    assert_eq!(told(&for_server(&weak, None)), "vp8 360 30 280");
}

#[test]
fn a_larger_picture_takes_more_than_its_least_and_a_smaller_one_comes_at_once() {
    let pair = |kbps: u64| {
        let line = (kbps * 100 / SHARE, 100_000, Network::Ethernet);
        vec![device(&[(H264, 1080)], line), device(&[(H264, 1080)], LAN)]
    };
    let middle = for_mesh(&pair(800), None);
    assert_eq!(told(&middle), "h264 540 30 760");
    // 900 would do for 720 lines, and doesn't on the way up.
    assert_eq!(told(&for_mesh(&pair(1000), Some(&middle))), "h264 540 30 960");
    let high = for_mesh(&pair(1200), Some(&middle));
    assert_eq!(told(&high), "h264 720 30 1160");
    assert_eq!(told(&for_mesh(&pair(1000), Some(&high))), "h264 720 30 960");
    assert_eq!(told(&for_mesh(&pair(900), Some(&high))), "h264 540 30 860");
}

#[test]
fn a_change_is_told_with_before_and_after_and_what_does_not_show_is_not() {
    let video = |kbps| VideoConfiguration {
        codec: H264,
        resolution: Resolution::new(1280, 720),
        frame_rate: 30,
        bitrate_bps: BitsPerSecond::from_kilo(kbps),
    };
    let with = |video| Configuration { video, audio_bps: AUDIO };
    let (before, after) = (with(Some(video(1000))), with(Some(video(1100))));
    let cause = ConfigureCause::BandwidthChanged;
    assert_eq!(change(Some(before), after, cause), None);
    let after = with(Some(video(1200)));
    let told = Some(Change { before: Some(before), after, cause });
    assert_eq!(change(Some(before), after, cause), told);
    assert!(change(Some(before), with(None), cause).is_some());
    assert!(change(None, before, ConfigureCause::Started).is_some());
    let slower = VideoConfiguration { frame_rate: 24, ..video(1000) };
    assert!(change(Some(before), with(Some(slower)), ConfigureCause::DeviceChanged).is_some());
}

fn any_device() -> impl Strategy<Value = Capabilities> {
    let codec = prop_oneof![Just(H264), Just(VP8), Just(AV1), Just(Codec::H265)];
    let network = prop_oneof![
        Just(Network::Ethernet),
        Just(Network::Wifi),
        Just(Network::Unknown),
        Just(Network::Cellular)
    ];
    (prop::collection::vec((codec, 100..2200_u32), 0..5), 0..20_000_u64, 0..20_000_u64, network)
        .prop_map(|(codecs, up, down, network)| device(&codecs, (up, down, network)))
}

proptest! {
    #[test]
    fn what_is_agreed_is_beyond_nobody(
        devices in prop::collection::vec(any_device(), 1..12),
        before in prop::option::of(any_device()),
    ) {
        let current = before.map(|device| for_server(&device, None));
        let agreed = for_mesh(&devices, current.as_ref());
        let copies = devices.len().saturating_sub(1).max(1) as u64;
        for device in &devices {
            if let Some(video) = agreed.video {
                let total = (video.bitrate_bps.0 + agreed.audio_bps.0) * copies;
                prop_assert!(total <= device.up_bps.0.min(device.down_bps.0));
                for side in [&device.encode, &device.decode] {
                    let can = side.as_slice().iter().any(|limit| {
                        limit.codec == video.codec
                            && limit.resolution.height >= video.resolution.height
                            && limit.resolution.width >= video.resolution.width
                            && limit.frame_rate >= video.frame_rate
                    });
                    prop_assert!(can, "{device:?} {video:?}");
                }
            }
        }
        // Asked again, nothing moves.
        prop_assert_eq!(for_mesh(&devices, Some(&agreed)), agreed);
    }
}
