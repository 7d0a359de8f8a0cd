//! What calls add.

use serde::Deserialize;

use super::{cause, dropped, word_of};
use crate::analytics::measure::{Dimension, Gauge, Measure};
use crate::analytics::rollup::Tally;
use crate::analytics::words::OTHER;
use crate::events::{Data, Envelope, Logged};

/// What of a call's end can be read whatever its reason is.
#[derive(Deserialize)]
struct Ended {
    data: Lasted,
}

#[derive(Deserialize)]
struct Lasted {
    lasted_ms: u64,
}

pub fn call(data: &Data, envelope: &Envelope, tally: &mut Tally<'_>) {
    let Some(name) = &envelope.call else { return };
    match data {
        Data::CallStarted(_) => {
            tally.count(Measure::Started, 0, 0);
            tally.begin(Gauge::Calls, name, &envelope.node, 0, 0);
        }
        Data::CallInvited(_) => tally.count(Measure::Invited, 0, 0),
        Data::CallAnswered(answered) => {
            tally.count(Measure::Answered, 0, 0);
            tally.time(Measure::AnswerTime, answered.after_ms);
        }
        Data::CallDeclined(_) => unanswered("declined", tally),
        Data::CallCancelled(_) => unanswered("cancelled", tally),
        Data::CallBusy(_) => unanswered("busy", tally),
        Data::CallMissed(_) => unanswered(cause(envelope), tally),
        Data::CallJoined(joined) => {
            let how = tally.word(Dimension::Word, &word_of(&joined.how));
            tally.count(Measure::Joined, how, 0);
        }
        Data::CallConnected(connected) => tally.time(Measure::SetUpTime, connected.after_ms),
        Data::CallLost(_) => dropped("connection", envelope, tally),
        Data::CallLeft(_) if cause(envelope) != "left" => dropped("call", envelope, tally),
        Data::CallEnded(ended) => {
            self::ended(name, &word_of(&ended.reason), ended.lasted_ms, tally);
        }
        Data::CallConfigured(configured) => {
            let why = tally.word(Dimension::Word, cause(envelope));
            tally.count(Measure::Configured, why, 0);
            let video = configured.after.video.as_ref();
            let codec = video.map_or_else(|| "none".to_owned(), |video| word_of(&video.codec));
            let codec = tally.word(Dimension::Codec, &codec);
            tally.count(Measure::Codec, codec, 0);
        }
        Data::CallPath(path) => {
            let ways = format!("{}_to_{}", word_of(&path.before), word_of(&path.after));
            let ways = tally.word(Dimension::Word, &ways);
            let why = tally.word(Dimension::Word, cause(envelope));
            tally.count(Measure::PathChanged, ways, why);
        }
        Data::CallTopology(topology) => {
            let topology = tally.word(Dimension::Word, &word_of(&topology.topology));
            tally.count(Measure::Topology, topology, 0);
        }
        _ => {}
    }
}

/// A newer server's words for why may be others: the call is over all the same. None: it is
/// something else that can't be read.
pub fn ended_otherwise(logged: &Logged, tally: &mut Tally<'_>) -> Option<()> {
    let name = logged.envelope.call.as_ref().filter(|_| logged.envelope.kind == "call.ended")?;
    let read: Ended = serde_json::from_str(&logged.line).ok()?;
    ended(name, OTHER, read.data.lasted_ms, tally);
    Some(())
}

fn ended(call: &str, reason: &str, lasted_ms: u64, tally: &mut Tally<'_>) {
    let reason = tally.word(Dimension::Word, reason);
    tally.add(Measure::Ended, reason, 0, lasted_ms);
    tally.end(Gauge::Calls, call, 0, 0, lasted_ms);
}

fn unanswered(how: &str, tally: &mut Tally<'_>) {
    let how = tally.word(Dimension::Word, how);
    tally.count(Measure::Unanswered, how, 0);
}
