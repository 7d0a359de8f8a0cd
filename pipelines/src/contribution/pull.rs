//! Sources that are connected and connected again: RTSP, SRT, files.
//!
//! One thread, the supervisor, builds a pipeline, watches it, ends it when it is lost, waits,
//! and builds the next. It never blocks: state changes have plain threads of their own.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread::JoinHandle;
use std::time::Duration;

use gst::prelude::*;
use stentor_protocol::control::SourceState;

use super::backoff::Backoff;
use super::demuxed::{Demuxed, NOTHING_USABLE};
use super::elements::internal;
use super::flow::{Flow, Pulse, monotonic_ns};
use super::outlet::Tap;
use super::teardown::{self, Teardowns};
use super::watchdog::{Check, Watchdog};
use super::{Contributed, Contribution, ContributionStats, OpenError, Sink, WhipCommand};

/// A pipeline without a unit for so long after its start is given up, ns.
const CONNECT_NS: u64 = 10_000_000_000;
/// A silent source may come back for so long before it is connected anew, ns.
const GRACE_NS: u64 = 1_300_000_000;
/// A source that lived for so long begins its waits from the shortest again, ns.
const STEADY_NS: u64 = 5_000_000_000;
/// How often a source without a first picture is asked for one, ns.
const ASK_NS: u64 = 500_000_000;
/// Messages that wait for the supervisor at most.
const QUEUE: usize = 64;
/// The longest that closing takes.
const CLOSING: Duration = Duration::from_secs(6);

/// How a kind of source is connected.
pub trait Dial: Send + 'static {
    /// Adds its elements to an empty pipeline; pads go to [`Demuxed::take`].
    fn build(&self, pipeline: &gst::Pipeline, streams: &Arc<Demuxed>) -> Result<(), OpenError>;

    /// What it waits for, where the other side is the one that calls.
    fn listens(&self) -> Option<&str> {
        None
    }

    /// Called at the end of the stream; true where the pipeline goes on from its beginning.
    fn rewind(&self, _pipeline: &gst::Pipeline) -> bool {
        false
    }

    /// Why the source is not connected again after its end; None where it is.
    fn finished(&self) -> Option<&str> {
        None
    }
}

pub enum Message {
    Keyframe,
    /// Units come, or come again.
    Flowing,
    /// The pipeline with this number ended or failed.
    Failed {
        attempt: u64,
        reason: String,
    },
    Ended {
        attempt: u64,
    },
    Stop,
}

struct Pull {
    tap: Arc<Tap>,
    supervisor: SyncSender<Message>,
    thread: Option<JoinHandle<()>>,
    /// Disconnected when the supervisor's thread has ended.
    ended: Receiver<()>,
}

/// What the supervisor's thread owns.
struct Supervisor<D> {
    dial: D,
    loss_timeout_ms: u32,
    /// Pictures are let out at their time instead of when they come.
    paced: bool,
    tap: Arc<Tap>,
    own: SyncSender<Message>,
    messages: Receiver<Message>,
    teardowns: Teardowns,
    attempts: u64,
}

/// Why a connection is over.
enum Over {
    Lost(String),
    Ended,
    Stopped,
}

/// Opens a source and keeps it connected until it is closed.
pub fn open(
    dial: impl Dial,
    loss_timeout_ms: u32,
    paced: bool,
    sink: Sink,
) -> Result<Box<dyn Contribution>, OpenError> {
    let tap = Tap::new(sink);
    let (own, messages) = mpsc::sync_channel(QUEUE);
    let supervisor = Supervisor {
        dial,
        loss_timeout_ms,
        paced,
        tap: Arc::clone(&tap),
        own: own.clone(),
        messages,
        teardowns: Teardowns::default(),
        attempts: 0,
    };
    let (alive, ended) = mpsc::channel();
    let thread = std::thread::Builder::new()
        .name("source-life".into())
        .spawn(move || {
            supervisor.run();
            drop(alive);
        })
        .map_err(internal)?;
    Ok(Box::new(Pull { tap, supervisor: own, thread: Some(thread), ended }))
}

