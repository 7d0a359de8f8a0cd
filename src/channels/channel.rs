//! One live channel: a task that keeps a worker running and tells it what viewers want.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use stentor_protocol::control::{Command, Event};
use stentor_protocol::spec::{HardwarePolicy, WhipSettings};
use tokio::sync::{mpsc, oneshot, watch};

use super::admission::Admission;
use super::backoff::Backoff;
use super::findings::Findings;
use super::format::FormatGate;
use super::inbox::{Inbox, Wishes};
use super::outlet::Feed;
use super::rungs::{RungState, Rungs};
use super::settings::{ChannelSettings, Rung, is_call_channel};
use super::status::{ChannelState, ChannelStatus, RenditionStatus};
use super::tape::Shelf;
use super::whip::{WhipError, WhipSessions};
use super::worker::Spawner;
use crate::events::Events;
use crate::telemetry::channels::ChannelMetrics;

mod life;
mod plan;
mod record;
mod told;

pub use record::Record;

use life::{Worker, next_of};
use record::Recorders;

/// When a channel that was refused is tried again.
const REFUSAL_PAUSE: Duration = Duration::from_secs(15);

/// What all channels share.
pub struct Context {
    pub spawner: Spawner,
    /// The worker's program.
    pub program: PathBuf,
    pub tuning: Tuning,
    pub whip: WhipSettings,
    pub hardware: HardwarePolicy,
    /// None until the probe is done; workers are started after it.
    pub findings: watch::Receiver<Option<Findings>>,
    pub admission: Arc<Admission>,
    pub metrics: ChannelMetrics,
    /// Where recordings go.
    pub shelf: Arc<dyn Shelf>,
    pub events: Events,
    /// How loud those are who are asked for it.
    pub levels: mpsc::Sender<Heard>,
    /// Of calls' channels, which come and go with calls: no series is named after one.
    pub unnamed: ChannelMetrics,
}

/// See the configuration's `[worker]`, `[ladder]` and `[whip]`.
#[derive(Debug, Clone)]
pub struct Tuning {
    pub default_ladder: Vec<Rung>,
    pub linger: Duration,
    pub restart_backoff_max: Duration,
    pub silence_timeout: Duration,
    pub stop_grace: Duration,
    pub loss_timeout: Duration,
    pub thumbnail_interval: Duration,
    pub whip_answer_timeout: Duration,
}

/// How loud a channel's publisher is: the byte of RFC 6464, several times a second.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    pub channel: String,
    pub level: u8,
}

/// A recent picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thumbnail {
    pub jpeg: Bytes,
    /// Counts up with each picture.
    pub number: u64,
}

pub enum Request {
    Replace {
        settings: ChannelSettings,
        done: oneshot::Sender<()>,
    },
    WhipOffer {
        session: String,
        ice_ufrag: String,
        sdp: String,
        reply: oneshot::Sender<Result<String, WhipError>>,
    },
    /// Gives the `ice-ufrag` of a session.
    WhipLookup {
        session: String,
        reply: oneshot::Sender<Result<String, WhipError>>,
    },
    WhipTrickle {
        session: String,
        fragment: String,
        reply: oneshot::Sender<Result<(), WhipError>>,
    },
    WhipClose {
        session: String,
        reply: oneshot::Sender<Result<(), WhipError>>,
    },
    /// False: there are as many recordings as there may be.
    Record {
        record: Record,
        reply: oneshot::Sender<bool>,
    },
    /// Answered when nothing more is written.
    EndRecord {
        recording: String,
        reply: oneshot::Sender<()>,
    },
    /// End the worker and then the channel.
    Stop {
        done: oneshot::Sender<()>,
    },
}

pub struct Channel {
    name: String,
    settings: ChannelSettings,
    context: Arc<Context>,
    metrics: ChannelMetrics,
    feed: Box<dyn Feed>,
    requests: mpsc::Receiver<Request>,
    inbox: Arc<Inbox>,
    findings: watch::Receiver<Option<Findings>>,
    rungs: Rungs,
    whip: WhipSessions,
    format: FormatGate,
    recorders: Recorders,
    backoff: Backoff,
    worker: Option<Worker>,
    /// When the next worker is to be started, while there is none.
    start_at: Option<Instant>,
    /// The hardware can't carry what the source turned out to be.
    refusal: Option<String>,
    status: ChannelStatus,
    published: watch::Sender<Arc<ChannelStatus>>,
    thumbnail: watch::Sender<Option<Thumbnail>>,
}

