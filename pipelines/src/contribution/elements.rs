//! Making GStreamer elements, with errors that name what is missing.

use gst::prelude::*;

use super::OpenError;

/// Starts GStreamer; harmless when it has started already.
pub fn init() -> Result<(), OpenError> {
    gst::init().map_err(|e| OpenError::Init(e.to_string()))
}

pub fn make(name: &'static str) -> Result<gst::Element, OpenError> {
    gst::ElementFactory::make(name).build().map_err(|_| OpenError::MissingElement(name))
}

/// An element with properties set from their text form, as on a gst-launch command line.
pub fn make_with(
    name: &'static str,
    properties: &[(&str, &str)],
) -> Result<gst::Element, OpenError> {
    let element = make(name)?;
    for (key, value) in properties {
        // A property that an older or newer plugin lacks must not end the worker.
        if element.find_property(key).is_some() {
            element.set_property_from_str(key, value);
        } else {
            tracing::warn!(element = name, property = key, "property is not known here");
        }
    }
    Ok(element)
}

/// An appsink that takes what comes at once.
pub fn appsink(caps: Option<&gst::Caps>) -> gst_app::AppSink {
    let sink = gst_app::AppSink::builder()
        .sync(false)
        .async_(false)
        .enable_last_sample(false)
        .max_buffers(8)
        .wait_on_eos(false)
        .build();
    sink.set_property("qos", false);
    sink.set_caps(caps);
    sink
}

/// A queue in front of a stream: it gives the stream a thread of its own. `deep` ones hold what a
/// file interleaves, others a moment of a live stream.
pub fn queue(deep: bool) -> Result<gst::Element, OpenError> {
    let seconds = if deep { 4 } else { 1 };
    make_with(
        "queue",
        &[
            ("max-size-time", &(seconds * 1_000_000_000_u64).to_string()),
            ("max-size-bytes", "33554432"),
            ("max-size-buffers", "0"),
        ],
    )
}

/// Adds the elements to a running pipeline, links them in a row and the pad to the first.
pub fn attach(
    pipeline: &gst::Pipeline,
    pad: &gst::Pad,
    elements: &[gst::Element],
) -> Result<(), OpenError> {
    let row: Vec<&gst::Element> = elements.iter().collect();
    chain(pipeline.upcast_ref(), &row)?;
    for element in row.iter().rev() {
        element.sync_state_with_parent().map_err(internal)?;
    }
    let first = elements.first().and_then(|e| e.static_pad("sink"));
    let first = first.ok_or_else(|| internal("an element without a pad to link to"))?;
    pad.link(&first).map_err(internal)?;
    Ok(())
}

/// Adds the elements to the bin and links them in a row.
pub fn chain(bin: &gst::Bin, elements: &[&gst::Element]) -> Result<(), OpenError> {
    bin.add_many(elements.iter().copied()).map_err(internal)?;
    gst::Element::link_many(elements.iter().copied()).map_err(internal)
}

pub fn internal(error: impl std::fmt::Display) -> OpenError {
    OpenError::Source(error.to_string())
}
