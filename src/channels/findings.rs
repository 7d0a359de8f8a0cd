//! What the hardware probe found, as channels need it.

use std::sync::Arc;

use stentor_protocol::choice::{Task, choose};
use stentor_protocol::probe::ProbeReport;
use stentor_protocol::spec::{Backend, Codec, HardwarePolicy};

#[derive(Debug, Clone)]
pub struct Findings {
    pub report: Arc<ProbeReport>,
    /// Why there is no report.
    pub error: Option<String>,
    /// What viewers can be given, in order of preference.
    pub codecs: Vec<Codec>,
}

// === impl Findings ===

impl Findings {
    pub fn new(report: ProbeReport, policy: &HardwarePolicy) -> Self {
        let codecs = codecs(&report, policy);
        Self { report: Arc::new(report), error: None, codecs }
    }

    /// Without a report the CPU is tried.
    pub fn failed(error: String, policy: &HardwarePolicy) -> Self {
        Self { error: Some(error), ..Self::new(ProbeReport::default(), policy) }
    }
}

/// H.264 for all and VP8 for those without it, unless the probe says that nothing may encode
/// them; AV1 where hardware does.
fn codecs(report: &ProbeReport, policy: &HardwarePolicy) -> Vec<Codec> {
    let can = |codec| choose(report, policy, &Task::encode(codec)).ok();
    let in_hardware = can(Codec::Av1).is_some_and(|choice| choice.backend != Backend::Software);
    let mut codecs: Vec<Codec> =
        [Codec::H264, Codec::Vp8].into_iter().filter(|codec| can(*codec).is_some()).collect();
    if in_hardware {
        codecs.push(Codec::Av1);
    }
    codecs
}

#[cfg(test)]
mod tests {
    use stentor_protocol::probe::{Device, Direction, Entry, Limits};

    use super::*;

    fn device(backend: Backend, encodes: &[Codec]) -> Device {
        let entry = |&codec: &Codec| Entry {
            codec,
            direction: Direction::Encode,
            implementation: String::new(),
            works: true,
            reason: String::new(),
            megapixels_per_second: Some(100.0),
        };
        Device {
            backend,
            id: "0".into(),
            name: "test".into(),
            driver: String::new(),
            entries: encodes.iter().map(entry).collect(),
            limits: Limits::default(),
        }
    }

    fn found(devices: Vec<Device>, policy: &HardwarePolicy) -> Vec<Codec> {
        Findings::new(ProbeReport { devices, ..ProbeReport::default() }, policy).codecs
    }

    #[test]
    fn av1_takes_hardware_and_the_others_take_what_there_is() {
        use Codec::{Av1, H264, Vp8};
        let any = HardwarePolicy::default();
        let strict = HardwarePolicy { require_hardware: true, ..any.clone() };
        let cpu = || device(Backend::Software, &[H264, Vp8, Av1]);
        let gpu = || device(Backend::Nvenc, &[H264, Av1]);
        assert_eq!(found(vec![cpu()], &any), [H264, Vp8]);
        assert_eq!(found(vec![gpu(), cpu()], &any), [H264, Vp8, Av1]);
        assert_eq!(found(vec![gpu(), cpu()], &strict), [H264, Av1]);
        assert_eq!(found(vec![], &any), [H264, Vp8], "nothing was probed: try");
    }
}
