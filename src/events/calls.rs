//! What the hub of calls notes, as events.

use std::time::Duration;

use serde::Serialize;

use super::event::Event;
use super::kinds::*;
use crate::calls::hub::{Note, Step};
use crate::calls::ids::{Address, CallId};
use crate::calls::messages::{OutCause, Path};
use crate::calls::signalling::{Event as CallEvent, Turn};

/// None to three of them: a note may be for metrics alone.
pub fn events_of(note: &Note) -> Vec<Event> {
    match note {
        Note::Refused(_) | Note::NotFollowed(_) => Vec::new(),
        Note::Started { call, by } => {
            let by = by.as_ref();
            let joined = CallJoined { how: Joined::Started };
            vec![of(call, by, CallStarted {}), of(call, by, joined)]
        }
        Note::Rings { call, address } => vec![of(call, Some(address), CallRinging {})],
        Note::Answered { call, user, device, after } => {
            let event = Event::new(CallAnswered { after_ms: ms(*after) });
            let event = event.of_call(call).of_user(user);
            vec![device.iter().fold(event, Event::of_device)]
        }
        Note::Connected { call, address, after } => {
            vec![of(call, Some(address), CallConnected { after_ms: ms(*after) })]
        }
        Note::Device { address, step } => vec![device(address, *step)],
        Note::Configured { call, change } => {
            let data = CallConfigured { before: change.before, after: change.after };
            vec![of(call, None, data).because(word(change.cause))]
        }
        Note::Moved { call, from, to, step } => {
            let before = if step.to == Path::Server { Path::Direct } else { Path::Server };
            let (from, to) = (from.to_string(), to.to_string());
            let data = CallPath { from, to, before, after: step.to };
            vec![of(call, None, data).because(step.cause.name())]
        }
        Note::Arranged { call, topology, reason } => {
            let data = CallTopology { topology: *topology };
            vec![of(call, None, data).because(reason.as_str())]
        }
        Note::Ended { call, reason, lasted } => {
            let data = CallEnded { reason: *reason, lasted_ms: ms(*lasted) };
            vec![of(call, None, data).because(word(*reason))]
        }
        Note::Turn { call, event } => turn(call, event).into_iter().collect(),
    }
}

fn turn(call: &CallId, event: &CallEvent) -> Option<Event> {
    let of = |data: Data| {
        let told = Event::new(data).of_call(call);
        let told = event.user.iter().fold(told, Event::of_user);
        event.device.iter().fold(told, Event::of_device)
    };
    let joined = |how| Some(of(CallJoined { how }.into()));
    match &event.turn {
        Turn::Invited { by } => Some(of(CallInvited { by: by.to_string() }.into())),
        Turn::Answered => joined(Joined::Answered),
        Turn::Rejoined => joined(Joined::Rejoined),
        Turn::Moved => joined(Joined::Moved),
        Turn::SocketLost => Some(of(CallLost {}.into())),
        Turn::SocketResumed => Some(of(CallResumed {}.into())),
        Turn::Out(cause) => Some(of(out(*cause)).because(word(*cause))),
        Turn::Recorded(recorded) => Some(of(CallRecorded { recorded: *recorded }.into())),
        // The hub says it better: with the reason, and how long it lasted.
        Turn::Topology(_) | Turn::Ended(_) => None,
    }
}

fn out(cause: OutCause) -> Data {
    match cause {
        OutCause::Left | OutCause::Lost | OutCause::NodeGone => CallLeft {}.into(),
        OutCause::Declined => CallDeclined {}.into(),
        OutCause::Busy => CallBusy {}.into(),
        OutCause::Cancelled => CallCancelled {}.into(),
        OutCause::NoAnswer | OutCause::Unreachable | OutCause::DoNotDisturb => CallMissed {}.into(),
    }
}

fn device(address: &Address, step: Step) -> Event {
    let of = |data: Data| Event::new(data).of_user(&address.user).of_device(&address.device);
    match step {
        Step::Connected(network) => of(DeviceConnected { network }.into()),
        Step::Resumed => of(DeviceResumed {}.into()),
        Step::Lost => of(DeviceLost {}.into()),
        Step::Gone(why) => of(DeviceDisconnected {}.into()).because(why.name()),
    }
}

fn of(call: &CallId, address: Option<&Address>, data: impl Into<Data>) -> Event {
    let event = Event::new(data).of_call(call);
    match address {
        Some(address) => event.of_user(&address.user).of_device(&address.device),
        None => event,
    }
}

/// As messages have it.
fn word(of: impl Serialize) -> String {
    let word = serde_json::to_value(of).unwrap_or_default();
    word.as_str().unwrap_or("other").to_owned()
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
