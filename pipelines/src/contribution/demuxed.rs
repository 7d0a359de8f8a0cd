//! From a demuxer's pads to access units, whatever the source: the first video and the first
//! audio that can be used are taken, the rest is left alone.
//!
//! Locks: `video` holds the sink that keyframes are asked at, never across a call out.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use gst::glib;
use gst::prelude::*;
use stentor_protocol::control::AudioFormat;
use stentor_protocol::spec::Codec;

use super::OpenError;
use super::elements;
use super::flow::Flow;
use super::sound;

/// Why a source with other streams alone is lost.
pub const NOTHING_USABLE: &str = "the source has no stream that can be used";

/// The streams of one connection.
pub struct Demuxed {
    pipeline: glib::WeakRef<gst::Pipeline>,
    flow: Flow,
    has_video: AtomicBool,
    has_audio: AtomicBool,
    video: Mutex<Option<gst_app::AppSink>>,
    /// Called when a stream that was promised can't be had.
    failed: Box<dyn Fn(String) + Send + Sync>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Video,
    Audio,
}

/// What a pad's caps say of its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stream {
    Video {
        codec: Codec,
        depayloader: Option<&'static str>,
        parser: Option<&'static str>,
    },
    /// Opus that can be taken as it is.
    Opus {
        depayloader: Option<&'static str>,
        channels: u32,
    },
    /// Any other sound, to be decoded and encoded again.
    Sound(Codec),
    Unusable,
}

// === impl Demuxed ===

impl Demuxed {
    pub fn new(
        pipeline: &gst::Pipeline,
        flow: Flow,
        failed: impl Fn(String) + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            pipeline: pipeline.downgrade(),
            flow,
            has_video: AtomicBool::new(false),
            has_audio: AtomicBool::new(false),
            video: Mutex::default(),
            failed: Box::new(failed),
        })
    }

    /// Takes the pads of an element as they come.
    pub fn take_pads(self: &Arc<Self>, element: &gst::Element) {
        let streams = Arc::clone(self);
        element.connect_pad_added(move |_, pad| streams.take(pad));
        let streams = Arc::clone(self);
        element.connect_no_more_pads(move |_| {
            if streams.is_empty() {
                (streams.failed)(NOTHING_USABLE.to_owned());
            }
        });
        let streams = Arc::clone(self);
        element.connect_pad_removed(move |_, pad| {
            let gone = pad.direction() == gst::PadDirection::Src && pad.is_linked();
            if gone && !streams.flow.pulse.is_shut() {
                (streams.failed)("the source's streams have changed".to_owned());
            }
        });
    }

    pub fn has_video(&self) -> bool {
        self.has_video.load(Ordering::Acquire)
    }

    /// No stream is taken, so far.
    pub fn is_empty(&self) -> bool {
        !self.has_video() && !self.has_audio.load(Ordering::Acquire)
    }

    /// The source begins again from its start; all it had is delivered.
    pub fn restart(&self) {
        self.flow.restart();
    }

    /// Asks upstream for a keyframe; few sources of this kind heed it.
    pub fn request_keyframe(&self) {
        let video = self.video.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(sink) = video {
            let event = gst_video::UpstreamForceKeyUnitEvent::builder().all_headers(false).build();
            sink.send_event(event);
        }
    }

    fn take(&self, pad: &gst::Pad) {
        if pad.direction() != gst::PadDirection::Src {
            return;
        }
        let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
        let stream = classify(&caps);
        let taken = match stream {
            Stream::Unusable => {
                let name = caps.structure(0).map_or("unknown", |s| s.name().as_str());
                tracing::info!(name, "a stream that can't be used is left alone");
                true
            }
            Stream::Video { .. } => self.has_video.swap(true, Ordering::AcqRel),
            Stream::Opus { .. } | Stream::Sound(_) => self.has_audio.swap(true, Ordering::AcqRel),
        };
        let Some(pipeline) = self.pipeline.upgrade() else { return };
        let attached = match taken {
            true => discard(&pipeline, pad),
            false => self.attach(&pipeline, pad, stream),
        };
        if let Err(error) = attached {
            (self.failed)(error.to_string());
        }
    }

    fn attach(
        &self,
        pipeline: &gst::Pipeline,
        pad: &gst::Pad,
        stream: Stream,
    ) -> Result<(), OpenError> {
        let mut chain = vec![elements::queue(self.flow.is_paced())?];
        match stream {
            Stream::Video { codec, depayloader, parser } => {
                chain.extend(depayloader.map(elements::make).transpose()?);
                let caps = match codec {
                    Codec::H264 => Some("video/x-h264"),
                    Codec::H265 => Some("video/x-h265"),
                    _ => None,
                };
                let caps = caps.map(|name| {
                    gst::Caps::builder(name)
                        .field("stream-format", "byte-stream")
                        .field("alignment", "au")
                        .build()
                });
                if let Some(parser) = parser {
                    chain.push(elements::make_with(parser, &[("config-interval", "-1")])?);
                }
                let sink = elements::appsink(caps.as_ref());
                self.flow.video(&sink, codec);
                *self.video.lock().unwrap_or_else(PoisonError::into_inner) = Some(sink.clone());
                chain.push(sink.upcast());
            }
            Stream::Opus { depayloader, channels } => {
                chain.extend(depayloader.map(elements::make).transpose()?);
                let sink = elements::appsink(None);
                let format = AudioFormat { codec: Codec::Opus, sample_rate_hz: 48_000, channels };
                self.flow.audio(&sink, format);
                chain.push(sink.upcast());
            }
            Stream::Sound(codec) => chain.push(sound::decoder(pipeline, &self.flow, codec)?),
            Stream::Unusable => return Ok(()),
        }
        elements::attach(pipeline, pad, &chain)
    }
}

