//! A worker without media, for tests of the control plane: it speaks the control protocol and
//! does what the channel's name asks for.

#![allow(clippy::print_stdout, reason = "a probe's report goes to standard output")]

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::FromRawFd as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use stentor_protocol::CONTROL_FD;
use stentor_protocol::control::{
    AudioFormat, Command, Event, Fault, FrameReader, SourceState, VideoFormat, WorkerStats, encode,
};
use stentor_protocol::probe::{Device, Direction, Entry, Limits, ProbeReport};
use stentor_protocol::recording::{Chunk, RecordingSpec};
use stentor_protocol::spec::{Backend, ChannelSpec, Codec, SourceSpec};
use stentor_protocol::units::{FrameRate, Resolution};

type Socket = Arc<Mutex<File>>;
/// Recordings that go on; those that are told to stop are taken out.
type Recordings = Arc<Mutex<BTreeSet<String>>>;

fn main() -> ExitCode {
    // A real one reads strangers' media: the stores' credentials are none of its business.
    if std::env::vars_os().any(|(name, _)| name.to_string_lossy().starts_with("AWS_")) {
        eprintln!("a secret is in the environment");
        return ExitCode::from(9);
    }
    match std::env::args().nth(1).as_deref() {
        Some("probe") => {
            let report = serde_json::to_string(&report()).unwrap_or_default();
            println!("{report}");
            ExitCode::SUCCESS
        }
        Some("run") => run(),
        Some("compile") => compile(),
        _ => ExitCode::from(2),
    }
}

/// One core that encodes 50 and decodes and scales 500 megapixels per second.
fn report() -> ProbeReport {
    let entry = |codec, direction, speed| Entry {
        codec,
        direction,
        implementation: "fake".into(),
        works: true,
        reason: String::new(),
        megapixels_per_second: Some(speed),
    };
    let mut entries = vec![entry(Codec::H264, Direction::Scale, 500.0)];
    for codec in [Codec::H264, Codec::Vp8] {
        entries.push(entry(codec, Direction::Encode, 50.0));
        entries.push(entry(codec, Direction::Decode, 500.0));
    }
    let device = Device {
        backend: Backend::Software,
        id: "cpu".into(),
        name: "One core".into(),
        driver: String::new(),
        entries,
        limits: Limits::default(),
    };
    ProbeReport { libavcodec: "0".into(), devices: vec![device] }
}

fn run() -> ExitCode {
    // SAFETY: the daemon hands this descriptor over for us to own.
    let control = unsafe { File::from_raw_fd(CONTROL_FD) };
    let mut input = control.try_clone().expect("a descriptor");
    let output: Socket = Arc::new(Mutex::new(control));
    let mut reader = FrameReader::default();
    let mut bytes = [0; 65536];
    let mut spec = None;
    let recordings = Recordings::default();
    loop {
        let count = input.read(&mut bytes).unwrap_or(0);
        if count == 0 {
            return ExitCode::SUCCESS;
        }
        reader.handle_bytes(&bytes[..count]);
        while let Some(command) = reader.poll_message::<Command>().expect("a command") {
            match command {
                Command::Shutdown => return ExitCode::SUCCESS,
                Command::Start(start) => {
                    begin(&start, &output);
                    spec = Some(start);
                }
                Command::StartRecording(recording) => record(recording, &recordings, &output),
                Command::StopRecording { recording } => {
                    recordings.lock().expect("a lock").remove(&recording);
                }
                command => handle(&command, spec.as_ref(), &output),
            }
        }
    }
}

fn begin(spec: &ChannelSpec, output: &Socket) {
    say(
        output,
        &Event::Ready { pid: std::process::id(), version: env!("CARGO_PKG_VERSION").into() },
    );
    let live = !matches!(spec.source, SourceSpec::Whip { .. });
    let state = if live { SourceState::Live } else { SourceState::Waiting };
    say(output, &Event::Source { state, detail: String::new() });
    if live {
        // A stranger's camera is larger than it was expected to be.
        let large = spec.channel.starts_with("large");
        let resolution = match &spec.source {
            _ if large => Resolution::new(7680, 4320),
            SourceSpec::Synthetic { resolution, .. } => *resolution,
            _ => Resolution::new(1280, 720),
        };
        let video = VideoFormat {
            codec: Codec::H264,
            resolution,
            frame_rate: Some(FrameRate::new(30, 1)),
            pass_through: true,
            profile_level_id: None,
        };
        let audio = AudioFormat { codec: Codec::Opus, sample_rate_hz: 48_000, channels: 2 };
        say(output, &Event::Format { video: Some(video), audio: Some(audio) });
        say(output, &Event::Thumbnail { jpeg: vec![0xff, 0xd8, 0xff, 0xd9] });
    }
    if spec.channel.starts_with("crash") {
        std::process::exit(3);
    }
    if spec.channel.starts_with("falling") {
        let reason = "as asked for".into();
        let (from, to) = (Backend::Nvenc, Backend::Software);
        say(output, &Event::Fallback { track: None, from, to, reason });
    }
    if spec.channel.starts_with("silent") {
        return;
    }
    let output = output.clone();
    std::thread::spawn(move || {
        let mut stats = WorkerStats { pipeline_latency_ms: 7.0, ..WorkerStats::default() };
        loop {
            std::thread::sleep(Duration::from_millis(300));
            stats.source_bytes += 37_500;
            stats.frames_decoded += 9;
            say(&output, &Event::Stats(stats.clone()));
        }
    });
}

