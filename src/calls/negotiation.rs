//! What devices are to send, so that it suits the weakest of them in each category: codec, size,
//! frame rate, line up, line down, kind of network.
//!
//! In a pair and in a mesh, everybody sends the same to everybody, so all have to encode it and
//! all have to decode it. Through the server a device sends once, and what is too much for a
//! receiver the server makes smaller: there the sender's own limits count alone.

use stentor_protocol::{BitsPerSecond, Codec, Resolution};

use super::messages::{
    Capabilities, CodecLimit, Configuration, ConfigureCause, Network, VideoConfiguration,
};

/// A configuration that takes another's place, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    pub before: Option<Configuration>,
    pub after: Configuration,
    pub cause: ConfigureCause,
}

/// A size and frame rate, and what it takes.
#[derive(Debug, Clone, Copy)]
struct Step {
    size: Resolution,
    frame_rate: u32,
    /// In H.264. Below the least the next smaller picture looks better; above the most, more
    /// doesn't show.
    least_kbps: u64,
    most_kbps: u64,
}

const STEPS: &[Step] = &[
    step(1920, 1080, 30, 2000, 4500),
    step(1280, 720, 30, 900, 2500),
    step(960, 540, 30, 550, 1400),
    step(640, 360, 30, 280, 900),
    step(480, 270, 30, 150, 450),
    step(320, 180, 15, 60, 200),
];
/// Those that calls use, the best first. The call server reads each.
const CODECS: [Codec; 3] = [Codec::Av1, Codec::H264, Codec::Vp8];
/// Opus, one voice.
const AUDIO: BitsPerSecond = BitsPerSecond::from_kilo(32);
/// Opus where there is little.
const THIN_AUDIO: BitsPerSecond = BitsPerSecond::from_kilo(16);
/// Percent of a line that is used; the rest is for headers, retransmissions and other people.
const SHARE: u64 = 80;
/// Percent of a step's least that it takes to go up to it: lines waver.
const UP_MARGIN: u64 = 125;
/// Percent by which a bit rate must differ to be told.
const TOLD: u64 = 10;

const fn step(width: u32, height: u32, frame_rate: u32, least_kbps: u64, most_kbps: u64) -> Step {
    Step { size: Resolution::new(width, height), frame_rate, least_kbps, most_kbps }
}

/// For those who send to each other directly: two or more. `current` is what they do now, which
/// gets the benefit of the doubt.
pub fn for_mesh(devices: &[Capabilities], current: Option<&Configuration>) -> Configuration {
    let others = devices.len().saturating_sub(1).max(1) as u64;
    let lines = devices.iter().flat_map(|d| [d.up_bps, d.down_bps]);
    let per_peer = lines.min().unwrap_or_default().0.saturating_mul(SHARE) / 100 / others;
    let network = devices.iter().map(|d| d.network).max().unwrap_or(Network::Unknown);
    let decoders: Vec<&[CodecLimit]> = devices.iter().map(|d| d.decode.as_slice()).collect();
    let encoders: Vec<&[CodecLimit]> = devices.iter().map(|d| d.encode.as_slice()).collect();
    let common = common(&[encoders, decoders].concat());
    configure(common.as_ref(), BitsPerSecond(per_peer), network, current)
}

/// For one who sends to the server.
pub fn for_server(device: &Capabilities, current: Option<&Configuration>) -> Configuration {
    let line = BitsPerSecond(device.up_bps.0.saturating_mul(SHARE) / 100);
    let common = common(&[device.encode.as_slice()]);
    configure(common.as_ref(), line, device.network, current)
}

/// What to tell the devices; None where nothing changes that would show.
pub fn change(
    before: Option<Configuration>,
    after: Configuration,
    cause: ConfigureCause,
) -> Option<Change> {
    let shows = match before {
        None => true,
        Some(before) => differs(&before, &after),
    };
    shows.then_some(Change { before, after, cause })
}