/// What woke the task.
enum Turn {
    Request(Option<Request>),
    Wishes(Wishes),
    Worker(Result<Event, String>),
    Findings,
    Time,
}

/// What is outside the task.
pub struct Handle {
    pub requests: mpsc::Sender<Request>,
    pub inbox: Arc<Inbox>,
    pub status: watch::Receiver<Arc<ChannelStatus>>,
    pub thumbnail: watch::Receiver<Option<Thumbnail>>,
}

// === impl Context ===

impl Context {
    pub fn metrics_of(&self, channel: &str) -> &ChannelMetrics {
        if is_call_channel(channel) { &self.unnamed } else { &self.metrics }
    }
}

// === impl Channel ===

impl Channel {
    /// Makes a channel; [`Channel::run`] brings it to life.
    pub fn new(
        name: &str,
        is_static: bool,
        settings: ChannelSettings,
        context: Arc<Context>,
        feed: Box<dyn Feed>,
    ) -> (Self, Handle) {
        let status = ChannelStatus::new(name, is_static, &settings);
        let (published, status_receiver) = watch::channel(Arc::new(status.clone()));
        let (thumbnail, thumbnail_receiver) = watch::channel(None);
        let (sender, requests) = mpsc::channel(64);
        let inbox = Arc::new(Inbox::default());
        let handle = Handle {
            requests: sender,
            inbox: inbox.clone(),
            status: status_receiver,
            thumbnail: thumbnail_receiver,
        };
        let mut channel = Self {
            name: name.to_owned(),
            settings,
            feed,
            requests,
            inbox,
            findings: context.findings.clone(),
            rungs: Rungs::new(context.tuning.linger),
            whip: WhipSessions::default(),
            format: FormatGate::default(),
            recorders: Recorders::default(),
            backoff: Backoff::new(context.tuning.restart_backoff_max),
            worker: None,
            start_at: Some(Instant::now()),
            refusal: None,
            status,
            published,
            thumbnail,
            metrics: context.metrics_of(name).clone(),
            context,
        };
        channel.replan();
        channel.publish();
        (channel, handle)
    }

    pub async fn run(mut self) {
        loop {
            if let Some(reason) = self.refusal.take() {
                self.refuse(&reason).await;
            }
            if self.rungs.is_worn_out() {
                self.stop_worker().await;
                self.start_at = Some(Instant::now());
            }
            if self.worker.is_none() && self.start_at.is_some_and(|at| at <= Instant::now()) {
                self.start_worker().await;
            }
            self.tell_worker().await;
            self.tell_recorders().await;
            self.publish();
            let deadline = self.deadline();
            let turn = tokio::select! {
                request = self.requests.recv() => Turn::Request(request),
                wishes = self.inbox.take() => Turn::Wishes(wishes),
                said = next_of(&mut self.worker) => Turn::Worker(said),
                Ok(()) = self.findings.changed() => Turn::Findings,
                () = tokio::time::sleep_until(deadline.into()) => Turn::Time,
            };
            match turn {
                Turn::Request(Some(Request::Stop { done })) => {
                    self.stop_worker().await;
                    self.context.admission.release(&self.name);
                    self.metrics.forget(&self.name);
                    drop(self.feed);
                    // Whoever asked may have gone.
                    let _ = done.send(());
                    return;
                }
                Turn::Request(Some(request)) => self.handle_request(request).await,
                // The handle is gone, and with it the channel.
                Turn::Request(None) => return self.stop_worker().await,
                Turn::Wishes(wishes) => self.handle_wishes(wishes),
                Turn::Worker(Ok(event)) => self.handle_event(event),
                Turn::Worker(Err(reason)) => self.worker_ended(&reason).await,
                Turn::Findings => {
                    if self.worker.is_none() {
                        self.start_at.get_or_insert_with(Instant::now);
                    }
                    self.replan();
                }
                Turn::Time => self.handle_time().await,
            }
        }
    }

