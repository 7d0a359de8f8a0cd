//! Tests of `rtcp`.

use proptest::prelude::*;

use super::*;

fn all(bytes: &[u8]) -> Vec<Message<'_>> {
    let mut seen = Vec::new();
    parse(bytes, |message| seen.push(message));
    seen
}

fn packet(count: u8, kind: u8, body: &[u8]) -> Vec<u8> {
    assert_eq!(body.len() % 4, 0);
    let mut packet = vec![0x80 | count, kind, 0, (body.len() / 4) as u8];
    packet.extend_from_slice(body);
    packet
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|w| w.to_be_bytes()).collect()
}

#[test]
fn a_compound_is_read_to_its_end() {
    let mut compound = packet(1, 201, &words(&[9, 7, 0x4000_0001, 100, 5, 6, 65536]));
    compound.extend(packet(0, 207, &words(&[9, 1, 2, 3])));
    compound.extend(packet(1, 205, &words(&[9, 7, 0x0064_8001])));
    compound.extend(packet(1, 206, &words(&[9, 7])));
    compound.extend(packet(4, 206, &words(&[9, 0, 8, 0x0100_0000])));
    compound.extend(packet(15, 206, &words(&[9, 0, 0x5245_4d42, 0x0108_0001, 7])));
    compound.extend(packet(1, 203, &words(&[9])));
    let seen = all(&compound);
    assert_eq!(seen.len(), 6, "{seen:?}");
    let Message::Report(block) = seen[0] else { panic!("{seen:?}") };
    assert_eq!(
        (block.ssrc, block.fraction_lost, block.last_sr, block.delay_since_last_sr),
        (7, 0x40, 6, 65536)
    );
    let Message::Nack { ssrc: 7, pairs } = seen[1] else { panic!("{seen:?}") };
    assert_eq!(pairs.sequences().collect::<Vec<_>>(), [100, 101, 116]);
    assert_eq!(seen[2], Message::KeyframeRequest { ssrc: 7 });
    assert_eq!(seen[3], Message::KeyframeRequest { ssrc: 8 });
    assert_eq!(seen[4], Message::Remb { bits_per_second: 4 });
    assert_eq!(seen[5], Message::Bye);
}

#[test]
fn a_receiver_report_with_more_blocks_claimed_than_there_are_gives_those_there_are() {
    let bytes = packet(31, 201, &words(&[9, 7, 0, 0, 0, 0, 0]));
    assert_eq!(all(&bytes).len(), 1);
}

#[test]
fn transport_feedback_of_every_chunk_kind_is_read() {
    // Base 10; 20 packets: a run of 3 small deltas; a one-bit chunk 10110000000000; a two-bit
    // chunk with a large delta, a gap and a small one.
    let mut body = words(&[9, 7]);
    body.extend_from_slice(&[0, 10, 0, 20, 0, 0, 2, 0]);
    body.extend_from_slice(&[0x20, 0x03]);
    body.extend_from_slice(&[0x80 | 0b10_1100, 0]);
    body.extend_from_slice(&[0xc0 | 0b10_0001, 0]);
    body.extend_from_slice(&[4, 4, 4, 8, 8, 8, 0xff, 0xf0, 1]);
    while !body.len().is_multiple_of(4) {
        body.push(0);
    }
    let bytes = packet(15, 205, &body);
    let seen = all(&bytes);
    let [Message::Transport(feedback)] = seen[..] else { panic!("{seen:?}") };
    assert_eq!(feedback.base, 10);
    let arrivals: Vec<_> = feedback.packets().collect();
    let base = 512;
    let mut expected = vec![Some(base + 4), Some(base + 8), Some(base + 12)];
    expected.extend([Some(base + 20), None, Some(base + 28), Some(base + 36)]);
    expected.extend([None; 10]);
    expected.extend([Some(base + 20), None, Some(base + 21)]);
    assert_eq!(arrivals, expected);
}

#[test]
fn a_feedback_that_claims_more_than_it_holds_ends_early() {
    let mut body = words(&[9, 7]);
    body.extend_from_slice(&[0, 10, 0xff, 0xff, 0, 0, 2, 0]);
    body.extend_from_slice(&[0x3f, 0xff, 1, 1]);
    let bytes = packet(15, 205, &body);
    let [Message::Transport(feedback)] = all(&bytes)[..] else { panic!() };
    assert!(feedback.packets().count() <= 2);
}

#[test]
fn a_remb_beyond_64_bits_is_the_largest_there_is() {
    let bytes = packet(15, 206, &words(&[9, 0, 0x5245_4d42, 0x01ff_ffff, 7]));
    assert_eq!(all(&bytes), [Message::Remb { bits_per_second: u64::MAX }]);
}

#[test]
fn a_sender_report_is_what_the_rfc_says() {
    let mut out = Vec::new();
    let info = SenderInfo {
        ssrc: 0x0102_0304,
        ntp: ntp_from_unix_us(1_500_000),
        rtp: 5,
        packets: 6,
        payload_bytes: 7,
    };
    sender_report(&mut out, &info, "stentor");
    assert_eq!(out.len() % 4, 0);
    assert_eq!(&out[..8], [0x80, 200, 0, 6, 1, 2, 3, 4]);
    assert_eq!(&out[8..12], 2_208_988_801_u32.to_be_bytes());
    assert_eq!(&out[12..16], 0x8000_0000_u32.to_be_bytes());
    assert_eq!(&out[28..32], [0x81, 202, 0, 4]);
    assert_eq!(&out[36..45], b"\x01\x07stentor");
    bye(&mut out, &[1, 2]);
    assert_eq!(all(&out), [Message::Bye]);
}

proptest! {
    #[test]
    fn garbage_is_read_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        parse(&bytes, |message| match message {
            Message::Nack { pairs, .. } => assert!(pairs.sequences().count() < 5000),
            Message::Transport(feedback) => {
                assert!(feedback.packets().count() <= usize::from(feedback.count));
            }
            _ => {}
        });
    }

    /// Bodies behind a valid head, so that the readers behind it are reached.
    #[test]
    fn garbage_behind_a_valid_head_is_read_without_harm(
        count in 0..32_u8,
        kind in 199..208_u8,
        body in prop::collection::vec(any::<u32>(), 0..60),
    ) {
        let bytes = packet(count, kind, &words(&body));
        parse(&bytes, |message| {
            if let Message::Transport(feedback) = message {
                assert!(feedback.packets().count() <= usize::from(feedback.count));
            }
        });
    }
}
