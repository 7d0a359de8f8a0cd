//! VA-API: Intel and AMD. Pictures stay in surfaces of the device from decoder to encoder.

use std::fs;
use std::path::Path;

use stentor_protocol::{Backend, Codec, Resolution};

use super::{DecoderRow, ENDLESS_GOP, EncoderRow, Engine, FoundDevice, Landing};
use crate::ffi::device::DeviceKind;

pub(crate) struct Vaapi;

const DECODERS: &[DecoderRow] = &[
    DecoderRow { codec: Codec::H264, library: "h264", name: "h264 (vaapi)", options: &[] },
    DecoderRow { codec: Codec::H265, library: "hevc", name: "hevc (vaapi)", options: &[] },
    DecoderRow { codec: Codec::Vp8, library: "vp8", name: "vp8 (vaapi)", options: &[] },
    DecoderRow { codec: Codec::Av1, library: "av1", name: "av1 (vaapi)", options: &[] },
];

/// Newer Intel GPUs encode in the low-power unit only, older ones and AMD's not at all: both
/// are tried.
const ENCODERS: &[EncoderRow] = &[
    EncoderRow {
        codec: Codec::H264,
        name: "h264_vaapi",
        variants: &[
            &[
                ("profile", "constrained_baseline"),
                ("rc_mode", "CBR"),
                ("async_depth", "1"),
                ("g", ENDLESS_GOP),
                ("bf", "0"),
            ],
            &[
                ("profile", "constrained_baseline"),
                ("rc_mode", "CBR"),
                ("low_power", "1"),
                ("async_depth", "1"),
                ("g", ENDLESS_GOP),
                ("bf", "0"),
            ],
        ],
        buffer_ms: 500,
        constant_rate: true,
        live_rate: false,
        tells_colour: true,
        least: Resolution::new(128, 96),
        most: Resolution::new(4096, 4096),
        pixels_per_second_per_thread: 0,
    },
    EncoderRow {
        codec: Codec::Vp8,
        name: "vp8_vaapi",
        variants: &[
            &[("rc_mode", "CBR"), ("async_depth", "1"), ("g", ENDLESS_GOP), ("bf", "0")],
            &[
                ("rc_mode", "CBR"),
                ("low_power", "1"),
                ("async_depth", "1"),
                ("g", ENDLESS_GOP),
                ("bf", "0"),
            ],
        ],
        buffer_ms: 500,
        constant_rate: true,
        live_rate: false,
        tells_colour: false,
        least: Resolution::new(128, 96),
        most: Resolution::new(4096, 4096),
        pixels_per_second_per_thread: 0,
    },
    EncoderRow {
        codec: Codec::Av1,
        name: "av1_vaapi",
        variants: &[
            &[("rc_mode", "CBR"), ("async_depth", "1"), ("g", ENDLESS_GOP), ("bf", "0")],
            &[
                ("rc_mode", "CBR"),
                ("low_power", "1"),
                ("async_depth", "1"),
                ("g", ENDLESS_GOP),
                ("bf", "0"),
            ],
        ],
        buffer_ms: 500,
        constant_rate: true,
        live_rate: false,
        tells_colour: true,
        least: Resolution::new(128, 128),
        most: Resolution::new(8192, 8192),
        pixels_per_second_per_thread: 0,
    },
];

// === impl Vaapi ===

impl Engine for Vaapi {
    fn backend(&self) -> Backend {
        Backend::Vaapi
    }

    fn decoders(&self) -> &'static [DecoderRow] {
        DECODERS
    }

    fn encoders(&self) -> &'static [EncoderRow] {
        ENCODERS
    }

    fn devices(&self) -> Vec<FoundDevice> {
        render_nodes(Path::new("/dev/dri"), Path::new("/sys/class/drm"))
    }

    fn device_kind(&self) -> Option<DeviceKind> {
        Some(DeviceKind::Vaapi)
    }

    fn scale_chain(&self, size: Resolution, landing: Landing) -> String {
        let Resolution { width, height } = size;
        let scale = format!("scale_vaapi=w={width}:h={height}:format=nv12");
        match landing {
            Landing::Device => scale,
            Landing::Host => format!("{scale},hwdownload,format=nv12"),
        }
    }
}

/// Render nodes with the PCI identity and the kernel driver behind each. NVIDIA's are left
/// out: its kernel driver has no VA-API, and a copy of the same GPU would only confuse.
fn render_nodes(nodes: &Path, classes: &Path) -> Vec<FoundDevice> {
    let Ok(entries) = fs::read_dir(nodes) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.starts_with("renderD"))
        .collect();
    names.sort();
    let device = |name: &String| {
        let folder = classes.join(name).join("device");
        let read = |file: &str| {
            let text = fs::read_to_string(folder.join(file)).ok()?;
            Some(text.trim().trim_start_matches("0x").to_owned())
        };
        let driver = fs::read_link(folder.join("driver"))
            .ok()
            .and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
            .unwrap_or_default();
        if driver == "nvidia" {
            return None;
        }
        let maker = match read("vendor").as_deref() {
            Some("8086") => "Intel GPU",
            Some("1002") => "AMD GPU",
            _ => "GPU",
        };
        let name = match (read("vendor"), read("device")) {
            (Some(vendor), Some(product)) => format!("{maker} [{vendor}:{product}]"),
            _ => maker.to_owned(),
        };
        Some((name, driver))
    };
    names
        .iter()
        .filter_map(|node| {
            let (name, driver) = device(node)?;
            Some(FoundDevice { id: nodes.join(node).to_string_lossy().into_owned(), name, driver })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn render_nodes_are_named_by_what_drives_them() {
        let root = std::env::temp_dir().join(format!("stentor-dri-{}", std::process::id()));
        let (nodes, classes) = (root.join("dri"), root.join("drm"));
        fs::create_dir_all(&nodes).unwrap();
        let cards =
            [("renderD129", "8086", "56c0", "i915"), ("renderD128", "10de", "2335", "nvidia")];
        for (node, vendor, product, driver) in cards {
            fs::write(nodes.join(node), "").unwrap();
            let folder = classes.join(node).join("device");
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("vendor"), format!("0x{vendor}\n")).unwrap();
            fs::write(folder.join("device"), format!("0x{product}\n")).unwrap();
            symlink(format!("/sys/bus/pci/drivers/{driver}"), folder.join("driver")).unwrap();
        }
        fs::write(nodes.join("card0"), "").unwrap();
        let found = render_nodes(&nodes, &classes);
        let id = nodes.join("renderD129").to_string_lossy().into_owned();
        fs::remove_dir_all(&root).unwrap();
        let name = "Intel GPU [8086:56c0]".to_owned();
        assert_eq!(found, [FoundDevice { id, name, driver: "i915".into() }]);
    }

    #[test]
    fn without_render_nodes_there_are_no_devices() {
        assert_eq!(render_nodes(Path::new("/nowhere"), Path::new("/nowhere")), []);
    }
}
