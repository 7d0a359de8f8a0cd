//! What the control plane holds.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Instant, SystemTime};

use tokio::sync::{mpsc, oneshot, watch};

use super::bind::{bind_all, candidates};
use super::channel::{Channel, ChannelKey};
use super::feed::ChannelFeed;
use super::inbox::{Command, Inbox};
use super::join::{Local, Negotiation, NewSession, negotiate_offer};
use super::registry::Entry;
use super::sdp::{Fragment, restart_fragment};
use super::shard::Shard;
use super::shared::Shared;
use super::transport::IceCreds;
use super::{
    FanoutConfig, FanoutEvent, JoinError, JoinRequest, Joined, RenditionChoice, SessionError,
    SessionId, SessionReport, SessionState, StartError,
};
use crate::telemetry::fanout::FanoutMetrics;

/// A running fan-out. Clones name the same one; it ends when the last of them is dropped.
#[derive(Clone)]
pub struct Fanout(Arc<Running>);

struct Running {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

/// Events that wait for the control plane before shards' marks are coalesced.
const EVENTS: usize = 256;

// === impl Fanout ===

impl Fanout {
    /// Binds the sockets and starts the shards.
    pub fn start(
        config: FanoutConfig,
        metrics: FanoutMetrics,
    ) -> Result<(Self, mpsc::Receiver<FanoutEvent>), StartError> {
        if !(1..=64).contains(&config.shards) {
            return Err(StartError::Shards(config.shards));
        }
        let sockets = bind_all(&config)?;
        let candidates = sockets.iter().map(|of| candidates(&config, of)).collect();
        let inboxes: Result<Vec<_>, _> =
            (0..config.shards).map(|_| Inbox::new().map(Arc::new)).collect();
        let shared = Arc::new(Shared::new(
            config.certificate,
            config.dead_after,
            config.max_viewers,
            metrics,
            inboxes.map_err(StartError::Thread)?.into(),
            candidates,
        ));
        let mut running = Running { shared: shared.clone(), threads: Vec::new() };
        for (index, sockets) in sockets.into_iter().enumerate() {
            let shard = Shard::new(index, shared.clone(), sockets).map_err(StartError::Thread)?;
            let thread = thread::Builder::new()
                .name(format!("fanout-{index}"))
                .spawn(move || shard.run())
                .map_err(StartError::Thread)?;
            running.threads.push(thread);
        }
        let (to, events) = mpsc::channel(EVENTS);
        thread::Builder::new()
            .name("fanout-events".into())
            .spawn(move || shared.events.run(&to))
            .map_err(StartError::Thread)?;
        Ok((Self(Arc::new(running)), events))
    }

    /// The addresses that viewers are told.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.0.shared.candidates.iter().flat_map(|of_shard| of_shard.iter().copied())
    }

    /// Makes a place for a channel. A channel of the same name that is still open is closed.
    pub fn open_channel(&self, name: &str) -> ChannelFeed {
        let shared = &self.0.shared;
        let key = ChannelKey(shared.keys.fetch_add(1, Ordering::Relaxed));
        let channel = Arc::new(Channel::new(key, name, shared.keys.clone()));
        if let Some(former) = shared.insert_channel(channel.clone()) {
            former.close();
            shared.broadcast(|| Command::ChannelClosed(former.key));
        }
        ChannelFeed::new(channel, shared.clone())
    }

    /// Lets a viewer in. The answer carries all candidates; media starts when DTLS is done.
    pub async fn join(&self, request: JoinRequest) -> Result<Joined, JoinError> {
        let result = self.try_join(request);
        let metrics = &self.0.shared.metrics;
        match &result {
            Ok(_) => metrics.joins.inc(),
            Err(error) => metrics.join_failures.with_label_values(&[error.as_str()]).inc(),
        }
        result
    }

