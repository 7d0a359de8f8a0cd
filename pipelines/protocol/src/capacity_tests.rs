//! Admission with figures that can be followed by hand.

use super::*;
use crate::probe::{Entry, Limits};

fn entry_of(codec: Codec, direction: Direction, speed: f64) -> Entry {
    Entry {
        codec,
        direction,
        implementation: "x".into(),
        works: true,
        reason: String::new(),
        megapixels_per_second: Some(speed),
    }
}

/// Two cores: 100 megapixels a second and core encoded, 1000 decoded, 1000 scaled.
fn cpu() -> Device {
    Device {
        backend: Backend::Software,
        id: "cpu".into(),
        name: "CPU".into(),
        driver: String::new(),
        entries: vec![
            entry_of(Codec::H264, Direction::Decode, 1000.0),
            entry_of(Codec::H264, Direction::Scale, 1000.0),
            entry_of(Codec::H264, Direction::Encode, 100.0),
        ],
        limits: Limits { encode_engines: 2, decode_engines: 2, encode_sessions: None },
    }
}

/// A consumer card: one engine each way, three sessions.
fn geforce() -> Device {
    Device {
        backend: Backend::Nvenc,
        id: "0".into(),
        name: "GeForce".into(),
        driver: String::new(),
        entries: vec![
            entry_of(Codec::H264, Direction::Decode, 1000.0),
            entry_of(Codec::H264, Direction::Encode, 500.0),
        ],
        limits: Limits { encode_engines: 1, decode_engines: 1, encode_sessions: Some(3) },
    }
}

fn report(devices: Vec<Device>) -> ProbeReport {
    ProbeReport { libavcodec: String::new(), devices }
}

/// `megapixels` a second of H.264, ten of them a frame.
fn pictures(megapixels: u32) -> Pictures {
    Pictures {
        codec: Codec::H264,
        resolution: Resolution::new(1000, 1000),
        frame_rate: FrameRate::new(megapixels, 1),
    }
}

fn demand(source: u32, rungs: &[u32]) -> Demand {
    Demand {
        source: Some(pictures(source)),
        rungs: rungs.iter().map(|rung| pictures(*rung)).collect(),
    }
}

#[test]
fn a_rung_costs_its_pixels() {
    let rung = Pictures {
        codec: Codec::H264,
        resolution: Resolution::new(1280, 720),
        frame_rate: FrameRate::new(30, 1),
    };
    assert!((cost(&rung) - 27.648).abs() < 1e-9);
}

#[test]
fn channels_are_admitted_until_the_cores_are_full_and_again_when_one_ends() {
    let mut budget = Budget::from(&report(vec![cpu()]));
    let policy = HardwarePolicy::default();
    // 0.1 to decode, 0.5 to encode, 0.05 to scale: 0.65 of 1.6 cores.
    let demand = demand(100, &[50]);
    let first = budget.admit(&policy, &demand).unwrap();
    let _second = budget.admit(&policy, &demand).unwrap();
    let refused = budget.admit(&policy, &demand).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "CPU (cpu) has 0.30 of 1.60 cores free; 200.0 megapixels per second take 0.65"
    );
    let (_, resource, used, total) = budget.usage().next().unwrap();
    assert_eq!(resource, Resource::Cores);
    assert!((used - 1.3).abs() < 1e-9 && (total - 1.6).abs() < 1e-9, "{used} {total}");
    budget.release(first);
    let _third = budget.admit(&policy, &demand).unwrap();
}

#[test]
fn a_refused_channel_takes_nothing() {
    let mut budget = Budget::from(&report(vec![cpu()]));
    let before = budget.clone();
    assert!(budget.admit(&HardwarePolicy::default(), &demand(10, &[20, 500])).is_err());
    assert_eq!(budget, before);
}

#[test]
fn everything_released_is_everything_free() {
    let mut budget = Budget::from(&report(vec![geforce(), cpu()]));
    let before = budget.clone();
    for round in 0..100 {
        let held: Vec<Reservation> = (0..round % 3)
            .filter_map(|_| budget.admit(&HardwarePolicy::default(), &demand(30, &[7, 3])).ok())
            .collect();
        held.into_iter().for_each(|reservation| budget.release(reservation));
    }
    for (now, then) in budget.usage().zip(before.usage()) {
        assert!((now.2 - then.2).abs() < 1e-6);
    }
}

#[test]
fn sessions_run_out_before_engines_on_a_consumer_card() {
    let mut budget = Budget::from(&report(vec![geforce(), cpu()]));
    let _held = budget.admit(&HardwarePolicy::default(), &demand(30, &[10, 10])).unwrap();
    let refused = budget.admit(&HardwarePolicy::default(), &demand(30, &[10, 10])).unwrap_err();
    let AdmissionError::Overloaded(overload) = refused else { panic!("{refused}") };
    assert_eq!(overload.resource, Resource::EncodeSessions);
    assert_eq!((overload.needed, overload.free, overload.total), (2.0, 1.0, 3.0));
}

#[test]
fn pictures_decoded_on_a_gpu_are_scaled_there() {
    let jobs =
        plan(&report(vec![geforce(), cpu()]), &HardwarePolicy::default(), &demand(30, &[10]))
            .unwrap();
    assert!(jobs.iter().all(|job| job.backend == Backend::Nvenc), "{jobs:?}");
    let jobs = plan(&report(vec![cpu()]), &HardwarePolicy::default(), &demand(30, &[10])).unwrap();
    let directions: Vec<_> = jobs.iter().map(|job| job.direction).collect();
    assert_eq!(directions, [Direction::Decode, Direction::Encode, Direction::Scale]);
}

#[test]
fn what_the_policy_forbids_is_refused_before_it_is_reckoned() {
    let mut budget = Budget::from(&report(vec![cpu()]));
    let policy = HardwarePolicy { require_hardware: true, ..HardwarePolicy::default() };
    assert!(matches!(budget.admit(&policy, &demand(1, &[1])), Err(AdmissionError::Refused(_))));
}

#[test]
fn a_machine_that_was_not_probed_admits_everything() {
    let mut budget = Budget::from(&ProbeReport::default());
    assert!(budget.admit(&HardwarePolicy::default(), &demand(1000, &[1000])).is_ok());
}
