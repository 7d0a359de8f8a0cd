//! Wiring: what runs in a worker, how it starts and how it ends.
//!
//! A worker lives as long as its control socket. It ends in the order in which media flows, and
//! in bounded time: a driver or a library that hangs can't keep the process.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use stentor_protocol::ChannelSpec;
use stentor_protocol::control::{Command, Event};

use crate::contribution::WhipCommand;
use crate::control::{ControlError, Events, read_commands};
use crate::media::MediaSocket;
use crate::output::Outlet;
use crate::program::time::WallClock;
use crate::program::{Message, Program, ProgramError};
use crate::queue::Queue;
use crate::source::Source;
use crate::stats::Meters;

/// Messages that wait for the program: two seconds of a busy source.
const WAITING_MESSAGES: usize = 256;
/// Everything has this long to end in order. The daemon expects us gone after 2 s.
const GRACE: Duration = Duration::from_millis(1_500);

/// A channel at work.
struct Channel {
    program: Arc<Queue<Message>>,
    program_thread: thread::JoinHandle<()>,
    source: Source,
}

/// Why a worker ends other than by the daemon's will.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    #[error("can't start a thread: {0}")]
    Thread(#[from] std::io::Error),
    #[error(transparent)]
    Program(#[from] ProgramError),
    #[error(transparent)]
    Control(ControlError),
}

/// Serves the daemon until it says so or is gone. Never returns: what a library leaves behind
/// must not run while the process ends.
pub fn run(control: UnixStream, media: OwnedFd) -> ! {
    let status = match serve(control, media) {
        Ok(()) => 0,
        Err(error) => {
            tracing::error!(%error, "the worker ends");
            1
        }
    };
    exit(status)
}

fn serve(control: UnixStream, media: OwnedFd) -> Result<(), WorkerError> {
    let events = Events::start(control.try_clone()?)?;
    let outlet = Arc::new(Outlet {
        events: events.clone(),
        socket: Arc::new(MediaSocket::new(media)),
        wall: WallClock::default(),
        meters: Meters::default(),
    });
    let version = env!("CARGO_PKG_VERSION").to_owned();
    events.send(Event::Ready { pid: process::id(), version });

    // The end has to come even while a command is being carried out.
    let (ends, ended) = std::sync::mpsc::sync_channel(1);
    let commands = Arc::new(Queue::new(WAITING_MESSAGES));
    thread::Builder::new().name("control".into()).spawn({
        let commands = Arc::clone(&commands);
        move || {
            let end = read_commands(control, |command| match command {
                Command::Shutdown => {
                    commands.close();
                    doom(0);
                }
                command => {
                    if commands.push(command).is_some() {
                        tracing::error!("a command is dropped: the worker is too busy");
                    }
                }
            });
            doom(i32::from(!matches!(end, ControlError::Closed)));
            // The receiver lives until the process ends.
            let _ = ends.send(end);
            commands.close();
        }
    })?;

    let mut channel = None;
    while let Some(command) = commands.pop() {
        match (command, &channel) {
            (Command::Start(spec), None) => channel = Some(Channel::start(spec, &outlet)?),
            (Command::Start(_), Some(_)) => tracing::error!("the channel runs already"),
            (command, Some(channel)) => channel.handle(command),
            (command, None) => tracing::error!(?command, "no channel was started"),
        }
    }
    if let Some(channel) = channel {
        channel.close();
    }
    match ended.try_recv() {
        Ok(error @ (ControlError::Frame(_) | ControlError::Socket(_))) => {
            Err(WorkerError::Control(error))
        }
        _ => Ok(()),
    }
}

/// Ends the process after the grace period, whatever hangs.
fn doom(status: i32) {
    let spawned = thread::Builder::new().name("doom".into()).spawn(move || {
        thread::sleep(GRACE);
        tracing::warn!("something hangs: the worker ends without it");
        exit(status);
    });
    if spawned.is_err() {
        exit(status);
    }
}

pub(crate) fn exit(status: i32) -> ! {
    // SAFETY: _exit has no preconditions. Handlers registered by libraries are skipped on
    // purpose: they run beside threads that still use what they take down.
    unsafe { libc::_exit(status) }
}

// === impl Channel ===

impl Channel {
    fn start(spec: ChannelSpec, outlet: &Arc<Outlet>) -> Result<Self, WorkerError> {
        tracing::info!(channel = spec.channel, "channel starts");
        let messages = Arc::new(Queue::new(WAITING_MESSAGES));
        let source = Source::start(spec.clone(), Arc::clone(outlet), Arc::clone(&messages))?;
        let program = Program::new(&spec, source.input(), Arc::clone(outlet), &messages)?;
        let program_thread = thread::Builder::new().name("program".into()).spawn({
            let messages = Arc::clone(&messages);
            move || {
                // Without its program a worker is of no use: the daemon starts another.
                let run = AssertUnwindSafe(|| program.run(&messages));
                if catch_unwind(run).is_err() {
                    tracing::error!("the program panicked");
                    exit(1);
                }
            }
        })?;
        Ok(Self { program: messages, program_thread, source })
    }

    fn handle(&self, command: Command) {
        match command {
            Command::WhipOffer { session, sdp } => {
                self.source.whip(WhipCommand::Offer { session, sdp });
            }
            Command::WhipTrickle { session, fragment } => {
                self.source.whip(WhipCommand::Trickle { session, fragment });
            }
            Command::WhipClose { session } => self.source.whip(WhipCommand::Close { session }),
            Command::StartRung(spec) => self.tell(Message::StartRung(spec)),
            Command::StopRung { track } => self.tell(Message::StopRung(track)),
            Command::SetBitrate { track, bitrate } => {
                self.tell(Message::SetBitrate(track, bitrate));
            }
            Command::Keyframe { track } => self.tell(Message::Keyframe(track)),
            Command::StartRecording(spec) => self.tell(Message::StartRecording(spec)),
            Command::StopRecording { recording } => {
                self.tell(Message::StopRecording(recording));
            }
            Command::Start(_) | Command::Shutdown => {}
        }
    }

    fn tell(&self, message: Message) {
        if self.program.push_evicting(message, Message::is_media).is_some() {
            tracing::warn!("the program is behind: something gave way to a command");
        }
    }

    fn close(self) {
        self.source.close();
        self.program.close();
        // It can't have panicked: that ends the process.
        let _ = self.program_thread.join();
    }
}