    /// Takes a trickle ICE fragment (RFC 8840). We are ICE-lite, so candidates are only checked.
    /// One with other credentials than before restarts ICE; then the result is the fragment to
    /// answer with.
    pub async fn trickle(
        &self,
        session: SessionId,
        fragment: &str,
    ) -> Result<Option<String>, SessionError> {
        let entry = self.entry(session)?;
        let fragment =
            Fragment::parse(fragment).map_err(|error| SessionError::Trickle(error.to_string()))?;
        let Some(remote) = fragment.remote else { return Ok(None) };
        {
            let mut known = entry.remote_ufrag.lock().unwrap_or_else(PoisonError::into_inner);
            if *known == remote.ufrag {
                return Ok(None);
            }
            known.clone_from(&remote.ufrag);
        }
        let local = IceCreds::generate().map_err(|_| SessionError::Busy(session))?;
        let (kind, mid) = &entry.first_section;
        let answer = restart_fragment(&local, kind, mid, &entry.candidates);
        self.command(session, Command::RestartIce { session, local, remote })?;
        Ok(Some(answer))
    }

    /// Changes what a viewer gets.
    pub async fn select(
        &self,
        session: SessionId,
        choice: RenditionChoice,
    ) -> Result<(), SessionError> {
        self.entry(session)?;
        let (reply, answer) = oneshot::channel();
        self.command(session, Command::Select { session, choice, reply })?;
        answer.await.unwrap_or(Err(SessionError::NoSession(session)))
    }

    /// Ends a session. False: there was none (any more).
    pub async fn leave(&self, session: SessionId) -> bool {
        if self.entry(session).is_err() {
            return false;
        }
        let (reply, answer) = oneshot::channel();
        let sent = self.command(session, Command::Leave { session, reply });
        sent.is_ok() && answer.await.unwrap_or(false)
    }

    /// Follows a session: a new report about once a second and at each change of rendition.
    pub fn watch(&self, session: SessionId) -> Option<watch::Receiver<SessionReport>> {
        let entry = self.entry(session).ok()?;
        let receiver = entry.report.subscribe();
        // The first report it sees may be old; a new one is on its way, or comes in a second.
        let _ = self.command(session, Command::Refresh(session));
        Some(receiver)
    }

    /// Reports of all viewers, or of one channel's.
    pub async fn viewers(&self, channel: Option<&str>) -> Vec<SessionReport> {
        let shared = &self.0.shared;
        let channel = match channel.map(|name| shared.channel(name)) {
            None => None,
            Some(Some(channel)) => Some(channel.key),
            Some(None) => return Vec::new(),
        };
        let mut answers = Vec::new();
        for inbox in shared.shards.iter() {
            let (reply, answer) = oneshot::channel();
            if inbox.push_command(Command::Reports { channel, reply }).is_ok() {
                answers.push(answer);
            }
        }
        let mut reports = Vec::new();
        for answer in answers {
            reports.extend(answer.await.unwrap_or_default());
        }
        reports
    }

    /// New viewers are refused while this is set.
    pub fn set_draining(&self, draining: bool) {
        self.0.shared.draining.store(draining, Ordering::Release);
    }

    /// Refuses new viewers, tells the present ones good-bye and ends their sessions.
    pub async fn drain(&self) {
        self.set_draining(true);
        let mut answers = Vec::new();
        for inbox in self.0.shared.shards.iter() {
            let (reply, answer) = oneshot::channel();
            if inbox.push_command(Command::Drain(reply)).is_ok() {
                answers.push(answer);
            }
        }
        for answer in answers {
            // A shard that is gone has no viewers left.
            let _ = answer.await;
        }
    }

