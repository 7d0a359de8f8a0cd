//! What each GPU family has, as data: see `hardware/profiles/README.md`.

use std::sync::LazyLock;

use serde::Deserialize;
use stentor_protocol::probe::Limits;

/// Part of this crate, so that a worker needs no files of its own.
const FILES: &[(&str, &str)] = &[
    ("nvidia-turing", include_str!("../profiles/nvidia-turing.toml")),
    ("nvidia-ampere", include_str!("../profiles/nvidia-ampere.toml")),
    ("nvidia-ada", include_str!("../profiles/nvidia-ada.toml")),
    ("nvidia-hopper", include_str!("../profiles/nvidia-hopper.toml")),
    ("nvidia-blackwell", include_str!("../profiles/nvidia-blackwell.toml")),
    ("intel", include_str!("../profiles/intel.toml")),
    ("amd", include_str!("../profiles/amd.toml")),
];

/// Words that makers put in front of a product's name, or leave away again.
const MAKERS: &[&str] = &["NVIDIA", "Tesla"];

/// A group of products that are alike.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// The file's, put into each of its devices, like the family.
    #[serde(skip)]
    pub vendor: Vendor,
    /// Such as "Ada Lovelace".
    #[serde(skip)]
    pub family: String,
    #[serde(default)]
    pub names: Vec<String>,
    /// `vendor:device` in hexadecimal, or the beginning of it.
    #[serde(default)]
    pub pci: Vec<String>,
    pub class: Class,
    /// Engines that encode, 0 where there is none.
    pub encoders: u32,
    /// Engines that decode.
    pub decoders: u32,
    /// Encode sessions that the driver allows at a time; None: no limit.
    pub encode_sessions: Option<u32>,
    pub encode: Vec<ProfileCodec>,
    pub decode: Vec<ProfileCodec>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Vendor {
    #[default]
    Nvidia,
    Intel,
    Amd,
}

/// What a device was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    DataCentre,
    Workstation,
    Consumer,
    Integrated,
}

/// A codec that some device has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProfileCodec {
    H264,
    H265,
    Vp8,
    Av1,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    vendor: Vendor,
    family: String,
    device: Vec<Profile>,
}

static ALL: LazyLock<Vec<Profile>> = LazyLock::new(|| {
    let read = |(name, text): &(&str, &str)| match toml::from_str::<File>(text) {
        Ok(file) => Some(file),
        // Can't happen to a file that passed the tests; a GPU without a profile still works.
        Err(error) => {
            tracing::error!(profile = name, %error, "a GPU profile can't be read");
            None
        }
    };
    let named = |file: File| {
        let File { vendor, family, device } = file;
        let named = move |profile| Profile { vendor, family: family.clone(), ..profile };
        device.into_iter().map(named)
    };
    FILES.iter().filter_map(read).flat_map(named).collect()
});

// === impl Profile ===

impl Profile {
    /// The profile of a device by its name: as the NVIDIA driver gives it ("NVIDIA L40S"), or
    /// with its PCI identity in brackets ("Intel GPU [8086:56c0]"). None for unknown ones.
    pub fn for_device(name: &str) -> Option<&'static Self> {
        let words = words(name);
        let pci = name
            .rsplit_once('[')
            .and_then(|(_, rest)| Some(rest.split_once(']')?.0.to_ascii_lowercase()));
        let fit = |profile: &'static Self| {
            let by_name = profile.names.iter().filter_map(|name| {
                let pattern = self::words(name);
                words.starts_with(&pattern).then_some(name.len())
            });
            let begins =
                |prefix: &&String| pci.as_ref().is_some_and(|pci| pci.starts_with(prefix.as_str()));
            let by_pci = profile.pci.iter().filter(begins).map(String::len);
            by_name.chain(by_pci).max().map(|length| (length, profile))
        };
        ALL.iter().filter_map(fit).max_by_key(|(length, _)| *length).map(|(_, profile)| profile)
    }

    /// What it does side by side.
    pub fn limits(&self) -> Limits {
        Limits {
            encode_engines: self.encoders,
            decode_engines: self.decoders,
            encode_sessions: self.encode_sessions,
        }
    }
}

