//! NVIDIA: NVDEC, scale_cuda, NVENC. Pictures stay in the GPU's memory from one to the next.

use std::fs;
use std::path::Path;

use stentor_protocol::{Backend, Codec, Resolution};

use super::{DecoderRow, ENDLESS_GOP, EncoderRow, Engine, FoundDevice, Landing};
use crate::ffi::device::DeviceKind;

pub(crate) struct Nvenc;

/// libavcodec's own parsers with NVDEC behind them, rather than the cuvid wrappers: those hold
/// pictures back and hide errors in the stream.
const DECODERS: &[DecoderRow] = &[
    DecoderRow { codec: Codec::H264, library: "h264", name: "h264 (nvdec)", options: &[] },
    DecoderRow { codec: Codec::H265, library: "hevc", name: "hevc (nvdec)", options: &[] },
    DecoderRow { codec: Codec::Vp8, library: "vp8", name: "vp8 (nvdec)", options: &[] },
    DecoderRow { codec: Codec::Av1, library: "av1", name: "av1 (nvdec)", options: &[] },
];

const ENCODERS: &[EncoderRow] = &[
    EncoderRow {
        codec: Codec::H264,
        name: "h264_nvenc",
        variants: &[&[
            ("preset", "p3"),
            ("tune", "ull"),
            ("rc", "cbr"),
            ("profile", "baseline"),
            ("zerolatency", "1"),
            // Out comes the picture that went in.
            ("delay", "0"),
            ("forced-idr", "1"),
            ("no-scenecut", "1"),
            ("g", ENDLESS_GOP),
            ("bf", "0"),
        ]],
        buffer_ms: 250,
        constant_rate: true,
        live_rate: true,
        tells_colour: true,
        least: Resolution::new(146, 50),
        most: Resolution::new(4096, 4096),
        pixels_per_second_per_thread: 0,
    },
    EncoderRow {
        codec: Codec::Av1,
        name: "av1_nvenc",
        variants: &[&[
            ("preset", "p3"),
            ("tune", "ull"),
            ("rc", "cbr"),
            ("zerolatency", "1"),
            ("delay", "0"),
            ("forced-idr", "1"),
            ("no-scenecut", "1"),
            ("g", ENDLESS_GOP),
            ("bf", "0"),
        ]],
        buffer_ms: 250,
        constant_rate: true,
        live_rate: true,
        tells_colour: true,
        least: Resolution::new(192, 128),
        most: Resolution::new(8192, 8192),
        pixels_per_second_per_thread: 0,
    },
];

// === impl Nvenc ===

impl Engine for Nvenc {
    fn backend(&self) -> Backend {
        Backend::Nvenc
    }

    fn decoders(&self) -> &'static [DecoderRow] {
        DECODERS
    }

    fn encoders(&self) -> &'static [EncoderRow] {
        ENCODERS
    }

    fn devices(&self) -> Vec<FoundDevice> {
        let listed = gpus_of_the_driver(Path::new("/proc/driver/nvidia"));
        if listed.is_empty() { gpus_by_their_nodes(Path::new("/dev")) } else { listed }
    }

    fn device_kind(&self) -> Option<DeviceKind> {
        Some(DeviceKind::Cuda)
    }

    fn scale_chain(&self, size: Resolution, landing: Landing) -> String {
        let Resolution { width, height } = size;
        match landing {
            Landing::Device => format!("scale_cuda=w={width}:h={height}:format=nv12"),
            // Software encoders want planar 4:2:0: convert where it costs nothing.
            Landing::Host => {
                format!("scale_cuda=w={width}:h={height}:format=yuv420p,hwdownload,format=yuv420p")
            }
        }
    }
}

