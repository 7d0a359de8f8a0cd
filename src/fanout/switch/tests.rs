//! Tests of `switch`.

use proptest::prelude::*;

use super::super::burst::tests::{burst, info};
use super::super::burst::{BurstBuilder, BurstInfo};
use super::*;

const FRAME: u64 = 3000;

fn frame(track: u16, index: u64, position: u64, packets: usize, time: u64) -> Burst {
    let info = BurstInfo { track: TrackKey(track.into()), ..info(index, position, time) };
    burst(info, &vec![&b"x"[..]; packets])
}

fn outgoing() -> Outgoing {
    Outgoing::new(65_530, 77, VIDEO_STEP)
}

#[test]
fn numbers_run_on_through_a_switch_and_a_roll_over() {
    let mut out = outgoing();
    let a = out.place(&frame(1, 40, 400, 4, 1_000_000), Ticks(1_000_000));
    assert_eq!((a.sequence, a.timestamp), (65_530, 1_000_077));
    let b = out.place(&frame(2, 7, 90, 4, 1_003_000), Ticks(1_003_000));
    assert_eq!((b.sequence, b.timestamp), (65_534, 1_003_077));
    let c = out.place(&frame(2, 8, 94, 2, 1_006_000), Ticks(1_006_000));
    assert_eq!(c.sequence, 65_538);
    assert_eq!(out.find(1).map(|f| (f.track, f.position)), Some((TrackKey(2), 93)));
    assert_eq!(out.find(65_533).map(|f| (f.track, f.position)), Some((TrackKey(1), 403)));
    assert_eq!(out.find(4), None, "not sent yet");
    assert_eq!(out.find(65_529), None, "never sent");
}

#[test]
fn a_joiner_gets_the_past_squeezed_up_to_the_live_edge() {
    let mut out = outgoing();
    let edge = Ticks(1_000_000 + 9 * FRAME);
    out.start_backlog(10);
    let times: Vec<u32> = (0..12)
        .map(|n| {
            let burst = frame(1, 50 + n, 500 + n, 1, 1_000_000 + n * FRAME);
            out.place(&burst, edge).timestamp.wrapping_sub(77)
        })
        .collect();
    let last = edge.0 as u32;
    assert_eq!(times[0], last - 9 * 90);
    assert_eq!(times[8], last - 90);
    assert_eq!(times[9], last);
    assert_eq!(times[10], last + 3000);
    assert_eq!(times[11], last + 6000);
}

#[test]
fn a_rendition_that_lags_behind_the_former_one_is_squeezed_until_it_has_caught_up() {
    let mut out = outgoing();
    out.place(&frame(1, 0, 0, 1, 1_009_000), Ticks(0));
    let mut last = 1_009_000;
    for n in 0..6 {
        let truth = 1_003_000 + n * FRAME;
        let time = u64::from(out.place(&frame(2, n, n, 1, truth), Ticks(0)).timestamp - 77);
        assert!(time > last);
        if n >= 3 {
            assert_eq!(time, truth);
        }
        last = time;
    }
}

#[test]
fn a_packet_sent_again_carries_the_time_it_had() {
    let mut out = outgoing();
    out.start_backlog(3);
    let bursts: Vec<_> = (0..3).map(|n| frame(1, n, n, 1, 1_000_000 + n * FRAME)).collect();
    let placed: Vec<_> = bursts.iter().map(|b| out.place(b, Ticks(1_006_000))).collect();
    for (burst, placed) in bursts.iter().zip(&placed) {
        let found = out.find(placed.sequence as u16).unwrap();
        assert_eq!(out.placement_of(&found, burst), *placed);
    }
}

