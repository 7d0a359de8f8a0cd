//! What devices' reports add: each figure once for each thing by which it may be asked for.

use super::word_of;
use crate::analytics::client::describe;
use crate::analytics::measure::{Dimension, Measure};
use crate::analytics::rollup::Tally;
use crate::analytics::words::WordId;
use crate::calls::messages::Direction;
use crate::events::kinds::{ClientReport, Location, Quality};

/// Names of dimensions, as they stand before a value; the first one is all of them.
pub const BY: &[&str] = &["all", "country", "device", "network", "browser"];

/// Heights of pictures, each class up to and with it.
const SIZES: &[(u32, &str)] = &[
    (180, "180p"),
    (240, "240p"),
    (360, "360p"),
    (540, "540p"),
    (720, "720p"),
    (1080, "1080p"),
    (1440, "1440p"),
];

pub fn report(report: &ClientReport, tally: &mut Tally<'_>) {
    if report.quality.is_empty() {
        return;
    }
    let (device, browser) = describe(&report.client);
    let values = [
        0,
        country(report.location.as_ref(), tally),
        tally.word(Dimension::Device, device),
        tally.word(Dimension::Network, &word_of(&report.network)),
        tally.word(Dimension::Browser, browser),
    ];
    for quality in &report.quality {
        let way = tally.word(Dimension::Word, &way_of(quality));
        tally.count(Measure::Way, way, 0);
        // What one sends the other receives, and what arrives is what counts.
        if quality.direction == Direction::Receive {
            for (by, value) in BY.iter().zip(values) {
                let by = tally.word(Dimension::Word, by);
                received(quality, by, value, tally);
            }
        }
    }
}

/// `direct`, `relayed` or `server`.
fn way_of(quality: &Quality) -> String {
    if quality.is_relayed() { "relayed".to_owned() } else { word_of(&quality.path) }
}

fn received(quality: &Quality, by: WordId, value: WordId, tally: &mut Tally<'_>) {
    tally.add(Measure::Bitrate, by, value, quality.bitrate_bps);
    tally.add(Measure::Loss, by, value, quality.lost_permille.into());
    if let Some(ms) = quality.round_trip_ms {
        tally.add(Measure::RoundTrip, by, value, ms.into());
    }
    if let Some(permille) = quality.frozen_permille {
        tally.add(Measure::Frozen, by, value, permille.into());
    }
    let (Some(width), Some(height)) = (quality.width, quality.height) else { return };
    // A phone's picture stands upright.
    let height = width.min(height);
    tally.add(Measure::Height, by, value, height.into());
    if value == 0 {
        let class =
            SIZES.iter().find(|(most, _)| height <= *most).map_or("2160p", |(_, name)| name);
        let class = tally.word(Dimension::Rendition, class);
        tally.count(Measure::Size, class, 0);
    }
}

/// Two capital letters, or nothing that is known.
pub fn country(location: Option<&Location>, tally: &mut Tally<'_>) -> WordId {
    let code = location.map(|location| location.country.as_str());
    let fits = |code: &&str| code.len() == 2 && code.bytes().all(|b| b.is_ascii_uppercase());
    tally.word(Dimension::Country, code.filter(fits).unwrap_or("unknown"))
}