fn words(name: &str) -> Vec<String> {
    name.split([' ', '-'])
        .filter(|word| !word.is_empty() && !MAKERS.iter().any(|m| word.eq_ignore_ascii_case(m)))
        .map(str::to_ascii_uppercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_read_whole() {
        for (name, text) in FILES {
            let file: File = toml::from_str(text).unwrap_or_else(|e| panic!("{name}: {e}"));
            for device in &file.device {
                assert!(!device.names.is_empty() || !device.pci.is_empty(), "{name}");
                assert_eq!(device.encoders == 0, device.encode.is_empty(), "{name} {device:?}");
                assert!(device.decoders > 0 && !device.decode.is_empty(), "{name} {device:?}");
                let vendor = match file.vendor {
                    Vendor::Nvidia => "10de:",
                    Vendor::Intel => "8086:",
                    Vendor::Amd => "1002:",
                };
                assert!(device.pci.iter().all(|id| id.starts_with(vendor)), "{name} {device:?}");
            }
        }
    }

    #[test]
    fn no_product_has_two_profiles() {
        let mut names: Vec<&String> =
            ALL.iter().flat_map(|profile| profile.names.iter().chain(&profile.pci)).collect();
        names.sort();
        for pair in names.windows(2) {
            assert_ne!(pair[0], pair[1]);
        }
    }

    #[test]
    fn products_find_their_profiles() {
        use Class::{Consumer, DataCentre, Integrated, Workstation};
        let table = [
            ("Tesla T4", "Turing", DataCentre, 1, 2, None),
            ("NVIDIA A100-SXM4-80GB", "Ampere", DataCentre, 0, 5, None),
            ("NVIDIA A100 80GB PCIe", "Ampere", DataCentre, 0, 5, None),
            ("NVIDIA A10", "Ampere", DataCentre, 1, 2, None),
            ("NVIDIA A10G", "Ampere", DataCentre, 1, 2, None),
            ("NVIDIA A30", "Ampere", DataCentre, 0, 4, None),
            ("NVIDIA RTX A6000", "Ampere", Workstation, 1, 2, None),
            ("NVIDIA GeForce RTX 3090", "Ampere", Consumer, 1, 1, Some(8)),
            ("NVIDIA GeForce RTX 3080 Laptop GPU", "Ampere", Consumer, 1, 1, Some(8)),
            ("NVIDIA L4", "Ada Lovelace", DataCentre, 2, 4, None),
            ("NVIDIA L40S", "Ada Lovelace", DataCentre, 3, 3, None),
            ("NVIDIA RTX 6000 Ada Generation", "Ada Lovelace", Workstation, 3, 3, None),
            ("Quadro RTX 6000", "Turing", Workstation, 1, 1, None),
            ("NVIDIA GeForce RTX 4070", "Ada Lovelace", Consumer, 1, 1, Some(8)),
            ("NVIDIA GeForce RTX 4070 Ti SUPER", "Ada Lovelace", Consumer, 2, 1, Some(8)),
            ("NVIDIA GeForce RTX 4090 D", "Ada Lovelace", Consumer, 2, 1, Some(8)),
            ("NVIDIA H100 80GB HBM3", "Hopper", DataCentre, 0, 7, None),
            ("NVIDIA H200", "Hopper", DataCentre, 0, 7, None),
            ("NVIDIA H200 NVL", "Hopper", DataCentre, 0, 7, None),
            ("NVIDIA GH200 480GB", "Hopper", DataCentre, 0, 7, None),
            ("NVIDIA B200", "Blackwell", DataCentre, 0, 7, None),
            ("NVIDIA RTX PRO 6000 Blackwell Server Edition", "Blackwell", DataCentre, 4, 4, None),
            (
                "NVIDIA RTX PRO 6000 Blackwell Workstation Edition",
                "Blackwell",
                Workstation,
                4,
                4,
                None,
            ),
            ("NVIDIA GeForce RTX 5090", "Blackwell", Consumer, 3, 2, Some(8)),
            ("Intel GPU [8086:56c0]", "Intel graphics", DataCentre, 2, 2, None),
            ("Intel GPU [8086:56a0]", "Intel graphics", Consumer, 2, 2, None),
            ("Intel GPU [8086:3e92]", "Intel graphics", Integrated, 1, 1, None),
            ("AMD GPU [1002:744c]", "AMD VCN", Consumer, 2, 2, None),
            ("AMD GPU [1002:74a1]", "AMD VCN", DataCentre, 0, 4, None),
        ];
        for (name, family, class, encoders, decoders, sessions) in table {
            let profile = Profile::for_device(name).unwrap_or_else(|| panic!("{name}"));
            assert_eq!(profile.family, family, "{name}");
            assert_eq!(profile.class, class, "{name}");
            let limits = profile.limits();
            let seen = (limits.encode_engines, limits.decode_engines, limits.encode_sessions);
            assert_eq!(seen, (encoders, decoders, sessions), "{name}");
        }
    }

    #[test]
    fn unknown_products_have_none() {
        for name in ["", "NVIDIA", "NVIDIA GeForce GT 710", "GPU", "Intel GPU [8086:0042]", "L4 ]["]
        {
            let family = Profile::for_device(name).map(|profile| &profile.family);
            assert!(family.is_none() || name.starts_with("L4"), "{name}: {family:?}");
        }
    }
}
