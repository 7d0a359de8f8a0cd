//! One publisher's peer connection: a pipeline with a webrtcbin that only receives.
//!
//! Callbacks hold weak references to the pipeline, so that dropping it frees it, and none of
//! them changes a state: that would deadlock.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use gst::glib;
use gst::prelude::*;
use gst_webrtc::{WebRTCPeerConnectionState, WebRTCSDPType, WebRTCSessionDescription};
use stentor_protocol::spec::WhipSettings;

use super::answer::{self, AnswerError, Told};
use super::certificate::{self, CertificateError};
use super::offer::Plan;
use super::receive;
use super::sdp::Sdp;
use crate::contribution::OpenError;
use crate::contribution::elements::{self, internal};
use crate::contribution::flow::Flow;

/// How long a jitter buffer waits for a lost packet, ms. It delays nothing else.
const JITTER_MS: u32 = 200;
/// Feedback may be sent this often, ns; the default of 5 s would starve congestion control.
const RTCP_INTERVAL_NS: u64 = 100_000_000;
/// Longest wait for a step of the negotiation.
const STEP: Duration = Duration::from_secs(2);
/// Longest wait for the last candidate once there is one: an interface that goes nowhere may hold
/// gathering up.
const GATHERING: Duration = Duration::from_millis(200);

/// What befalls a peer, told on threads of GStreamer's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerEvent {
    /// The connection or the pipeline failed; the peer is of no more use.
    Failed(String),
}

/// Takes events of a peer. Must not block, nor change the peer's state.
pub type PeerEvents = Arc<dyn Fn(PeerEvent) + Send + Sync>;

pub struct Peer {
    pipeline: gst::Pipeline,
    webrtc: gst::Element,
    video: Arc<Mutex<Option<gst_app::AppSink>>>,
    /// Number of the header extension that says how loud it is; 0: there is none.
    level: Arc<AtomicU8>,
}

/// What becomes of looking for our own candidates.
struct Gathering {
    /// One for each candidate.
    found: mpsc::Receiver<()>,
    complete: mpsc::Receiver<()>,
}