#[test]
fn vp8_counters_run_on_through_a_switch() {
    let vp8 = |track: u16, index: u64, picture: u16, tl0: u8| {
        let mut builder = BurstBuilder::default();
        let [high, low] = (picture | 0x8000).to_be_bytes();
        builder.push(&[0x90, 0xc0, high, low, tl0, 0], true, true);
        builder.finish(BurstInfo {
            track: TrackKey(track.into()),
            ..info(index, index, index * FRAME)
        })
    };
    let mut out = outgoing();
    let mut seen = Vec::new();
    for burst in
        [vp8(1, 10, 0x7ffe, 9), vp8(1, 11, 0x7fff, 9), vp8(2, 12, 500, 80), vp8(2, 13, 501, 81)]
    {
        let placed = out.place(&burst, Ticks(0));
        seen.push(burst.vp8.unwrap().plus(placed.counters));
    }
    let pairs: Vec<_> = seen.iter().map(|c| (c.picture, c.tl0)).collect();
    assert_eq!(pairs, [(0x7ffe, 9), (0x7fff, 9), (0, 10), (1, 11)]);
}

#[derive(Debug, Clone)]
enum Step {
    Frames(u8),
    Switch,
    Gap,
    Rejoin(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (1..20_u8).prop_map(Step::Frames),
        1 => Just(Step::Switch),
        1 => Just(Step::Gap),
        1 => (1..30_u8).prop_map(Step::Rejoin),
    ];
    prop::collection::vec(step, 1..40)
}

proptest! {
    /// Whatever happens: sequence numbers without a hole, timestamps that only rise (and stay
    /// near the truth), and every number leads back to the packet that carried it.
    #[test]
    fn a_stream_is_continuous(steps in steps(), first: u16, offset: u32, lag in 0..20_000_u64) {
        let mut out = Outgoing::new(first, offset, VIDEO_STEP);
        let mut expected = u64::from(first);
        let mut time = 10_000_000_u64;
        let mut track = 1_u16;
        let mut indexes = [0_u64, 1000];
        let mut positions = [0_u64, 5000];
        let mut last: Option<u32> = None;
        let mut log = VecDeque::new();
        for step in steps {
            let mut frames = 0;
            match step {
                Step::Frames(n) => frames = u64::from(n),
                Step::Switch => track = 3 - track,
                Step::Gap => {
                    let which = usize::from(track - 1);
                    indexes[which] += 3;
                    positions[which] += 17;
                    time += 3 * FRAME;
                }
                Step::Rejoin(n) => {
                    time = time.saturating_sub(u64::from(n) * FRAME);
                    frames = u64::from(n) + 1;
                    out.start_backlog(frames);
                }
            }
            let edge = time + frames.saturating_sub(1) * FRAME;
            for _ in 0..frames {
                let which = usize::from(track - 1);
                let packets = 1 + (indexes[which] % 5) as usize;
                let truth = time - if track == 2 { lag } else { 0 };
                let burst = frame(track, indexes[which], positions[which], packets, truth);
                let placed = out.place(&burst, Ticks(edge));
                prop_assert_eq!(placed.sequence, expected);
                if let Some(last) = last {
                    prop_assert!((placed.timestamp.wrapping_sub(last) as i32) > 0);
                }
                let ahead = i64::from(placed.timestamp.wrapping_sub(offset)) - truth as i64;
                prop_assert!(ahead >= 0, "a frame is never older than it is");
                last = Some(placed.timestamp);
                log.push_back((placed, burst));
                if log.len() > 6 {
                    log.pop_front();
                }
                expected += packets as u64;
                indexes[which] += 1;
                positions[which] += packets as u64;
                time += FRAME;
            }
            prop_assert_eq!(out.next_sequence(), expected);
            for (placed, burst) in &log {
                for n in 0..burst.len() as u64 {
                    let found = out.find((placed.sequence + n) as u16);
                    if let Some(found) = found {
                        prop_assert_eq!(found.position, burst.position + n);
                        prop_assert_eq!(found.sequence, placed.sequence + n);
                        prop_assert_eq!(out.placement_of(&found, burst).timestamp, placed.timestamp);
                    }
                }
            }
        }
    }
}
