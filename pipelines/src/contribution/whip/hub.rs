//! Decides who publishes: takes, refuses and ends legs, and tells the source's state.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use stentor_protocol::control::{Fault, SourceState};
use stentor_protocol::spec::{ChannelSpec, SecondPublisher, WhipSettings};

use super::leg::{Leg, Turn};
use super::offer::{self, Plan};
use super::peer::{Peer, PeerError, PeerEvent, ms_since};
use super::trickle::Fragment;
use crate::contribution::flow::{Flow, Pulse, monotonic_ns};
use crate::contribution::outlet::Tap;
use crate::contribution::teardown::Teardowns;
use crate::contribution::{Contributed, WhipCommand};

/// Offers that are being answered at once, at most.
const MOST_NEGOTIATIONS: usize = 4;
/// The first session of a process is slow: this offer is answered and thrown away at the start.
pub const WARM_UP: &str = include_str!("warm-up.sdp");

/// No publisher can be named so.
const WARM_UP_SESSION: &str = "\0warm-up";

pub enum Message {
    Command(WhipCommand),
    Keyframe,
    /// Units come again.
    Flowing,
    Negotiated {
        session: String,
        outcome: Outcome,
    },
    Peer {
        session: String,
        event: PeerEvent,
    },
    Stop,
}

pub type Outcome = Result<(Peer, String), (PeerError, Option<gst::Pipeline>)>;

pub struct Hub {
    settings: WhipSettings,
    second: SecondPublisher,
    loss_timeout_ms: u32,
    tap: Arc<Tap>,
    own: SyncSender<Message>,
    current: Option<Leg>,
    negotiations: usize,
    /// Publishers that went live so far.
    lives: u64,
    teardowns: Teardowns,
}

// === impl Hub ===

impl Hub {
    pub fn new(
        spec: &ChannelSpec,
        second: SecondPublisher,
        tap: Arc<Tap>,
        own: SyncSender<Message>,
    ) -> Self {
        Self {
            settings: spec.whip.clone(),
            second,
            loss_timeout_ms: spec.loss_timeout_ms,
            tap,
            own,
            current: None,
            negotiations: 0,
            lives: 0,
            teardowns: Teardowns::default(),
        }
    }

    pub fn run(mut self, messages: &Receiver<Message>) {
        self.tell(SourceState::Waiting, "no publisher");
        self.warm_up();
        let mut due_ns = u64::MAX;
        loop {
            let wait = due_ns.saturating_sub(monotonic_ns()).min(3_600_000_000_000);
            match messages.recv_timeout(Duration::from_nanos(wait)) {
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(message) => self.handle(message),
                Err(RecvTimeoutError::Timeout) => {}
            }
            due_ns = self.check();
        }
        self.end_current(None);
        self.teardowns.wait();
    }

    fn handle(&mut self, message: Message) {
        match message {
            Message::Command(WhipCommand::Offer { session, sdp }) => self.offered(session, &sdp),
            Message::Command(WhipCommand::Trickle { session, fragment }) => {
                if let Some(leg) = self.leg(&session) {
                    leg.trickle(Fragment::parse(&fragment));
                }
            }
            Message::Command(WhipCommand::Close { session }) => {
                self.end_if_current(&session, "the publisher left");
            }
            Message::Keyframe => {
                if let Some(leg) = &self.current {
                    leg.request_keyframe();
                }
            }
            Message::Negotiated { session, outcome } => self.negotiated(&session, outcome),
            Message::Peer { session, event: PeerEvent::Failed(reason) } => {
                self.end_if_current(&session, &reason);
            }
            Message::Flowing | Message::Stop => {}
        }
    }

    fn offered(&mut self, session: String, sdp: &str) {
        let plan = match offer::plan(sdp) {
            Ok(plan) => plan,
            Err(error) => return self.refuse(session, error.fault(), error.to_string()),
        };
        if self.negotiations >= MOST_NEGOTIATIONS {
            return self.refuse(session, Fault::Server, "too many offers at once".to_owned());
        }
        if let Some(leg) = &self.current {
            if leg.session == session {
                return self.refuse(
                    session,
                    Fault::Client,
                    "the session exists already".to_owned(),
                );
            }
            if self.second == SecondPublisher::Refuse && !leg.is_lost() {
                return self.refuse(
                    session,
                    Fault::Busy,
                    "someone publishes here already".to_owned(),
                );
            }
            self.end_current(Some("another publisher took over"));
        }
        let own = self.own.clone();
        let pulse = Pulse::new(move || {
            // Where the queue is full, the hub looks by itself soon.
            let _ = own.try_send(Message::Flowing);
        });
        let flow = Flow::new(Arc::clone(&self.tap), Arc::clone(&pulse));
        self.current = Some(Leg::new(session.clone(), &plan, pulse, monotonic_ns()));
        self.tell(SourceState::Connecting, "a publisher connects");
        self.negotiate(session, plan, flow);
    }

