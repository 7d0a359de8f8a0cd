//! Tries every decoder, scaler and encoder of every device, with real sessions and pictures.
//!
//! A driver may crash or hang on the way. So a device is tried in a process of its own by
//! [`run_apart`], which reports what became of it; [`run`] does it all in this process.

mod apart;
mod clip;
mod measure;

use stentor_protocol::probe::{Device, Direction, Entry, Limits};
use stentor_protocol::{Backend, Choice, Codec, ProbeReport};

pub use apart::run_apart;

use crate::backend::{DecoderRow, ENGINES, EncoderRow, Engine, FoundDevice};
use crate::ffi;
use crate::profiles::Profile;
use clip::Clip;
use measure::Measured;

/// Tries everything in this process.
pub fn run() -> ProbeReport {
    let devices = ENGINES
        .iter()
        .flat_map(|engine| engine.devices().into_iter().map(|device| try_device(*engine, device)));
    report(devices.collect())
}

/// Tries one device in this process: a backend's name and the device's id, as in the report.
/// None where the machine has no such device.
pub fn run_device(backend: &str, id: &str) -> Option<Device> {
    let engine = ENGINES.iter().find(|engine| engine.backend().as_str() == backend)?;
    let device = engine.devices().into_iter().find(|device| device.id == id)?;
    Some(try_device(*engine, device))
}

fn report(devices: Vec<Device>) -> ProbeReport {
    ProbeReport { libavcodec: ffi::libavcodec_version(), devices }
}

fn try_device(engine: &dyn Engine, found: FoundDevice) -> Device {
    ffi::prepare();
    let choice = Choice {
        backend: engine.backend(),
        device: engine.device_kind().map(|_| found.id.clone()),
        fallbacks: Vec::new(),
    };
    let profile = Profile::for_device(&found.name);
    let mut entries = Vec::new();
    let mut frames = Vec::new();
    for row in engine.decoders() {
        let tried = Clip::make(row.codec).and_then(|clip| measure::decode(&choice, &clip)).map(
            |(measured, decoded)| {
                if frames.is_empty() {
                    frames = decoded;
                }
                measured
            },
        );
        entries.push(decode_entry(row, tried));
    }
    if frames.is_empty() {
        frames = clip::frames().unwrap_or_default();
    }
    entries.push(scale_entry(engine, measure::scale(&choice, &frames)));
    for row in engine.encoders() {
        let tried = measure::encode(&choice, row.codec, &frames);
        entries.push(encode_entry(row, tried, profile));
    }
    Device {
        backend: engine.backend(),
        limits: limits(engine, profile),
        id: found.id,
        name: found.name,
        driver: found.driver,
        entries,
    }
}

/// A device that could not be tried, with the reason at every entry.
fn untried(engine: &dyn Engine, found: FoundDevice, reason: &str) -> Device {
    let profile = Profile::for_device(&found.name);
    let failed = || Err(reason.to_owned());
    let decoders = engine.decoders().iter().map(|row| decode_entry(row, failed()));
    let encoders = engine.encoders().iter().map(|row| encode_entry(row, failed(), None));
    Device {
        backend: engine.backend(),
        limits: limits(engine, profile),
        entries: decoders.chain(encoders).collect(),
        id: found.id,
        name: found.name,
        driver: found.driver,
    }
}

/// Engines by the profile; cores on the CPU. Measured speeds are one engine's.
fn limits(engine: &dyn Engine, profile: Option<&Profile>) -> Limits {
    if engine.backend() == Backend::Software {
        let cores = std::thread::available_parallelism().map_or(1, usize::from) as u32;
        return Limits { encode_engines: cores, decode_engines: cores, encode_sessions: None };
    }
    profile.map_or_else(Limits::default, Profile::limits)
}

fn decode_entry(row: &DecoderRow, tried: Result<Measured, String>) -> Entry {
    entry(row.codec, Direction::Decode, row.name, tried)
}

fn encode_entry(
    row: &EncoderRow,
    tried: Result<Measured, String>,
    profile: Option<&Profile>,
) -> Entry {
    let explained = tried.map_err(|reason| match profile {
        // What an operator of such a card should read first.
        Some(profile) if profile.encoders == 0 => {
            format!("this {} GPU has no video encoder: {reason}", profile.family)
        }
        _ => reason,
    });
    entry(row.codec, Direction::Encode, row.name, explained)
}

fn scale_entry(engine: &dyn Engine, tried: Result<Measured, String>) -> Entry {
    let name = match engine.backend() {
        Backend::Nvenc => "scale_cuda",
        Backend::Vaapi => "scale_vaapi",
        Backend::Software => "swscale",
    };
    // Scaling has no codec; the report's form wants one.
    entry(Codec::H264, Direction::Scale, name, tried)
}

fn entry(codec: Codec, direction: Direction, name: &str, tried: Result<Measured, String>) -> Entry {
    let (works, reason, speed) = match tried {
        Ok(measured) => (true, String::new(), Some(measured.megapixels_per_second)),
        Err(reason) => (false, reason, None),
    };
    Entry {
        codec,
        direction,
        implementation: name.to_owned(),
        works,
        reason,
        megapixels_per_second: speed,
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn the_cpu_does_what_its_table_says_and_is_measured() {
        let start = Instant::now();
        let device = run_device("software", "cpu").unwrap();
        let took = start.elapsed();
        for entry in &device.entries {
            assert!(entry.works, "{entry:?}");
            assert!(entry.megapixels_per_second.unwrap() > 1.0, "{entry:?}");
        }
        assert_eq!(device.entries.len(), 7);
        assert!(device.limits.encode_engines >= 1);
        // Six seconds on an idle machine; builders share this one.
        assert!(took < Duration::from_secs(30), "{took:?}");
        eprintln!("the CPU was probed in {took:?}");
    }

    #[test]
    fn a_device_that_is_not_there_is_not_tried() {
        assert_eq!(run_device("nvenc", "99"), None);
        assert_eq!(run_device("abacus", "0"), None);
    }

    #[test]
    fn a_device_that_does_not_open_says_why() {
        let found = |id: &str| FoundDevice {
            id: id.into(),
            name: "NVIDIA H200".into(),
            driver: "1".into(),
        };
        let cuda = try_device(&crate::backend::nvenc::Nvenc, found("99"));
        let vaapi = try_device(&crate::backend::vaapi::Vaapi, found("/dev/dri/renderD999"));
        for entry in cuda.entries.iter().chain(&vaapi.entries) {
            assert!(!entry.works && entry.megapixels_per_second.is_none(), "{entry:?}");
            let scaler = entry.direction == Direction::Scale;
            let part = if scaler { "no decoder of this device" } else { "can't be opened: " };
            assert!(entry.reason.contains(part), "{entry:?}");
        }
        let encoder = cuda.entries.iter().find(|e| e.implementation == "h264_nvenc").unwrap();
        assert!(encoder.reason.starts_with("this Hopper GPU has no video encoder"), "{encoder:?}");
        assert_eq!(cuda.limits.decode_engines, 7);
    }
}
