//! From webrtcbin's pads to access units.
//!
//! Locks: `video` holds the sink that keyframes are asked at; `buffers` the jitter buffers by
//! SSRC. Neither is held across a call out.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use gst::glib;
use gst::prelude::*;
use stentor_protocol::control::AudioFormat;
use stentor_protocol::spec::Codec;

use super::levels;
use super::peer::{PeerEvent, PeerEvents};
use crate::contribution::OpenError;
use crate::contribution::elements::{self, internal};
use crate::contribution::flow::Flow;

type Buffers = Arc<Mutex<HashMap<u32, glib::WeakRef<gst::Element>>>>;

/// The most jitter buffers remembered: a publisher has two, and changes them seldom.
const MOST_BUFFERS: usize = 16;

/// Receives what the publisher sends as soon as its pads appear.
pub fn on_pads(
    pipeline: &gst::Pipeline,
    webrtc: &gst::Element,
    flow: &Flow,
    events: &PeerEvents,
    video: &Arc<Mutex<Option<gst_app::AppSink>>>,
    level: &Arc<AtomicU8>,
) {
    let buffers = remember_jitter_buffers(webrtc);
    let (pipeline, flow) = (pipeline.downgrade(), flow.clone());
    let (events, video) = (Arc::clone(events), Arc::clone(video));
    let level = Arc::clone(level);
    webrtc.connect_pad_added(move |_, pad| {
        let Some(pipeline) = pipeline.upgrade() else { return };
        if pad.direction() != gst::PadDirection::Src {
            return;
        }
        match receive(&pipeline, pad, &flow, &buffers, level.load(Ordering::Relaxed)) {
            Ok(Some(sink)) => {
                *video.lock().unwrap_or_else(PoisonError::into_inner) = Some(sink);
            }
            Ok(None) => {}
            Err(error) => events(PeerEvent::Failed(error.to_string())),
        }
    });
}

/// Gives the sink of video.
fn receive(
    pipeline: &gst::Pipeline,
    pad: &gst::Pad,
    flow: &Flow,
    buffers: &Buffers,
    level: u8,
) -> Result<Option<gst_app::AppSink>, OpenError> {
    let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
    let structure = caps.structure(0).ok_or_else(|| internal("a stream without caps"))?;
    let codec = structure.get::<String>("encoding-name").unwrap_or_default().to_ascii_uppercase();
    let (chain, sink) = match codec.as_str() {
        "H264" => h264(flow)?,
        "VP8" => vp8(flow)?,
        "OPUS" => {
            let ssrc = structure.get::<u32>("ssrc").ok();
            spare_audio(buffers, ssrc);
            levels::listen(pad, flow, level);
            opus(flow, structure)?
        }
        other => return Err(internal(format!("a stream of {other}, which was not agreed on"))),
    };
    let elements: Vec<gst::Element> = chain.into_iter().chain([sink.clone().upcast()]).collect();
    elements::attach(pipeline, pad, &elements)?;
    Ok((codec != "OPUS").then_some(sink))
}

fn h264(flow: &Flow) -> Result<(Vec<gst::Element>, gst_app::AppSink), OpenError> {
    let caps = gst::Caps::builder("video/x-h264")
        .field("stream-format", "byte-stream")
        .field("alignment", "au")
        .build();
    // Whole access units from the start: the parser then waits for nothing.
    let depay = elements::make_with("rtph264depay", &[("request-keyframe", "true")])?;
    let whole = elements::make("capsfilter")?;
    whole.set_property("caps", &caps);
    let parse = elements::make_with("h264parse", &[("config-interval", "-1")])?;
    let sink = elements::appsink(Some(&caps));
    flow.video(&sink, Codec::H264);
    Ok((vec![depay, whole, parse], sink))
}

fn vp8(flow: &Flow) -> Result<(Vec<gst::Element>, gst_app::AppSink), OpenError> {
    let depay = elements::make_with("rtpvp8depay", &[("request-keyframe", "true")])?;
    let sink = elements::appsink(None);
    flow.video(&sink, Codec::Vp8);
    Ok((vec![depay], sink))
}

fn opus(
    flow: &Flow,
    rtp: &gst::StructureRef,
) -> Result<(Vec<gst::Element>, gst_app::AppSink), OpenError> {
    let depay = elements::make("rtpopusdepay")?;
    let sink = elements::appsink(None);
    let stereo =
        ["sprop-stereo", "stereo"].iter().any(|key| rtp.get::<String>(*key).as_deref() == Ok("1"));
    let channels = if stereo { 2 } else { 1 };
    flow.audio(&sink, AudioFormat { codec: Codec::Opus, sample_rate_hz: 48_000, channels });
    Ok((vec![depay], sink))
}

/// Retransmission is asked for per transport, and would be asked for audio as well; there a late
/// packet is worse than a lost one.
fn spare_audio(buffers: &Buffers, ssrc: Option<u32>) {
    let buffer = ssrc.and_then(|ssrc| {
        let buffers = buffers.lock().unwrap_or_else(PoisonError::into_inner);
        buffers.get(&ssrc).and_then(glib::WeakRef::upgrade)
    });
    match buffer {
        Some(buffer) => buffer.set_property("do-retransmission", false),
        None => tracing::debug!("no jitter buffer is known for the audio stream"),
    }
}

fn remember_jitter_buffers(webrtc: &gst::Element) -> Buffers {
    let buffers = Buffers::default();
    let rtpbin = webrtc.downcast_ref::<gst::Bin>().and_then(|bin| bin.by_name("rtpbin"));
    let Some(rtpbin) = rtpbin else {
        tracing::warn!("webrtcbin has no rtpbin");
        return buffers;
    };
    let into = Arc::clone(&buffers);
    rtpbin.connect("new-jitterbuffer", false, move |values| {
        let buffer = values.get(1)?.get::<gst::Element>().ok()?;
        let ssrc = values.get(3)?.get::<u32>().ok()?;
        let mut buffers = into.lock().unwrap_or_else(PoisonError::into_inner);
        if buffers.len() < MOST_BUFFERS {
            buffers.insert(ssrc, buffer.downgrade());
        }
        None
    });
    buffers
}
