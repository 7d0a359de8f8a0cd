//! What recording costs: drives a worker without and with a recording of its source, and makes an
//! hour of the chunks that came.
//!
//! `record WORKER CLIP FOLDER SECONDS`: prints the share of a core that the worker takes without
//! a recording and with one. `hour FOLDER OUT SECONDS`: repeats a folder's chunks, at later and
//! later times, for so long.

#![allow(clippy::print_stdout, reason = "what is measured goes to standard output")]

use std::error::Error;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsRawFd as _, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Process};
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::time::{ClockId, clock_gettime};
use stentor_pipelines::container::matroska::{ChunkFile, Cluster, Header, Kind};
use stentor_protocol::control::{self, Command};
use stentor_protocol::recording::RecordingSpec;
use stentor_protocol::spec::{HardwarePolicy, SourceSpec, WhipSettings};
use stentor_protocol::{CONTROL_FD, ChannelSpec, MEDIA_FD};

/// A worker that starts is left alone so long.
const WARM_UP: Duration = Duration::from_secs(2);

type Failure = Box<dyn Error>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["record", worker, clip, folder, seconds] => {
            record(worker, clip, Path::new(folder), seconds.parse()?)
        }
        ["hour", folder, out, seconds] => hour(Path::new(folder), Path::new(out), seconds.parse()?),
        _ => Err("usage: record WORKER CLIP FOLDER SECONDS | hour FOLDER OUT SECONDS".into()),
    }
}

fn record(worker: &str, clip: &str, folder: &Path, seconds: u64) -> Result<(), Failure> {
    let (mut control, mut child) = start(worker)?;
    let source = SourceSpec::File { path: clip.into(), repeat: true };
    send(&mut control, &Command::Start(channel(source)))?;
    thread::sleep(WARM_UP);
    let span = Duration::from_secs(seconds);
    // By turns, so that what else the machine does hits both alike.
    let (mut without, mut with) = (0.0, 0.0);
    for turn in 0..4 {
        if turn % 2 == 0 {
            without += share(child.id(), span / 2)?;
        } else {
            send(&mut control, &Command::StartRecording(spec(folder)?))?;
            with += share(child.id(), span / 2)?;
            send(&mut control, &Command::StopRecording { recording: "bench".into() })?;
        }
    }
    send(&mut control, &Command::Shutdown)?;
    child.wait()?;
    println!("without {:.5}\nwith {:.5}", without / 2.0, with / 2.0);
    Ok(())
}

fn start(worker: &str) -> Result<(UnixStream, Child), Failure> {
    let (control, theirs) = UnixStream::pair()?;
    let (media, their_media) =
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    let mut process = Process::new(worker);
    process.arg("run").env("STENTOR_LOG", "error");
    let (from_control, from_media) = (theirs.as_raw_fd(), their_media.as_raw_fd());
    // SAFETY: between fork and exec only fcntl and dup2 are called, which are
    // async-signal-safe, on descriptors that live until the spawn is done.
    unsafe { process.pre_exec(move || place(from_control, from_media)) };
    let child = process.spawn()?;
    let mut events = control.try_clone()?;
    thread::spawn(move || {
        let mut bytes = [0; 65_536];
        while let Ok(1..) = events.read(&mut bytes) {}
        drop(media);
    });
    Ok((control, child))
}

fn place(control: RawFd, media: RawFd) -> std::io::Result<()> {
    // SAFETY: plain system calls on numbers; what they name is not owned by a Rust value here.
    let placed = unsafe {
        let control = libc::fcntl(control, libc::F_DUPFD_CLOEXEC, 10);
        let media = libc::fcntl(media, libc::F_DUPFD_CLOEXEC, 10);
        libc::dup2(control, CONTROL_FD).min(libc::dup2(media, MEDIA_FD))
    };
    if placed < 0 { Err(std::io::Error::last_os_error()) } else { Ok(()) }
}

fn channel(source: SourceSpec) -> ChannelSpec {
    ChannelSpec {
        channel: "bench".into(),
        source,
        hardware: HardwarePolicy::default(),
        probe: Default::default(),
        whip: WhipSettings::default(),
        loss_timeout_ms: 700,
        thumbnail_interval_ms: 0,
        slate: true,
    }
}

fn spec(folder: &Path) -> Result<RecordingSpec, Failure> {
    fs::create_dir_all(folder)?;
    let now = clock_gettime(ClockId::Monotonic);
    Ok(RecordingSpec {
        recording: "bench".into(),
        folder: folder.to_owned(),
        epoch_us: now.tv_sec * 1_000_000 + now.tv_nsec / 1_000,
        chunk_ms: 2_000,
        max_bytes: 64 << 20,
    })
}

fn send(control: &mut UnixStream, command: &Command) -> Result<(), Failure> {
    Ok(control.write_all(&control::encode(command)?)?)
}

/// Of one core, all threads of the process together, to the nanosecond.
fn share(process: u32, span: Duration) -> Result<f64, Failure> {
    let (before, start) = (run_time(process)?, Instant::now());
    thread::sleep(span);
    let took = run_time(process)? - before;
    Ok(took as f64 / 1e9 / start.elapsed().as_secs_f64())
}

fn run_time(process: u32) -> Result<u64, Failure> {
    let mut sum = 0;
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        // A thread may end meanwhile.
        let text = fs::read_to_string(thread?.path().join("schedstat")).unwrap_or_default();
        sum += text.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0);
    }
    Ok(sum)
}

fn hour(folder: &Path, out: &Path, seconds: i64) -> Result<(), Failure> {
    fs::create_dir_all(out)?;
    let entries =
        fs::read_dir(folder)?.map(|entry| -> Result<PathBuf, Failure> { Ok(entry?.path()) });
    let mut files = entries.collect::<Result<Vec<_>, Failure>>()?;
    files.sort();
    let (mut sequence, mut at) = (0, 0);
    'all: loop {
        for file in &files {
            let bytes = fs::read(file)?;
            let Ok(chunk) = ChunkFile::parse(&bytes) else { continue };
            let keyed = chunk.of(Kind::Video).next().is_some_and(|block| block.keyframe);
            let times = || chunk.blocks.iter().map(|block| block.ticks);
            let (Some(begin), Some(end)) = (times().min(), times().max()) else { continue };
            if !keyed || end - begin < 10_000 {
                continue;
            }
            sequence += 1;
            fs::write(out.join(format!("{sequence:08}.mkv")), moved(&bytes, &chunk, at - begin))?;
            at += end - begin + 333;
            if at >= seconds * 10_000 {
                break 'all;
            }
        }
        if sequence == 0 {
            return Err("no chunk begins with a keyframe".into());
        }
    }
    println!("{sequence} chunks");
    Ok(())
}

fn moved(bytes: &[u8], chunk: &ChunkFile, ticks: i64) -> Vec<u8> {
    let mut made = Header::new(chunk.video.as_ref(), chunk.audio).bytes;
    let mut cluster: Option<Cluster> = None;
    for block in &chunk.blocks {
        let time = (block.ticks + ticks).max(0);
        if let Some(full) = cluster.take_if(|cluster| !cluster.fits(time)) {
            made.extend(full.finish());
        }
        let data = &bytes[block.start..][..block.length];
        let cluster = cluster.get_or_insert_with(|| Cluster::new(time));
        cluster.push(block.kind, time, block.keyframe, |out| out.extend_from_slice(data));
    }
    made.extend(cluster.map(Cluster::finish).unwrap_or_default());
    made
}