/// A demuxer whose pads lead nowhere gives up: what isn't used flows into nothing.
fn discard(pipeline: &gst::Pipeline, pad: &gst::Pad) -> Result<(), OpenError> {
    let sink = elements::make_with("fakesink", &[("sync", "false"), ("async", "false")])?;
    elements::attach(pipeline, pad, &[sink])
}

/// What a stream with such caps would be taken for; None where it can't be used.
pub fn kind(caps: &gst::CapsRef) -> Option<Kind> {
    match classify(caps) {
        Stream::Video { .. } => Some(Kind::Video),
        Stream::Opus { .. } | Stream::Sound(_) => Some(Kind::Audio),
        Stream::Unusable => None,
    }
}

/// What can be done with a stream of such caps.
fn classify(caps: &gst::CapsRef) -> Stream {
    let Some(structure) = caps.structure(0) else { return Stream::Unusable };
    let video = |codec, parser| Stream::Video { codec, depayloader: None, parser };
    match structure.name().as_str() {
        // The second is rtspsrc's name for it while streams are selected.
        "application/x-rtp" | "application/x-unknown" => classify_rtp(structure),
        "video/x-h264" => video(Codec::H264, Some("h264parse")),
        "video/x-h265" => video(Codec::H265, Some("h265parse")),
        "video/x-vp8" => video(Codec::Vp8, None),
        "audio/x-opus" => {
            let channels = structure.get::<i32>("channels").unwrap_or(2);
            match u32::try_from(channels) {
                Ok(channels @ 1..=2) => Stream::Opus { depayloader: None, channels },
                _ => Stream::Sound(Codec::Opus),
            }
        }
        // A demuxer may leave it open whether it is version 2 or 4; both are AAC.
        "audio/mpeg" if structure.get::<i32>("mpegversion") != Ok(1) => Stream::Sound(Codec::Aac),
        // The protocol has no name for other codecs: told is what they become.
        name if name.starts_with("audio/") => Stream::Sound(Codec::Opus),
        _ => Stream::Unusable,
    }
}

fn classify_rtp(rtp: &gst::StructureRef) -> Stream {
    let text = |key: &str| rtp.get::<String>(key).unwrap_or_default();
    let video = |codec, depayloader, parser| Stream::Video {
        codec,
        depayloader: Some(depayloader),
        parser,
    };
    match (text("media").as_str(), text("encoding-name").to_ascii_uppercase().as_str()) {
        ("video", "H264") => video(Codec::H264, "rtph264depay", Some("h264parse")),
        ("video", "H265") => video(Codec::H265, "rtph265depay", Some("h265parse")),
        ("video", "VP8") => video(Codec::Vp8, "rtpvp8depay", None),
        ("audio", "OPUS") => {
            let stereo = text("sprop-stereo") == "1";
            let channels = if stereo { 2 } else { 1 };
            Stream::Opus { depayloader: Some("rtpopusdepay"), channels }
        }
        ("audio", "MPEG4-GENERIC" | "MP4A-LATM") => Stream::Sound(Codec::Aac),
        ("audio", _) => Stream::Sound(Codec::Opus),
        _ => Stream::Unusable,
    }
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use super::*;

    #[test]
    fn streams_are_told_apart_by_their_caps() {
        gst::init().unwrap();
        let video = |codec, depayloader, parser| Stream::Video { codec, depayloader, parser };
        let cases = [
            ("video/x-h264,stream-format=avc", video(Codec::H264, None, Some("h264parse"))),
            ("video/x-h265", video(Codec::H265, None, Some("h265parse"))),
            ("video/x-vp8", video(Codec::Vp8, None, None)),
            ("video/x-vp9", Stream::Unusable),
            ("video/mpeg,mpegversion=2", Stream::Unusable),
            ("audio/x-opus,channels=1", Stream::Opus { depayloader: None, channels: 1 }),
            ("audio/x-opus,channels=6", Stream::Sound(Codec::Opus)),
            ("audio/mpeg,mpegversion=4", Stream::Sound(Codec::Aac)),
            ("audio/mpeg,mpegversion=2", Stream::Sound(Codec::Aac)),
            ("audio/mpeg,mpegversion={2,4}", Stream::Sound(Codec::Aac)),
            ("audio/mpeg,mpegversion=1,layer=2", Stream::Sound(Codec::Opus)),
            ("audio/x-ac3", Stream::Sound(Codec::Opus)),
            ("subpicture/x-dvb", Stream::Unusable),
            (
                "application/x-rtp,media=video,encoding-name=H264",
                video(Codec::H264, Some("rtph264depay"), Some("h264parse")),
            ),
            (
                "application/x-rtp,media=audio,encoding-name=OPUS,sprop-stereo=(string)1",
                Stream::Opus { depayloader: Some("rtpopusdepay"), channels: 2 },
            ),
            (
                "application/x-rtp,media=audio,encoding-name=MPEG4-GENERIC",
                Stream::Sound(Codec::Aac),
            ),
            ("application/x-rtp,media=audio,encoding-name=PCMA", Stream::Sound(Codec::Opus)),
            ("application/x-unknown,media=audio,encoding-name=PCMU", Stream::Sound(Codec::Opus)),
            ("application/x-rtp,media=video,encoding-name=JPEG", Stream::Unusable),
            ("application/x-rtp,media=application", Stream::Unusable),
        ];
        for (caps, expected) in cases {
            assert_eq!(classify(&gst::Caps::from_str(caps).unwrap()), expected, "{caps}");
        }
    }
}
