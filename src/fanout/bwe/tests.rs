//! The estimator and the rendition choice together, on a virtual clock, behind an emulated link.

use std::collections::VecDeque;

use stentor_protocol::TrackId;

use super::super::rtcp::{Message, parse};
use super::super::select::{CALM, Candidate, Decision, Path, Selector};
use super::*;

/// A bottleneck: a rate, a queue that drops what doesn't fit, a delay each way, random loss.
struct Link {
    bps: f64,
    queue_bytes: usize,
    /// What passes at any rate after a pause, as through a token bucket.
    burst_bytes: usize,
    delay_us: u64,
    loss_percent: u64,
    busy_until: u64,
    random: u64,
}

impl Link {
    fn new(kbps: u64) -> Self {
        Self {
            bps: kbps as f64 * 1000.0,
            queue_bytes: 100_000,
            burst_bytes: 0,
            delay_us: 20_000,
            loss_percent: 0,
            busy_until: 0,
            random: 88_172_645_463_325_252,
        }
    }

    fn random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }

    /// When the packet arrives; None when it is lost.
    fn carry(&mut self, now_us: u64, size: usize) -> Option<u64> {
        if self.random() % 100 < self.loss_percent {
            return None;
        }
        let time = |bytes: usize| (bytes as f64 * 8e6 / self.bps) as u64;
        let start = self.busy_until.max(now_us.saturating_sub(time(self.burst_bytes)));
        let queued = start.saturating_sub(now_us) as f64 * self.bps / 8e6;
        if queued > self.queue_bytes as f64 {
            return None;
        }
        self.busy_until = start + time(size);
        Some(self.busy_until.max(now_us) + self.delay_us)
    }
}

/// A whole viewer: sender, link, receiver with feedback every 50 ms.
struct World {
    start: Instant,
    now_us: u64,
    link: Link,
    estimator: Estimator,
    selector: Selector,
    current: TrackId,
    next_sequence: u64,
    /// (sequence, arrival) not yet reported, in order of sending.
    pending: VecDeque<(u64, Option<u64>)>,
    /// Feedback under way to the sender.
    feedback: VecDeque<(u64, Vec<u8>)>,
    probe: Option<(u64, ProbePlan)>,
    /// Bytes sent since the probe began.
    probe_bytes: usize,
    switches: Vec<(u64, TrackId)>,
    /// Size of every frame, in thousandths of the mean.
    scale: u64,
    still: bool,
}

const LADDER: [(u16, u64); 3] = [(1, 1500), (2, 800), (3, 250)];

impl World {
    fn new(kbps: u64) -> Self {
        let start = Instant::now();
        Self {
            start,
            now_us: 0,
            link: Link::new(kbps),
            estimator: Estimator::new(true, start),
            selector: Selector::default(),
            current: TrackId(1),
            next_sequence: 1,
            pending: VecDeque::new(),
            feedback: VecDeque::new(),
            probe: None,
            probe_bytes: 0,
            switches: Vec::new(),
            scale: 1000,
            still: false,
        }
    }

    fn now(&self) -> Instant {
        self.start + Duration::from_micros(self.now_us)
    }

    fn kbps(&self) -> u64 {
        self.estimator.estimate(self.now()).map_or(0, |bps| bps.0 / 1000)
    }

    fn rate(&self, track: TrackId) -> u64 {
        let kbps = LADDER.iter().find(|(t, _)| *t == track.0).map_or(0, |(_, kbps)| *kbps);
        if self.still { kbps / 8 } else { kbps }
    }

    fn send(&mut self, bytes: usize) {
        let sizes: Vec<usize> =
            (0..bytes.div_ceil(1200)).map(|n| (bytes - n * 1200).min(1200)).collect();
        let now = self.now();
        self.estimator.handle_sent(now, sizes.iter().copied());
        self.probe_bytes += bytes;
        for size in sizes {
            let arrival = self.link.carry(self.now_us, size);
            self.pending.push_back((self.next_sequence, arrival));
            self.next_sequence += 1;
        }
    }

    /// Reports what has arrived, up to the last packet that did.
    fn report(&mut self) {
        let now = self.now_us;
        let Some(last) =
            self.pending.iter().rposition(|(_, arrival)| arrival.is_some_and(|at| at <= now))
        else {
            return;
        };
        let packets: Vec<_> = self.pending.drain(..=last).collect();
        for chunk in packets.chunks(200) {
            let base = chunk[0].0 as u16;
            let arrivals: Vec<_> = chunk.iter().map(|(_, a)| *a).collect();
            self.feedback.push_back((now + self.link.delay_us, encode(base, &arrivals)));
        }
    }