/// Why an offer could not be answered.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Answer(#[from] AnswerError),
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    #[error("webrtcbin took the offer for unreadable")]
    Unreadable,
    #[error("webrtcbin refused to {step}: {reason}")]
    Step { step: &'static str, reason: String },
    #[error("webrtcbin did not {0} in time")]
    TooSlow(&'static str),
}

// === impl Peer ===

impl Peer {
    /// Builds the pipeline, negotiates, and gives the answer for the publisher. Takes some
    /// milliseconds; seconds where something is wrong. On an error, the pipeline comes back with
    /// it for the caller to end.
    pub fn connect(
        plan: &Plan,
        settings: &WhipSettings,
        flow: &Flow,
        events: &PeerEvents,
    ) -> Result<(Self, String), (PeerError, Option<gst::Pipeline>)> {
        let peer = Self::build(settings, flow, events).map_err(|e| (e.into(), None))?;
        match peer.negotiate(plan, settings) {
            Ok(answer) => Ok((peer, answer)),
            Err(error) => Err((error, Some(peer.pipeline))),
        }
    }

    /// Asks the publisher for a keyframe (PLI).
    pub fn request_keyframe(&self) {
        let video = self.video.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(sink) = video {
            let event = gst_video::UpstreamForceKeyUnitEvent::builder().all_headers(false).build();
            sink.send_event(event);
        }
    }

    /// Takes a publisher's candidate, in `candidate:...` form.
    pub fn add_candidate(&self, section: u32, candidate: &str) {
        self.webrtc.emit_by_name::<()>("add-ice-candidate", &[&section, &candidate]);
    }

    /// The pipeline, to be ended on a plain thread.
    pub fn into_pipeline(self) -> gst::Pipeline {
        self.pipeline
    }

    fn build(settings: &WhipSettings, flow: &Flow, events: &PeerEvents) -> Result<Self, OpenError> {
        let pipeline = gst::Pipeline::new();
        pipeline.use_clock(Some(&gst::SystemClock::obtain()));
        // With base time 0, running time is the monotonic clock itself.
        pipeline.set_start_time(gst::ClockTime::NONE);
        pipeline.set_base_time(gst::ClockTime::ZERO);
        let webrtc = elements::make_with(
            "webrtcbin",
            &[("bundle-policy", "max-bundle"), ("latency", &JITTER_MS.to_string())],
        )?;
        set_up_ice(&webrtc, settings);
        let pem = settings.certificate_pem.0.clone();
        if let Some(bin) = webrtc.downcast_ref::<gst::Bin>().filter(|_| !pem.is_empty()) {
            bin.connect_deep_element_added(move |_, _, element| {
                if element.has_property("pem") {
                    element.set_property("pem", &pem);
                }
            });
        }
        webrtc.connect("on-new-transceiver", false, |values| {
            let transceiver = values.get(1)?.get::<glib::Object>().ok()?;
            // Codecs are known only later, so audio gets it too and is spared below.
            transceiver.set_property("do-nack", true);
            None
        });
        let (video, level) = (Arc::default(), Arc::default());
        receive::on_pads(&pipeline, &webrtc, flow, events, &video, &level);
        watch(&pipeline, &webrtc, events)?;
        pipeline.add(&webrtc).map_err(internal)?;
        let peer = Self { pipeline, webrtc, video, level };
        if peer.pipeline.set_state(gst::State::Playing).is_err() {
            let _ = peer.pipeline.set_state(gst::State::Null);
            return Err(internal("webrtcbin does not start"));
        }
        Ok(peer)
    }

    fn negotiate(&self, plan: &Plan, settings: &WhipSettings) -> Result<String, PeerError> {
        let fingerprint = match settings.certificate_pem.0.as_str() {
            "" => None,
            pem => Some(certificate::fingerprint(pem)?),
        };
        let level = plan.audio.as_ref().and_then(|audio| audio.level);
        self.level.store(level.filter(|_| settings.levels).unwrap_or(0), Ordering::Relaxed);
        self.set_description("set-remote-description", WebRTCSDPType::Offer, &plan.offer)?;
        let created = self.ask("create-answer", |promise| {
            self.webrtc.emit_by_name::<()>("create-answer", &[&None::<gst::Structure>, promise]);
        })?;
        let created = created
            .and_then(|s| s.get::<WebRTCSessionDescription>("answer").ok())
            .and_then(|d| d.sdp().as_text().ok())
            .ok_or(PeerError::Unreadable)?;
        let gathered = self.watch_gathering();
        let local = answer::local(plan, &created)?;
        self.set_description("set-local-description", WebRTCSDPType::Answer, &local)?;
        self.set_rtcp_interval();
        self.wait_for_candidates(&gathered);
        let told = Told {
            fingerprint,
            public_address: settings.public_address,
            max_bitrate: settings.max_bitrate,
            levels: settings.levels,
        };
        Ok(answer::told(plan, &self.local_description()?, &told)?)
    }

    fn local_description(&self) -> Result<String, PeerError> {
        self.webrtc
            .property::<Option<WebRTCSessionDescription>>("local-description")
            .and_then(|d| d.sdp().as_text().ok())
            .ok_or(PeerError::Unreadable)
    }

    fn set_description(
        &self,
        step: &'static str,
        kind: WebRTCSDPType,
        sdp: &Sdp,
    ) -> Result<(), PeerError> {
        let message = gst_sdp::SDPMessage::parse_buffer(sdp.to_string().as_bytes())
            .map_err(|_| PeerError::Unreadable)?;
        let description = WebRTCSessionDescription::new(kind, message);
        self.ask(step, |promise| {
            self.webrtc.emit_by_name::<()>(step, &[&description, promise]);
        })?;
        Ok(())
    }

    /// Emits a signal that answers through a promise, and waits for it.
    fn ask(
        &self,
        step: &'static str,
        emit: impl FnOnce(&gst::Promise),
    ) -> Result<Option<gst::Structure>, PeerError> {
        let (reply, replied) = mpsc::channel();
        let promise = gst::Promise::with_change_func(move |result| {
            let _ = reply.send(match result {
                Ok(structure) => Ok(structure.map(|s| s.to_owned())),
                Err(error) => Err(format!("{error:?}")),
            });
        });
        emit(&promise);
        let structure = match replied.recv_timeout(STEP) {
            Ok(Ok(structure)) => structure,
            Ok(Err(reason)) => return Err(PeerError::Step { step, reason }),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                return Err(PeerError::TooSlow(step));
            }
        };
        let error = structure.as_ref().and_then(|s| s.get::<glib::Error>("error").ok());
        match error {
            Some(error) => Err(PeerError::Step { step, reason: error.to_string() }),
            None => Ok(structure),
        }
    }

    /// Waits until gathering is complete, or good enough. With no port left in the range it never
    /// completes, and the answer without a candidate is refused in time.
    fn wait_for_candidates(&self, gathered: &Gathering) {
        let found = gathered.found.recv_timeout(STEP);
        if found.is_ok() {
            let _ = gathered.complete.recv_timeout(GATHERING);
        }
    }

    fn watch_gathering(&self) -> Gathering {
        let (first, found) = mpsc::channel();
        self.webrtc.connect("on-ice-candidate", false, move |_| {
            let _ = first.send(());
            None
        });
        let (done, complete) = mpsc::channel();
        self.webrtc.connect_notify(Some("ice-gathering-state"), move |webrtc, _| {
            let state =
                webrtc.property::<gst_webrtc::WebRTCICEGatheringState>("ice-gathering-state");
            if state == gst_webrtc::WebRTCICEGatheringState::Complete {
                let _ = done.send(());
            }
        });
        Gathering { found, complete }
    }

    fn set_rtcp_interval(&self) {
        let rtpbin = self.webrtc.downcast_ref::<gst::Bin>().and_then(|bin| bin.by_name("rtpbin"));
        let session = rtpbin.and_then(|rtpbin| {
            rtpbin.emit_by_name::<Option<glib::Object>>("get-internal-session", &[&0_u32])
        });
        match session {
            Some(session) => session.set_property("rtcp-min-interval", RTCP_INTERVAL_NS),
            None => tracing::warn!("webrtcbin has no session to speed up feedback of"),
        }
    }
}

