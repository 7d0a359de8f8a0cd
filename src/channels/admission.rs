//! Whether the hardware can carry a channel, before anything is started.
//!
//! A channel reserves its ladder in the first codec (H.264) for as long as it exists, watched or
//! not: what was admitted is served. Renditions in further codecs are reserved while they run.
//! A change that doesn't fit leaves what was reserved before.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use stentor_protocol::capacity::{AdmissionError, Budget, Demand, Pictures, Reservation};
use stentor_protocol::control::VideoFormat;
use stentor_protocol::probe::ProbeReport;
use stentor_protocol::spec::{Codec, HardwarePolicy, RungKind, SourceSpec};
use stentor_protocol::units::{FrameRate, Resolution};

use super::ladder::{self, Planned};
use super::settings::{ChannelSettings, Rung};

/// What a source is taken for until it has shown itself.
const EXPECTED: Resolution = Resolution::new(1280, 720);
const EXPECTED_RATE: FrameRate = FrameRate::new(30, 1);

/// What is reserved, by channel.
pub struct Admission {
    policy: HardwarePolicy,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// None until the probe is done: everything is admitted, and asks again then.
    budget: Option<Budget>,
    held: HashMap<String, Held>,
}

struct Held {
    demand: Demand,
    reservation: Reservation,
}

/// How much of one kind of engine is given away.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Usage {
    pub resource: String,
    pub capacity: f64,
    pub used: f64,
    pub unit: &'static str,
}

/// The format that a source is expected to have.
pub fn expected_format(source: &SourceSpec) -> VideoFormat {
    let (resolution, rate) = match source {
        SourceSpec::Synthetic { resolution, frame_rate } => (*resolution, *frame_rate),
        _ => (EXPECTED, EXPECTED_RATE),
    };
    VideoFormat {
        codec: Codec::H264,
        resolution,
        frame_rate: Some(rate),
        pass_through: true,
        profile_level_id: None,
    }
}

/// What a channel reserves from the start: its ladder in the first codec.
pub fn base_demand(
    settings: &ChannelSettings,
    default_ladder: &[Rung],
    format: Option<&VideoFormat>,
    codecs: &[Codec],
) -> Demand {
    let format = format.cloned().unwrap_or_else(|| expected_format(&settings.source));
    let rungs = settings.ladder.as_deref().unwrap_or(default_ladder);
    let first = &codecs[..codecs.len().min(1)];
    demand(&format, &ladder::plan(Some(&format), rungs, first))
}

/// What these renditions need: the source decoded, if any is encoded, and each encoded one.
pub fn demand<'a>(
    format: &VideoFormat,
    renditions: impl IntoIterator<Item = &'a Planned>,
) -> Demand {
    let source_rate = format.frame_rate.unwrap_or(EXPECTED_RATE);
    let rungs: Vec<Pictures> = renditions
        .into_iter()
        .filter_map(|planned| match planned.kind {
            RungKind::PassThrough => None,
            RungKind::Encode { resolution, frame_rate, .. } => Some(Pictures {
                codec: planned.codec,
                resolution,
                frame_rate: frame_rate.unwrap_or(source_rate),
            }),
        })
        .collect();
    let source = (!rungs.is_empty()).then_some(Pictures {
        codec: format.codec,
        resolution: format.resolution,
        frame_rate: source_rate,
    });
    Demand { source, rungs }
}

// === impl Admission ===

impl Admission {
    pub fn new(policy: HardwarePolicy) -> Self {
        Self { policy, inner: Mutex::default() }
    }

    /// Takes what the probe found. Channels ask again then.
    pub fn handle_report(&self, report: &ProbeReport) {
        let mut inner = self.lock();
        inner.held.clear();
        inner.budget = Some(Budget::from(report));
    }

    /// Reserves for a channel in place of what it held.
    pub fn admit(&self, channel: &str, demand: Demand) -> Result<(), AdmissionError> {
        let mut guard = self.lock();
        let inner = &mut *guard;
        let Some(budget) = &mut inner.budget else {
            return Ok(());
        };
        if inner.held.get(channel).is_some_and(|held| held.demand == demand) {
            return Ok(());
        }
        let old_demand = inner.held.remove(channel).map(|old| {
            budget.release(old.reservation);
            old.demand
        });
        let result = budget.admit(&self.policy, &demand);
        let (demand, reservation) = match (&result, old_demand) {
            (Ok(reservation), _) => (demand, reservation.clone()),
            // It fitted a moment ago, under the same lock.
            (Err(_), Some(old)) => match budget.admit(&self.policy, &old) {
                Ok(reservation) => (old, reservation),
                Err(error) => return Err(error),
            },
            (Err(_), None) => return result.map(|_| ()),
        };
        inner.held.insert(channel.to_owned(), Held { demand, reservation });
        result.map(|_| ())
    }

    /// Gives back what a channel held.
    pub fn release(&self, channel: &str) {
        let mut guard = self.lock();
        let inner = &mut *guard;
        if let (Some(held), Some(budget)) = (inner.held.remove(channel), &mut inner.budget) {
            budget.release(held.reservation);
        }
    }

