//! From an event to what it adds. Pure: the same events give the same sums, in whatever order.

mod call;
mod channel;
mod quality;

use serde::Serialize;

use super::measure::{Crowd, Dimension, Measure};
use super::rollup::{Increments, Tally};
use super::words::Words;
use crate::events::{Data, Envelope, Logged, Unreadable};

/// Adds what an event says. `time_ms`: when it counts as having happened.
///
/// An event of a type or a version that isn't known counts as an event, and as nothing else.
pub fn fold(
    logged: &Logged,
    time_ms: u64,
    words: &mut Words,
    to: &mut Increments,
) -> Result<(), Unreadable> {
    let mut tally = Tally { words, to, time_ms };
    let envelope = &logged.envelope;
    let kind = tally.word(Dimension::Kind, &envelope.kind);
    tally.count(Measure::Events, kind, 0);
    if let Some(user) = &envelope.user {
        tally.user(Crowd::Users, user);
        if envelope.call.is_some() {
            tally.user(Crowd::Callers, user);
        }
    }
    match logged.data() {
        Ok(data) => of_data(&data, envelope, &mut tally),
        Err(Unreadable::Unknown(_) | Unreadable::Version { .. }) => {}
        Err(error) => return call::ended_otherwise(logged, &mut tally).ok_or(error),
    }
    Ok(())
}

fn of_data(data: &Data, envelope: &Envelope, tally: &mut Tally<'_>) {
    match data {
        Data::ClientReport(report) => quality::report(report, tally),
        Data::EventsLost(lost) => tally.add(Measure::EventsLost, 0, 0, lost.events),
        Data::DeviceLost(_) => dropped("device", envelope, tally),
        Data::ViewerJoined(_)
        | Data::ViewerLeft(_)
        | Data::ChannelLive(_)
        | Data::ChannelLost(_)
        | Data::ChannelSlate(_)
        | Data::ChannelWorkerRestarted(_)
        | Data::ChannelFallback(_) => channel::channel(data, envelope, tally),
        Data::RecordingStarted(_)
        | Data::RecordingEnded(_)
        | Data::RecordingChunkLost(_)
        | Data::RecordingSpoolFull(_)
        | Data::RecordingFileReady(_)
        | Data::RecordingFileFailed(_)
        | Data::RecordingDeleted(_) => {
            let what = envelope.kind.strip_prefix("recording.").unwrap_or_default();
            let what = tally.word(Dimension::Word, what);
            tally.count(Measure::Recording, what, 0);
        }
        _ => call::call(data, envelope, tally),
    }
}

/// Something broke off.
fn dropped(what: &str, envelope: &Envelope, tally: &mut Tally<'_>) {
    let cause = envelope.cause.as_deref().filter(|cause| is_word(cause));
    let what = tally.word(Dimension::Word, what);
    let cause = tally.word(Dimension::Word, cause.unwrap_or("unknown"));
    tally.count(Measure::Dropped, what, cause);
}

/// The cause, where it is one of few words and not a sentence.
fn cause(envelope: &Envelope) -> &str {
    envelope.cause.as_deref().filter(|cause| is_word(cause)).unwrap_or("unknown")
}

fn is_word(text: &str) -> bool {
    (1..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}

/// A word of a type that is written as one.
fn word_of(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}