fn set_up_ice(webrtc: &gst::Element, settings: &WhipSettings) {
    let ice = webrtc.property::<glib::Object>("ice-agent");
    let (low, high) = settings.port_range;
    if high > 0 {
        ice.set_property("min-rtp-port", u32::from(low));
        ice.set_property("max-rtp-port", u32::from(high));
    }
    for address in &settings.local_addresses {
        let address = address.to_string();
        if !ice.emit_by_name::<bool>("add-local-ip-address", &[&address]) {
            tracing::warn!(%address, "the ICE agent does not take this local address");
        }
    }
    // Looking for a UPnP gateway costs 200 ms an offer; TCP candidates are of no use here.
    if let Some(agent) = ice.property::<Option<glib::Object>>("agent") {
        agent.set_property("upnp", false);
        agent.set_property("ice-tcp", false);
    }
}

/// Tells when the connection or the pipeline fails.
fn watch(
    pipeline: &gst::Pipeline,
    webrtc: &gst::Element,
    events: &PeerEvents,
) -> Result<(), OpenError> {
    let told = Arc::clone(events);
    webrtc.connect_notify(Some("connection-state"), move |webrtc, _| {
        let state = webrtc.property::<WebRTCPeerConnectionState>("connection-state");
        if matches!(state, WebRTCPeerConnectionState::Failed | WebRTCPeerConnectionState::Closed) {
            told(PeerEvent::Failed(format!("the connection is {state:?}").to_lowercase()));
        }
    });
    let told = Arc::clone(events);
    let bus = pipeline.bus().ok_or_else(|| internal("a pipeline without a bus"))?;
    bus.set_sync_handler(move |_, message| {
        match message.view() {
            gst::MessageView::Error(error) => {
                tracing::warn!(error = %error.error(), debug = ?error.debug(), "publisher's pipeline");
                told(PeerEvent::Failed(error.error().to_string()));
            }
            gst::MessageView::Eos(_) => told(PeerEvent::Failed("the stream ended".to_owned())),
            _ => {}
        }
        gst::BusSyncReply::Drop
    });
    Ok(())
}

/// Time since `start` in ms, for logs.
pub fn ms_since(start: Instant) -> u64 {
    start.elapsed().as_millis() as u64
}
