//! One event of each type, with every field that it can have.

use stentor_protocol::{BitsPerSecond, Codec, Resolution};

use super::super::Event;
use super::super::kinds::*;
use crate::calls::messages::{
    CandidateKind, Carrier, Configuration, Direction, EndReason, Network, Path, ReportReason,
    Topology, VideoConfiguration,
};

pub fn all() -> Vec<Event> {
    [of_calls(), of_devices(), of_channels(), of_recordings(), of_the_rest()].concat()
}

fn call(data: impl Into<Data>) -> Event {
    Event::new(data).of_call("c1").of_user("anna").of_device("d1")
}

fn of_calls() -> Vec<Event> {
    let configuration = Configuration {
        video: Some(VideoConfiguration {
            codec: Codec::H264,
            resolution: Resolution { width: 1280, height: 720 },
            frame_rate: 30,
            bitrate_bps: BitsPerSecond(2_000_000),
        }),
        audio_bps: BitsPerSecond(32_000),
    };
    vec![
        call(CallStarted {}),
        call(CallInvited { by: "bert".to_owned() }),
        call(CallRinging {}),
        call(CallAnswered { after_ms: 2500 }),
        call(CallDeclined {}).because("declined"),
        call(CallCancelled {}).because("cancelled"),
        call(CallBusy {}).because("busy"),
        call(CallMissed {}).because("no_answer"),
        call(CallJoined { how: Joined::Answered }),
        call(CallConnected { after_ms: 300 }),
        call(CallLost {}),
        call(CallResumed {}),
        call(CallLeft {}).because("left"),
        call(CallEnded { reason: EndReason::HungUp, lasted_ms: 60_000 }).because("hung_up"),
        call(CallConfigured { before: Some(configuration), after: configuration })
            .because("bandwidth_changed"),
        call(CallPath {
            from: "anna".to_owned(),
            to: "bert".to_owned(),
            before: Path::Direct,
            after: Path::Server,
        })
        .because("cut"),
        call(CallTopology { topology: Topology::Server }).because("13 people are in the call"),
        call(CallRecorded { recorded: true }),
    ]
}

fn of_devices() -> Vec<Event> {
    let device = |data: Data| Event::new(data).of_user("anna").of_device("d1");
    vec![
        device(DeviceConnected { network: Network::Wifi }.into()),
        device(DeviceResumed {}.into()),
        device(DeviceLost {}.into()),
        device(DeviceDisconnected {}.into()).because("expired"),
    ]
}

fn of_channels() -> Vec<Event> {
    let channel = |data: Data| Event::new(data).of_channel("news");
    vec![
        channel(ChannelLive {}.into()),
        channel(ChannelLost {}.into()).because("the publisher left"),
        channel(ChannelSlate {}.into()),
        channel(ChannelWorkerRestarted { restarts: 1 }.into()).because("killed by signal 9"),
        channel(
            ChannelFallback {
                rendition: Some("720p".to_owned()),
                from: "nvenc".to_owned(),
                to: "software".to_owned(),
            }
            .into(),
        )
        .because("the device is gone"),
        channel(
            ViewerJoined {
                session: "v1".to_owned(),
                rendition: Some("720p".to_owned()),
                location: Some(location()),
            }
            .into(),
        ),
        channel(
            ViewerLeft {
                session: "v1".to_owned(),
                rendition: Some("720p".to_owned()),
                lasted_ms: 90_000,
            }
            .into(),
        )
        .because("left"),
    ]
}

fn of_recordings() -> Vec<Event> {
    let form = RecordingForm::Composite;
    let recording = |data: Data| Event::new(data).of_recording("r1").of_call("c1").of_user("anna");
    vec![
        recording(RecordingStarted { form }.into()),
        recording(
            RecordingEnded {
                form,
                lasted_ms: 60_000,
                users: vec!["anna".to_owned(), "bert".to_owned()],
                chunks: 60,
                chunks_lost: 1,
            }
            .into(),
        ),
        recording(RecordingChunkLost { source: "anna".to_owned(), sequence: 7 }.into())
            .because("the store answered 403"),
        recording(RecordingSpoolFull { bytes: 1 << 30 }.into()),
        recording(
            RecordingFileReady {
                object: "2026/11/r1.mp4".to_owned(),
                bytes: 12_000_000,
                duration_ms: 60_000,
            }
            .into(),
        ),
        recording(RecordingFileFailed { attempts: 5 }.into()).because("no chunk can be read"),
        recording(RecordingDeleted { files: 2, bytes: 24_000_000 }.into()).because("expired"),
    ]
}

fn of_the_rest() -> Vec<Event> {
    let report = ClientReport {
        reason: ReportReason::Periodic,
        client: "phone, Chromium 140".to_owned(),
        width: 1080,
        height: 2340,
        network: Network::Cellular,
        location: Some(location()),
        quality: vec![Quality {
            user: "bert".to_owned(),
            direction: Direction::Receive,
            path: Path::Direct,
            local: Some(CandidateKind::Host),
            remote: Some(CandidateKind::Relay),
            transport: Some(Carrier::Udp),
            bitrate_bps: 1_500_000,
            lost_permille: 3,
            round_trip_ms: Some(40),
            frozen_permille: Some(12),
            width: Some(1280),
            height: Some(720),
            frame_rate: Some(30),
        }],
    };
    vec![call(report), Event::new(EventsLost { events: 17 }).because("log_full")]
}

fn location() -> Location {
    Location { country: "DE".to_owned(), city: Some("Berlin".to_owned()) }
}
