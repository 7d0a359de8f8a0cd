//! Every type of event. Each has its schema in `schemas/`, where the rule stands by which they
//! may change.

mod call;
mod channel;
mod client;
mod device;
mod log;
mod recording;
mod viewer;

use serde::{Deserialize, Serialize, Serializer};

use super::event::{Envelope, Unreadable};

pub use call::*;
pub use channel::*;
pub use client::*;
pub use device::*;
pub use log::*;
pub use recording::*;
pub use viewer::*;

/// The rest of a line, once its type is known.
#[derive(Deserialize)]
struct Rest<T> {
    data: T,
}

macro_rules! kinds {
    ($($kind:ident: $name:literal, $version:literal;)*) => {
        /// What happened: a variant for each type.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Data {
            $($kind($kind),)*
        }

        // === impl Data ===

        impl Data {
            /// Every type, with the version that is written.
            pub const KINDS: &[(&str, u32)] = &[$(($name, $version),)*];

            /// Such as `call.started`.
            pub const fn kind(&self) -> &'static str {
                match self {
                    $(Self::$kind(_) => $name,)*
                }
            }

            pub const fn version(&self) -> u32 {
                match self {
                    $(Self::$kind(_) => $version,)*
                }
            }

            /// What a line with this envelope says.
            pub(super) fn read(envelope: &Envelope, line: &str) -> Result<Self, Unreadable> {
                let version = envelope.version;
                match envelope.kind.as_str() {
                    $($name if version == $version => {
                        Ok(Self::$kind(serde_json::from_str::<Rest<$kind>>(line)?.data))
                    })*
                    $($name => {
                        Err(Unreadable::Version { kind: envelope.kind.clone(), version })
                    })*
                    unknown => Err(Unreadable::Unknown(unknown.to_owned())),
                }
            }
        }

        impl Serialize for Data {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self {
                    $(Self::$kind(data) => data.serialize(serializer),)*
                }
            }
        }

        $(impl From<$kind> for Data {
            fn from(data: $kind) -> Self {
                Self::$kind(data)
            }
        })*
    };
}

kinds! {
    CallStarted: "call.started", 1;
    CallInvited: "call.invited", 1;
    CallRinging: "call.ringing", 1;
    CallAnswered: "call.answered", 1;
    CallDeclined: "call.declined", 1;
    CallCancelled: "call.cancelled", 1;
    CallBusy: "call.busy", 1;
    CallMissed: "call.missed", 1;
    CallJoined: "call.joined", 1;
    CallConnected: "call.connected", 1;
    CallLost: "call.lost", 1;
    CallResumed: "call.resumed", 1;
    CallLeft: "call.left", 1;
    CallEnded: "call.ended", 1;
    CallConfigured: "call.configured", 1;
    CallPath: "call.path", 1;
    CallTopology: "call.topology", 1;
    CallRecorded: "call.recorded", 1;
    DeviceConnected: "device.connected", 1;
    DeviceResumed: "device.resumed", 1;
    DeviceLost: "device.lost", 1;
    DeviceDisconnected: "device.disconnected", 1;
    ChannelLive: "channel.live", 1;
    ChannelLost: "channel.lost", 1;
    ChannelSlate: "channel.slate", 1;
    ChannelWorkerRestarted: "channel.worker-restarted", 1;
    ChannelFallback: "channel.fallback", 1;
    ViewerJoined: "viewer.joined", 1;
    ViewerLeft: "viewer.left", 1;
    RecordingStarted: "recording.started", 1;
    RecordingEnded: "recording.ended", 1;
    RecordingChunkLost: "recording.chunk-lost", 1;
    RecordingSpoolFull: "recording.spool-full", 1;
    RecordingFileReady: "recording.file-ready", 1;
    RecordingFileFailed: "recording.file-failed", 1;
    RecordingDeleted: "recording.deleted", 1;
    ClientReport: "client.report", 1;
    EventsLost: "events.lost", 1;
}
