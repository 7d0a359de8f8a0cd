//! What calls add.

use super::{cause, dropped, word_of};
use crate::analytics::measure::{Dimension, Gauge, Measure};
use crate::analytics::rollup::Tally;
use crate::events::{Data, Envelope};

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
            let reason = tally.word(Dimension::Word, &word_of(&ended.reason));
            tally.add(Measure::Ended, reason, 0, ended.lasted_ms);
            tally.end(Gauge::Calls, name, 0, 0, ended.lasted_ms);
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

fn unanswered(how: &str, tally: &mut Tally<'_>) {
    let how = tally.word(Dimension::Word, how);
    tally.count(Measure::Unanswered, how, 0);
}