    fn step(&mut self) {
        let ms = self.now_us / 1000;
        if ms.is_multiple_of(33) {
            let frame = (ms / 33) as usize;
            let mean = self.rate(self.current) as usize * 33 / 8;
            let wave = [700, 900, 1000, 1100, 1300][frame % 5];
            let bytes = mean * wave / 1000 * self.scale as usize / 1000;
            self.send(bytes.max(60));
        }
        if ms.is_multiple_of(20) {
            self.send(150);
        }
        if ms.is_multiple_of(50) {
            self.report();
        }
        while self.feedback.front().is_some_and(|(at, _)| *at <= self.now_us) {
            let (_, bytes) = self.feedback.pop_front().unwrap();
            let now = self.now();
            parse(&bytes, |message| {
                if let Message::Transport(feedback) = message {
                    self.estimator.handle_feedback(&feedback, now);
                }
            });
        }
        self.drive_probe();
        if ms.is_multiple_of(100) {
            self.decide();
        }
        self.now_us += 1000;
    }

    fn drive_probe(&mut self) {
        let Some((began, plan)) = self.probe else { return };
        let elapsed = self.now_us - began;
        let due = plan.target.0 as f64 * elapsed as f64 / 8e6;
        while (self.probe_bytes as f64) < due {
            self.send(1200);
        }
        let since = Duration::from_micros(elapsed);
        let shown = plan.sustained && self.estimator.was_congested(since, self.now());
        if shown || since > plan.duration {
            self.estimator.end_probe();
            self.probe = None;
        }
    }

    fn decide(&mut self) {
        let candidates = LADDER.map(|(track, kbps)| Candidate {
            track: TrackId(track),
            nominal: BitsPerSecond::from_kilo(kbps),
            measured: Some(BitsPerSecond::from_kilo(self.rate(TrackId(track)))),
        });
        let now = self.now();
        let path = Path {
            estimate: self.estimator.estimate(now),
            congested: self.estimator.was_congested(CALM, now),
            can_probe: true,
            overhead: BitsPerSecond::from_kilo(60),
        };
        match self.selector.decide(&candidates, Some(self.current), &path, now) {
            Decision::Go(track) => {
                self.current = track;
                self.switches.push((self.now_us / 1000, track));
            }
            Decision::Probe(plan) if self.probe.is_none() => {
                if !plan.sustained {
                    self.estimator.begin_probe(now);
                }
                self.probe = Some((self.now_us, plan));
                self.probe_bytes = 0;
            }
            _ => {}
        }
    }

    fn run(&mut self, ms: u64) {
        for _ in 0..ms {
            self.step();
        }
    }
}

/// Transport-wide feedback as a receiver writes it, with two-bit chunks.
fn encode(base: u16, arrivals: &[Option<u64>]) -> Vec<u8> {
    let first = arrivals.iter().flatten().next().copied().unwrap_or_default();
    let reference = first / 64_000;
    let mut last = reference * 256;
    let mut deltas = Vec::new();
    let mut statuses = Vec::new();
    for arrival in arrivals {
        let Some(arrival) = arrival else {
            statuses.push(0_u16);
            continue;
        };
        let ticks = arrival / 250;
        let delta = ticks as i64 - last as i64;
        last = ticks;
        if (0..256).contains(&delta) {
            statuses.push(1);
            deltas.push(delta as u8);
        } else {
            statuses.push(2);
            deltas.extend_from_slice(&(delta as i16).to_be_bytes());
        }
    }
    let mut body = vec![0; 8];
    body.extend_from_slice(&base.to_be_bytes());
    body.extend_from_slice(&(arrivals.len() as u16).to_be_bytes());
    body.extend_from_slice(&(reference as u32).to_be_bytes()[1..]);
    body.push(0);
    for seven in statuses.chunks(7) {
        let bits = seven.iter().enumerate().fold(0, |bits, (n, s)| bits | s << (12 - 2 * n));
        body.extend_from_slice(&(0xc000 | bits).to_be_bytes());
    }
    body.extend(deltas);
    while !body.len().is_multiple_of(4) {
        body.push(0);
    }
    let mut packet = vec![0x8f, 205];
    packet.extend_from_slice(&((body.len() / 4) as u16).to_be_bytes());
    packet.extend(body);
    packet
}

