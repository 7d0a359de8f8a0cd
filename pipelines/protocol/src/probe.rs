//! What `stentor-worker probe --json` prints: every decoder and encoder of every device, tried.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::spec::{Backend, Codec};

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ProbeReport {
    /// FFmpeg's libavcodec version, such as "59.37.100".
    pub libavcodec: String,
    pub devices: Vec<Device>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Device {
    pub backend: Backend,
    /// CUDA index, DRM render node, or "cpu".
    pub id: String,
    /// Such as "NVIDIA L4" or "Intel iHD".
    pub name: String,
    pub driver: String,
    pub entries: Vec<Entry>,
    #[serde(default)]
    pub limits: Limits,
}

/// What a device does side by side. The speed in an [`Entry`] is that of one engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Units that encode; on the CPU its cores.
    pub encode_engines: u32,
    /// Units that decode; on the CPU its cores.
    pub decode_engines: u32,
    /// Encode sessions that the driver allows at a time in the whole machine; None: no limit.
    pub encode_sessions: Option<u32>,
}

/// One codec in one direction on one device, with a real session opened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub codec: Codec,
    pub direction: Direction,
    /// FFmpeg's name for it.
    pub implementation: String,
    pub works: bool,
    /// Why not, in one sentence; empty where it works.
    pub reason: String,
    /// Measured, in millions of pixels per second; None where it doesn't work.
    pub megapixels_per_second: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    Decode,
    Scale,
    Encode,
}

// === impl ProbeReport ===

/// The table that `probe` prints: a head line a device, a line an entry.
impl fmt::Display for ProbeReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "libavcodec {}", self.libavcodec)?;
        for device in &self.devices {
            write!(f, "\n{device}")?;
        }
        Ok(())
    }
}

// === impl Device ===

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { backend, id, name, driver, limits, .. } = self;
        let backend = backend.as_str();
        let Limits { encode_engines, decode_engines, encode_sessions } = limits;
        write!(f, "{backend} {id}: {name}, driver {driver}; side by side ")?;
        write!(f, "{decode_engines} decode, {encode_engines} encode")?;
        if let Some(sessions) = encode_sessions {
            write!(f, ", at most {sessions} encode sessions")?;
        }
        writeln!(f)?;
        for entry in &self.entries {
            let Entry { codec, direction, implementation, reason, .. } = entry;
            let codec = if *direction == Direction::Scale { "" } else { codec.as_str() };
            write!(f, "  {:<7}{codec:<6}{implementation:<16}", direction.as_str())?;
            match entry.megapixels_per_second {
                Some(speed) if entry.works => writeln!(f, "works  {speed:8.0} Mpixel/s")?,
                _ => writeln!(f, "no     {reason}")?,
            }
        }
        Ok(())
    }
}

// === impl Direction ===

impl Direction {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Decode => "decode",
            Self::Scale => "scale",
            Self::Encode => "encode",
        }
    }
}

// === impl Limits ===

impl Default for Limits {
    fn default() -> Self {
        Self { encode_engines: 1, decode_engines: 1, encode_sessions: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_says_what_works_and_why_not() {
        let entry = |direction, implementation: &str, speed: Option<f64>, reason: &str| Entry {
            codec: Codec::H264,
            direction,
            implementation: implementation.into(),
            works: speed.is_some(),
            reason: reason.into(),
            megapixels_per_second: speed,
        };
        let report = ProbeReport {
            libavcodec: "59.37.100".into(),
            devices: vec![Device {
                backend: Backend::Nvenc,
                id: "0".into(),
                name: "NVIDIA H200".into(),
                driver: "550.54".into(),
                entries: vec![
                    entry(Direction::Decode, "h264 (nvdec)", Some(1234.56), ""),
                    entry(Direction::Scale, "scale_cuda", Some(5000.0), ""),
                    entry(Direction::Encode, "h264_nvenc", None, "no capable devices found"),
                ],
                limits: Limits { encode_engines: 0, decode_engines: 7, encode_sessions: Some(8) },
            }],
        };
        let table = "libavcodec 59.37.100\n\n\
            nvenc 0: NVIDIA H200, driver 550.54; side by side 7 decode, 0 encode, \
            at most 8 encode sessions\n  \
            decode h264  h264 (nvdec)    works      1235 Mpixel/s\n  \
            scale        scale_cuda      works      5000 Mpixel/s\n  \
            encode h264  h264_nvenc      no     no capable devices found\n";
        assert_eq!(report.to_string(), table);
    }
}
