//! What channels and their viewers add.

use super::quality::country;
use super::{cause, dropped};
use crate::analytics::measure::{Dimension, Gauge, Measure};
use crate::analytics::rollup::Tally;
use crate::analytics::words::WordId;
use crate::events::{Data, Envelope};

pub fn channel(data: &Data, envelope: &Envelope, tally: &mut Tally<'_>) {
    let name = envelope.channel.as_deref().unwrap_or_default();
    let channel = tally.word(Dimension::Channel, name);
    match data {
        Data::ViewerJoined(joined) => {
            let rendition = rendition(joined.rendition.as_deref(), tally);
            tally.count(Measure::ViewerJoined, channel, rendition);
            let country = country(joined.location.as_ref(), tally);
            tally.count(Measure::ViewerCountry, country, 0);
            tally.begin(Gauge::Viewers, &joined.session, &envelope.node, channel, rendition);
        }
        Data::ViewerLeft(left) => {
            let rendition = rendition(left.rendition.as_deref(), tally);
            tally.add(Measure::ViewerLeft, channel, rendition, left.lasted_ms);
            tally.end(Gauge::Viewers, &left.session, channel, rendition, left.lasted_ms);
            if !matches!(cause(envelope), "left" | "unknown") {
                dropped("viewer", envelope, tally);
            }
        }
        _ => {
            let what = envelope.kind.strip_prefix("channel.").unwrap_or_default();
            let what = tally.word(Dimension::Word, what);
            tally.count(Measure::Channel, channel, what);
            if matches!(data, Data::ChannelLost(_)) {
                dropped("channel", envelope, tally);
            }
        }
    }
}

fn rendition(name: Option<&str>, tally: &mut Tally<'_>) -> WordId {
    tally.word(Dimension::Rendition, name.unwrap_or("auto"))
}
