//! A publisher for tests: a second webrtcbin, on loopback.

use std::sync::Mutex;
use std::sync::mpsc;
use std::time::Duration;

use gst::glib;
use gst::prelude::*;
use gst_webrtc::{WebRTCSDPType, WebRTCSessionDescription};

const H264: &str = "x264enc name=encoder tune=zerolatency speed-preset=ultrafast key-int-max=600 \
    bitrate=1000 ! video/x-h264,profile=constrained-baseline ! \
    rtph264pay aggregate-mode=zero-latency config-interval=-1 mtu=1200 ! \
    application/x-rtp,media=video,encoding-name=H264,payload=96,packetization-mode=(string)1";
const VP8: &str = "vp8enc name=encoder deadline=1 keyframe-max-dist=600 target-bitrate=1000000 ! \
    rtpvp8pay mtu=1200 picture-id-mode=2 ! \
    application/x-rtp,media=video,encoding-name=VP8,payload=96";

/// What a test publisher sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Video {
    H264,
    Vp8,
    None,
}

pub struct Publisher {
    pipeline: gst::Pipeline,
    webrtc: gst::Element,
    candidates: Mutex<mpsc::Receiver<String>>,
}

// === impl Publisher ===

impl Publisher {
    /// Starts sending into nowhere; the offer is ready at once, without candidates.
    pub fn new(video: Video, audio: bool) -> Self {
        gst::init().unwrap();
        let source = "videotestsrc is-live=true pattern=ball ! \
            video/x-raw,width=320,height=240,framerate=30/1 ! identity name=gate";
        let video = match video {
            Video::H264 => format!("{source} ! {H264} ! w."),
            Video::Vp8 => format!("{source} ! {VP8} ! w."),
            Video::None => String::new(),
        };
        let audio = if audio {
            "audiotestsrc is-live=true wave=ticks ! opusenc ! rtpopuspay ! \
             application/x-rtp,media=audio,encoding-name=OPUS,payload=97 ! w."
        } else {
            ""
        };
        let line = format!("webrtcbin name=w bundle-policy=max-bundle {video} {audio}");
        let pipeline = gst::parse::launch(&line).unwrap().downcast::<gst::Pipeline>().unwrap();
        let webrtc = pipeline.by_name("w").unwrap();
        let ice = webrtc.property::<glib::Object>("ice-agent");
        assert!(ice.emit_by_name::<bool>("add-local-ip-address", &[&"127.0.0.1"]));
        let agent = ice.property::<glib::Object>("agent");
        agent.set_property("upnp", false);
        agent.set_property("ice-tcp", false);
        let (found, candidates) = mpsc::channel();
        webrtc.connect("on-ice-candidate", false, move |values| {
            let _ = found.send(values[2].get::<String>().unwrap());
            None
        });
        pipeline.set_state(gst::State::Playing).unwrap();
        Self { pipeline, webrtc, candidates: Mutex::new(candidates) }
    }

    /// The offer, with candidates for loopback in it.
    pub fn offer(&self) -> String {
        let offer = self.offer_without_candidates();
        let candidate = self.candidate();
        offer.replacen("a=mid:", &format!("a={candidate}\r\na=mid:"), 1)
    }

    pub fn offer_without_candidates(&self) -> String {
        let (done, created) = mpsc::channel();
        let promise = gst::Promise::with_change_func(move |reply| {
            let reply = reply.unwrap().unwrap();
            done.send(reply.get::<WebRTCSessionDescription>("offer").unwrap()).unwrap();
        });
        self.webrtc.emit_by_name::<()>("create-offer", &[&None::<gst::Structure>, &promise]);
        let offer = created.recv_timeout(Duration::from_secs(10)).unwrap();
        let text = offer.sdp().as_text().unwrap();
        self.set("set-local-description", &offer);
        text
    }

    /// A candidate of ours on loopback.
    pub fn candidate(&self) -> String {
        let candidates = self.candidates.lock().unwrap();
        loop {
            let candidate = candidates.recv_timeout(Duration::from_secs(10)).unwrap();
            if candidate.contains(" 127.0.0.1 ") {
                return candidate;
            }
        }
    }

    pub fn take_answer(&self, sdp: &str) {
        let message = gst_sdp::SDPMessage::parse_buffer(sdp.as_bytes()).unwrap();
        let answer = WebRTCSessionDescription::new(WebRTCSDPType::Answer, message);
        self.set("set-remote-description", &answer);
    }

    /// Stops or goes on sending pictures, without a word to the other side.
    pub fn mute(&self, mute: bool) {
        let gate = self.pipeline.by_name("gate").unwrap();
        gate.set_property("drop-probability", if mute { 1.0_f32 } else { 0.0 });
    }

    /// Changes the size of the picture in the running stream.
    pub fn resize(&self, width: i32, height: i32) {
        let caps = gst::Caps::builder("video/x-raw")
            .field("width", width)
            .field("height", height)
            .field("framerate", gst::Fraction::new(30, 1))
            .build();
        let gate = self.pipeline.by_name("gate").unwrap().static_pad("sink").unwrap();
        gate.peer().unwrap().parent_element().unwrap().set_property("caps", &caps);
    }

    fn set(&self, what: &str, description: &WebRTCSessionDescription) {
        let (done, set) = mpsc::channel();
        let promise = gst::Promise::with_change_func(move |_| done.send(()).unwrap());
        self.webrtc.emit_by_name::<()>(what, &[description, &promise]);
        set.recv_timeout(Duration::from_secs(10)).unwrap();
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}
