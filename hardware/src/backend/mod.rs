//! What a backend is: its devices, its decoders, its encoders, and how it scales.
//!
//! One backend a file, with one table. No other place knows an encoder by name: adding one is a
//! row in its backend's table.

pub(crate) mod nvenc;
pub(crate) mod software;
pub(crate) mod vaapi;

use stentor_protocol::{Backend, Codec, Resolution};

use crate::ffi::device::DeviceKind;

/// One way to decode, scale and encode.
pub(crate) trait Engine: Sync {
    fn backend(&self) -> Backend;

    fn decoders(&self) -> &'static [DecoderRow];

    fn encoders(&self) -> &'static [EncoderRow];

    /// The devices of this kind that the machine has, working or not.
    fn devices(&self) -> Vec<FoundDevice>;

    /// What its devices are to FFmpeg; None for the CPU, which needs none.
    fn device_kind(&self) -> Option<DeviceKind>;

    /// FFmpeg's filters that scale a picture on the device, and where it ends up.
    fn scale_chain(&self, size: Resolution, landing: Landing) -> String;

    fn decoder(&self, codec: Codec) -> Option<&'static DecoderRow> {
        self.decoders().iter().find(|row| row.codec == codec)
    }

    fn encoder(&self, codec: Codec) -> Option<&'static EncoderRow> {
        self.encoders().iter().find(|row| row.codec == codec)
    }
}

/// Where a scaled picture is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Landing {
    Device,
    Host,
}

/// A device that may work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FoundDevice {
    /// CUDA index, DRM render node, or "cpu".
    pub id: String,
    pub name: String,
    pub driver: String,
}

/// How one codec is decoded.
#[derive(Debug)]
pub(crate) struct DecoderRow {
    pub codec: Codec,
    /// FFmpeg's name for the decoder.
    pub library: &'static str,
    /// What operators read: the same, or with the acceleration in it.
    pub name: &'static str,
    pub options: &'static [(&'static str, &'static str)],
}

/// How one codec is encoded.
#[derive(Debug)]
pub(crate) struct EncoderRow {
    pub codec: Codec,
    /// FFmpeg's name, which operators read as well.
    pub name: &'static str,
    /// Option sets, tried in order until one opens: drivers differ in what they take.
    pub variants: &'static [&'static [(&'static str, &'static str)]],
    /// How long the rate buffer is, in ms of the target rate: how far a keyframe may burst.
    pub buffer_ms: u32,
    /// Whether the rate is held up as well as down.
    pub constant_rate: bool,
    /// Whether a new bit rate is taken by the open encoder; if not, it is opened anew.
    pub live_rate: bool,
    /// Whether the bit stream says how colours are meant.
    pub tells_colour: bool,
    /// The smallest and the largest size it takes.
    pub least: Resolution,
    pub most: Resolution,
    /// Threads by pixels per second: one up to this, sliced above. 0 for hardware.
    pub pixels_per_second_per_thread: u64,
}

/// Far longer than any session: keyframes come when they are asked for.
pub(crate) const ENDLESS_GOP: &str = "1000000";

/// In order of preference.
pub(crate) static ENGINES: [&dyn Engine; 3] = [&nvenc::Nvenc, &vaapi::Vaapi, &software::Software];

pub(crate) fn engine(backend: Backend) -> &'static dyn Engine {
    match backend {
        Backend::Nvenc => &nvenc::Nvenc,
        Backend::Vaapi => &vaapi::Vaapi,
        Backend::Software => &software::Software,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_backend_is_listed_once_in_the_order_of_preference() {
        let order: Vec<Backend> = ENGINES.iter().map(|engine| engine.backend()).collect();
        assert_eq!(order, [Backend::Nvenc, Backend::Vaapi, Backend::Software]);
        for backend in order {
            assert_eq!(engine(backend).backend(), backend);
        }
    }

    #[test]
    fn no_table_has_a_codec_twice() {
        for engine in ENGINES {
            for row in engine.encoders() {
                let same = engine.encoders().iter().filter(|other| other.codec == row.codec);
                assert_eq!(same.count(), 1, "{}", row.name);
                assert!(!row.variants.is_empty(), "{}", row.name);
            }
            for row in engine.decoders() {
                let same = engine.decoders().iter().filter(|other| other.codec == row.codec);
                assert_eq!(same.count(), 1, "{}", row.name);
            }
        }
    }
}