// === impl Pull ===

impl Contribution for Pull {
    fn request_keyframe(&self) {
        // A full queue is full of reasons for a keyframe already.
        let _ = self.supervisor.try_send(Message::Keyframe);
    }

    fn handle(&mut self, _command: WhipCommand) {
        tracing::warn!("a WHIP command for a source that is no WHIP source");
    }

    fn close(self: Box<Self>) {}

    fn stats(&self) -> ContributionStats {
        self.tap.stats()
    }
}

impl Drop for Pull {
    fn drop(&mut self) {
        let _ = self.supervisor.send(Message::Stop);
        if self.ended.recv_timeout(CLOSING) == Err(RecvTimeoutError::Timeout) {
            tracing::error!("the source's supervisor does not end; left behind");
            return;
        }
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the source's supervisor panicked");
        }
    }
}

// === impl Supervisor ===

impl<D: Dial> Supervisor<D> {
    fn run(mut self) {
        let mut backoff = Backoff::default();
        loop {
            match self.dial.listens() {
                Some(what) => self.tell(SourceState::Waiting, what),
                None => self.tell(SourceState::Connecting, ""),
            }
            let start_ns = monotonic_ns();
            let (lived_ns, over) = self.attempt();
            let reason = match over {
                Over::Stopped => break,
                Over::Lost(reason) => reason,
                Over::Ended => match self.dial.finished() {
                    Some(why) => {
                        self.tell(SourceState::Lost, why);
                        self.wait_for_stop();
                        break;
                    }
                    None => "the stream ended".to_owned(),
                },
            };
            tracing::info!(reason, "source lost");
            self.tell(SourceState::Lost, &reason);
            if lived_ns > STEADY_NS {
                backoff = Backoff::default();
            }
            // Nanoseconds of the clock are chance enough to spread many workers.
            if self.sleep(backoff.next(start_ns ^ u64::from(std::process::id()))) {
                break;
            }
            self.tap.count_reconnect();
        }
        self.teardowns.wait();
    }

    /// One connection, from its start to its end. Gives how long it lived, ns.
    fn attempt(&mut self) -> (u64, Over) {
        self.attempts += 1;
        let own = self.own.clone();
        let pulse = Pulse::new(move || {
            // Where the queue is full, the supervisor looks by itself soon.
            let _ = own.try_send(Message::Flowing);
        });
        let flow = Flow::new(Arc::clone(&self.tap), Arc::clone(&pulse)).paced(self.paced);
        let pipeline = gst::Pipeline::new();
        let streams = Demuxed::new(&pipeline, flow, self.failures());
        let started = self.watch_bus(&pipeline).and_then(|()| {
            self.dial.build(&pipeline, &streams)?;
            teardown::start(&pipeline)
        });
        let over = match started {
            Ok(()) => self.watch(&pipeline, &pulse, &streams),
            Err(error) => (0, Over::Lost(error.to_string())),
        };
        pulse.shut();
        self.teardowns.begin(pipeline);
        over
    }

