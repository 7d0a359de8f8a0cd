//! The channel's source, on a thread of its own: opening, asking and closing may take seconds,
//! and the program never waits for them.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use stentor_protocol::ChannelSpec;
use stentor_protocol::control::{Event, Fault, SourceState};

use crate::contribution::{self, Contributed, Contribution, Sink, WhipCommand};
use crate::fault;
use crate::output::Outlet;
use crate::program::{Input, Message};
use crate::queue::{Popped, Queue};
use crate::stats::Meters;
use crate::worker::exit;

/// Requests that wait while the source is being opened or answers an offer.
const WAITING_REQUESTS: usize = 256;
const STATS_EVERY: Duration = Duration::from_secs(1);

/// The source as the worker holds it. Closed when dropped, without waiting.
#[derive(Debug)]
pub struct Source {
    requests: Arc<Queue<Request>>,
    thread: JoinHandle<()>,
}

#[derive(Debug)]
enum Request {
    Whip(WhipCommand),
    Keyframe,
}

/// Lets the program ask the source.
#[derive(Debug, Clone)]
pub struct SourceInput {
    requests: Arc<Queue<Request>>,
}

// === impl Source ===

impl Source {
    /// Opens the source; what it gives goes to `program`.
    pub fn start(
        spec: ChannelSpec,
        outlet: Arc<Outlet>,
        program: Arc<Queue<Message>>,
    ) -> io::Result<Self> {
        let requests = Arc::new(Queue::new(WAITING_REQUESTS));
        let thread = thread::Builder::new().name("source".into()).spawn({
            let requests = Arc::clone(&requests);
            move || {
                let run = AssertUnwindSafe(|| run(&spec, &outlet, &program, &requests));
                if catch_unwind(run).is_err() {
                    tracing::error!("the source panicked");
                    exit(1);
                }
            }
        })?;
        Ok(Self { requests, thread })
    }

    pub fn input(&self) -> SourceInput {
        SourceInput { requests: Arc::clone(&self.requests) }
    }

    pub fn whip(&self, command: WhipCommand) {
        if self.requests.push(Request::Whip(command)).is_some() {
            tracing::warn!("a WHIP command is dropped: the source is too busy");
        }
    }

    /// Ends the source. Takes as long as the source takes.
    pub fn close(self) {
        self.requests.close();
        // It can't have panicked: that ends the process.
        let _ = self.thread.join();
    }
}

impl Input for SourceInput {
    fn request_keyframe(&self) {
        // A full queue means that the source is stuck: one request more would not help.
        let _ = self.requests.push(Request::Keyframe);
    }
}

fn run(
    spec: &ChannelSpec,
    outlet: &Arc<Outlet>,
    program: &Arc<Queue<Message>>,
    requests: &Queue<Request>,
) {
    let sink = sink(Arc::clone(outlet), Arc::clone(program));
    match contribution::open(spec, Arc::clone(&sink)) {
        Ok(source) => serve(source, outlet, requests),
        Err(error) => {
            let detail = error.to_string();
            tracing::error!(%error, "the source can't be opened");
            sink(Contributed::State { state: SourceState::Lost, detail: detail.clone() });
            refuse(&detail, outlet, requests);
        }
    }
}

fn serve(mut source: Box<dyn Contribution>, outlet: &Outlet, requests: &Queue<Request>) {
    let mut next_stats = Instant::now();
    loop {
        match requests.pop_until(next_stats) {
            Popped::Item(Request::Whip(command)) => source.handle(command),
            Popped::Item(Request::Keyframe) => source.request_keyframe(),
            Popped::TimedOut => {
                let stats = source.stats();
                outlet.meters.source_reconnects.store(stats.reconnects, Relaxed);
                next_stats = Instant::now() + STATS_EVERY;
            }
            Popped::Closed => break,
        }
    }
    fault::strike_close();
    source.close();
}

/// Answers for a source that isn't there, until the end.
fn refuse(reason: &str, outlet: &Outlet, requests: &Queue<Request>) {
    while let Some(request) = requests.pop() {
        if let Request::Whip(WhipCommand::Offer { session, .. }) = request {
            let reason = reason.to_owned();
            outlet.events.send(Event::WhipRefused { session, fault: Fault::Server, reason });
        }
    }
}

/// Called on the source's streaming threads. Never blocks.
fn sink(outlet: Arc<Outlet>, program: Arc<Queue<Message>>) -> Sink {
    // Video that found the queue full: the rest of its group of pictures is of no use.
    let broken = AtomicBool::new(false);
    Arc::new(move |contributed| {
        let message = match contributed {
            Contributed::WhipAnswer { session, sdp } => {
                return outlet.events.send(Event::WhipAnswer { session, sdp });
            }
            Contributed::WhipRefused { session, fault, reason } => {
                return outlet.events.send(Event::WhipRefused { session, fault, reason });
            }
            Contributed::WhipEnded { session, reason } => {
                return outlet.events.send(Event::WhipEnded { session, reason });
            }
            Contributed::AudioLevel(level) => {
                return outlet.events.send(Event::AudioLevel { level });
            }
            Contributed::State { state, detail } => Message::State { state, detail },
            Contributed::VideoFormat(format) => Message::VideoFormat(format),
            Contributed::AudioFormat(format) => Message::AudioFormat(format),
            Contributed::Video(mut unit) => {
                Meters::add(&outlet.meters.source_video_units, 1);
                Meters::add(&outlet.meters.source_bytes, unit.data.size() as u64);
                if broken.load(Relaxed) {
                    if !unit.keyframe {
                        return Meters::add(&outlet.meters.frames_dropped, 1);
                    }
                    unit.discontinuity = true;
                }
                let dropped = program.push(Message::Video(unit)).is_some();
                broken.store(dropped, Relaxed);
                if dropped {
                    Meters::add(&outlet.meters.frames_dropped, 1);
                }
                return;
            }
            Contributed::Audio(unit) => {
                Meters::add(&outlet.meters.source_audio_units, 1);
                Meters::add(&outlet.meters.source_bytes, unit.data.size() as u64);
                if program.push(Message::Audio(unit)).is_some() {
                    Meters::add(&outlet.meters.frames_dropped, 1);
                }
                return;
            }
        };
        if program.push_evicting(message, Message::is_media).is_some() {
            Meters::add(&outlet.meters.frames_dropped, 1);
        }
    })
}