fn handle(command: &Command, spec: Option<&ChannelSpec>, output: &Socket) {
    match command {
        Command::WhipOffer { session, sdp } => {
            let session = session.clone();
            let refused = |fault| Event::WhipRefused {
                session: session.clone(),
                fault,
                reason: "as asked for".into(),
            };
            let event = if sdp.contains("a=x-silent") {
                return;
            } else if sdp.contains("a=x-busy") {
                refused(Fault::Busy)
            } else if sdp.contains("a=x-no-codec") {
                refused(Fault::NoCommonCodec)
            } else if sdp.contains("a=x-crash") {
                std::process::exit(4);
            } else {
                Event::WhipAnswer { session: session.clone(), sdp: "v=0\r\nm=answer\r\n".into() }
            };
            say(output, &event);
            say(output, &Event::Source { state: SourceState::Live, detail: String::new() });
        }
        Command::WhipClose { session } => {
            let session = session.clone();
            say(output, &Event::WhipEnded { session, reason: "closed".into() });
            say(output, &Event::Source { state: SourceState::Waiting, detail: String::new() });
        }
        Command::StartRung(rung) => {
            let failing = spec.is_some_and(|s| s.channel.starts_with("failing"));
            let event = if failing {
                Event::RungFailed { track: rung.track, reason: "as asked for".into() }
            } else {
                Event::RungStarted {
                    track: rung.track,
                    backend: Some(Backend::Software),
                    encoder: "fake".into(),
                    resolution: Resolution::new(640, 360),
                }
            };
            say(output, &event);
        }
        Command::StopRung { track } => say(output, &Event::RungStopped { track: *track }),
        _ => {}
    }
}

fn say(output: &Socket, event: &Event) {
    let frame = encode(event).expect("an event");
    if let Ok(mut output) = output.lock()
        && output.write_all(&frame).is_err()
    {
        std::process::exit(0);
    }
}

/// Writes a chunk ten times a second, each with its own text.
fn record(spec: RecordingSpec, recordings: &Recordings, output: &Socket) {
    if !recordings.lock().expect("a lock").insert(spec.recording.clone()) {
        return;
    }
    let recording = spec.recording.clone();
    say(output, &Event::RecordingStarted { recording: recording.clone() });
    let (recordings, output) = (recordings.clone(), output.clone());
    std::thread::spawn(move || {
        let mut sequence = 0;
        while recordings.lock().expect("a lock").contains(&recording) {
            sequence += 1;
            write_chunk(&spec, sequence, &output);
        }
        say(&output, &Event::RecordingStopped { recording });
    });
}

fn write_chunk(spec: &RecordingSpec, sequence: u32, output: &Socket) {
    let file = format!("{sequence:08}.mkv");
    let part = spec.folder.join(format!("{file}.part"));
    let text = format!("{} {sequence}\n", spec.folder.display()).repeat(20);
    let written = std::fs::write(&part, &text);
    std::thread::sleep(Duration::from_millis(100));
    let written = written.and_then(|()| std::fs::rename(&part, spec.folder.join(&file)));
    let recording = spec.recording.clone();
    if let Err(error) = written {
        let _ = std::fs::remove_file(&part);
        let full = error.kind() == std::io::ErrorKind::StorageFull;
        let reason = error.to_string();
        return say(output, &Event::RecordingTrouble { recording, full, reason });
    }
    let chunk = Chunk {
        sequence,
        file,
        bytes: text.len() as u64,
        begin_us: i64::from(sequence) * 100_000,
        duration_us: 100_000,
        video: Some(Codec::H264),
        audio: Some(Codec::Opus),
        starts_with_keyframe: true,
        resolution: Some(Resolution::new(640, 360)),
    };
    say(output, &Event::ChunkWritten { recording, chunk });
}

/// Puts chunks one behind the other, or does what a source's name asks for.
fn compile() -> ExitCode {
    let plan = std::env::args().nth(2).expect("a plan");
    let plan = std::fs::read(plan).expect("a plan");
    let plan: serde_json::Value = serde_json::from_slice(&plan).expect("JSON");
    let mut whole = Vec::new();
    for source in plan["sources"].as_array().expect("sources") {
        let name = source["name"].as_str().unwrap_or_default();
        if name.starts_with("unmade") {
            eprintln!("as asked for");
            return ExitCode::from(1);
        }
        if name.starts_with("slow") {
            std::thread::sleep(Duration::from_secs(1));
        }
        for chunk in source["chunks"].as_array().expect("chunks") {
            let path = PathBuf::from(chunk.as_str().expect("a path"));
            whole.extend(std::fs::read(path).expect("a chunk"));
        }
    }
    if whole.is_empty() {
        eprintln!("no chunk is good for anything");
        return ExitCode::from(3);
    }
    std::fs::write(plan["output"].as_str().expect("a path"), &whole).expect("a file");
    let bytes = whole.len();
    println!(
        "{{\"duration_ms\":100,\"bytes\":{bytes},\"video\":\"h264\",\"audio\":\"opus\",\
          \"width\":640,\"height\":360,\"left_out\":[],\"gaps\":[]}}"
    );
    ExitCode::SUCCESS
}