    fn negotiate(&mut self, session: String, plan: Plan, flow: Flow) {
        let (own, settings) = (self.own.clone(), self.settings.clone());
        let name = session.clone();
        let work = move || {
            let start = Instant::now();
            let (sender, id) = (own.clone(), session.clone());
            let events = Arc::new(move |event| {
                let _ = sender.try_send(Message::Peer { session: id.clone(), event });
            });
            let outcome = Peer::connect(&plan, &settings, &flow, &(events as _));
            let failure = outcome.as_ref().err().map(|(error, _)| error.to_string());
            tracing::debug!(%session, ms = ms_since(start), failure, "offer answered");
            if let Err(unsent) = own.send(Message::Negotiated { session, outcome }) {
                let Message::Negotiated { outcome, .. } = unsent.0 else { return };
                let pipeline = outcome.map_or_else(|e| e.1, |(peer, _)| Some(peer.into_pipeline()));
                if let Some(pipeline) = pipeline {
                    Teardowns::default().begin(pipeline);
                }
            }
        };
        match std::thread::Builder::new().name("whip-offer".into()).spawn(work) {
            Ok(_) => self.negotiations += 1,
            Err(error) => self.end_if_current(&name, &format!("no thread to answer on: {error}")),
        }
    }

    fn negotiated(&mut self, session: &str, outcome: Outcome) {
        self.negotiations = self.negotiations.saturating_sub(1);
        let (peer, sdp) = match outcome {
            Ok(answered) => answered,
            Err((error, pipeline)) => {
                if let Some(pipeline) = pipeline {
                    self.teardowns.begin(pipeline);
                }
                return self.end_if_current(session, &error.to_string());
            }
        };
        match self.leg(session) {
            Some(leg) => {
                leg.answered(peer, monotonic_ns());
                self.tap.tell(Contributed::WhipAnswer { session: session.to_owned(), sdp });
            }
            None => self.teardowns.begin(peer.into_pipeline()),
        }
    }

    /// Looks after the current leg, and gives when to look again.
    fn check(&mut self) -> u64 {
        loop {
            let Some(leg) = &mut self.current else { return u64::MAX };
            let now_ns = monotonic_ns();
            let (turn, until_ns) = leg.check(self.loss_timeout_ms, now_ns);
            match turn {
                Turn::Same => return until_ns,
                Turn::Live => {
                    self.lives += 1;
                    if self.lives > 1 {
                        self.tap.count_reconnect();
                    }
                    self.tell(SourceState::Live, "");
                }
                Turn::Lost(detail) => self.tell(SourceState::Lost, &detail),
                Turn::Over(reason) => {
                    let session = leg.session.clone();
                    self.end_if_current(&session, &reason);
                }
            }
        }
    }

    fn end_if_current(&mut self, session: &str, reason: &str) {
        if self.leg(session).is_some() {
            self.end_current(Some(reason));
            self.tell(SourceState::Waiting, reason);
        }
    }

    /// Ends the current leg; its publisher is told why where there is someone to tell.
    fn end_current(&mut self, reason: Option<&str>) {
        let Some(leg) = self.current.take() else { return };
        if let Some(reason) = reason {
            let session = leg.session.clone();
            if leg.is_answered() {
                tracing::info!(%session, reason, "publisher ended");
                let reason = reason.to_owned();
                self.tap.tell(Contributed::WhipEnded { session, reason });
            } else {
                self.refuse(session, Fault::Server, reason.to_owned());
            }
        }
        if let Some(pipeline) = leg.end() {
            self.teardowns.begin(pipeline);
        }
    }

    fn warm_up(&mut self) {
        let Ok(plan) = offer::plan(WARM_UP) else {
            tracing::error!("the warm-up offer can't be read");
            return;
        };
        let pulse = Pulse::new(|| {});
        pulse.shut();
        let flow = Flow::new(Tap::new(Arc::new(|_| {})), pulse);
        self.negotiate(WARM_UP_SESSION.to_owned(), plan, flow);
    }

    fn leg(&mut self, session: &str) -> Option<&mut Leg> {
        self.current.as_mut().filter(|leg| leg.session == session)
    }

    fn refuse(&self, session: String, fault: Fault, reason: String) {
        tracing::info!(%session, ?fault, reason, "publisher refused");
        self.tap.tell(Contributed::WhipRefused { session, fault, reason });
    }

    fn tell(&self, state: SourceState, detail: &str) {
        self.tap.tell(Contributed::State { state, detail: detail.to_owned() });
    }
}