    async fn handle_request(&mut self, request: Request) {
        match request {
            Request::Replace { settings, done } => {
                self.replace(settings).await;
                let _ = done.send(());
            }
            Request::WhipOffer { session, ice_ufrag, sdp, reply } => {
                if self.status.state == ChannelState::Refused {
                    let _ = reply.send(Err(WhipError::WorkerGone));
                } else {
                    self.whip.handle_offer(&session, ice_ufrag, sdp, reply);
                }
            }
            Request::WhipLookup { session, reply } => {
                let found = self.whip.ice_ufrag(&session).map(str::to_owned);
                let _ = reply.send(found.ok_or(WhipError::NoSession));
            }
            Request::WhipTrickle { session, fragment, reply } => {
                let known = self.whip.ice_ufrag(&session).is_some();
                let sent = known && self.send(&Command::WhipTrickle { session, fragment }).await;
                let _ = reply.send(if sent { Ok(()) } else { Err(WhipError::NoSession) });
            }
            Request::WhipClose { session, reply } => {
                let known = self.whip.handle_end(&session);
                if known {
                    self.send(&Command::WhipClose { session }).await;
                }
                let _ = reply.send(if known { Ok(()) } else { Err(WhipError::NoSession) });
            }
            Request::Record { record, reply } => {
                let taken = self.record(record);
                let _ = reply.send(taken);
            }
            Request::EndRecord { recording, reply } => self.end_record(&recording, reply),
            // Handled by the loop, which it ends.
            Request::Stop { .. } => {}
        }
    }

    async fn replace(&mut self, settings: ChannelSettings) {
        let other_source = settings.source != self.settings.source;
        self.settings = settings;
        self.status.set_settings(&self.settings);
        if other_source {
            self.stop_worker().await;
            self.format.reset();
            self.status.format = None;
            self.status.state = ChannelState::Starting;
            self.status.reason = None;
            self.thumbnail.send_replace(None);
            self.status.thumbnail = None;
            self.start_at = Some(Instant::now());
        }
        self.replan();
    }

    fn handle_wishes(&mut self, wishes: Wishes) {
        let now = Instant::now();
        for (track, viewers) in wishes.demand {
            self.rungs.handle_demand(track, viewers, now);
        }
        for track in wishes.keyframes {
            self.rungs.handle_keyframe_wanted(track);
        }
    }

    async fn handle_time(&mut self) {
        let now = Instant::now();
        if self.rungs.handle_timeout(now) {
            self.offer();
        }
        if self.format.handle_timeout(now) {
            self.replan();
        }
        let silence = self.context.tuning.silence_timeout;
        if self.worker.as_ref().is_some_and(|w| w.heard + silence <= now) {
            self.worker_ended("the worker has gone silent").await;
        }
    }

    fn deadline(&self) -> Instant {
        let silence = self.context.tuning.silence_timeout;
        let heard = self.worker.as_ref().map(|w| w.heard + silence);
        let start = self.start_at.filter(|_| self.worker.is_none());
        let times = [self.rungs.poll_timeout(), self.format.poll_timeout(), heard, start];
        let far = Instant::now() + Duration::from_secs(3600);
        times.into_iter().flatten().min().unwrap_or(far)
    }

    /// Makes what is known public.
    fn publish(&mut self) {
        let meter = self.worker.as_ref().map(|w| &w.meter);
        let rate = |track| meter.and_then(|m| m.rung_rate(track));
        let entries = self.rungs.entries().iter();
        self.status.renditions = entries.map(|e| RenditionStatus::of(e, rate(e.track))).collect();
        let runs = |e: &&super::rungs::Entry| e.state == RungState::Running;
        let running = self.rungs.entries().iter().filter(runs).count();
        let gauge = self.metrics.rungs_running.with_label_values(&[&self.name]);
        gauge.set(running as i64);
        self.published.send_replace(Arc::new(self.status.clone()));
    }
}