    /// Empty until the probe is done.
    pub fn usage(&self) -> Vec<Usage> {
        let inner = self.lock();
        let usage = inner.budget.iter().flat_map(Budget::usage);
        usage
            .map(|(device, resource, used, capacity)| Usage {
                resource: format!("{} {}", device.backend.as_str(), device.id),
                capacity,
                used,
                unit: resource.as_str(),
            })
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use stentor_protocol::probe::{Device, Direction, Entry, Limits};
    use stentor_protocol::spec::Backend;

    use super::*;

    /// A CPU of so many cores, each of which encodes 100 and decodes and scales 1000 Mpixel/s.
    fn cpu(cores: u32) -> ProbeReport {
        let entry = |codec, direction, speed| Entry {
            codec,
            direction,
            implementation: String::new(),
            works: true,
            reason: String::new(),
            megapixels_per_second: Some(speed),
        };
        let entries = vec![
            entry(Codec::H264, Direction::Encode, 100.0),
            entry(Codec::Vp8, Direction::Encode, 100.0),
            entry(Codec::H264, Direction::Decode, 1000.0),
            entry(Codec::H264, Direction::Scale, 1000.0),
        ];
        let limits = Limits { encode_engines: cores, decode_engines: cores, encode_sessions: None };
        let device = Device {
            backend: Backend::Software,
            id: "cpu".into(),
            name: "CPU".into(),
            driver: String::new(),
            entries,
            limits,
        };
        ProbeReport { devices: vec![device], ..ProbeReport::default() }
    }

    fn settings(height: u32, rungs: &[u32]) -> ChannelSettings {
        ChannelSettings {
            source: SourceSpec::Synthetic {
                resolution: Resolution::new(height * 16 / 9, height),
                frame_rate: FrameRate::new(30, 1),
            },
            ladder: Some(
                rungs.iter().map(|&height| Rung { name: None, height, bitrate: None }).collect(),
            ),
        }
    }

    fn base(settings: &ChannelSettings) -> Demand {
        base_demand(settings, &[], None, &[Codec::H264, Codec::Vp8])
    }

    #[test]
    fn a_ladder_reserves_one_decoding_and_each_encoding_of_the_first_codec() {
        let demand = base(&settings(720, &[360, 180]));
        assert_eq!(demand.source.unwrap().resolution, Resolution::new(1280, 720));
        assert_eq!(demand.rungs.len(), 2);
        assert!(demand.rungs.iter().all(|r| r.codec == Codec::H264));
        let passed = base(&settings(720, &[]));
        assert_eq!(passed, Demand::default(), "what passes through costs nothing");
    }

    #[test]
    fn channels_are_admitted_until_the_machine_is_full_and_refused_with_figures() {
        let admission = Admission::new(HardwarePolicy::default());
        admission.handle_report(&cpu(1));
        // 720p30 of 1440p: 27.6 Mpixel/s encoded is 0.28 of a core, 110.6 decoded is 0.11.
        let big = settings(1440, &[720]);
        admission.admit("a", base(&big)).unwrap();
        admission.admit("a", base(&big)).unwrap();
        let error = admission.admit("b", base(&big)).unwrap_err();
        let AdmissionError::Overloaded(overload) = &error else { panic!("{error}") };
        assert!((overload.total - 0.8).abs() < 1e-9, "{error}");
        assert!((overload.free - 0.385).abs() < 0.01, "{error}");
        assert!(error.to_string().contains("0.80 cores"), "{error}");
        let used = admission.usage()[0].used;
        assert!((used - 0.415).abs() < 0.01, "{used}");
        admission.release("a");
        admission.admit("b", base(&big)).unwrap();
    }

    #[test]
    fn a_change_that_does_not_fit_leaves_what_was_reserved() {
        let admission = Admission::new(HardwarePolicy::default());
        admission.handle_report(&cpu(1));
        admission.admit("a", base(&settings(720, &[360]))).unwrap();
        let before = admission.usage();
        assert!(admission.admit("a", base(&settings(2160, &[1440, 1080]))).is_err());
        assert_eq!(admission.usage(), before);
    }

    #[test]
    fn where_hardware_is_required_and_missing_nothing_is_encoded() {
        let policy = HardwarePolicy { require_hardware: true, ..HardwarePolicy::default() };
        let admission = Admission::new(policy);
        admission.handle_report(&cpu(8));
        let error = admission.admit("a", base(&settings(720, &[360]))).unwrap_err();
        assert!(matches!(error, AdmissionError::Refused(_)), "{error}");
        admission.admit("a", base(&settings(720, &[]))).unwrap();
    }

    #[test]
    fn what_came_before_the_probe_is_reckoned_with_it() {
        let admission = Admission::new(HardwarePolicy::default());
        admission.admit("a", base(&settings(2160, &[1440]))).unwrap();
        admission.handle_report(&cpu(1));
        assert!(admission.admit("a", base(&settings(2160, &[1440]))).is_err());
    }
}
