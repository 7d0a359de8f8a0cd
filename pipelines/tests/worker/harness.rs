//! Stands in for the daemon: starts the real binary with its two sockets and keeps what it says.

use std::io::{Read as _, Write as _};
use std::os::fd::{AsRawFd as _, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command as Process, ExitStatus};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use stentor_protocol::control::{self, Command, Event, FrameReader};
use stentor_protocol::spec::{HardwarePolicy, WhipSettings};
use stentor_protocol::{
    BitsPerSecond, CONTROL_FD, ChannelSpec, Codec, FrameRate, MEDIA_FD, Resolution, RungKind,
    RungSpec, SourceSpec, TrackId,
};

use crate::packets::{Collector, wait_for};

pub struct Worker {
    child: Child,
    control: UnixStream,
    events: Arc<Mutex<Vec<Event>>>,
    media: Collector,
}

pub fn synthetic(resolution: Resolution) -> SourceSpec {
    SourceSpec::Synthetic { resolution, frame_rate: FrameRate::new(30, 1) }
}

pub fn channel(source: SourceSpec) -> ChannelSpec {
    ChannelSpec {
        channel: "Test channel".into(),
        source,
        hardware: HardwarePolicy::default(),
        whip: WhipSettings::default(),
        loss_timeout_ms: 700,
        thumbnail_interval_ms: 0,
        slate: true,
        probe: Default::default(),
    }
}

pub fn pass_through(track: u16) -> Command {
    Command::StartRung(RungSpec {
        track: TrackId(track),
        name: "source".into(),
        codec: Codec::H264,
        kind: RungKind::PassThrough,
    })
}

pub fn encoded(track: u16, codec: Codec, height: u32, kbps: u64) -> Command {
    Command::StartRung(RungSpec {
        track: TrackId(track),
        name: format!("{height}p"),
        codec,
        kind: RungKind::Encode {
            resolution: Resolution::new(height * 16 / 9, height),
            frame_rate: None,
            bitrate: BitsPerSecond::from_kilo(kbps),
        },
    })
}

// === impl Worker ===

impl Worker {
    /// A worker that runs the channel.
    pub fn start(spec: ChannelSpec) -> Self {
        Self::start_with(spec, &[])
    }

    pub fn start_with(spec: ChannelSpec, environment: &[(&str, &str)]) -> Self {
        let mut worker = Self::spawn(environment);
        worker.send(&Command::Start(spec));
        worker
    }

    pub fn spawn(environment: &[(&str, &str)]) -> Self {
        let (control, theirs) = UnixStream::pair().unwrap();
        let (media, their_media) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .unwrap();
        let mut process = Process::new(env!("CARGO_BIN_EXE_stentor-worker"));
        process.arg("run").env("STENTOR_LOG", "error").envs(environment.iter().copied());
        let (from_control, from_media) = (theirs.as_raw_fd(), their_media.as_raw_fd());
        // SAFETY: between fork and exec only fcntl and dup2 are called, which are
        // async-signal-safe, on descriptors that live until the spawn is done.
        unsafe { process.pre_exec(move || place(from_control, from_media)) };
        let child = process.spawn().unwrap();
        drop((theirs, their_media));
        let worker =
            Self { child, control, events: Arc::default(), media: Collector::start(media) };
        worker.keep_events();
        worker
    }

    pub fn send(&mut self, command: &Command) {
        self.control.write_all(&control::encode(command).unwrap()).unwrap();
    }

    pub fn send_bytes(&mut self, bytes: &[u8]) {
        self.control.write_all(bytes).unwrap();
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap().clone()
    }

    /// The first event that `wanted` makes something of.
    pub fn wait_event<T>(&self, what: &str, wanted: impl Fn(&Event) -> Option<T>) -> T {
        wait_for(what, || self.events().iter().find_map(&wanted))
    }

    /// The media socket's far end.
    pub fn media(&self) -> &Collector {
        &self.media
    }

    /// Hangs up both sockets.
    pub fn hang_up(&mut self) {
        self.control.shutdown(std::net::Shutdown::Both).unwrap();
    }

    /// Waits for the process's end, no longer than `limit`.
    pub fn wait_exit(&mut self, limit: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Some(status);
            }
            if Instant::now() >= deadline {
                return None;
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn keep_events(&self) {
        let mut control = self.control.try_clone().unwrap();
        let events = Arc::clone(&self.events);
        thread::spawn(move || {
            let mut reader = FrameReader::default();
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = control.read(&mut bytes) {
                reader.handle_bytes(&bytes[..count]);
                while let Some(event) = reader.poll_message::<Event>().unwrap() {
                    events.lock().unwrap().push(event);
                }
            }
        });
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Puts the sockets where the worker expects them, whichever numbers they have now.
fn place(control: RawFd, media: RawFd) -> std::io::Result<()> {
    let check = |result: i32| {
        if result < 0 { Err(std::io::Error::last_os_error()) } else { Ok(result) }
    };
    // SAFETY: plain system calls on numbers; what they name is not owned by a Rust value here.
    unsafe {
        let control = check(libc::fcntl(control, libc::F_DUPFD_CLOEXEC, 10))?;
        let media = check(libc::fcntl(media, libc::F_DUPFD_CLOEXEC, 10))?;
        check(libc::dup2(control, CONTROL_FD))?;
        check(libc::dup2(media, MEDIA_FD))?;
    }
    Ok(())
}