/// The codec that all have, and how far all go with it.
fn common(sets: &[&[CodecLimit]]) -> Option<CodecLimit> {
    let (first, rest) = sets.split_first()?;
    let shared = |codec: Codec| {
        let limit = *first.iter().find(|limit| limit.codec == codec)?;
        rest.iter().try_fold(limit, |limit, set| {
            let other = set.iter().find(|other| other.codec == codec)?;
            Some(weaker(limit, *other))
        })
    };
    let all = CODECS.iter().filter_map(|codec| shared(*codec));
    // One codec that is slow on one device may be worse than a lesser one that all do well: the
    // most pixels a second win, and the better codec among equals.
    all.reduce(|best, other| if speed(&other) > speed(&best) { other } else { best })
}

fn speed(limit: &CodecLimit) -> u64 {
    limit.resolution.pixels().saturating_mul(u64::from(limit.frame_rate))
}

fn weaker(a: CodecLimit, b: CodecLimit) -> CodecLimit {
    let (a_long, a_short) = sides(a.resolution);
    let (b_long, b_short) = sides(b.resolution);
    CodecLimit {
        codec: a.codec,
        resolution: Resolution::new(a_long.min(b_long), a_short.min(b_short)),
        frame_rate: a.frame_rate.min(b.frame_rate),
    }
}

/// The longer and the shorter: a telephone is held upright.
fn sides(size: Resolution) -> (u32, u32) {
    (size.width.max(size.height), size.width.min(size.height))
}

fn configure(
    common: Option<&CodecLimit>,
    line: BitsPerSecond,
    network: Network,
    current: Option<&Configuration>,
) -> Configuration {
    let audio_bps = if line.0 < 4 * AUDIO.0 { THIN_AUDIO } else { AUDIO };
    let line = line.0.saturating_sub(audio_bps.0).min(most_of(network));
    let current = current.and_then(|configuration| configuration.video);
    let video = common.and_then(|common| {
        let fitting = STEPS.iter().filter(|step| step.fits(common));
        let step = fitting.into_iter().find(|step| {
            let goes_up = current.is_none_or(|video| video.resolution.pixels() < step.pixels());
            let margin = if current.is_some() && goes_up { UP_MARGIN } else { 100 };
            line >= step.least(common.codec) * margin / 100
        })?;
        Some(VideoConfiguration {
            codec: common.codec,
            resolution: step.size,
            frame_rate: step.frame_rate.min(common.frame_rate),
            bitrate_bps: rounded(line.min(step.most(common.codec))),
        })
    });
    Configuration { video, audio_bps }
}

/// What a kind of network is good for, whatever was measured: a cell is shared, and costs.
fn most_of(network: Network) -> u64 {
    match network {
        Network::Ethernet | Network::Wifi => u64::MAX,
        Network::Unknown => 2_500_000,
        Network::Cellular => 1_200_000,
    }
}

fn rounded(bits: u64) -> BitsPerSecond {
    BitsPerSecond((bits / 10_000).max(1) * 10_000)
}

fn differs(before: &Configuration, after: &Configuration) -> bool {
    let (Some(old), Some(new)) = (before.video, after.video) else {
        return before != after;
    };
    let (low, high) =
        (old.bitrate_bps.min(new.bitrate_bps).0, old.bitrate_bps.max(new.bitrate_bps).0);
    let same_kind = VideoConfiguration { bitrate_bps: new.bitrate_bps, ..old } == new;
    !same_kind || before.audio_bps != after.audio_bps || (high - low) * 100 > high * TOLD
}

// === impl Step ===

impl Step {
    fn fits(&self, limit: &CodecLimit) -> bool {
        let (long, short) = sides(limit.resolution);
        self.size.width <= long && self.size.height <= short
    }

    fn pixels(&self) -> u64 {
        self.size.pixels()
    }

    fn least(&self, codec: Codec) -> u64 {
        self.least_kbps * 10 * percent(codec)
    }

    fn most(&self, codec: Codec) -> u64 {
        self.most_kbps * 10 * percent(codec)
    }
}

/// Of H.264's bits, for the same picture.
fn percent(codec: Codec) -> u64 {
    if codec == Codec::Av1 { 70 } else { 100 }
}

#[cfg(test)]
mod tests;