#[test]
fn a_link_that_carries_the_top_rendition_keeps_it() {
    let mut world = World::new(3000);
    world.run(60_000);
    assert_eq!(world.switches, []);
    assert!(world.kbps() >= 1500, "{}", world.kbps());
    assert!(world.kbps() <= 3300, "{}", world.kbps());
}

#[test]
fn a_drop_to_500_kbps_moves_down_within_a_second_and_back_up_when_it_is_over() {
    let mut world = World::new(3000);
    world.run(20_000);
    world.link.bps = 500_000.0;
    world.run(1000);
    assert_eq!(world.current, TrackId(3), "{:?} at {} kb/s", world.switches, world.kbps());
    world.run(20_000);
    assert_eq!(world.current, TrackId(3), "{:?}", world.switches);
    assert_eq!(world.switches.len(), 1, "{:?}", world.switches);
    world.link.bps = 3_000_000.0;
    world.run(30_000);
    assert_eq!(world.current, TrackId(1), "{:?} at {} kb/s", world.switches, world.kbps());
}

#[test]
fn a_shallow_queue_that_drops_instead_of_delaying_moves_down_within_a_second() {
    let mut world = World::new(3000);
    world.link.queue_bytes = 12_000;
    world.run(20_000);
    assert_eq!(world.current, TrackId(1), "{:?}", world.switches);
    world.link.bps = 500_000.0;
    world.run(1000);
    assert_eq!(world.current, TrackId(3), "{:?} at {} kb/s", world.switches, world.kbps());
}

#[test]
fn random_loss_of_five_percent_moves_nobody() {
    let mut world = World::new(10_000);
    world.link.loss_percent = 5;
    world.run(60_000);
    assert_eq!(world.switches, []);
}

#[test]
fn a_still_scene_keeps_the_top_rendition_and_its_end_does_not_hurt() {
    let mut world = World::new(3000);
    world.run(5000);
    world.still = true;
    world.run(20_000);
    world.still = false;
    world.run(10_000);
    assert_eq!(world.switches, []);
}

#[test]
fn a_big_keyframe_on_a_link_with_room_moves_nobody() {
    let mut world = World::new(3000);
    world.run(5000);
    for _ in 0..10 {
        world.scale = 9000;
        world.run(33);
        world.scale = 1000;
        world.run(3000);
    }
    assert_eq!(world.switches, [], "at {} kb/s", world.kbps());
}

#[test]
fn a_link_between_two_renditions_settles_on_the_lower_one() {
    let mut world = World::new(1100);
    world.run(120_000);
    assert_eq!(world.current, TrackId(2), "{:?} at {} kb/s", world.switches, world.kbps());
    let late = world.switches.iter().filter(|(ms, _)| *ms > 60_000).count();
    assert!(late <= 2, "{:?}", world.switches);
}

#[test]
fn a_bucket_of_tokens_promises_nothing() {
    let mut world = World::new(3000);
    world.link.burst_bytes = 10_000;
    world.run(20_000);
    assert_eq!(world.switches, []);
    world.link.bps = 500_000.0;
    world.run(60_000);
    assert_eq!(world.current, TrackId(3), "{:?} at {} kb/s", world.switches, world.kbps());
    assert_eq!(world.switches.len(), 1, "{:?}", world.switches);
    world.link.bps = 3_000_000.0;
    world.run(60_000);
    assert_eq!(world.current, TrackId(1), "{:?} at {} kb/s", world.switches, world.kbps());
}

#[test]
fn a_receiver_without_transport_feedback_is_believed() {
    let now = Instant::now();
    let mut estimator = Estimator::new(false, now);
    assert_eq!(estimator.estimate(now), None);
    estimator.handle_remb(1_000_000, now);
    assert_eq!(estimator.estimate(now), Some(BitsPerSecond(1_000_000)));
    estimator.handle_remb(300_000, now);
    assert!(estimator.was_congested(CALM, now));
    let later = now + Duration::from_secs(10);
    estimator.handle_report(0.5, 1_000_000.0, later);
    assert!(estimator.estimate(later).unwrap().0 < 1_000_000);
}

#[test]
fn packets_are_numbered_only_where_feedback_was_negotiated() {
    let now = Instant::now();
    assert_eq!(Estimator::new(false, now).handle_sent(now, [100].into_iter()), None);
    let mut estimator = Estimator::new(true, now);
    assert_eq!(estimator.handle_sent(now, [100, 100].into_iter()), Some(1));
    assert_eq!(estimator.handle_sent(now, [100].into_iter()), Some(3));
}