    fn watch(&mut self, pipeline: &gst::Pipeline, pulse: &Pulse, streams: &Demuxed) -> (u64, Over) {
        let start_ns = monotonic_ns();
        let mut life: Option<(Watchdog, u64)> = None;
        let mut silent_ns = None;
        loop {
            let now_ns = monotonic_ns();
            let lived_ns = life.as_ref().map_or(0, |(_, since)| now_ns - since);
            let last_ns = pulse.last_ns();
            if streams.has_video() && !pulse.has_video() {
                streams.request_keyframe();
            }
            let mut due_ns = now_ns + ASK_NS;
            match (&mut life, silent_ns) {
                (None, _) if last_ns > 0 => {
                    life = Some((Watchdog::new(self.loss_timeout_ms, last_ns), now_ns));
                    self.tell(SourceState::Live, "");
                    continue;
                }
                (None, _) if self.dial.listens().is_none() && now_ns > start_ns + CONNECT_NS => {
                    let reason = format!("nothing came in {} s", CONNECT_NS / 1_000_000_000);
                    return (lived_ns, Over::Lost(reason));
                }
                (None, _) => {}
                (Some(_), Some(since)) if last_ns > since => {
                    silent_ns = None;
                    self.tell(SourceState::Live, "");
                    continue;
                }
                (Some(_), Some(since)) if now_ns > since + GRACE_NS => {
                    return (lived_ns, Over::Lost(self.silence(last_ns, now_ns)));
                }
                (Some(_), Some(_)) => {}
                (Some((watchdog, _)), None) => match watchdog.check(last_ns, now_ns) {
                    Check::Fine { until_ns } => due_ns = until_ns,
                    Check::Probe { until_ns } => {
                        streams.request_keyframe();
                        due_ns = until_ns;
                    }
                    Check::Silent => {
                        silent_ns = Some(now_ns);
                        pulse.expect();
                        self.tell(SourceState::Lost, &self.silence(last_ns, now_ns));
                        continue;
                    }
                },
            }
            let wait = Duration::from_nanos(due_ns.saturating_sub(monotonic_ns()));
            match self.messages.recv_timeout(wait) {
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => {
                    return (lived_ns, Over::Stopped);
                }
                Ok(Message::Failed { attempt, reason }) if attempt == self.attempts => {
                    return (lived_ns, Over::Lost(reason));
                }
                Ok(Message::Ended { attempt }) if attempt == self.attempts => {
                    if streams.is_empty() {
                        return (lived_ns, Over::Lost(NOTHING_USABLE.to_owned()));
                    }
                    streams.restart();
                    if !self.dial.rewind(pipeline) {
                        return (lived_ns, Over::Ended);
                    }
                }
                Ok(Message::Keyframe) => streams.request_keyframe(),
                Ok(_) | Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    fn silence(&self, last_ns: u64, now_ns: u64) -> String {
        format!("silent for {} ms", now_ns.saturating_sub(last_ns) / 1_000_000)
    }

    /// Waits, and gives whether the source is to be closed.
    fn sleep(&self, time: Duration) -> bool {
        let until_ns = monotonic_ns() + time.as_nanos() as u64;
        loop {
            let left = Duration::from_nanos(until_ns.saturating_sub(monotonic_ns()));
            match self.messages.recv_timeout(left) {
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => return true,
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => return false,
            }
        }
    }

    fn wait_for_stop(&self) {
        while !matches!(self.messages.recv(), Ok(Message::Stop) | Err(_)) {}
    }

    fn failures(&self) -> impl Fn(String) + Send + Sync + 'static {
        let (own, attempt) = (self.own.clone(), self.attempts);
        move |reason| {
            let _ = own.try_send(Message::Failed { attempt, reason });
        }
    }

    fn watch_bus(&self, pipeline: &gst::Pipeline) -> Result<(), OpenError> {
        let (own, attempt, failed) = (self.own.clone(), self.attempts, self.failures());
        let bus = pipeline.bus().ok_or_else(|| internal("a pipeline without a bus"))?;
        bus.set_sync_handler(move |_, message| {
            match message.view() {
                // The details may hold the address with its password: they are not logged.
                gst::MessageView::Error(error) => failed(error.error().message().to_owned()),
                gst::MessageView::Eos(_) => {
                    let _ = own.try_send(Message::Ended { attempt });
                }
                _ => {}
            }
            gst::BusSyncReply::Drop
        });
        Ok(())
    }

    fn tell(&self, state: SourceState, detail: &str) {
        self.tap.tell(Contributed::State { state, detail: detail.to_owned() });
    }
}
