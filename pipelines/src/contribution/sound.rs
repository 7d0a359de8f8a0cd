//! Sound that isn't Opus: decoded and encoded again.

use gst::prelude::*;
use stentor_protocol::control::AudioFormat;
use stentor_protocol::spec::Codec;

use super::OpenError;
use super::elements::{self, internal};
use super::flow::Flow;

/// An element that takes any coded sound and delivers it as Opus; `codec` is what is told of it.
pub fn decoder(
    pipeline: &gst::Pipeline,
    flow: &Flow,
    codec: Codec,
) -> Result<gst::Element, OpenError> {
    let decoder = elements::make("decodebin")?;
    // Only what names audio is looked for: a search through all plugins is slow.
    let (pipeline, flow) = (pipeline.downgrade(), flow.clone());
    decoder.connect_pad_added(move |decoder, pad| {
        let Some(pipeline) = pipeline.upgrade() else { return };
        if let Err(error) = encode(&pipeline, pad, &flow, codec) {
            gst::element_error!(decoder, gst::StreamError::Failed, ["{error}"]);
        }
    });
    Ok(decoder)
}

fn encode(
    pipeline: &gst::Pipeline,
    pad: &gst::Pad,
    flow: &Flow,
    codec: Codec,
) -> Result<(), OpenError> {
    let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
    let Some(raw) = caps.structure(0).filter(|s| s.name() == "audio/x-raw") else {
        return Err(internal("sound in a codec that can't be decoded here"));
    };
    let number = |key| raw.get::<i32>(key).ok().and_then(|n| u32::try_from(n).ok());
    let format = AudioFormat {
        codec,
        sample_rate_hz: number("rate").unwrap_or(48_000),
        channels: number("channels").unwrap_or(2),
    };
    let convert = elements::make("audioconvert")?;
    let resample = elements::make_with("audioresample", &[("quality", "2")])?;
    let stereo = elements::make("capsfilter")?;
    let caps = gst::Caps::builder("audio/x-raw")
        .field("rate", 48_000)
        .field("channels", gst::IntRange::new(1, 2))
        .build();
    stereo.set_property("caps", &caps);
    let encoder = elements::make_with(
        "opusenc",
        &[("bitrate", "96000"), ("complexity", "5"), ("frame-size", "20")],
    )?;
    let sink = elements::appsink(None);
    flow.audio(&sink, format);
    elements::attach(pipeline, pad, &[convert, resample, stereo, encoder, sink.upcast()])
}
