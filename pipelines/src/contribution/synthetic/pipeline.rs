//! The synthetic camera's encoders: raw pictures and sound in, access units out.

use gst::prelude::*;
use stentor_protocol::control::AudioFormat;
use stentor_protocol::spec::Codec;
use stentor_protocol::units::{FrameRate, Resolution};

use super::card::Layout;
use super::tone;
use crate::contribution::OpenError;
use crate::contribution::elements::{self, internal};
use crate::contribution::flow::Flow;

/// A keyframe comes at least this often, in seconds.
const KEYFRAME_SECONDS: f64 = 2.0;
/// The card needs far less; this bounds the flash and the first picture, in kb/s per megapixel.
const KBPS_PER_MEGAPIXEL: f64 = 3000.0;

pub struct Encoders {
    pub layout: Layout,
    pipeline: gst::Pipeline,
    bus: gst::Bus,
    pictures: gst_app::AppSrc,
    sound: gst_app::AppSrc,
    video_sink: gst_app::AppSink,
    picture_duration: gst::ClockTime,
}

// === impl Encoders ===

impl Encoders {
    pub fn start(resolution: Resolution, rate: FrameRate, flow: &Flow) -> Result<Self, OpenError> {
        let fraction = gst::Fraction::new(rate.numerator as i32, rate.denominator as i32);
        let info = gst_video::VideoInfo::builder(
            gst_video::VideoFormat::I420,
            resolution.width,
            resolution.height,
        )
        .fps(fraction)
        .build()
        .map_err(internal)?;
        let pipeline = gst::Pipeline::with_name("synthetic");
        // With base time 0, running time is the monotonic clock itself.
        pipeline.use_clock(Some(&gst::SystemClock::obtain()));
        pipeline.set_start_time(gst::ClockTime::NONE);
        pipeline.set_base_time(gst::ClockTime::ZERO);

        let pictures = appsrc(&info.to_caps().map_err(internal)?);
        let video_sink = build_video(&pipeline, &pictures, rate, resolution)?;
        flow.video(&video_sink, Codec::H264);

        let sound_caps = gst_audio::AudioCapsBuilder::new_interleaved()
            .format(gst_audio::AudioFormat::S16le)
            .rate(tone::RATE_HZ as i32)
            .channels(tone::CHANNELS as i32)
            .build();
        let sound = appsrc(&sound_caps);
        let audio_sink = build_audio(&pipeline, &sound)?;
        let format = AudioFormat {
            codec: Codec::Opus,
            sample_rate_hz: tone::RATE_HZ,
            channels: tone::CHANNELS,
        };
        flow.audio(&audio_sink, format);

        let bus = pipeline.bus().ok_or_else(|| internal("a pipeline without a bus"))?;
        pipeline.set_state(gst::State::Playing).map_err(internal)?;
        let [y, u, v] = [0, 1, 2].map(|plane| plane as usize);
        let strides = [y, u, v].map(|plane| info.stride()[plane] as usize);
        let offsets = [y, u, v].map(|plane| info.offset()[plane]);
        Ok(Self {
            layout: Layout { resolution, strides, offsets, size: info.size() },
            pipeline,
            bus,
            pictures,
            sound,
            video_sink,
            picture_duration: gst::ClockTime::from_nseconds((1e9 / rate.as_f64()) as u64),
        })
    }

    /// Pictures that the encoder has not taken yet.
    pub fn waiting_pictures(&self) -> u64 {
        self.pictures.current_level_buffers()
    }

    pub fn push_picture(&self, picture: &[u8], pts_ns: u64) {
        let Ok(mut buffer) = gst::Buffer::with_size(picture.len()) else { return };
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_pts(gst::ClockTime::from_nseconds(pts_ns));
            buffer.set_duration(self.picture_duration);
            // One copy a picture: the card stays, the encoder keeps what it was given.
            let _ = buffer.copy_from_slice(0, picture);
        }
        // Refused only while stopping.
        let _ = self.pictures.push_buffer(buffer);
    }

    pub fn push_sound(&self, block: Vec<u8>, pts_ns: u64) {
        let mut buffer = gst::Buffer::from_mut_slice(block);
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_pts(gst::ClockTime::from_nseconds(pts_ns));
            buffer.set_duration(gst::ClockTime::from_nseconds(tone::BLOCK_NS));
        }
        let _ = self.sound.push_buffer(buffer);
    }

    pub fn request_keyframe(&self) {
        let event = gst_video::UpstreamForceKeyUnitEvent::builder().all_headers(true).build();
        self.video_sink.send_event(event);
    }

    /// The first error since the last call, in words.
    pub fn poll_error(&self) -> Option<String> {
        let message = self.bus.pop_filtered(&[gst::MessageType::Error])?;
        match message.view() {
            gst::MessageView::Error(error) => Some(error.error().to_string()),
            _ => None,
        }
    }

    /// Ends the streaming threads; nothing is delivered after it.
    pub fn stop(&self) {
        if self.pipeline.set_state(gst::State::Null).is_err() {
            tracing::warn!("the synthetic camera's pipeline did not stop cleanly");
        }
    }
}

fn appsrc(caps: &gst::Caps) -> gst_app::AppSrc {
    gst_app::AppSrc::builder()
        .caps(caps)
        .format(gst::Format::Time)
        .is_live(true)
        .do_timestamp(false)
        .max_buffers(50)
        .leaky_type(gst_app::AppLeakyType::Downstream)
        .build()
}

fn build_video(
    pipeline: &gst::Pipeline,
    source: &gst_app::AppSrc,
    rate: FrameRate,
    resolution: Resolution,
) -> Result<gst_app::AppSink, OpenError> {
    let keyframes = (rate.as_f64() * KEYFRAME_SECONDS).round().max(1.0).to_string();
    let kbps = (resolution.pixels() as f64 / 1e6 * KBPS_PER_MEGAPIXEL).max(500.0) as u32;
    let encoder = elements::make_with(
        "x264enc",
        &[
            ("tune", "zerolatency"),
            ("speed-preset", "ultrafast"),
            ("threads", "1"),
            ("pass", "qual"),
            ("quantizer", "23"),
            ("bitrate", &kbps.to_string()),
            ("key-int-max", &keyframes),
            ("option-string", "scenecut=0"),
            ("aud", "false"),
        ],
    )?;
    let caps = gst::Caps::builder("video/x-h264")
        .field("profile", "constrained-baseline")
        .field("stream-format", "byte-stream")
        .field("alignment", "au")
        .build();
    let sink = elements::appsink(Some(&caps));
    elements::chain(pipeline.upcast_ref(), &[source.upcast_ref(), &encoder, sink.upcast_ref()])?;
    Ok(sink)
}

fn build_audio(
    pipeline: &gst::Pipeline,
    source: &gst_app::AppSrc,
) -> Result<gst_app::AppSink, OpenError> {
    let encoder = elements::make_with(
        "opusenc",
        &[("bitrate", "64000"), ("complexity", "3"), ("frame-size", "20")],
    )?;
    let sink = elements::appsink(None);
    elements::chain(pipeline.upcast_ref(), &[source.upcast_ref(), &encoder, sink.upcast_ref()])?;
    Ok(sink)
}
