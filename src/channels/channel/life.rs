//! A worker's life: started, spoken to, ended, and started again after a while where it ended by
//! itself.

use std::time::{Duration, Instant};

use stentor_protocol::control::{Command, Event};
use stentor_protocol::spec::{ChannelSpec, WhipSettings};
use tracing::{info, warn};

use super::super::link::{Link, LinkError};
use super::super::meter::Meter;
use super::super::settings::is_call_channel;
use super::super::status::ChannelState;
use super::super::worker::WorkerProcess;
use super::{Channel, REFUSAL_PAUSE};
use crate::events;
use crate::events::kinds::ChannelWorkerRestarted;

pub(super) struct Worker {
    pub process: WorkerProcess,
    pub link: Link,
    pub since: Instant,
    /// When it last said something.
    pub heard: Instant,
    pub ready: bool,
    pub meter: Meter,
}

// === impl Channel ===

impl Channel {
    pub(super) async fn start_worker(&mut self) {
        self.start_at = None;
        if self.findings.borrow().is_none() {
            self.status.reason = Some("the hardware is being probed".to_owned());
            return;
        }
        if let Err(error) = self.admit() {
            return self.refuse(&error.to_string()).await;
        }
        let context = self.context.clone();
        let started = match context.spawner.spawn(&context.program).await {
            Ok(started) => started,
            Err(error) => return self.start_again(Duration::ZERO, &error.to_string()),
        };
        let now = Instant::now();
        info!(channel = self.name, pid = started.process.pid(), "worker started");
        self.feed.attach(started.media);
        self.status.worker.pid = Some(started.process.pid());
        self.status.worker.since = Some(now);
        let mut worker = Worker {
            process: started.process,
            link: Link::new(started.control),
            since: now,
            heard: now,
            ready: false,
            meter: Meter::default(),
        };
        let sent = worker.link.send(&Command::Start(self.spec()));
        self.worker = Some(worker);
        if let Err(error) = sent {
            self.worker_ended(&error.to_string()).await;
        }
    }

    fn spec(&self) -> ChannelSpec {
        let ms = |time: Duration| u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
        let is_call = is_call_channel(&self.name);
        let interval = self.context.tuning.thumbnail_interval;
        ChannelSpec {
            channel: self.name.clone(),
            source: self.settings.source.clone(),
            hardware: self.context.hardware.clone(),
            probe: self
                .findings
                .borrow()
                .as_ref()
                .map_or_else(Default::default, |f| (*f.report).clone()),
            whip: WhipSettings { levels: is_call, ..self.context.whip.clone() },
            loss_timeout_ms: ms(self.context.tuning.loss_timeout),
            // Nobody is to see a picture of a call.
            thumbnail_interval_ms: if is_call { 0 } else { ms(interval) },
            slate: !is_call,
        }
    }

    /// The hardware doesn't carry the channel: nothing is served rather than half of it. Others
    /// may end, so it is tried again.
    pub(super) async fn refuse(&mut self, reason: &str) {
        warn!(channel = self.name, reason, "channel refused");
        self.stop_worker().await;
        self.whip.handle_refusal_of_channel();
        self.context.admission.release(&self.name);
        self.status.state = ChannelState::Refused;
        self.status.reason = Some(reason.to_owned());
        self.start_at = Some(Instant::now() + REFUSAL_PAUSE);
    }

    /// False: there is no worker that takes it.
    pub(super) async fn send(&mut self, command: &Command) -> bool {
        let Some(worker) = &mut self.worker else {
            return false;
        };
        let sent: Result<(), LinkError> = worker.link.send(command);
        if let Err(error) = &sent {
            self.worker_ended(&error.to_string()).await;
        }
        sent.is_ok()
    }

    /// The worker is gone, or must go: it can't be talked to any more.
    pub(super) async fn worker_ended(&mut self, reason: &str) {
        let Some(mut worker) = self.worker.take() else {
            return;
        };
        let lived = worker.since.elapsed();
        // Its sockets close a moment before it is gone, and how it ended says more than that.
        let ended = tokio::time::timeout(Duration::from_millis(200), worker.process.wait()).await;
        let reason = match ended {
            Ok(Ok(status)) => format!("the worker ended: {status}"),
            _ => reason.to_owned(),
        };
        worker.process.kill();
        self.start_again(lived, &reason);
    }

    fn start_again(&mut self, lived: Duration, reason: &str) {
        let pause = self.backoff.after(lived);
        warn!(channel = self.name, reason, ?pause, ?lived, "worker ended, starting it again");
        self.metrics.worker_restarts.with_label_values(&[&self.name]).inc();
        self.status.worker.restarts += 1;
        let data = ChannelWorkerRestarted { restarts: self.status.worker.restarts };
        self.emit(events::Event::new(data).because(reason));
        self.status.state = ChannelState::Restarting;
        self.status.reason = Some(reason.to_owned());
        self.forget_worker();
        self.start_at = Some(Instant::now() + pause);
    }

    fn forget_worker(&mut self) {
        self.rungs.handle_worker_end();
        self.whip.handle_worker_end();
        self.recorders.handle_worker_end();
        self.status.forget_worker();
        self.set_source_state(None);
        self.metrics.worker_up.with_label_values(&[&self.name]).set(0);
    }

    /// Ends the worker in good order.
    pub(super) async fn stop_worker(&mut self) {
        self.send(&Command::Shutdown).await;
        if let Some(worker) = self.worker.take() {
            let Worker { process, mut link, .. } = worker;
            // What it still says is read, so that it doesn't wait for us.
            let reading = async {
                while link.next().await.is_ok() {}
                std::future::pending().await
            };
            tokio::select! {
                () = process.end(self.context.tuning.stop_grace) => {}
                () = reading => {}
            }
            info!(channel = self.name, "worker stopped");
        }
        self.start_at = None;
        self.forget_worker();
    }

    pub(super) fn worker_ready(&mut self, version: &str) {
        if version != env!("CARGO_PKG_VERSION") {
            warn!(channel = self.name, version, "the worker is of another version");
        }
        if let Some(worker) = &mut self.worker {
            worker.ready = true;
        }
        self.status.state = ChannelState::Running;
        self.status.reason = None;
        self.metrics.worker_up.with_label_values(&[&self.name]).set(1);
        self.rungs.handle_worker_ready();
    }
}

/// What the worker says next, or how it ended. Waits for ever where there is none.
pub(super) async fn next_of(worker: &mut Option<Worker>) -> Result<Event, String> {
    let Some(worker) = worker else {
        return std::future::pending().await;
    };
    tokio::select! {
        biased;
        event = worker.link.next() => event.map_err(|error| error.to_string()),
        status = worker.process.wait() => Err(match status {
            Ok(status) => format!("the worker ended: {status}"),
            Err(error) => format!("the worker can't be waited for: {error}"),
        }),
    }
}