    fn try_join(&self, request: JoinRequest) -> Result<Joined, JoinError> {
        let shared = &self.0.shared;
        let (asked, since) = (Instant::now(), SystemTime::now());
        if shared.draining.load(Ordering::Acquire) && !request.despite_drain {
            return Err(JoinError::Draining);
        }
        let channel = shared.channel(&request.channel);
        let channel = channel.ok_or_else(|| JoinError::NoChannel(request.channel.clone()))?;
        check_choice(&channel, &request.choice)?;
        let place =
            shared.registry.place().ok_or_else(|| JoinError::Full(shared.registry.most()))?;
        let shard = least_loaded(shared);
        let candidates = shared.candidates[shard].clone();
        let local = Local { certificate: &shared.certificate, candidates: &candidates };
        let made = negotiate_offer(&channel, &request.offer, &local, asked)?;
        let mut random = [0; 16];
        aws_lc_rs::rand::fill(&mut random).map_err(|_| JoinError::Busy)?;
        let id = SessionId::new(u128::from_be_bytes(random), shard);
        let report = first_report(id, &channel, &request.choice, since);
        let report = Arc::new(watch::Sender::new(report));
        let Negotiation { media, transport, local_ufrag, remote_ufrag, first_section, answer } =
            made;
        let new = NewSession {
            id,
            channel,
            transport,
            local_ufrag,
            media,
            choice: request.choice,
            report: report.clone(),
            asked,
            since,
            place,
        };
        let entry =
            Entry { report, first_section, candidates, remote_ufrag: Mutex::new(remote_ufrag) };
        shared.registry.insert(id, Arc::new(entry));
        if shared.shards[shard].push_command(Command::Join(Box::new(new))).is_err() {
            shared.registry.remove(id);
            return Err(JoinError::Busy);
        }
        Ok(Joined { session: id, answer })
    }

    fn entry(&self, session: SessionId) -> Result<Arc<Entry>, SessionError> {
        self.0.shared.registry.get(session).ok_or(SessionError::NoSession(session))
    }

    fn command(&self, session: SessionId, command: Command) -> Result<(), SessionError> {
        let shard = self.0.shared.shards.get(session.shard());
        let shard = shard.ok_or(SessionError::NoSession(session))?;
        shard.push_command(command).map_err(|_| SessionError::Busy(session))
    }
}

fn least_loaded(shared: &Shared) -> usize {
    let loads = shared.loads.iter().map(|load| load.sessions.fetch_add(0, Ordering::AcqRel));
    let least = loads.enumerate().min_by_key(|(_, sessions)| *sessions);
    let shard = least.map_or(0, |(shard, _)| shard);
    // Counted at once, so that a burst of joins is spread; the shard corrects it.
    shared.loads[shard].sessions.fetch_add(1, Ordering::AcqRel);
    shard
}

fn check_choice(channel: &Channel, choice: &RenditionChoice) -> Result<(), JoinError> {
    let RenditionChoice::Pinned(name) = choice else { return Ok(()) };
    let renditions = channel.renditions();
    if renditions.is_empty() || renditions.iter().any(|o| o.rendition.name == *name) {
        return Ok(());
    }
    let channel = channel.name.to_string();
    Err(JoinError::NoRendition { channel, rendition: name.clone() })
}

fn first_report(
    session: SessionId,
    channel: &Channel,
    choice: &RenditionChoice,
    since: SystemTime,
) -> SessionReport {
    SessionReport {
        session,
        channel: channel.name.to_string(),
        state: SessionState::Connecting,
        choice: choice.clone(),
        active: None,
        track: None,
        codec: None,
        layers: Vec::new(),
        remote: None,
        since,
        bitrate: stentor_protocol::BitsPerSecond(0),
        estimate: None,
        loss: 0.0,
        rtt: None,
        packets: 0,
        bytes: 0,
        nacks: 0,
        retransmissions: 0,
        plis: 0,
        switches: 0,
        first_frame: None,
    }
}

// === impl Running ===

impl Drop for Running {
    fn drop(&mut self) {
        self.shared.broadcast(|| Command::Stop);
        self.shared.events.stop();
        for thread in self.threads.drain(..) {
            // A shard that panicked has said so already.
            let _ = thread.join();
        }
    }
}