/// What the kernel driver lists, one folder a GPU, named by PCI address. CUDA counts in the
/// same order where CUDA_DEVICE_ORDER is PCI_BUS_ID, which the worker sets.
fn gpus_of_the_driver(root: &Path) -> Vec<FoundDevice> {
    let driver = fs::read_to_string(root.join("version"))
        .ok()
        .and_then(|text| driver_version(text.lines().next()?))
        .unwrap_or_default();
    let Ok(entries) = fs::read_dir(root.join("gpus")) else {
        return Vec::new();
    };
    let mut folders: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    folders.sort();
    let name = |folder: &Path| {
        let text = fs::read_to_string(folder.join("information")).ok()?;
        let line = text.lines().find(|line| line.starts_with("Model:"))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    folders
        .iter()
        .enumerate()
        .map(|(index, folder)| FoundDevice {
            id: index.to_string(),
            name: name(folder).unwrap_or_else(|| "NVIDIA GPU".into()),
            driver: driver.clone(),
        })
        .collect()
}

/// `/dev/nvidia0` and so on: all that some containers have.
fn gpus_by_their_nodes(dev: &Path) -> Vec<FoundDevice> {
    let Ok(entries) = fs::read_dir(dev) else {
        return Vec::new();
    };
    let number = |name: String| name.strip_prefix("nvidia")?.parse::<u32>().ok();
    let mut numbers: Vec<u32> =
        entries.flatten().filter_map(|e| number(e.file_name().into_string().ok()?)).collect();
    numbers.sort_unstable();
    let device = |index: usize| FoundDevice {
        id: index.to_string(),
        name: "NVIDIA GPU".into(),
        driver: String::new(),
    };
    (0..numbers.len()).map(device).collect()
}

/// The first word of the line that looks like a version: "… Kernel Module  550.54.15  …".
fn driver_version(line: &str) -> Option<String> {
    let looks_right =
        |word: &&str| word.contains('.') && word.chars().all(|c| c.is_ascii_digit() || c == '.');
    line.split_whitespace().find(looks_right).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gpus_are_listed_as_the_driver_lists_them() {
        let root = std::env::temp_dir().join(format!("stentor-nvidia-{}", std::process::id()));
        for (address, model) in [("0000:c1:00.0", "NVIDIA L4"), ("0000:41:00.0", "NVIDIA H200")] {
            let folder = root.join("gpus").join(address);
            fs::create_dir_all(&folder).unwrap();
            let text = format!("Model: \t\t {model}\nIRQ:   \t\t 183\n");
            fs::write(folder.join("information"), text).unwrap();
        }
        let version = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5\n";
        fs::write(root.join("version"), version).unwrap();
        let found = gpus_of_the_driver(&root);
        fs::remove_dir_all(&root).unwrap();
        let device = |id: &str, name: &str| FoundDevice {
            id: id.into(),
            name: name.into(),
            driver: "550.54.15".into(),
        };
        assert_eq!(found, [device("0", "NVIDIA H200"), device("1", "NVIDIA L4")]);
    }

    #[test]
    fn device_nodes_stand_in_for_the_drivers_list() {
        let dev = std::env::temp_dir().join(format!("stentor-dev-{}", std::process::id()));
        fs::create_dir_all(&dev).unwrap();
        for node in ["nvidia3", "nvidia10", "nvidiactl", "nvidia-uvm", "null"] {
            fs::write(dev.join(node), "").unwrap();
        }
        let ids: Vec<String> = gpus_by_their_nodes(&dev).into_iter().map(|d| d.id).collect();
        fs::remove_dir_all(&dev).unwrap();
        assert_eq!(ids, ["0", "1"]);
    }

    #[test]
    fn without_the_driver_there_are_no_gpus() {
        assert_eq!(gpus_of_the_driver(Path::new("/nowhere")), []);
        assert_eq!(gpus_by_their_nodes(Path::new("/nowhere")), []);
    }

    #[test]
    fn scaling_ends_where_it_is_wanted() {
        let size = Resolution::new(640, 360);
        let stays = Nvenc.scale_chain(size, Landing::Device);
        assert_eq!(stays, "scale_cuda=w=640:h=360:format=nv12");
        assert!(Nvenc.scale_chain(size, Landing::Host).contains("hwdownload"));
    }
}
